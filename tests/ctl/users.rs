//! Several users' logs, read as one.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::kit::outer::words_of_user;
use crate::kit::{Host, Outcome, User, run};
use crate::{command, ctl};

const ALICE: u32 = 58_401;
const BOB: u32 = 58_402;

struct Machine {
    host: Host,
    folder: PathBuf,
}

impl Machine {
    /// Three users, each of whom has launched, in turn.
    fn new() -> Self {
        let mut host = Host::of(User::Root);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        let folder = host.folder("logs");
        for (path, mode) in [(host.path(""), 0o755), (folder.clone(), 0o1777)] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        let machine = Self { host, folder };
        for _ in 0..2 {
            for user in [ALICE, 0, BOB] {
                machine.launch(user);
            }
        }
        machine
    }

    fn pattern(&self) -> String {
        self.folder.join("{user}.log").to_str().unwrap().into()
    }

    fn launch(&self, user: u32) {
        let words = words_of_user(user);
        let launch = self.host.launch("p").option("--audit-log");
        launch.option(self.pattern()).under(words).run().succeeded();
    }

    fn audit(&self, command: &str, log: &str, more: &[&str]) -> Outcome {
        ctl(&self.host, ["audit", command, log].iter().chain(more))
    }

    /// The users whose launches are found, in their order.
    fn users(&self, command: &str, log: &str, more: &[&str]) -> Vec<u64> {
        let words: Vec<&str> = more.iter().copied().chain(["--json"]).collect();
        let said = self.audit(command, log, &words).succeeded().stdout;
        let records = said
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let decisions = records.filter(|r| r["event_type"] == "plugin_validation_success");
        decisions
            .map(|record| record["uid"].as_u64().unwrap())
            .collect()
    }
}

const ALL: [u64; 6] = [ALICE as u64, 0, BOB as u64, ALICE as u64, 0, BOB as u64];

#[test]
fn records_of_all_users_are_read_in_the_order_of_their_times() {
    let machine = Machine::new();
    let folder = machine.folder.to_str().unwrap();
    for log in [&*machine.pattern(), folder] {
        assert_eq!(machine.users("query", log, &[]), ALL);
        let chosen = ["--event", "plugin_validation_success", "--last", "4"];
        assert_eq!(machine.users("query", log, &chosen), ALL[2..]);
        let chosen = ["--event", "plugin_validation_success", "-n", "3"];
        assert_eq!(machine.users("tail", log, &chosen), ALL[3..]);
        let stats: Value =
            serde_json::from_str(&machine.audit("stats", log, &["--json"]).succeeded().stdout)
                .unwrap();
        assert_eq!(stats["files"], 3);
        assert_eq!(stats["log"], log);
        let page = machine.host.path("page.html");
        machine
            .audit("report", log, &["--html", page.to_str().unwrap()])
            .succeeded();
        assert!(
            std::fs::read_to_string(&page)
                .unwrap()
                .contains("58402.log")
        );
    }
    // The one of one user is named as ever.
    let own = machine.folder.join("58401.log");
    assert_eq!(
        machine.users("query", own.to_str().unwrap(), &[]),
        [ALICE as u64; 2]
    );
    // A launch's own is all of them, where it is named so.
    machine
        .host
        .audit(&format!("{{ log_file: {:?} }}", machine.pattern()));
    let said = ctl(&machine.host, ["audit", "query", "--json"])
        .succeeded()
        .stdout;
    assert_eq!(said.matches("plugin_validation_success").count(), ALL.len());
}

#[test]
fn several_logs_are_followed_at_once() {
    let machine = Machine::new();
    let words = [
        "audit",
        "tail",
        &machine.pattern(),
        "-f",
        "-n",
        "1",
        "--json",
    ];
    let mut command = command(&machine.host, words);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It follows once it has printed what was there.
    lines.next().unwrap().unwrap();
    for user in [BOB, ALICE, 0] {
        machine.launch(user);
        let new = lines
            .by_ref()
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        let mut decisions =
            new.filter(|record| record["event_type"] == "plugin_validation_success");
        assert_eq!(decisions.next().unwrap()["uid"], user);
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn each_log_is_verified_by_itself() {
    let machine = Machine::new();
    let said = machine
        .audit("verify", &machine.pattern(), &[])
        .succeeded()
        .stdout;
    assert_eq!(said.matches(": whole: ").count(), 3, "{said}");
    let shown = machine
        .audit("verify", &machine.pattern(), &["--json"])
        .succeeded()
        .stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["logs"].as_array().unwrap().len(), 3);
    let log = machine.folder.join("58402.log");
    let text = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, text.replacen("strict", "strlct", 1)).unwrap();
    let outcome = machine.audit("verify", &machine.pattern(), &[]);
    assert_eq!(outcome.status, 1);
    assert_eq!(outcome.stdout.matches("not whole").count(), 1);
    let one = machine
        .audit("verify", &machine.pattern(), &["--from", "2"])
        .refused(125);
    one.says("3 logs, and this is for one").says("58402.log");
}

