//! The launcher as the first process of a PID namespace, as the entry point of
//! a container is. The kernel keeps signals from that process that it does not
//! handle, and leaves orphans to it (man 7 pid_namespaces), which few plugins
//! know. So it stays, passes signals on and collects what ends; the launch
//! goes on in a child.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use secure_exec_core::filter::WaitingCall;
use secure_exec_sys::children::{self, Held, Line, Speaking};
use secure_exec_sys::namespaces::{self, Side};
use secure_exec_sys::{capabilities, probe, process};

use crate::failure::Failure;
use crate::namespaces::waiting::{any, give_up, only};

/// The first process of a PID namespace.
pub(crate) const INIT: u32 = 1;

/// What the child hears once the first process can do no more than wait.
const BEGIN: u8 = 0;

/// This process is the child of the one that the host started.
static STEPPED_ASIDE: AtomicBool = AtomicBool::new(false);

/// The process id that the host knows the launch by.
pub(crate) fn id_of_launch() -> u32 {
    if STEPPED_ASIDE.load(Ordering::Relaxed) {
        INIT
    } else {
        process::id()
    }
}

/// Returns in the process that launches, which is never the first one.
///
/// # Errors
/// A process can't be made, or the first one can't give up what it is not to
/// have.
pub(crate) fn step_aside() -> Result<(), Failure> {
    if process::id() != INIT {
        return Ok(());
    }
    let held = Held::hold().map_err(Failure::own)?;
    let line = Line::new().map_err(Failure::own)?;
    match namespaces::fork().map_err(Failure::own)? {
        Side::Parent(child) => match wait(&held, &line.parent(), child)? {},
        Side::Child => {
            if line.child().hear().is_none() {
                // It has said why.
                children::end(125);
            }
            STEPPED_ASIDE.store(true, Ordering::Relaxed);
            held.release().map_err(Failure::own)
        }
    }
}

/// Ends as the child does, and with it all that is left in the namespace.
fn wait(held: &Held, line: &Speaking, child: i32) -> Result<Infallible, Failure> {
    let id = u32::try_from(child).map_err(Failure::own)?;
    let calls: [WaitingCall; 8] = [
        any("rt_sigtimedwait"),
        any("wait4"),
        any("write"),
        any("close_range"),
        any("restart_syscall"),
        any("getsid"),
        only("kill", id),
        any("exit_group"),
    ];
    give_up(probe::can_filter().then_some(&calls), &kept()?)?;
    // From here on nothing can be said: the standard streams are the plugin's.
    if line.close_others(None).is_err() {
        children::end(125);
    }
    line.say(BEGIN);
    loop {
        let arrived = held.next();
        if arrived.is_of_child() {
            if let Some(status) = children::ended(child) {
                children::end(status);
            }
        } else if !(arrived.from_terminal && process::shares_session(child)) {
            children::send(child, arrived.number);
        }
    }
}

/// A profile may have the child become another user, whom the filter admits no
/// signal but to.
fn kept() -> Result<Vec<String>, Failure> {
    let name = vec!["CAP_KILL".to_string()];
    let set = capabilities::parse(&name).map_err(Failure::own)?;
    Ok(match capabilities::check_held(&set) {
        Ok(()) => name,
        Err(_) => Vec::new(),
    })
}
