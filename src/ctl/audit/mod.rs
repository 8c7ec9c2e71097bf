//! `audit`: the audit log, read. What is read is never changed.

mod chain;
mod entry;
mod export;
mod filter;
mod follow;
mod history;
mod install;
mod keygen;
mod launches;
mod lines;
mod log;
mod logs;
mod open;
mod output;
mod piece;
mod prometheus;
mod query;
mod report;
mod rotate;
mod scan;
mod stats;
mod tail;
mod tally;
mod time;
mod timeline;
mod verify;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use secure_exec::failure::Failure;

use crate::cli::Common;
use crate::screen::Screen;
use log::Log;
use logs::Logs;

/// Commands on the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Write figures for Prometheus
    Export(export::Export),
    /// Make a key that signs the log's head
    Keygen(keygen::Keygen),
    /// Print records
    Query(query::Query),
    /// Write a page on launches, refusals and sandboxes
    Report(report::Report),
    /// Give the log's file a number, and begin a new one
    Rotate(rotate::Rotate),
    /// Count launches, refusals and sandboxes
    Stats(stats::Stats),
    /// Print the last records, and go on with those to come
    Tail(tail::Tail),
    /// Check that no record was changed, taken out or put in
    Verify(verify::Verify),
}

/// Carries out a command.
pub(crate) fn run(common: &Common, command: Audit, screen: Screen) -> Result<ExitCode, Failure> {
    match command {
        Audit::Export(export) => export::run(common, export, screen),
        Audit::Keygen(keygen) => keygen::run(&keygen, screen),
        Audit::Query(query) => query::run(common, query, screen),
        Audit::Report(report) => report::run(common, report, screen),
        Audit::Rotate(rotate) => rotate::run(common, &rotate, screen),
        Audit::Stats(stats) => stats::run(common, stats, screen),
        Audit::Tail(tail) => tail::run(common, tail, screen),
        Audit::Verify(verify) => verify::run(common, &verify, screen),
    }
}

/// `Break`: there is no use in going on.
type Flow = Result<ControlFlow<()>, Failure>;

/// The one log that is named, or that a launch would write.
fn log(common: &Common, named: Option<&Path>) -> Result<Log, Failure> {
    Logs::of(common, named)?.only()
}

/// A number of things.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
