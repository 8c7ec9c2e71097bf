//! `audit tail`.

use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use notify::event::ModifyKind;
use notify::{EventKind, RecursiveMode, Watcher as _};
use secure_exec::failure::Failure;

use super::entry::Entry;
use super::filter::{Chosen, Filter};
use super::follow::Follower;
use super::log::Log;
use super::logs::Logs;
use super::output::Printer;
use super::query;
use super::scan::Unread;
use crate::cli::Common;
use crate::screen::Screen;

/// `audit tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// The log (default: the launcher's)
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
    /// Go on with what is recorded from now on, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// So many of those that are there
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10)]
    lines: usize,
    #[command(flatten)]
    chosen: Chosen,
}

/// Prints the last records, and those to come.
pub(crate) fn run(common: &Common, tail: Tail, screen: Screen) -> Result<ExitCode, Failure> {
    let filter = Filter::new(tail.chosen)?;
    let logs = Logs::of(common, tail.log.as_deref())?;
    for note in &logs.notes {
        screen.warn(note);
    }
    let printing = Printing::default();
    if tail.follow {
        end_well(&printing)?;
    } else {
        let _there_is_one = logs.existing()?;
    }
    let mut unread = Unread::default();
    let mut followers = Vec::with_capacity(logs.list.len());
    let mut lines = Vec::with_capacity(logs.list.len());
    for log in &logs.list {
        let (follower, last) = Follower::start(log, &filter, tail.lines, &mut unread)?;
        followers.push(follower);
        lines.push(last);
    }
    let lines = query::latest(lines, tail.lines);
    unread.report(screen);
    followers
        .iter_mut()
        .for_each(|follower| warn(follower, screen));
    let mut printer = Printer::new(screen);
    let whole = held(&printing);
    for line in &lines {
        let Some(entry) = Entry::parse(line) else {
            continue;
        };
        if printer.record(line, &entry)?.is_break() {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let printed = printer.flush()?;
    drop(whole);
    if tail.follow && printed.is_continue() {
        follow(&logs.list, &filter, &mut followers, &mut printer, &printing)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn warn(follower: &mut Follower<'_>, screen: Screen) {
    for note in follower.notes.drain(..) {
        screen.warn(&note);
    }
}

/// What the one who follows is woken by.
enum Wake {
    /// Something happened in the log's folder.
    Changed,
    /// The folder can't be watched any longer.
    Lost(String),
}

/// Goes on with what is recorded, until nobody reads on.
fn follow(
    logs: &[Log],
    filter: &Filter,
    followers: &mut [Follower<'_>],
    printer: &mut Printer,
    printing: &Printing,
) -> Result<(), Failure> {
    let (sender, wakes) = mpsc::channel();
    // They watch as long as they are held. Logs may share a folder.
    let mut folders = Vec::new();
    let mut watchers = Vec::new();
    for log in logs {
        if !folders.contains(&log.folder()) {
            folders.push(log.folder());
            watchers.push(watch(log, sender.clone())?);
        }
    }
    drop(sender);
    loop {
        let whole = held(printing);
        let print = &mut |line: &[u8]| {
            if !filter.may_match(line) {
                return Ok(ControlFlow::Continue(()));
            }
            match Entry::parse(line) {
                Some(entry) if filter.matches(&entry) => printer.record(line, &entry),
                Some(_) => Ok(ControlFlow::Continue(())),
                None => {
                    printer.screen().warn("a line of the log is no record");
                    Ok(ControlFlow::Continue(()))
                }
            }
        };
        let mut is_over = false;
        for follower in followers.iter_mut() {
            is_over = is_over || follower.look(print)?.is_break();
        }
        is_over |= printer.flush()?.is_break();
        for follower in followers.iter_mut() {
            warn(follower, printer.screen());
        }
        drop(whole);
        if is_over {
            return Ok(());
        }
        match (next(&wakes), logs.first()) {
            (Wake::Changed, _) => {}
            (Wake::Lost(why), Some(log)) => return Err(log.failed(&why)),
            (Wake::Lost(why), None) => return Err(Failure::own(why)),
        }
    }
}

/// Waits for something to do. Of many changes one look sees all.
fn next(wakes: &Receiver<Wake>) -> Wake {
    let gone = |_| Wake::Lost("nobody watches it any longer".into());
    let mut wake = wakes.recv().unwrap_or_else(gone);
    while let Wake::Changed = wake {
        match wakes.try_recv() {
            Ok(more) => wake = more,
            Err(_) => break,
        }
    }
    wake
}

/// Watches the folder, since the log itself is one file today and another
/// tomorrow.
fn watch(log: &Log, sender: Sender<Wake>) -> Result<notify::RecommendedWatcher, Failure> {
    let folder = log.folder().to_path_buf();
    let is_folder = move |paths: &[PathBuf]| paths.iter().any(|path| path == &folder);
    let wake = move |event: notify::Result<notify::Event>| {
        let wake = match event {
            // Reading the log is such an event, too.
            Ok(event) if event.kind.is_access() => return,
            Ok(event) if is_gone(event.kind) && is_folder(&event.paths) => {
                Wake::Lost("its folder was removed or renamed".into())
            }
            Ok(_) => Wake::Changed,
            Err(error) => Wake::Lost(format!("its folder can't be watched: {error}")),
        };
        // Who followed has ended.
        let _gone = sender.send(wake);
    };
    let failed =
        |error: notify::Error| log.failed(&format!("its folder can't be watched: {error}"));
    let mut watcher = notify::recommended_watcher(wake).map_err(failed)?;
    watcher
        .watch(log.folder(), RecursiveMode::NonRecursive)
        .map_err(failed)?;
    Ok(watcher)
}

const fn is_gone(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
    )
}

/// Held from the first byte of what is printed to the last.
type Printing = Arc<Mutex<()>>;

fn held(printing: &Printing) -> MutexGuard<'_, ()> {
    printing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the program, between two records, on SIGINT and SIGTERM and when
/// nobody reads its standard output any more. A second signal ends it at once:
/// what it prints may be blocked.
fn end_well(printing: &Printing) -> Result<(), Failure> {
    let failed =
        |errno: Errno| Failure::own(format!("signals can't be waited for: {}", errno.desc()));
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    // All threads begin with what this one blocks.
    signals.thread_block().map_err(failed)?;
    let arrived = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC).map_err(failed)?;
    let printing = Arc::clone(printing);
    std::thread::spawn(move || {
        let stdout = std::io::stdout();
        let mut both = [
            PollFd::new(arrived.as_fd(), PollFlags::POLLIN),
            // Errors and hang-ups are told unasked.
            PollFd::new(stdout.as_fd(), PollFlags::empty()),
        ];
        while poll(&mut both, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let is_signal = both.first().is_some_and(|one| one.any() == Some(true));
        if is_signal {
            let _at_once = arrived.read_signal().and_then(|_| signals.thread_unblock());
        }
        let _whole = held(&printing);
        std::process::exit(0);
    });
    Ok(())
}
