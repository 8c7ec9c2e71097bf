//! The verdict on each system call: what kills, what does not exist, what is
//! refused, and what its arguments decide.

use super::arguments::{Narrowed, OWN_PROCESS, SIGNALS, equals, long, narrow};
use super::assemble::{ALLOW, ENOSYS, EOPNOTSUPP, EPERM, KILL_PROCESS, LOG, Verdict};
use super::checks::{Checks, Condition};
use super::standing::{Rank, Standing};
use super::{Admitted, ExecRule, ExecTicket, FilterError, Request, StandIn};
use crate::profile::OnViolation;
use crate::syscall;

/// One verdict a number, from 0 to the last known one.
pub(super) fn verdicts(
    request: &Request<'_>,
    admitted: &Admitted,
) -> Result<Vec<Verdict>, FilterError> {
    let mut verdicts = vec![Verdict::Return(ENOSYS); syscall::LAST_KNOWN as usize + 1];
    let standing = Standing::of(request.arch);
    let mut checks = Checks::new(request.arch);
    for (name, number) in syscall::table(request.arch) {
        if let Some(verdict) = verdicts.get_mut(*number as usize) {
            *verdict = verdict_of(request, admitted, &standing, &mut checks, name, *number)?;
        }
    }
    Ok(verdicts)
}

/// The verdicts that contain numbers of this launch alone.
pub(super) fn launch_specific(
    request: &Request<'_>,
    admitted: &Admitted,
) -> Result<Vec<(u32, Verdict)>, FilterError> {
    let standing = Standing::of(request.arch);
    let mut checks = Checks::new(request.arch);
    OWN_PROCESS
        .iter()
        .chain(SIGNALS)
        .chain(&["execveat", "setpriority", "ioprio_set"])
        .filter_map(|name| Some((*name, syscall::number(request.arch, name)?)))
        .map(|(name, number)| {
            let verdict = verdict_of(request, admitted, &standing, &mut checks, name, number)?;
            Ok((number, verdict))
        })
        .collect()
}

/// The launch's own execveat and no other.
fn ticket(ticket: ExecTicket) -> Vec<Condition> {
    vec![
        equals(0, u64::from(ticket.fd)),
        long(1, ticket.path),
        long(2, ticket.argv),
        long(3, ticket.envp),
        equals(4, u64::from(ticket.flags)),
    ]
}

fn verdict_of(
    request: &Request<'_>,
    admitted: &Admitted,
    standing: &Standing,
    checks: &mut Checks,
    name: &str,
    number: u32,
) -> Result<Verdict, FilterError> {
    let refused = match request.on_violation {
        OnViolation::Errno => EPERM,
        OnViolation::Kill => KILL_PROCESS,
        OnViolation::Log => LOG,
    };
    let by_name = admitted.names(number);
    let rank = standing.rank(number);
    if rank == Rank::Kill && !by_name {
        return Ok(Verdict::Return(KILL_PROCESS));
    }
    // Its flags and mode lie in memory.
    let openat2 = name == "openat2" && (request.writes || request.stand_in.truncate);
    // Programs turn to files of /dev/shm then (shm_open(3)).
    let in_memory = MEMORY_FILES.contains(&name) && !request.memory_files && !by_name;
    if rank == Rank::Absent || openat2 || in_memory {
        return Ok(Verdict::Return(ENOSYS));
    }
    match (name, request.exec) {
        // Learning what a plugin needs must not mean to let it exec.
        ("execve", ExecRule::Ticket(_)) => {
            let hard = if refused == KILL_PROCESS {
                KILL_PROCESS
            } else {
                EPERM
            };
            return Ok(Verdict::Return(hard));
        }
        ("execveat", ExecRule::Ticket(one)) => {
            return checks.block(vec![ticket(one)], EPERM).map(Verdict::Check);
        }
        ("execve" | "execveat", ExecRule::Landlock) => return Ok(Verdict::Return(ALLOW)),
        _ => {}
    }
    if !admitted.has(number) || (rank == Rank::OnlyByName && !by_name) {
        return Ok(Verdict::Return(refused));
    }
    if ATTRIBUTES_BY_PATH.contains(&name) && !request.metadata {
        // As where a file system has none, which programs expect.
        let none = if refused == LOG { LOG } else { EOPNOTSUPP };
        return Ok(Verdict::Return(none));
    }
    let refused = if stands_in(request, name) {
        EPERM
    } else {
        refused
    };
    match narrow(request, name, by_name) {
        Narrowed::Any => Ok(Verdict::Return(ALLOW)),
        Narrowed::Never => Ok(Verdict::Return(refused)),
        Narrowed::When(alternatives) => checks.block(alternatives, refused).map(Verdict::Check),
    }
}

/// Calls that are narrowed in Landlock's place.
fn stands_in(request: &Request<'_>, name: &str) -> bool {
    let StandIn {
        truncate,
        device_ioctls,
        signals,
    } = request.stand_in;
    match name {
        "truncate" | "open" | "openat" => truncate,
        "ioctl" => device_ioctls || signals,
        "fcntl" | "pidfd_send_signal" => signals,
        name => signals && SIGNALS.contains(&name),
    }
}

/// Make files that lie in no folder.
const MEMORY_FILES: &[&str] = &["memfd_create", "memfd_secret"];

/// Read extended attributes by path: content, which no Landlock right covers.
const ATTRIBUTES_BY_PATH: &[&str] = &[
    "getxattr",
    "lgetxattr",
    "listxattr",
    "llistxattr",
    "getxattrat",
    "listxattrat",
];
