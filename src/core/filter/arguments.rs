//! Which arguments are admitted of a call that rank and layers admit: of
//! processes, memory, files.

use super::checks::{
    Admits, Test, Values, all, any as any_of, bits_clear, equals, high, int, masked, null,
    only_bits, ticket,
};
use super::kernel::*;
use super::{ExecRule, Request, ioctl, sockets};
use Admits::{Any, Never, When};

/// The rules of the table's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    APriority,
    Advise,
    Any,
    ArchPrctl,
    AskOwn,
    Attach,
    Barrier,
    Bind,
    Clock,
    Clone,
    Connect,
    Exec,
    ExecTicket,
    Fcntl,
    Forks,
    GetOption,
    Listen,
    Makes,
    MakesAt,
    Map,
    MemoryFile,
    Metadata,
    Mode,
    ModeAt,
    ModeOfDescriptor,
    NamedRequest,
    Node,
    NodeAt,
    Open,
    Openat,
    Openat2,
    OwnGroup,
    OwnIoPriority,
    OwnPriority,
    OwnProcess,
    Pair,
    Personality,
    Pidfd,
    Pipe,
    Prctl,
    Protect,
    Remap,
    Rename,
    Request,
    Restrict,
    Segment,
    Send,
    SendMessage,
    SendMessages,
    SetOption,
    Setns,
    Signal,
    SignalByDescriptor,
    Socket,
    Times,
    Truncate,
    Unshare,
}

impl Rule {
    /// What is admitted of a call under a request.
    pub(super) fn admits(self, request: &Request<'_>) -> Admits {
        match self {
            Self::APriority => a_priority(request),
            Self::Advise => advise(request),
            Self::Any => Any,
            Self::ArchPrctl => arch_prctl(request),
            Self::Attach => attach(request),
            Self::Barrier => barrier(request),
            Self::Bind => sockets::bind(request),
            Self::Clock => clock(request),
            Self::Clone => clone(request),
            Self::Connect => sockets::connect(request),
            Self::Exec => exec(request),
            Self::ExecTicket => exec_ticket(request),
            Self::Fcntl => fcntl(request),
            Self::Forks => forks(request),
            Self::GetOption => sockets::get_option(request),
            Self::Listen => sockets::listen(request),
            Self::Makes => makes(request),
            Self::MakesAt => makes_at(request),
            Self::Map => map(request),
            Self::MemoryFile => memory_file(request),
            Self::Metadata => metadata(request),
            Self::Mode => mode(request),
            Self::ModeAt => mode_at(request),
            Self::ModeOfDescriptor => mode_of_descriptor(request),
            Self::NamedRequest => ioctl::named(request),
            Self::Node => node(request),
            Self::NodeAt => node_at(request),
            Self::Open => open(request),
            Self::Openat => openat(request),
            Self::Openat2 => openat2(request),
            // Who has the plugin's number after it is only asked.
            Self::AskOwn => any_of([equals(0, 0), int(0, Values::OwnPid)]),
            // Children have numbers of the kernel's choice.
            Self::OwnGroup if request.fork => Admits::Any,
            Self::OwnGroup => own_process(request),
            Self::OwnIoPriority => own_io_priority(request),
            Self::OwnPriority => own_priority(request),
            Self::OwnProcess => own_process(request),
            Self::Pair => sockets::pair(request),
            Self::Personality => personality(request),
            Self::Pidfd => pidfd(request),
            Self::Pipe => pipe(request),
            Self::Prctl => prctl(request),
            Self::Protect => protect(request),
            Self::Remap => remap(request),
            Self::Rename => rename(request),
            Self::Request => ioctl::admitted(request),
            Self::Restrict => restrict(request),
            // IPC_CREAT, IPC_EXCL, SHM_NORESERVE and a mode; not SHM_HUGETLB.
            Self::Segment => When(vec![vec![only_bits(2, 0o13_777)]]),
            Self::Send => sockets::send(request),
            Self::SendMessage => sockets::send_message(request),
            Self::SendMessages => sockets::send_messages(request),
            Self::SetOption => sockets::set_option(request),
            Self::Setns => setns(request),
            Self::Signal => signal(request),
            Self::SignalByDescriptor => signal_by_descriptor(request),
            Self::Socket => sockets::socket(request),
            Self::Times => times(request),
            Self::Truncate => truncate(request),
            Self::Unshare => unshare(request),
        }
    }
}

const fn only_if(granted: bool) -> Admits {
    if granted { Any } else { Never }
}

// The launch.

const fn exec(request: &Request<'_>) -> Admits {
    only_if(matches!(request.exec, ExecRule::Landlock))
}

