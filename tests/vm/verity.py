"""fs-verity on ext4: the kernel itself keeps a plugin's bytes."""

import subprocess
import tempfile
from pathlib import Path

from steps import BLOCKED, USERS, bare, entry, launch, shell, whitelist


def verity(files, kernel):
    """The scenario on a kernel."""
    from scenarios import Scenario

    hello, attack = files["/guest/hello"], files["/guest/attack"]
    disk = image({"hello": hello, "other": attack, "changed": attack})
    # A page that the plugin reads late, or not at all.
    far = disk.index(b"hello from far\n")
    measured, others = digest(hello), digest(attack)
    entries = [
        entry("auto", hello, path="/disk/hello", hash=measured),
        entry("verity", hello, "image: verity", path="/disk/hello"),
        entry("plain", hello, "image: verity", path="/guest/hello", hash=measured),
        entry("changed", hello, "image: verity", path="/disk/changed", hash=measured),
        entry("hello", hello),
    ]
    mount = "losetup /dev/loop0 /disk.img && mount -t ext4 /dev/loop0 /disk"
    steps = [
        shell("insmod /loop.ko"),
        shell(f"mkdir /disk && {mount} && chmod 755 /disk /disk/*"),
        shell("/guest/verity /disk/hello /disk/other /disk/changed"),
        # What the file system then keeps: nobody can write it.
        shell("echo x >> /disk/hello", status=1),
    ]
    ran = {"prints": "hello from far\n"}
    refused = {"status": BLOCKED, "prints": ""}
    full = {"image": "verity", "sandbox.enforcement": "full"}
    for user in USERS:
        steps += [
            launch(user, "auto", **ran, record=full | {"hash_actual": measured}),
            launch(user, "verity", **ran, record=full),
            launch(user, "plain", **refused, says=["sandbox_unavailable", "no fs-verity digest"]),
            launch(
                user,
                "changed",
                **refused,
                says=["hash mismatch", f"Actual:   {others}"],
                record={"violation_type": "hash_mismatch", "hash_actual": others},
            ),
        ]
    steps += [
        # Somebody changes the disk beneath the file system.
        shell("umount /disk && losetup -d /dev/loop0"),
        shell(f"printf X | dd of=/disk.img bs=1 seek={far} conv=notrunc"),
        shell(mount),
        bare("root", "cat", "/disk/other", status=0),
        bare("root", "cat", "/disk/hello", status=1),
    ]
    for user in USERS:
        steps += [
            # It was measured, not read: the kernel ends it at the page.
            launch(user, "auto", status=128 + 7, prints="", record={"image": "verity"}),
            launch(user, "auto", "x", prints="hello\n", record={"image": "verity"}),
            # Reading all of it meets the page before anything runs.
            launch(user, "verity", **refused, says=["EIO"]),
        ]
    more = {"/disk.img": (0o644, disk), "/whitelist": whitelist(*entries)}
    return Scenario(f"verity-{kernel}", kernel, steps, files=more)


def image(content):
    """An ext4 file system that can have fs-verity, with these files."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "root").mkdir()
        for name, data in content.items():
            (folder / "root" / name).write_bytes(data)
        command = ["mkfs.ext4", "-q", "-O", "verity", "-b", "4096", "-d", folder / "root"]
        subprocess.run(
            [*command, folder / "image", "8M"], check=True, stdout=subprocess.DEVNULL
        )
        return (folder / "image").read_bytes()


def digest(data):
    """The digest that the kernel will measure, by a program that is not ours."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        command = ["fsverity", "digest", "--compact", file.name]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return f"fs-verity-sha256:{found.split()[0]}"