/// The attack: put a log there in the name of somebody who has none.
#[test]
fn a_log_in_anothers_name_is_left_out() {
    let machine = Machine::new();
    let forged = machine.folder.join("daemon.log");
    std::fs::copy(machine.folder.join("58402.log"), &forged).unwrap();
    chown(&forged, Some(BOB), Some(BOB)).unwrap();
    // With a file of locks or without: that is the forger's as well.
    for has_locks in [false, true] {
        if has_locks {
            let locks = machine.folder.join(".daemon.log.lock");
            std::fs::write(&locks, "").unwrap();
            chown(&locks, Some(BOB), Some(BOB)).unwrap();
        }
        is_left_out(&machine);
    }
}

fn is_left_out(machine: &Machine) {
    let query = machine
        .audit("query", &machine.pattern(), &["--json"])
        .succeeded();
    assert_eq!(
        query.stdout.matches("plugin_validation_success").count(),
        ALL.len()
    );
    query.says("daemon.log' is not read: it belongs to user 58402, not to 'daemon'");
    let verify = machine.audit("verify", &machine.pattern(), &[]);
    assert_eq!(verify.status, 1);
    assert_eq!(
        verify.stderr.matches("daemon.log").count(),
        1,
        "{verify:#?}"
    );
    verify.says("daemon.log' is not read");
}

/// The attack: hide what one did, by removing what launches lock.
#[test]
fn a_log_whose_locks_are_gone_is_read() {
    let machine = Machine::new();
    for user in [ALICE, BOB] {
        std::fs::remove_file(machine.folder.join(format!(".{user}.log.lock"))).unwrap();
    }
    assert_eq!(machine.users("query", &machine.pattern(), &[]), ALL);
    let verify = machine.audit("verify", &machine.pattern(), &[]);
    assert_eq!(verify.stdout.matches(": whole: ").count(), 3, "{verify:#?}");
}

#[test]
fn a_pattern_without_an_end_takes_no_file_for_two_logs() {
    let machine = Machine::new();
    for user in [ALICE, BOB] {
        let log = |more: &str| machine.folder.join(format!("audit-{user}{more}"));
        std::fs::rename(machine.folder.join(format!("{user}.log")), log("")).unwrap();
        for more in [".000001", ".000002.gz", ".head", "-20261124", ".1"] {
            std::fs::write(log(more), "").unwrap();
        }
    }
    let pattern = machine.folder.join("audit-{user}");
    let words = ["audit", "query", pattern.to_str().unwrap()];
    let query = ctl(&machine.host, words).succeeded();
    assert!(!query.stderr.contains("is not read"), "{query:#?}");
    let found = machine.users("query", pattern.to_str().unwrap(), &[]);
    assert_eq!(found.len(), 4);
}

#[test]
fn an_ordinary_user_reads_what_he_may() {
    let machine = Machine::new();
    let id = ALICE.to_string();
    let pattern = machine.pattern();
    let as_alice = |command_: &str| {
        let inner = command(&machine.host, ["audit", command_, &pattern]);
        let mut outer = machine.host.command("setpriv");
        outer.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        run(with(outer, &inner), b"")
    };
    let query = as_alice("query").succeeded();
    assert_eq!(query.stdout.matches("success").count(), 2, "{query:#?}");
    for user in [0, BOB] {
        let name = if user == 0 { "root" } else { "58402" };
        let said = format!("{name}.log' is not read: ");
        query.stderr.contains(&said).then_some(()).unwrap();
    }
    let verify = as_alice("verify");
    assert_eq!(verify.status, 1, "{verify:#?}");
    let times = verify.stderr.matches("58402.log").count();
    assert_eq!(times, 1, "{verify:#?}");
}

fn with(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        outer.env(name, value.unwrap_or_default());
    }
    outer
}

#[test]
fn where_nobody_has_launched_there_is_no_log() {
    let machine = Machine::new();
    let nowhere = machine.folder.join("{user}/audit.log");
    let refused = machine
        .audit("query", nowhere.to_str().unwrap(), &[])
        .refused(125);
    refused.says("is no audit log, and holds none");
}
