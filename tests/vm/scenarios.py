"""The table: each row a kernel, how it is booted, and what is expected there."""

import dataclasses

from kernels import KERNELS
from steps import BLOCKED, USERS, bare, entry, launch, permissive, shell, whitelist

FILES = "Landlock file rules (needs Linux 5.13 with landlock in the lsm= boot list)"
PORTS = "Landlock's TCP port rules (needs Linux 6.7, Landlock ABI 4)"
ABSTRACT = "Landlock's abstract UNIX socket scope (needs Linux 6.12, Landlock ABI 6)"
BY_PATH = "Landlock's right to connect to UNIX sockets by path (needs Linux 7.1, Landlock ABI 9)"
FILTERS = (
    "seccomp filters (needs CONFIG_SECCOMP_FILTER in the kernel, "
    "and nothing around the launcher that hides seccomp(2))"
)
TRUNCATE = (
    "Landlock's truncate right: the filter refuses truncate(2), "
    "and O_TRUNC without the write that Landlock checks"
)
IOCTL = (
    "Landlock's device ioctl right: the filter refuses every ioctl(2) "
    "but a few harmless ones, on all files"
)
NO_BIND = (
    "Landlock's TCP port rules: the filter refuses bind(2) or connect(2), "
    "of which the profile grants no port"
)
SIGNALS = "Landlock's signal scope: the filter admits signals to the plugin's own process alone"
NO_SIGNALS = "Landlock's signal scope: the filter refuses all signals"

# What an attack is given, and who refuses it: the filter, or Landlock from
# this ABI on and the filter before.
ATTACKS = {
    "open": ("/world/secret", "EACCES"),
    "truncate": ("/world/victim", 3),
    "truncate-reading": ("/world/readable/victim", 3),
    "truncate-neither": ("/world/victim", 3),
    "ioctl": ("/dev/ptmx", 5),
    "kill": ("$(cat /world/neighbour.$(id -un))", "EPERM"),
    "tcp": ("4000", "EPERM"),
    "abstract": ("outsider", "EPERM"),
    "unix": ("/world/socket", "EPERM"),
    "exec": ("/bin/echo", "EPERM"),
    "descriptor": ("9", "EBADF"),
}
# What Landlock alone keeps a plugin from.
LANDLOCKS = ["open", "truncate", "truncate-reading", "truncate-neither", "ioctl"]
ATTACKER = """profile:
      filesystem: { read: [/world/readable], devices: [ptmx] }"""


@dataclasses.dataclass
class Scenario:
    """One boot."""

    name: str
    kernel: str
    steps: list
    # Added to the kernel's command line.
    parameters: str = ""
    # Landlock's ABI, where the boot parameters change it.
    abi: int | None = None
    files: dict = dataclasses.field(default_factory=dict)

    @property
    def expected_abi(self):
        return KERNELS[self.kernel].abi if self.abi is None else self.abi


def missing(*protections):
    return "this system lacks " + ", ".join(protections)


def applied(missing=(), taken_over=()):
    """What a record says of the sandbox."""
    return {
        "sandbox.enforcement": "partial" if missing else "full",
        "sandbox.missing": list(missing),
        "sandbox.taken_over": list(taken_over),
    }


def attack(make, user, name, outcome, plugin="attack", **more):
    argument, _ = ATTACKS[name]
    done = outcome == "done"
    expected = {"status": 0 if done else 1, "prints": f"{name}: {outcome}\n"}
    step = make(user, plugin, name, **expected, **more)
    step.command += f' "{argument}" 9</world/secret'
    return step


def without_secure_exec(user, plugin, *arguments, **expected):
    return bare(user, f"/guest/{plugin}", *arguments, **expected)


def attacks(user, abi, make=launch):
    """Every attack works without secure-exec, and fails under it."""
    for name in ATTACKS:
        yield attack(without_secure_exec, user, name, "done")
    for name, (_, refused) in ATTACKS.items():
        if isinstance(refused, int):
            refused = "EACCES" if abi >= refused else "EPERM"
        if abi == 0 and name in LANDLOCKS:
            refused = "done"
        yield attack(make, user, name, refused)


