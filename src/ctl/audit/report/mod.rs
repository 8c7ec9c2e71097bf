//! `audit report`: one page for people who do not read logs. It needs no
//! network and no script, and its size does not grow with the log.

mod chart;
mod page;
mod parts;
mod plugins;
mod sandboxes;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ct_codecs::{Base64, Encoder as _};
use jiff::Timestamp;
use secure_exec::failure::Failure;
use secure_exec_core::audit::chain::hash;
use serde_json::json;

use super::logs::Logs;
use super::stats::Counted;
use super::time::Range;
use super::{chain, install};
use crate::cli::Common;
use crate::screen::Screen;

/// Like the log, the report is its owner's alone, who may change that.
const MODE: u32 = 0o600;

const STYLE: &str = include_str!("style.css");

/// `audit report`.
#[derive(Debug, Args)]
pub(crate) struct Report {
    /// The log (default: the launcher's)
    #[arg(value_name = "LOG")]
    log: Option<PathBuf>,
    /// The page; what is there is replaced
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    /// Public key of the signed head
    #[arg(long, value_name = "PUBLIC.pem")]
    key: Option<PathBuf>,
    #[command(flatten)]
    range: Range,
}

/// Counts, and writes the page.
pub(crate) fn run(common: &Common, report: Report, screen: Screen) -> Result<ExitCode, Failure> {
    let logs = Logs::of(common, report.log.as_deref())?;
    let counted = Counted::of(&logs, report.range, screen)?;
    counted.unread.report(screen);
    let chain = chain::of_all(&logs.list, report.key.as_deref())?;
    let subject = page::Subject {
        counted: &counted,
        chain: &chain,
        range: report.range,
        generated: Timestamp::now(),
        policy: policy()?,
    };
    let text = page::render(&subject).into_string();
    install::install(&report.html, &text, MODE)?;
    let path = report.html.to_string_lossy();
    if screen.json {
        screen.print_json(&json!({ "html": path, "bytes": text.len() }))?;
    } else {
        let path = secure_exec_core::escape::Escaped(&path);
        screen.print(&format!("the report is in {path}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a browser may do with the page: apply its own style, and nothing else.
fn policy() -> Result<String, Failure> {
    let digest = Base64::encode_to_string(hash(STYLE.as_bytes()).0)
        .map_err(|error| Failure::own(format!("the report's style: {error}")))?;
    Ok(format!(
        "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    ))
}
