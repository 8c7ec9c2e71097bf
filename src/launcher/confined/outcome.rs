//! What the kernel's answers to the last calls of a launch mean, and what to do.

use secure_exec_sys::Errno;

use crate::failure::Failure;

/// Why a process is not confined. Made without allocating.
#[derive(Debug)]
pub(super) struct Leak {
    head: &'static str,
    what: &'static str,
    cure: &'static str,
}

impl Leak {
    pub(super) fn failure(&self) -> Failure {
        let Self { head, what, cure } = self;
        Failure::own(format!("{head}: {what}\nNothing was run. {cure}"))
    }

    const fn unentered(what: &'static str, cure: &'static str) -> Self {
        let head = "the sandbox can't be entered";
        Self { head, what, cure }
    }
}

/// What a canary found.
impl From<&'static str> for Leak {
    fn from(what: &'static str) -> Self {
        Self {
            head: "the sandbox does not hold",
            what,
            cure: REPORT,
        }
    }
}

const REPORT: &str = "Report this with the kernel's version.";

/// What landlock_restrict_self(2) answered.
pub(super) const fn no_domain(errno: Errno) -> Leak {
    match errno {
        Errno::E2BIG => Leak::unentered(
            "this process is within 16 Landlock domains, and the kernel nests no more (E2BIG)",
            "Launch the plugin from within fewer sandboxes: each secure-exec around this one is a domain.",
        ),
        Errno::ENOSYS | Errno::EPERM | Errno::EACCES => Leak::unentered(
            "a filter around the launcher refuses landlock_restrict_self(2)",
            ADMIT_LANDLOCK,
        ),
        _ => Leak::unentered("the kernel refused the Landlock domain", REPORT),
    }
}

/// What to do where landlock_*(2) are refused from outside.
pub(crate) const ADMIT_LANDLOCK: &str =
    "Admit landlock_*(2) in the container's seccomp profile or the service's SystemCallFilter=.";

/// What seccomp(2) answered.
pub(super) const fn no_filter(errno: Errno) -> Leak {
    match errno {
        Errno::ENOMEM => Leak::unentered(
            "the filters around the launcher leave no room for another (ENOMEM)",
            "Launch the plugin from within fewer sandboxes: each secure-exec around this one has a filter.",
        ),
        Errno::ENOSYS | Errno::EPERM | Errno::EACCES => Leak::unentered(
            "a filter around the launcher refuses seccomp(2)",
            "Admit seccomp(2) in the container's seccomp profile or the service's SystemCallFilter=.",
        ),
        _ => Leak::unentered("the kernel refused the seccomp filter", REPORT),
    }
}

/// What execveat(2) answered.
pub(super) fn not_executed(errno: Errno) -> String {
    let what = match errno {
        Errno::EAGAIN => {
            "its user has more processes than the limit allows (EAGAIN)\n\
             Raise 'limits.processes' in its profile or the caller's RLIMIT_NPROC, or end processes of that user."
        }
        Errno::E2BIG => {
            "its arguments and environment are larger than the kernel takes (E2BIG)\n\
             Pass less, or raise the caller's stack limit (ulimit -s)."
        }
        other => other.desc(),
    };
    what.to_string()
}