# Shipped profiles, and whether they grant TCP ports. `cni` keeps capabilities.
SHIPPED = {
    "default": False,
    "go-plugin": False,
    "python": False,
    "node": False,
    "jvm": False,
    "mcp-stdio": False,
    "cni": False,
    "network-client": True,
    "network-service": True,
    "monitoring": True,
    "munin": False,
    "git-helper": True,
    "apt-method": True,
    "cups-filter": False,
}

# These fork, so their signals can't be held to themselves by the filter.
FORKING = {"python", "monitoring", "munin", "git-helper", "cups-filter"}

# These need root: the one keeps capabilities, the other becomes a user.
OF_ROOT = {"cni", "apt-method"}


def stands_in(abi, signals=SIGNALS):
    """What the filter does below these ABIs."""
    return [*([TRUNCATE] if abi < 3 else []), *([signals] if abi < 6 else [])]


def shipped(user, abi):
    """Strict launches with the shipped profiles."""
    for name, ports in SHIPPED.items():
        options = ["--profile", name]
        if name in OF_ROOT and user != "root":
            continue
        if ports and abi < 4:
            says = ["sandbox_unavailable", missing(PORTS), "Use a system that has it"]
            yield launch(user, "hello", options=options, status=BLOCKED, prints="", says=says)
        else:
            signals = NO_SIGNALS if name in FORKING else SIGNALS
            record = applied(taken_over=stands_in(abi, signals))
            yield launch(user, "hello", "x", options=options, prints="hello\n", record=record)


# Profiles with a part of the network, and what they then reach.
NETWORKS = {
    "one-port": "tcp: { connect: [4000] }",
    "other-port": "tcp: { connect: [4001] }",
    "every-port": "tcp: { connect: '*' }",
    "one-socket": "unix: { connect: [/world/socket] }",
    "other-socket": "unix: { connect: [/world/readable] }",
}


def networks(user, abi):
    """Granted ports and UNIX sockets, and what the kernel can't keep to them."""
    refused = {"status": BLOCKED, "prints": ""}
    for name in ["one-port", "other-port"]:
        outcome = "done" if name == "one-port" else "EACCES"
        if abi >= 4:
            yield attack(launch, user, "tcp", outcome, plugin=name)
        else:
            yield launch(user, name, "tcp", "4000", **refused, says=[missing(PORTS)])
    found = stands_in(abi)
    found[1:1] = [NO_BIND] if abi < 4 else []
    record = applied(taken_over=found)
    yield attack(launch, user, "tcp", "done", plugin="every-port", record=record)
    for name in ["one-socket", "other-socket"]:
        outcome = "done" if name == "one-socket" else "EACCES"
        if abi >= 9:
            yield attack(launch, user, "unix", outcome, plugin=name)
            yield attack(launch, user, "abstract", "EPERM", plugin=name)
        else:
            lacks = missing(*([ABSTRACT] if abi < 6 else []), BY_PATH)
            yield launch(user, name, "unix", "/world/socket", **refused, says=[lacks])


def dry_run(user, abi):
    """The plan names what the filter takes over, and nothing else."""
    plan = f"/tmp/{user}/plan"
    yield shell(f"secure-exec --whitelist /whitelist --dry-run attack > {plan}", user)
    expected = "".join(f"taken over   {one}\n" for one in attackers(abi))
    yield shell(f"grep '^taken over' {plan} || true", user, prints=expected)


def attackers(abi):
    """What the filter does for the profile that has a device."""
    found = stands_in(abi)
    return found[:-1] + [IOCTL] + found[-1:] if abi < 5 else found


def programs(files, *more):
    hello, attack = files["/guest/hello"], files["/guest/attack"]
    entries = [entry("hello", hello), entry("attack", attack, ATTACKER)]
    for name, grant in NETWORKS.items():
        profile = f"profile: {{ network: {{ {grant} }} }}"
        entries.append(entry(name, attack, profile, path="/guest/attack"))
    return whitelist(*entries, *more)