fn exec_ticket(request: &Request<'_>) -> Admits {
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

fn own_process(request: &Request<'_>) -> Admits {
    any_of(own(request, 0))
}

fn own_priority(request: &Request<'_>) -> Admits {
    who(request, PRIO_PROCESS)
}

fn own_io_priority(request: &Request<'_>) -> Admits {
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
fn a_priority(_: &Request<'_>) -> Admits {
    all([equals(0, PRIO_PROCESS)])
}

/// Of children where there are any: whose numbers those are a filter can't know.
fn pidfd(request: &Request<'_>) -> Admits {
    if request.fork {
        Any
    } else {
        all([int(0, Values::OwnPid)])
    }
}

fn clock(_: &Request<'_>) -> Admits {
    any_of([
        int(0, Values::In(CLOCKS)),
        masked(0, THREAD_CLOCK, Values::One(THREAD_CLOCK)),
    ])
}

/// tkill(2) takes a thread's number, which for the first thread is the same.
fn signal(request: &Request<'_>) -> Admits {
    match (request.stand_in.signals, request.fork) {
        (false, _) => Any,
        (true, true) => Never,
        (true, false) => all([int(0, Values::OwnPid)]),
    }
}

const fn signal_by_descriptor(request: &Request<'_>) -> Admits {
    only_if(!request.stand_in.signals)
}

const fn forks(request: &Request<'_>) -> Admits {
    only_if(request.fork)
}

fn clone(request: &Request<'_>) -> Admits {
    let thread = masked(0, CLONE_THREAD, Values::One(CLONE_THREAD));
    let mut rule = vec![only_bits(0, CLONE_ADMITTED)];
    rule.extend((!request.fork).then_some(thread));
    all(rule)
}

fn unshare(_: &Request<'_>) -> Admits {
    all([only_bits(0, UNSHARE_ADMITTED), high(0, Values::One(0))])
}

fn setns(_: &Request<'_>) -> Admits {
    all([equals(1, CLONE_NEWNET)])
}

fn barrier(_: &Request<'_>) -> Admits {
    all([int(0, Values::Range(0, MEMBARRIER_LAST))])
}

/// ping(8) wants to keep capabilities as it becomes who it is already. It has
/// none that it could lose, or secure bits say that it may not.
fn prctl(request: &Request<'_>) -> Admits {
    let keeps = request.sockets.icmp.then_some(equals(0, PR_SET_KEEPCAPS));
    any_of([int(0, Values::In(PRCTL))].into_iter().chain(keeps))
}

fn arch_prctl(_: &Request<'_>) -> Admits {
    all([int(0, Values::In(ARCH_PRCTL))])
}

fn personality(_: &Request<'_>) -> Admits {
    all([int(0, Values::In(PERSONALITIES))])
}

fn restrict(_: &Request<'_>) -> Admits {
    all([only_bits(1, RESTRICT_ADMITTED)])
}

// Memory.

/// Of the three, writable and executable never go together, nor shared and
/// executable: a shared mapping can have a second one, to write.
fn map(request: &Request<'_>) -> Admits {
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

fn protect(request: &Request<'_>) -> Admits {
    if request.write_execute {
        return Any;
    }
    all([only_bits(2, PROT_NOT_EXEC)])
}

/// An old length of 0, or one that rounds up to it, maps the same pages once
/// more.
fn remap(request: &Request<'_>) -> Admits {
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

fn advise(_: &Request<'_>) -> Admits {
    all([int(2, Values::In(MADVISE))])
}

fn memory_file(_: &Request<'_>) -> Admits {
    all([only_bits(1, MEMFD_ADMITTED)])
}

fn attach(request: &Request<'_>) -> Admits {
    if request.write_execute {
        return Any;
    }
    all([only_bits(2, SHM_ADMITTED)])
}

// Files.

fn open(request: &Request<'_>) -> Admits {
    opening(request, 1, 2)
}

fn openat(request: &Request<'_>) -> Admits {
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

const fn openat2(request: &Request<'_>) -> Admits {
    only_if(!request.writes && !request.stand_in.truncate)
}

const fn truncate(request: &Request<'_>) -> Admits {
    only_if(!request.stand_in.truncate)
}

fn makes(_: &Request<'_>) -> Admits {
    all([bits_clear(1, SET_ID_BITS)])
}

fn makes_at(_: &Request<'_>) -> Admits {
    all([bits_clear(2, SET_ID_BITS)])
}

fn node(_: &Request<'_>) -> Admits {
    all([masked(1, S_IFMT | SET_ID_BITS, Values::In(PLAIN_FILES))])
}

fn node_at(_: &Request<'_>) -> Admits {
    all([masked(2, S_IFMT | SET_ID_BITS, Values::In(PLAIN_FILES))])
}

fn rename(_: &Request<'_>) -> Admits {
    all([only_bits(4, RENAME_ADMITTED)])
}

const fn metadata(request: &Request<'_>) -> Admits {
    only_if(request.metadata)
}

fn mode(request: &Request<'_>) -> Admits {
    if request.metadata {
        makes(request)
    } else {
        Never
    }
}

fn mode_at(request: &Request<'_>) -> Admits {
    if request.metadata {
        makes_at(request)
    } else {
        Never
    }
}

/// Modes and times, which copies and archives restore, of what the plugin owns.
fn mode_of_descriptor(request: &Request<'_>) -> Admits {
    if request.descriptor_metadata {
        makes(request)
    } else {
        Never
    }
}

/// futimens(3) is utimensat(2) without a path.
fn times(request: &Request<'_>) -> Admits {
    match (request.metadata, request.descriptor_metadata) {
        (true, _) => Any,
        (false, true) => all(null(1)),
        (false, false) => Never,
    }
}

fn fcntl(request: &Request<'_>) -> Admits {
    let owners = (!request.stand_in.signals).then_some(FCNTL_OWNERS);
    let commands = [FCNTL].into_iter().chain(owners);
    any_of(commands.map(|commands| int(1, Values::In(commands))))
}

fn pipe(_: &Request<'_>) -> Admits {
    all([only_bits(1, PIPE_ADMITTED)])
}
