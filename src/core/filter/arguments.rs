//! Which arguments are admitted of a call that rank and layers admit: of
//! processes, memory, files. Each function is the rule of a row of the table.

use super::checks::{
    Admits, Test, Values, all, any as any_of, bits_clear, equals, high, int, masked, null,
    only_bits, ticket,
};
use super::kernel::*;
use super::{ExecRule, Request};
use Admits::{Any, Never, When};

const fn only_if(granted: bool) -> Admits {
    if granted { Any } else { Never }
}

/// Whatever its arguments.
pub(super) const fn any(_: &Request<'_>) -> Admits {
    Any
}

// The launch.

pub(super) const fn exec(request: &Request<'_>) -> Admits {
    only_if(matches!(request.exec, ExecRule::Landlock))
}

pub(super) fn exec_ticket(request: &Request<'_>) -> Admits {
    match request.exec {
        ExecRule::Landlock => Any,
        ExecRule::Ticket(_) => ticket(),
    }
}

// Processes.

/// The plugin's number in this argument: 0, or its own. With `fork`, a child
/// may outlive the plugin and meet a stranger who got its number.
fn own(request: &Request<'_>, argument: u8) -> impl Iterator<Item = Test> {
    let number = (!request.fork).then_some(int(argument, Values::OwnPid));
    [equals(argument, 0)].into_iter().chain(number)
}

pub(super) fn own_process(request: &Request<'_>) -> Admits {
    any_of(own(request, 0))
}

pub(super) fn own_priority(request: &Request<'_>) -> Admits {
    who(request, PRIO_PROCESS)
}

pub(super) fn own_io_priority(request: &Request<'_>) -> Admits {
    who(request, IOPRIO_WHO_PROCESS)
}

fn who(request: &Request<'_>, process: u32) -> Admits {
    When(
        own(request, 1)
            .map(|id| vec![equals(0, process), id])
            .collect(),
    )
}

/// Of a process, which may be a thread.
pub(super) fn a_priority(_: &Request<'_>) -> Admits {
    all([equals(0, PRIO_PROCESS)])
}

/// Of children where there are any: whose numbers those are a filter can't know.
pub(super) fn pidfd(request: &Request<'_>) -> Admits {
    if request.fork {
        Any
    } else {
        all([int(0, Values::OwnPid)])
    }
}

pub(super) fn clock(_: &Request<'_>) -> Admits {
    any_of([
        int(0, Values::In(CLOCKS)),
        masked(0, THREAD_CLOCK, Values::One(THREAD_CLOCK)),
    ])
}

/// tkill(2) takes a thread's number, which for the first thread is the same.
pub(super) fn signal(request: &Request<'_>) -> Admits {
    match (request.stand_in.signals, request.fork) {
        (false, _) => Any,
        (true, true) => Never,
        (true, false) => all([int(0, Values::OwnPid)]),
    }
}

pub(super) const fn signal_by_descriptor(request: &Request<'_>) -> Admits {
    only_if(!request.stand_in.signals)
}

pub(super) const fn forks(request: &Request<'_>) -> Admits {
    only_if(request.fork)
}

pub(super) fn clone(request: &Request<'_>) -> Admits {
    let thread = masked(0, CLONE_THREAD, Values::One(CLONE_THREAD));
    let mut rule = vec![only_bits(0, CLONE_ADMITTED)];
    rule.extend((!request.fork).then_some(thread));
    all(rule)
}

pub(super) fn unshare(_: &Request<'_>) -> Admits {
    all([only_bits(0, UNSHARE_ADMITTED), high(0, Values::One(0))])
}

pub(super) fn setns(_: &Request<'_>) -> Admits {
    all([equals(1, CLONE_NEWNET)])
}

pub(super) fn barrier(_: &Request<'_>) -> Admits {
    all([int(0, Values::Range(0, MEMBARRIER_LAST))])
}

pub(super) fn prctl(_: &Request<'_>) -> Admits {
    all([int(0, Values::In(PRCTL))])
}

pub(super) fn arch_prctl(_: &Request<'_>) -> Admits {
    all([int(0, Values::In(ARCH_PRCTL))])
}

pub(super) fn personality(_: &Request<'_>) -> Admits {
    all([int(0, Values::In(PERSONALITIES))])
}

pub(super) fn restrict(_: &Request<'_>) -> Admits {
    all([only_bits(1, RESTRICT_ADMITTED)])
}

// Memory.

/// Of the three, writable and executable never go together, nor shared and
/// executable: a shared mapping can have a second one, to write.
pub(super) fn map(request: &Request<'_>) -> Admits {
    let known = only_bits(3, MAP_ADMITTED);
    if request.write_execute {
        return all([known]);
    }
    let executable = if request.shared_execute {
        known
    } else {
        masked(3, !MAP_ADMITTED | MAP_TYPE, Values::One(MAP_PRIVATE))
    };
    When(vec![
        vec![bits_clear(2, PROT_EXEC), known],
        vec![bits_clear(2, PROT_WRITE), executable],
    ])
}