def enforced(files, kernel):
    """A kernel on which strict runs plugins."""
    abi = KERNELS[kernel].abi
    steps = []
    for user in USERS:
        steps += shipped(user, abi)
        steps += attacks(user, abi)
        steps += networks(user, abi)
        # What the plugin may do to itself stays.
        record = applied(taken_over=attackers(abi))
        steps.append(launch(user, "attack", "raise", "0", prints="raise: done\n", record=record))
        steps += dry_run(user, abi)
    return Scenario(f"linux-{kernel}", kernel, steps, files={"/whitelist": programs(files)})


def unenforced(files, name, kernel, parameters=""):
    """A kernel without Landlock: strict refuses, permissive says what is gone."""
    steps = []
    for user in USERS:
        blocked = {
            "result": "blocked",
            "violation_type": "sandbox_unavailable",
            "reason": missing(FILES),
        }
        says = ["sandbox_unavailable", missing(FILES), "Use a system that has it"]
        steps.append(launch(user, "hello", status=BLOCKED, prints="", says=says, record=blocked))
        degraded = applied([FILES], [SIGNALS]) | {
            "event_type": "sandbox_degraded",
            "reason": missing(FILES),
        }
        says = ["WARNING: sandbox_unavailable: " + missing(FILES)]
        steps.append(
            permissive(user, "hello", "x", prints="hello\n", says=says, record=degraded)
        )
        steps += attacks(user, 0, permissive)
    return Scenario(name, kernel, steps, parameters, 0, {"/whitelist": programs(files)})


def memory_files(files):
    """`vm.memfd_noexec=2`: no executable memory file can be made."""
    script = b"#!/bin/sh\necho from a script\n"
    hello = files["/guest/hello"]
    sealed = (
        "this kernel forbids executable memory files "
        "(the sysctl vm.memfd_noexec is 2, 1 would do)"
    )
    ran = {"prints": "hello from far\n"}
    refused = {"status": BLOCKED, "prints": ""}
    unavailable = ["sandbox_unavailable", sealed]
    entries = [
        entry("hello", hello),
        entry("own", hello, path="/own/hello"),
        entry("sealed", hello, "image: sealed", path="/guest/hello"),
        entry("script", script),
    ]
    steps = [
        shell("chown -R 1000:1000 /own"),
        bare("root", "/guest/attack", "memfd", "x", prints="memfd: done\n"),
        launch("root", "hello", **ran, record={"image": "sealed"}),
        shell("echo 2 > /proc/sys/vm/memfd_noexec"),
        bare("root", "/guest/attack", "memfd", "x", status=1, prints="memfd: EACCES\n"),
        launch("root", "hello", **ran, record={"image": "leased"}),
        launch("ordinary", "own", **ran, record={"image": "leased"}),
        # Neither a copy nor a lease can be had.
        launch("ordinary", "hello", **refused, says=[sealed, "only its owner may take a lease"]),
    ]
    for user in USERS:
        demanding = ["--whitelist", "/demanding"]
        steps += [
            # Nobody executes the copy of a script.
            launch(user, "script", prints="from a script\n", record={"image": "sealed"}),
            launch(user, "sealed", **refused, says=unavailable),
            permissive(user, "sealed", **refused, says=unavailable),
            launch(user, "hello", options=demanding, **refused, says=unavailable),
        ]
    more = {
        "/whitelist": whitelist(*entries),
        "/demanding": whitelist(*entries, settings=["image_minimum: sealed"]),
        "/guest/script": script,
        "/own/hello": hello,
    }
    return Scenario("memfd-noexec", "6.12", steps, files=more)


