"""Steps of a scenario: a command in the machine, and what is expected of it."""

import dataclasses
import hashlib
import shlex

USERS = ["root", "ordinary"]
BLOCKED = 126


@dataclasses.dataclass
class Step:
    """A command and its expected outcome. What is None is not looked at."""

    name: str
    user: str
    command: str
    status: int = 0
    prints: str | None = None
    says: tuple = ()
    # Dotted names in the last record that has them, with their values.
    record: dict = dataclasses.field(default_factory=dict)

    def mistakes(self, result):
        """Sentences on what is not as expected."""
        if result is None:
            yield "it was not run"
            return
        if result.status != self.status:
            yield f"status {result.status}, expected {self.status}"
        if self.prints is not None and result.stdout != self.prints:
            yield f"it printed {result.stdout!r}, expected {self.prints!r}"
        for words in self.says:
            if words not in result.stderr:
                yield f"it does not say {words!r}"
        for name, value in self.record.items():
            found = [look_up(record, name) for record in result.records]
            found = [one for one in found if one is not None]
            if not found or found[-1] != value:
                yield f"recorded {name}: {found[-1:]}, expected {value!r}"


def look_up(record, dotted):
    for name in dotted.split("."):
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def bare(user, *words, **expected):
    """A program without secure-exec."""
    name = f"{user}: {' '.join(words)} without secure-exec"
    return Step(name, user, shlex.join(words), **expected)


def shell(command, user="root", **expected):
    """A command line."""
    return Step(f"{user}: {command}", user, command, **expected)


def launch(user, plugin, *arguments, options=(), before="", after="", **expected):
    """A launch under strict, unless the options say otherwise."""
    words = ["secure-exec", "--whitelist", "/whitelist", *options, plugin, *arguments]
    command = " ".join([*before.split(), shlex.join(words), *after.split()])
    return Step(f"{user}: {command}", user, command, **expected)


def permissive(user, plugin, *arguments, **expected):
    """A launch under permissive."""
    return launch(user, plugin, *arguments, options=["--policy", "permissive"], **expected)


def entry(name, content, *lines, path=None, hash=None):
    """A whitelist entry."""
    hash = hash or "sha256:" + hashlib.sha256(content).hexdigest()
    lines = [f"path: {path or f'/guest/{name}'}", f"hash: {hash}", *lines]
    return "".join([f"  - name: {name}\n", *(f"    {line}\n" for line in lines)])


def whitelist(*entries, settings=()):
    """A whitelist file."""
    settings = "".join(f"  {line}\n" for line in settings)
    settings = f"settings:\n{settings}" if settings else ""
    text = f'version: "1.0"\n{settings}plugins:\n{"".join(entries)}'
    return (0o644, text.encode())


def script(steps):
    """The steps for the guest's shell."""
    lines = [
        f"step {number} {step.user} {shlex.quote(step.command)}"
        for number, step in enumerate(steps)
    ]
    return (0o644, "\n".join([*lines, ""]).encode())
