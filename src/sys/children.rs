//! What a process that waits for another needs: held signals, a pipe from
//! parent to child, and the child's end. The loops that use it run under a
//! filter of a few calls ([`secure_exec_core::filter::waiting`]).

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd as _, IntoRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::Error;

/// Signals that are passed on to the plugin.
const PASSED_ON: &[Signal] = &[
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
    Signal::SIGTSTP,
];

/// Signals that wait until they are asked for. The child of a process that
/// holds them holds them too, until it releases them.
#[derive(Debug)]
pub struct Held {
    mask: SigSet,
    child: SigAction,
    wanted: SigSet,
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub number: i32,
    /// The kernel sent it, on behalf of a terminal, to the whole group.
    pub from_terminal: bool,
}

impl Arrived {
    /// A child ended or stopped.
    #[must_use]
    pub const fn is_of_child(self) -> bool {
        self.number == libc::SIGCHLD
    }

    /// The receiver is asked to stop.
    #[must_use]
    pub const fn is_stop(self) -> bool {
        self.number == libc::SIGTSTP
    }
}

impl Held {
    /// Holds the signals that are passed on, and the one of children.
    ///
    /// # Errors
    /// As sigprocmask(2) and sigaction(2).
    pub fn hold() -> Result<Self, Error> {
        let failed = Error::call("hold signals");
        let mut wanted: SigSet = PASSED_ON.iter().copied().collect();
        wanted.add(Signal::SIGCHLD);
        let mut mask = SigSet::empty();
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_BLOCK, Some(&wanted), Some(&mut mask))
            .map_err(&failed)?;
        // A caller that ignores its children would keep theirs from being
        // waited for.
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: SIG_DFL is no handler, so no code of ours runs in a signal's
        // context.
        let child = unsafe { nix::sys::signal::sigaction(Signal::SIGCHLD, &default) };
        Ok(Self {
            mask,
            child: child.map_err(failed)?,
            wanted,
        })
    }

    /// Makes everything as it was.
    ///
    /// # Errors
    /// As sigprocmask(2) and sigaction(2).
    pub fn release(&self) -> Result<(), Error> {
        let failed = Error::call("release signals");
        // SAFETY: what was in force before this program came to hold it is no
        // handler: exec left none.
        unsafe { nix::sys::signal::sigaction(Signal::SIGCHLD, &self.child) }.map_err(&failed)?;
        nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.mask), None)
            .map_err(failed)
    }

    /// Waits for the next signal. Allocates nothing.
    #[must_use]
    pub fn next(&self) -> Arrived {
        loop {
            let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::uninit();
            // SAFETY: the kernel reads the set and fills in `info`; both live
            // through the call.
            let number = unsafe { libc::sigwaitinfo(self.wanted.as_ref(), info.as_mut_ptr()) };
            // EINTR: the process was stopped and goes on.
            if number > 0 {
                // SAFETY: the call filled it in.
                let info = unsafe { info.assume_init() };
                return Arrived {
                    number,
                    from_terminal: info.si_code == libc::SI_KERNEL,
                };
            }
        }
    }
}

/// Ends with the parent: the kernel kills this process when its parent ends.
/// A change of user takes that back.
///
/// # Errors
/// As prctl(2).
pub fn end_with_parent() -> Result<(), Error> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(Error::call("follow the parent"))
}

/// A pipe from parent to child, for single bytes. Its end tells the child
/// that the parent is gone.
#[derive(Debug)]
pub struct Line {
    from: OwnedFd,
    to: OwnedFd,
}

/// The parent's end of it.
#[derive(Debug)]
pub struct Speaking(OwnedFd);

/// The child's.
#[derive(Debug)]
pub struct Hearing(OwnedFd);

impl Line {
    /// Makes one.
    ///
    /// # Errors
    /// As pipe2(2).
    pub fn new() -> Result<Self, Error> {
        let (from, to) =
            nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(Error::call("make a pipe"))?;
        Ok(Self { from, to })
    }

    /// Keeps the parent's end.
    #[must_use]
    pub fn parent(self) -> Speaking {
        Speaking(self.to)
    }

    /// Keeps the child's.
    #[must_use]
    pub fn child(self) -> Hearing {
        Hearing(self.from)
    }
}

impl Speaking {
    /// Says a byte. A child that is gone is no error. Allocates nothing.
    pub fn say(&self, byte: u8) {
        let _gone = nix::unistd::write(&self.0, &[byte]);
    }

    /// By the one system call: the standard library makes others when it is
    /// built for tests.
    fn close(self) {
        let number = self.0.into_raw_fd();
        // SAFETY: the descriptor was this value's alone, which is gone.
        unsafe { libc::close(number) };
    }

    /// Closes all descriptors but this one and, if there is one, that of a
    /// folder.
    ///
    /// # Errors
    /// As close_range(2).
    pub fn close_others(&self, folder: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
        let own = self.0.as_raw_fd();
        let mut kept = [own, folder.map_or(own, |folder| folder.as_raw_fd())];
        kept.sort_unstable();
        close_all_but(kept)
    }
}

