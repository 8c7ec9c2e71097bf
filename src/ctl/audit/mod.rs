//! `audit`: the audit log, read.

mod keygen;
mod rotate;

use std::process::ExitCode;

use clap::Subcommand;
use secure_exec::failure::Failure;

use crate::cli::Common;
use crate::screen::Screen;

/// Commands on the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Make a key that signs the log's head
    Keygen(keygen::Keygen),
    /// Give the log's file a number, and begin a new one
    Rotate(rotate::Rotate),
}

/// Carries out a command.
pub(crate) fn run(common: &Common, command: Audit, screen: Screen) -> Result<ExitCode, Failure> {
    match command {
        Audit::Keygen(keygen) => keygen::run(&keygen, screen),
        Audit::Rotate(rotate) => rotate::run(common, &rotate, screen),
    }
}
