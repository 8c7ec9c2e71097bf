//! `secure-execctl`, end to end: the real program on real files, and the real
//! launcher on what it made of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

#[path = "kit/mod.rs"]
#[allow(dead_code, reason = "the kit serves other tests too")]
mod kit;

#[path = "ctl/adding.rs"]
mod adding;
#[path = "ctl/browser.rs"]
mod browser;
#[path = "ctl/by_hand.rs"]
mod by_hand;
#[path = "ctl/chain/mod.rs"]
mod chain;
#[path = "ctl/changing.rs"]
mod changing;
#[path = "ctl/collecting.rs"]
mod collecting;
#[path = "ctl/counting.rs"]
mod counting;
#[path = "ctl/explaining.rs"]
mod explaining;
#[path = "ctl/exporting.rs"]
mod exporting;
#[path = "ctl/locking.rs"]
mod locking;
#[path = "ctl/logs.rs"]
mod logs;
#[path = "ctl/looking.rs"]
mod looking;
#[path = "ctl/modules.rs"]
mod modules;
#[path = "ctl/profiles.rs"]
mod profiles;
#[path = "ctl/querying.rs"]
mod querying;
#[path = "ctl/refusing.rs"]
mod refusing;
#[path = "ctl/reporting.rs"]
mod reporting;
#[path = "ctl/rotating.rs"]
mod rotating;
#[path = "ctl/searching.rs"]
mod searching;
#[path = "ctl/tailing.rs"]
mod tailing;
#[path = "ctl/users.rs"]
mod users;
#[path = "ctl/verifying.rs"]
mod verifying;

use std::ffi::OsStr;
use std::process::Command;

use kit::{Host, Outcome, run};
use serde_json::Value;

/// The tool, as the host's user, with the host's configuration and whitelist.
fn command<A: AsRef<OsStr>>(host: &Host, words: impl IntoIterator<Item = A>) -> Command {
    let program = host.path("bin/secure-execctl");
    if !program.exists() {
        // The build folder may be root's alone.
        std::fs::copy(env!("CARGO_BIN_EXE_secure-execctl"), &program).unwrap();
    }
    let mut command = host.command(program);
    command.arg("--config").arg(host.path("config.yaml"));
    command.arg("--whitelist").arg(host.whitelist());
    command.args(words);
    command
}

/// Runs the tool to its end.
fn ctl<A: AsRef<OsStr>>(host: &Host, words: impl IntoIterator<Item = A>) -> Outcome {
    run(command(host, words), b"")
}

/// The tool's answer as JSON.
fn json<A: AsRef<OsStr>>(host: &Host, words: impl IntoIterator<Item = A>) -> Value {
    let mut command = command(host, words);
    command.arg("--json");
    let outcome = run(command, b"");
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:#?}"))
}

/// The whitelist's text.
fn text(host: &Host) -> String {
    std::fs::read_to_string(host.whitelist()).unwrap()
}