pub(super) fn protect(request: &Request<'_>) -> Admits {
    if request.write_execute {
        return Any;
    }
    all([only_bits(2, PROT_NOT_EXEC)])
}

/// An old length of 0, or one that rounds up to it, maps the same pages once
/// more.
pub(super) fn remap(request: &Request<'_>) -> Admits {
    let flags = only_bits(3, MREMAP_ADMITTED);
    if request.write_execute {
        return all([flags]);
    }
    let small = [
        high(1, Values::One(0)),
        int(1, Values::Range(1, u32::MAX)),
        flags,
    ];
    let large = [high(1, Values::Range(1, LENGTH_HIGH)), flags];
    When(vec![small.into(), large.into()])
}

pub(super) fn advise(_: &Request<'_>) -> Admits {
    all([int(2, Values::In(MADVISE))])
}

pub(super) fn memory_file(_: &Request<'_>) -> Admits {
    all([only_bits(1, MEMFD_ADMITTED)])
}

pub(super) fn attach(request: &Request<'_>) -> Admits {
    if request.write_execute {
        return Any;
    }
    all([only_bits(2, SHM_ADMITTED)])
}

// Files.

pub(super) fn open(request: &Request<'_>) -> Admits {
    opening(request, 1, 2)
}

pub(super) fn openat(request: &Request<'_>) -> Admits {
    opening(request, 2, 3)
}

/// The mode counts only where a file may be created; elsewhere the register
/// holds anything.
///
/// Before its truncate right Landlock checks what a descriptor may do, not
/// that opening it truncates: `O_TRUNC` counts only beside an access mode that
/// writes. Mode 3 neither reads nor writes, and truncates all the same.
fn opening(request: &Request<'_>, flags: u8, mode: u8) -> Admits {
    let access = |value: u32| masked(flags, O_ACCMODE, Values::One(value));
    let creating = [bits_clear(flags, CREATES), bits_clear(mode, SET_ID_BITS)];
    let truncating = [bits_clear(flags, O_TRUNC), access(O_WRONLY), access(O_RDWR)];
    match (request.writes, request.stand_in.truncate) {
        (false, false) => Any,
        (true, false) => any_of(creating),
        (false, true) => any_of(truncating),
        (true, true) => {
            let pairs = creating
                .into_iter()
                .flat_map(|one| truncating.map(|two| vec![one, two]));
            When(pairs.collect())
        }
    }
}

pub(super) const fn openat2(request: &Request<'_>) -> Admits {
    only_if(!request.writes && !request.stand_in.truncate)
}

pub(super) const fn truncate(request: &Request<'_>) -> Admits {
    only_if(!request.stand_in.truncate)
}

pub(super) fn makes(_: &Request<'_>) -> Admits {
    all([bits_clear(1, SET_ID_BITS)])
}

pub(super) fn makes_at(_: &Request<'_>) -> Admits {
    all([bits_clear(2, SET_ID_BITS)])
}

pub(super) fn node(_: &Request<'_>) -> Admits {
    all([masked(1, S_IFMT | SET_ID_BITS, Values::In(PLAIN_FILES))])
}

pub(super) fn node_at(_: &Request<'_>) -> Admits {
    all([masked(2, S_IFMT | SET_ID_BITS, Values::In(PLAIN_FILES))])
}

pub(super) fn rename(_: &Request<'_>) -> Admits {
    all([only_bits(4, RENAME_ADMITTED)])
}

pub(super) const fn metadata(request: &Request<'_>) -> Admits {
    only_if(request.metadata)
}

pub(super) fn mode(request: &Request<'_>) -> Admits {
    if request.metadata {
        makes(request)
    } else {
        Never
    }
}

pub(super) fn mode_at(request: &Request<'_>) -> Admits {
    if request.metadata {
        makes_at(request)
    } else {
        Never
    }
}

/// Modes and times, which copies and archives restore, of what the plugin owns.
pub(super) fn mode_of_descriptor(request: &Request<'_>) -> Admits {
    if request.descriptor_metadata {
        makes(request)
    } else {
        Never
    }
}

/// futimens(3) is utimensat(2) without a path.
pub(super) fn times(request: &Request<'_>) -> Admits {
    match (request.metadata, request.descriptor_metadata) {
        (true, _) => Any,
        (false, true) => all(null(1)),
        (false, false) => Never,
    }
}

pub(super) fn fcntl(request: &Request<'_>) -> Admits {
    let owners = (!request.stand_in.signals).then_some(FCNTL_OWNERS);
    let commands = [FCNTL].into_iter().chain(owners);
    any_of(commands.map(|commands| int(1, Values::In(commands))))
}

pub(super) fn pipe(_: &Request<'_>) -> Admits {
    all([only_bits(1, PIPE_ADMITTED)])
}
