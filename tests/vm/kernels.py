"""Kernels from Debian's archives: fetched with a private package list and
unpacked into the cache, never installed."""

import dataclasses
import pathlib
import re
import subprocess

MIRROR = "http://deb.debian.org"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel, and what is known of it."""

    name: str
    suite: str
    # First numbers of the release, and Landlock's ABI there: another one than
    # expected fails, so that no check passes for want of a feature.
    release: str
    abi: int
    archive: str = "debian"


KERNELS = {
    kernel.name: kernel
    for kernel in [
        Kernel("5.10", "bullseye-security", "5.10.", 0, "debian-security"),
        Kernel("6.1", "bookworm", "6.1.", 2),
        Kernel("6.12", "trixie", "6.12.", 6),
        Kernel("7.3", "trixie-backports", "7.3.", 11),
    ]
}


@dataclasses.dataclass(frozen=True)
class Unpacked:
    """A kernel on disk."""

    image: pathlib.Path
    loop_module: bytes


def unpacked(kernel, cache):
    """The kernel, from the cache or the archive."""
    folder = cache / f"kernel-{kernel.name}"
    tree = folder / "tree"
    if not (folder / "complete").exists():
        fetch(kernel, folder, tree)
        (folder / "complete").touch()
    images = [
        path
        for path in [*tree.glob("boot/vmlinuz-*"), *tree.glob("usr/lib/modules/*/vmlinuz")]
        if path.is_file()
    ]
    modules = list(tree.glob("**/kernel/drivers/block/loop.ko*"))
    if len(images) != 1 or len(modules) != 1:
        raise SystemExit(f"ERROR: {tree} has not one kernel and one loop module; remove {folder}")
    module = modules[0].read_bytes()
    if modules[0].suffix == ".xz":
        module = subprocess.run(
            ["xz", "--decompress"], input=module, capture_output=True, check=True
        ).stdout
    return Unpacked(images[0], module)


def fetch(kernel, folder, tree):
    print(f"fetching Linux {kernel.name} of Debian {kernel.suite}", flush=True)
    for part in ["state/lists/partial", "archives/partial", "packages", "tree"]:
        (folder / part).mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text(
        f"deb [signed-by={KEYRING}] {MIRROR}/{kernel.archive} {kernel.suite} main\n"
    )
    # The machine's own package lists stay as they are.
    options = {
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "-",
        "Dir::State": folder / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": folder,
        "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
    }
    options = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]

    def apt(program, *words):
        return subprocess.run(
            [program, *options, *words],
            cwd=folder / "packages",
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        ).stdout

    apt("apt-get", "-q", "update")
    packages, found = ["linux-image-cloud-amd64"], []
    # Down to the packages that carry the release in their name.
    for package in packages:
        depends = apt("apt-cache", "depends", "--important", package)
        for name in re.findall(r"Depends: (linux-(?:image|binary|modules)-\d\S+)", depends):
            if name not in found:
                found.append(name)
                packages.append(name)
    if not found:
        raise SystemExit(f"ERROR: Debian {kernel.suite} has no linux-image-cloud-amd64")
    apt("apt-get", "-q", "download", *found)
    for package in (folder / "packages").glob("*.deb"):
        subprocess.run(["dpkg", "-x", package, tree], check=True)
        package.unlink()
