//! `audit`: the audit log, read. What is read is never changed.

mod entry;
mod filter;
mod follow;
mod keygen;
mod log;
mod output;
mod piece;
mod query;
mod rotate;
mod scan;
mod tail;
mod time;

use std::ops::ControlFlow;
use std::path::Path;
use std::process::ExitCode;

use clap::Subcommand;
use secure_exec::failure::Failure;

use crate::cli::Common;
use crate::screen::Screen;
use log::Log;

/// Commands on the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Make a key that signs the log's head
    Keygen(keygen::Keygen),
    /// Print records
    Query(query::Query),
    /// Give the log's file a number, and begin a new one
    Rotate(rotate::Rotate),
    /// Print the last records, and go on with those to come
    Tail(tail::Tail),
}

/// Carries out a command.
pub(crate) fn run(common: &Common, command: Audit, screen: Screen) -> Result<ExitCode, Failure> {
    match command {
        Audit::Keygen(keygen) => keygen::run(&keygen, screen),
        Audit::Query(query) => query::run(common, query, screen),
        Audit::Rotate(rotate) => rotate::run(common, &rotate, screen),
        Audit::Tail(tail) => tail::run(common, tail, screen),
    }
}

/// `Break`: there is no use in going on.
type Flow = Result<ControlFlow<()>, Failure>;

/// The log that is named, or that a launch would write.
fn log(common: &Common, named: Option<&Path>) -> Result<Log, Failure> {
    match named {
        Some(path) => Log::at(path),
        None => Log::at(&common.audit_log(None)?),
    }
}

/// A number of things.
fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
