//! The two processes that wait. Each holds nothing but what it waits with: no
//! capability, no descriptor beside, a filter of a few calls.

use std::convert::Infallible;
use std::os::fd::AsFd;

use secure_exec_core::arch::Arch;
use secure_exec_core::filter::{self, WaitingCall};
use secure_exec_core::plan::namespaces::PLUGIN_PID;
use secure_exec_sys::children::{self, Hearing, Held, News, Speaking, Watch};
use secure_exec_sys::process::{self, Account};
use secure_exec_sys::{capabilities, seccomp};

use super::counted::Remains;
use crate::failure::Failure;

/// What the first process hears when it may begin.
const BEGIN: u8 = 0;

/// The launcher: passes signals on, ends as the plugin did, and removes then
/// what is left of a group of processes.
pub(super) fn outside(
    held: &Held,
    line: &Speaking,
    first: i32,
    same_session: bool,
    filtered: bool,
    remains: Option<&Remains>,
) -> Result<Infallible, Failure> {
    let own = process::id();
    let own_id = i32::try_from(own).map_err(Failure::own)?;
    let mut calls = vec![
        any("rt_sigtimedwait"),
        any("wait4"),
        any("write"),
        any("close_range"),
        any("restart_syscall"),
        only("kill", own),
        any("exit_group"),
    ];
    if let Some(remains) = remains {
        calls.push(removing(remains.folder())?);
    }
    give_up(filtered.then_some(&calls), &[])?;
    // From here on nothing can be said: the standard streams are the plugin's,
    // and a copy of them would keep their ends open.
    let folder = remains.map(|remains| remains.folder().as_fd());
    if line.close_others(folder).is_err() {
        children::end(125);
    }
    line.say(BEGIN);
    loop {
        let arrived = held.next();
        if arrived.is_of_child() {
            if let Some(status) = children::ended(first) {
                if let Some(remains) = remains {
                    remains.remove();
                }
                children::end(status);
            }
            continue;
        }
        if !(arrived.from_terminal && same_session) {
            line.say(u8::try_from(arrived.number).unwrap_or(BEGIN));
        }
        if arrived.is_stop() {
            children::stop(own_id);
        }
    }
}

/// The first process of the namespaces: collects what ends, passes signals on,
/// and ends when the plugin or the launcher does, with all that is left.
pub(super) fn inside(
    parent: Hearing,
    gate: Speaking,
    plugin: i32,
    account: Option<&Account>,
    filtered: bool,
) -> Result<Infallible, Failure> {
    if u32::try_from(plugin) != Ok(PLUGIN_PID) {
        return Err(Failure::own(format!(
            "the plugin's process id is {plugin}, not {PLUGIN_PID}"
        )));
    }
    if let Some(account) = account {
        process::become_user(account).map_err(Failure::own)?;
        // Undone by the change of user.
        process::harden().map_err(Failure::own)?;
        children::end_with_parent().map_err(Failure::own)?;
    }
    let watch = Watch::new(parent).map_err(Failure::own)?;
    let calls = [
        any("poll"),
        any("ppoll"),
        any("read"),
        any("write"),
        any("wait4"),
        any("close"),
        any("close_range"),
        any("restart_syscall"),
        only("kill", PLUGIN_PID),
        any("exit_group"),
    ];
    give_up(filtered.then_some(&calls), &[])?;
    if watch.close_others(gate, BEGIN).is_err() {
        children::end(125);
    }
    loop {
        match watch.next() {
            News::Children => {
                if let Some(status) = children::ended(plugin) {
                    children::end(status);
                }
            }
            News::Word(number) => children::send(plugin, number.into()),
            News::Orphaned => children::end(125),
        }
    }
}

/// Without calls there is no filter: the kernel has none, which the plan says.
pub(crate) fn give_up(calls: Option<&[WaitingCall]>, kept: &[String]) -> Result<(), Failure> {
    let kept = capabilities::parse(kept).map_err(Failure::own)?;
    capabilities::reduce_to(&kept, false).map_err(Failure::own)?;
    process::set_no_new_privileges().map_err(Failure::own)?;
    let Some(calls) = calls else {
        return Ok(());
    };
    let program = filter::waiting(Arch::NATIVE, calls).map_err(Failure::own)?;
    seccomp::Ready::new(&program)
        .install()
        .map_err(|errno| Failure::own(format!("the waiting process's filter: {errno}")))
}

pub(crate) const fn any(name: &'static str) -> WaitingCall {
    WaitingCall {
        name,
        first: None,
        third: None,
    }
}

pub(crate) const fn only(name: &'static str, first: u32) -> WaitingCall {
    WaitingCall {
        name,
        first: Some(first),
        third: None,
    }
}

/// Removes folders, which must be empty, and no files.
fn removing(folder: &impl AsFd) -> Result<WaitingCall, Failure> {
    let number = u32::try_from(process::number(folder)).map_err(Failure::own)?;
    Ok(WaitingCall {
        third: Some(REMOVE_FOLDER),
        ..only("unlinkat", number)
    })
}

/// `AT_REMOVEDIR` (`linux/fcntl.h`).
const REMOVE_FOLDER: u32 = 0x200;