impl Hearing {
    /// Waits for a byte; `None` once the parent is gone. Allocates nothing.
    #[must_use]
    pub fn hear(&self) -> Option<u8> {
        let mut byte = [0];
        loop {
            match nix::unistd::read(&self.0, &mut byte) {
                Ok(1) => return byte.first().copied(),
                Err(Errno::EINTR) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// Waits for a byte after which the parent's end is closed, too.
    #[must_use]
    pub fn hear_last(&self) -> Option<u8> {
        let byte = self.hear()?;
        match self.hear() {
            None => Some(byte),
            Some(_) => None,
        }
    }
}

/// What the first process of a namespace waits for: its children's ends, and
/// words of its parent.
#[derive(Debug)]
pub struct Watch {
    children: OwnedFd,
    parent: OwnedFd,
}

/// What came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Children ended.
    Children,
    /// The parent said this.
    Word(u8),
    /// The parent is gone.
    Orphaned,
}

impl Watch {
    /// Begins to watch.
    ///
    /// # Errors
    /// As signalfd(2).
    pub fn new(parent: Hearing) -> Result<Self, Error> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCHLD);
        // SAFETY: the kernel reads the set, which lives through the call.
        let made = unsafe { libc::signalfd(-1, set.as_ref(), libc::SFD_CLOEXEC) };
        let made = Errno::result(made).map_err(Error::call("watch children"))?;
        Ok(Self {
            // SAFETY: the kernel made the descriptor just now, and nobody
            // else knows it.
            children: unsafe { OwnedFd::from_raw_fd(made) },
            parent: parent.0,
        })
    }

    /// Closes all descriptors but the two, and last the one by which it says
    /// this byte.
    ///
    /// # Errors
    /// As close_range(2).
    pub fn close_others(&self, last: Speaking, byte: u8) -> Result<(), Errno> {
        let mut kept = [&self.children, &self.parent, &last.0].map(AsRawFd::as_raw_fd);
        kept.sort_unstable();
        close_all_but(kept)?;
        last.say(byte);
        last.close();
        Ok(())
    }

    /// Waits for news. Allocates nothing.
    #[must_use]
    pub fn next(&self) -> News {
        loop {
            let wait = |file: &OwnedFd| libc::pollfd {
                fd: file.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            let mut both = [wait(&self.children), wait(&self.parent)];
            // SAFETY: the kernel reads and fills in two entries, which live
            // through the call.
            let ready = unsafe { libc::poll(both.as_mut_ptr(), 2, -1) };
            let [children, parent] = both;
            if ready <= 0 {
                continue;
            }
            if children.revents != 0 {
                let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
                let _again = nix::unistd::read(&self.children, &mut info);
                return News::Children;
            }
            if parent.revents != 0 {
                let mut byte = [0];
                return match nix::unistd::read(&self.parent, &mut byte) {
                    Ok(1) => News::Word(byte.first().copied().unwrap_or(0)),
                    _ => News::Orphaned,
                };
            }
        }
    }
}

/// The status of a child of this id that ended, as a shell has it: 128 and
/// the signal's number where one ended it. `None`: it still runs. All other
/// children that ended are forgotten. Allocates nothing.
#[must_use]
pub fn ended(child: i32) -> Option<i32> {
    loop {
        match waitpid(Pid::from_raw(-1), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(id, status)) if id.as_raw() == child => return Some(status),
            Ok(WaitStatus::Signaled(id, signal, _)) if id.as_raw() == child => {
                return Some((signal as i32).saturating_add(128));
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Waits for a child whose end is silent, and returns its exit status; `None`
/// where a signal ended it.
#[must_use]
pub fn wait_for(child: i32) -> Option<i32> {
    loop {
        match waitpid(Pid::from_raw(child), Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(_, status)) => return Some(status),
            Err(Errno::EINTR) => {}
            Ok(_) | Err(_) => return None,
        }
    }
}

/// Sends a signal; a process that is gone is no error. Allocates nothing.
pub fn send(process: i32, number: i32) {
    // SAFETY: the call takes plain integers and touches no memory.
    unsafe { libc::kill(process, number) };
}

/// Stops this process until it is told to go on. Allocates nothing.
pub fn stop(own_id: i32) {
    send(own_id, libc::SIGSTOP);
}

/// Ends this process at once, with nothing tidied up. Allocates nothing.
pub fn end(status: i32) -> ! {
    // SAFETY: the process ends here; nothing runs after it.
    unsafe { libc::_exit(status) }
}

/// Closes every descriptor but these, which are in order; one may be there
/// twice.
fn close_all_but<const N: usize>(kept: [RawFd; N]) -> Result<(), Errno> {
    let mut from = 0;
    for one in kept.map(RawFd::unsigned_abs) {
        if let Some(to) = one.checked_sub(1).filter(|to| from <= *to) {
            close_range(from, to)?;
        }
        from = one.saturating_add(1);
    }
    close_range(from, libc::c_uint::MAX)
}

fn close_range(from: libc::c_uint, to: libc::c_uint) -> Result<(), Errno> {
    // SAFETY: the caller never uses what it closes: it waits, with what it
    // keeps, and ends by `end`.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) };
    Errno::result(answer).map(drop)
}
