"""A virtual machine: its files, its boot, and what it printed."""

import base64
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
GUEST = pathlib.Path(__file__).resolve().parent / "guest"
TARGET = "x86_64-unknown-linux-musl"
# A boot takes some seconds; one that hangs has failed.
LIMIT = 180


@dataclasses.dataclass
class Result:
    """What one step in the machine did."""

    status: int
    stdout: str
    stderr: str
    records: list


@dataclasses.dataclass
class Report:
    """What a machine printed."""

    facts: dict
    results: dict
    console: str


def cache():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    folder = target / "vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def accelerator():
    """KVM where the processor itself runs the guest: a host that is a virtual
    machine without nested virtualisation boots no ordinary kernel."""
    hardware = any(pathlib.Path(f"/sys/module/kvm_{name}").exists() for name in ("intel", "amd"))
    if hardware and os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg", "-cpu", "max"]


def build():
    """The programs that every machine has, by their place there."""
    folder = cache() / "programs"
    folder.mkdir(exist_ok=True)
    # Emulation makes the difference to an unoptimised program large.
    command = ["cargo", "build", "--quiet", "--release", "--target", TARGET, "--bins"]
    subprocess.run(command, cwd=ROOT, check=True)
    files = {"/bin/busybox": pathlib.Path(shutil.which("busybox")).read_bytes()}
    for name in ["secure-exec", "plugin-hash"]:
        built = cache().parent / TARGET / "release" / name
        files[f"/bin/{name}"] = built.read_bytes()
    # The kernel's headers are not in musl's folder.
    needs_headers = {"verity", "without"}
    for source in sorted(GUEST.glob("*.c")):
        program = folder / source.stem
        compiler = "gcc" if source.stem in needs_headers else "musl-gcc"
        command = [compiler, "-O1", "-Wall", "-Werror", "-static", "-o", program, source]
        subprocess.run(command, check=True)
        files[f"/guest/{source.stem}"] = program.read_bytes()
    return files


def archive(files):
    """An initramfs (cpio, the newc format). A path ends in a slash for a
    folder; a file is (mode, bytes) or bytes, which then is a program."""
    entries = []
    folders = {"/dev", "/proc", "/sys", "/tmp", "/etc", "/run"}
    for path in files:
        folders.update(str(parent) for parent in pathlib.PurePosixPath(path).parents)
    folders.discard("/")
    entries += [(path, 0o040755, b"") for path in sorted(folders)]
    for path, content in files.items():
        mode, content = content if isinstance(content, tuple) else (0o755, content)
        entries.append((path, 0o100000 | mode, content))
    entries.append(("/TRAILER!!!", 0, b""))
    out = bytearray()
    for number, (path, mode, content) in enumerate(entries):
        name = path[1:].encode() + b"\0"
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0]
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def boot(kernel, initramfs, parameters):
    """Boots, waits for the machine to end by itself, and reads its report."""
    place = cache() / "initramfs"
    place.write_bytes(initramfs)
    command = [
        *["qemu-system-x86_64", *accelerator(), "-machine", "q35", "-smp", "1", "-m", "512"],
        *["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio"],
        *["-kernel", kernel.image, "-initrd", place],
        *["-append", f"console=ttyS0 panic=-1 quiet loglevel=1 {parameters}"],
    ]
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False
        )
        console = ended.stdout.decode(errors="replace")
        errors = ended.stderr.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        console = (late.stdout or b"").decode(errors="replace")
        errors = f"the machine did not end within {LIMIT} seconds"
    return read(console, errors)


def read(console, errors):
    """Lines of the guest's `init` begin with "@@"."""
    report = Report({}, {}, console[-3000:] + errors)
    for line in console.splitlines():
        words = line.strip().split(" ")
        match words:
            case ["@@fact", name, value]:
                report.facts[name] = text(value).strip()
            case ["@@step", name, status, out, err, log]:
                lines = text(log).splitlines()
                records = [json.loads(line) for line in lines]
                report.results[int(name)] = Result(int(status), text(out), text(err), records)
    return report


def text(value):
    """Base64 behind a dot, which keeps an empty word a word."""
    return base64.b64decode(value[1:]).decode(errors="replace")
