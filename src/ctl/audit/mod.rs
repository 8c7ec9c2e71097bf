//! `audit`: the audit log, read.

mod keygen;

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
}

/// Carries out a command.
pub(crate) fn run(_common: &Common, command: Audit, screen: Screen) -> Result<ExitCode, Failure> {
    match command {
        Audit::Keygen(keygen) => keygen::run(&keygen, screen),
    }
}
