//! A launch from start to end. `launch` is its table of contents.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use secure_exec_core::audit::{Event, Outcome, Record};
use secure_exec_core::decide::Judgement;
use secure_exec_core::escape::{Lines, Whole};
use secure_exec_core::policy::Policy;
use secure_exec_core::violation::Violation;
use secure_exec_sys::{limits, open, process};

use crate::audit::{AuditLog, timestamp};
use crate::authorized::{self, Authorized};
use crate::cli::{self, Arguments, Command};
use crate::confined;
use crate::dry_run;
use crate::examined::{self, Examining};
use crate::failure::{Failure, Ready};
use crate::first;
use crate::listed::{self, Listed};
use crate::opened::{self, Opening};
use crate::prepared::{self, Words};
use crate::settings::Settings;
use crate::streams::Handed;

/// The program: parses, launches, and prints the one error there is.
/// [`guard::as_caller`](crate::guard::as_caller) runs it.
#[must_use]
pub fn main() -> ExitCode {
    match check_stack() {
        Ok(()) => run(),
        Err(failure) => report(&failure),
    }
}

/// A stack that ends would end the launcher without a word. In a function of
/// its own, so that what comes after does not need the stack already.
fn check_stack() -> Result<(), Failure> {
    let stack = limits::stack().map_err(Failure::own)?;
    if stack >= LEAST_STACK {
        return Ok(());
    }
    Err(Failure::own(format!(
        "the limit of the stack is {} KiB, the launcher needs {} KiB\n\
         Raise it, in a shell with 'ulimit -s {}'.",
        stack >> 10,
        LEAST_STACK >> 10,
        LEAST_STACK >> 10
    )))
}

/// In bytes; more than any launch was seen to use, several times.
const LEAST_STACK: u64 = 512 << 10;

#[inline(never)]
fn run() -> ExitCode {
    let command = match cli::parse(std::env::args_os(), executed_name) {
        Ok(command) => command,
        Err(misuse) => {
            if let Some(Ok(ready)) = misuse.ready_fd.map(Ready::adopt) {
                ready.tell(&misuse.failure);
            }
            return report(&misuse.failure);
        }
    };
    let arguments = match command {
        Command::Help => return print(cli::HELP),
        Command::Version => return print(concat!("secure-exec ", env!("CARGO_PKG_VERSION"), "\n")),
        Command::Launch(arguments) => arguments,
    };
    if arguments.dry_run {
        return match dry_run::run(&arguments) {
            Ok(shown) => {
                let printed = print(&shown.text);
                match &shown.failure {
                    Some(failure) => report(failure),
                    None if shown.allowed => printed,
                    None => ExitCode::from(126),
                }
            }
            Err(failure) => report(&failure),
        };
    }
    // Before anything is opened: a number that is free now would soon be the
    // audit log's.
    let ready = match arguments.ready_fd.map(Ready::adopt).transpose() {
        Ok(ready) => ready,
        Err(failure) => return report(&failure),
    };
    let Err(failure) = launch(&arguments);
    if let Some(ready) = ready {
        ready.tell(&failure);
    }
    report(&failure)
}

/// The name of the file that was executed, if it is not `called` and is this
/// program: a script that names the launcher's link as its interpreter is not.
fn executed_name(called: &OsStr) -> Option<OsString> {
    let path = process::executed_path()?;
    let name = path.file_name().filter(|name| *name != called)?;
    let file = |path: &Path| {
        let stat = open::stat_path(path, true).ok()?;
        Some((stat.dev, stat.ino))
    };
    let own = file(Path::new("/proc/self/exe"))?;
    (file(&path)? == own).then(|| name.to_owned())
}

/// One launch. It only returns if the plugin does not run.
fn launch(arguments: &Arguments) -> Result<Infallible, Failure> {
    process::harden().map_err(Failure::own)?;
    first::step_aside()?;
    process::ignore_signals_of_writes().map_err(Failure::own)?;
    let plugin = name(arguments)?;
    let settings = Settings::merge(arguments)?;
    let listed = listed::list(&settings, &plugin)
        .and_then(|listed| listed.remember(&settings).map(|()| listed))
        .inspect_err(|failure| record_unlisted(&plugin, failure, &settings, arguments))?;
    let speaker = Speaker::new(arguments);
    let warn = |message: &str| speaker.warn(message);
    speaker.tell(&format!(
        "policy {}, profile {}",
        listed.policy, listed.profile.name
    ));
    // Audit-only observes in silence; but for a log that it can't write.
    let is_silent = listed.policy == Policy::AuditOnly;
    let of_list = listed.warnings.iter().filter(|_| !is_silent);
    let told = of_list.inspect(|warning| warn(warning)).count();
    let log = AuditLog::open(&settings, Some(&listed), arguments)?;

    // The stages consume theirs, also where they fail and that is recorded.
    let record = listed.clone();
    let authorized = authorize(listed, &record, &log, &warn)?;
    let all = authorized.examined().listed.warnings.iter();
    all.skip(told)
        .filter(|_| !is_silent)
        .for_each(|warning| warn(warning));
    speaker.tell("verified; preparing the sandbox");
    let decided = authorized::record(&authorized, &log, &warn).map_err(|failure| {
        // One sink may say already that it is allowed.
        if log.has_other_sinks() {
            authorized::record_failure(&record, failure, &log, &|_| {})
        } else {
            failure
        }
    })?;
    // The log says already that it is allowed, so it says that it did not run.
    let words = Words {
        name: arguments.called_as.as_deref(),
        arguments: &arguments.plugin_arguments,
    };
    let prepared = prepared::prepare(authorized, decided, words, &warn)
        .map_err(|failure| authorized::record_failure(&record, failure, &log, &warn))?;
    speaker.tell("confining and executing");
    let confined = confined::confine(prepared, &record, &log)?;
    let recorded = confined.record(&log)?;
    confined.exec(recorded, &log)
}

