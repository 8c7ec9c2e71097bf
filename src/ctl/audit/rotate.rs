//! `audit rotate`: a rotation that is asked for, for those who have a timer do
//! it and not a launch.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use secure_exec::audit;
use secure_exec::failure::Failure;
use secure_exec_core::escape::Escaped;
use serde_json::json;

use crate::cli::Common;
use crate::screen::Screen;

/// `audit rotate`.
#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The log; if none is named, the one that a launch would write
    log: Option<PathBuf>,
}

/// Rotates, removes what is not kept, and compresses, as the configuration
/// says.
pub(crate) fn run(common: &Common, rotate: &Rotate, screen: Screen) -> Result<ExitCode, Failure> {
    let log = common.audit_log(rotate.log.as_deref())?;
    let settings = common.audit_settings(Some(&log))?;
    let name = audit::rotate(&settings)?;
    if screen.json {
        screen.print_json(&json!({ "file": name }))?;
    } else {
        screen.print(&format!(
            "the log's records until now are in {}\n",
            Escaped(&name)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