def surroundings(files):
    """No user namespaces; a cgroup with limits; cgroups of the launcher's own."""
    cgroup = "/sys/fs/cgroup"
    plugins = f"{cgroup}/plugins"
    enable = f"echo +$c > {cgroup}/cgroup.subtree_control || exit 1"
    enabled = f"grep -qw $c {plugins}/cgroup.controllers || exit 1"
    steps = [
        bare("root", "unshare", "-U", "true"),
        shell("echo 0 > /proc/sys/user/max_user_namespaces"),
        bare("root", "unshare", "-U", "true", status=1),
        *[launch(user, "hello", prints="hello from far\n", record=applied()) for user in USERS],
        shell(f"mount -t cgroup2 cgroup {cgroup}"),
        shell(f"for c in $(cat {cgroup}/cgroup.controllers); do {enable}; done"),
        shell(f"mkdir {plugins} && for c in cpu memory pids; do {enabled}; done"),
        shell(f"echo 20 > {plugins}/pids.max && echo 64M > {plugins}/memory.max"),
    ]
    for user in USERS:
        log = f"SECURE_EXEC_AUDIT_LOG=/tmp/{user}/audit.log"
        join = f"echo $$ > {plugins}/cgroup.procs && exec /guest/as $(id -u {user}) env {log}"
        step = launch(user, "hello", prints="hello from far\n")
        # Only root may move a process into the group.
        step.user, step.command = "root", f"{join} {step.command}"
        steps.append(step)
    # Root's processes, counted in the uppermost group and beside others.
    counted = {"sandbox.processes_limited_by": "pids cgroup (v2)", "sandbox.limits_not_enforced": []}
    enter = f"echo $$ > {plugins}/cgroup.procs && exec"
    for before, place in [("", cgroup), (enter, plugins)]:
        step = launch("root", "many", before="/guest/switch_root", prints="5\n", record=counted)
        step.command = f"{before} {step.command}"
        steps += [step, shell(f"! find {place} -path '*/secure-exec/*' -type d | grep .")]
    profile = "profile: { isolation: namespaces, limits: { processes: 5 } }"
    more = {
        "/whitelist": programs(files, entry("many", files["/guest/many"], profile)),
        "/guest/switch_root": SWITCH_ROOT,
    }
    return Scenario("surroundings", "6.12", steps, files=more)


# The first root folder can't be exchanged (man 2 pivot_root).
SWITCH_ROOT = b"""#!/bin/sh
[ "$1" = inside ] || exec unshare -m "$0" inside "$@"
shift
mkdir -p /new && mount -o rbind / /new && cd /new && mount --move . / && exec chroot . "$@"
"""


# Numbers of system calls on x86_64.
LANDLOCK_CREATE, SECCOMP, EXECVEAT, CLOSE_RANGE = 444, 317, 322, 436
OPENAT2, FACCESSAT2, MEMFD_CREATE = 437, 439, 319


def hidden(files):
    """A filter around the launcher hides a system call, as a container
    runtime's does."""

    def without(number, make=launch):
        def made(user, plugin, *arguments, **expected):
            before = f"/guest/without {number} --"
            return make(user, plugin, *arguments, before=before, **expected)

        return made

    ran, refused = {"prints": "hello from far\n"}, {"status": BLOCKED, "prints": ""}
    degraded = applied([FILTERS]) | {"event_type": "sandbox_degraded"}
    steps = []
    for user in USERS:
        steps += [
            without(LANDLOCK_CREATE)(user, "hello", **refused, says=[missing(FILES)]),
            without(SECCOMP)(user, "hello", **refused, says=[missing(FILTERS)]),
            without(SECCOMP, permissive)(
                user, "hello", **ran, says=[missing(FILTERS)], record=degraded
            ),
            # Landlock is left.
            attack(without(SECCOMP, permissive), user, "open", "EACCES"),
            without(EXECVEAT)(user, "hello", **refused, says=["could not be executed"]),
            # One by one instead.
            without(CLOSE_RANGE)(user, "hello", **ran, record=applied()),
            attack(without(CLOSE_RANGE), user, "descriptor", "EBADF"),
        ]
        for number in [OPENAT2, FACCESSAT2, MEMFD_CREATE]:
            says = ["ENOSYS", "use Linux 5.8 or newer"]
            steps.append(without(number)(user, "hello", **refused, says=says))
    return Scenario("hidden-calls", "6.12", steps, files={"/whitelist": programs(files)})


def everything(files):
    """All scenarios."""
    from verity import verity

    return [
        enforced(files, "6.1"),
        unenforced(files, "linux-6.1-without-landlock", "6.1", "lsm=yama,apparmor"),
        unenforced(files, "linux-5.10", "5.10"),
        enforced(files, "6.12"),
        enforced(files, "7.3"),
        memory_files(files),
        surroundings(files),
        hidden(files),
        verity(files, "6.1"),
        verity(files, "6.12"),
    ]