/// Records a launch that ends before anything is known of the plugin: there is
/// no whitelist, or something is wrong with it, or with the profile. That is
/// the failure to report, whatever becomes of the record.
fn record_unlisted(plugin: &str, failure: &Failure, settings: &Settings, arguments: &Arguments) {
    let Ok(log) = AuditLog::open(settings, None, arguments) else {
        return;
    };
    let record = Record {
        plugin_name: Some(plugin),
        result: Outcome::Blocked,
        reason: Some(failure.reason()),
        arguments: log.arguments(),
        ..Record::new(
            timestamp(),
            Event::PluginExited,
            settings.policy.name(),
            log.launch(),
        )
    };
    let _unrecorded = log.write(&record, &|_| {});
}

/// From the entry to the judgement; a refusal is recorded here.
fn authorize(
    listed: Listed,
    record: &Listed,
    log: &AuditLog,
    warn: &dyn Fn(&str),
) -> Result<Authorized, Failure> {
    if let Judgement::Refused(violation) = listed.judgement() {
        return Err(refuse(&listed, None, violation, log, warn));
    }
    let opened = match opened::open(listed) {
        Ok(Opening::Open(opened)) => *opened,
        Ok(Opening::Violated(listed, violation)) => {
            return Err(refuse(&listed, None, violation, log, warn));
        }
        Err(failure) => {
            return Err(authorized::record_failure(record, failure, log, warn));
        }
    };
    let examined = match examined::examine(opened, Handed::Own) {
        Ok(Examining::Done(examined)) => *examined,
        Ok(Examining::Violated(listed, violation)) => {
            return Err(refuse(&listed, None, violation, log, warn));
        }
        Err(failure) => {
            return Err(authorized::record_failure(record, failure, log, warn));
        }
    };
    authorized::authorize(examined).map_err(|(examined, violation)| {
        let actual = Some(examined.digest.to_string());
        refuse(&examined.listed, actual, violation, log, warn)
    })
}

fn refuse(
    listed: &Listed,
    actual: Option<String>,
    violation: Violation,
    log: &AuditLog,
    warn: &dyn Fn(&str),
) -> Failure {
    match authorized::record_refusal(listed, actual, &violation, log, warn) {
        Ok(_) => Failure::Refused {
            plugin: listed.name.clone(),
            violation,
        },
        // Both are failures; the one that hides the other is worse.
        Err(unrecorded) => unrecorded,
    }
}

/// PLUGIN as text: names in a whitelist are text, and so are its paths.
pub(crate) fn name(arguments: &Arguments) -> Result<String, Failure> {
    arguments
        .plugin
        .to_str()
        .map(String::from)
        .ok_or_else(|| Failure::usage("PLUGIN is not UTF-8"))
}

/// Says what is to be said on stderr.
pub(crate) struct Speaker {
    quiet: bool,
    verbose: bool,
}

impl Speaker {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            quiet: arguments.quiet,
            verbose: arguments.verbose,
        }
    }

    fn warn(&self, message: &str) {
        if !self.quiet {
            stderr(&format!("WARNING: {message}\n"));
        }
    }

    fn tell(&self, message: &str) {
        if self.verbose {
            stderr(&format!("secure-exec: {message}\n"));
        }
    }
}

fn report(failure: &Failure) -> ExitCode {
    // What came from outside is escaped where it was put in; should one place
    // have been forgotten, it still does not reach the terminal.
    let text = failure.to_string();
    let lines = text.lines().map(|line| format!("{}\n", Whole(line)));
    stderr(&lines.collect::<String>());
    ExitCode::from(failure.status())
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&Failure::own(format!("standard output: {error}"))),
    }
}

/// Prints a message of one line or more, each of them safe.
///
/// A host that closed its standard error still gets the exit status. Paths in
/// messages are of files, which have names of anybody's choice.
fn stderr(text: &str) {
    let text = Lines(text).to_string();
    let _closed = std::io::stderr().write_all(text.as_bytes());
}
