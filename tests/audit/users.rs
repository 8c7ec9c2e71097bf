//! A log for each user: `{user}` in its path.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::kit::outer::words_of_user;
use crate::kit::{Host, Outcome, User};

/// Users without an account, and the one whom every system has.
const ALICE: u32 = 58_401;
const BOB: u32 = 58_402;
const DAEMON: u32 = 1;

struct Machine {
    host: Host,
    folder: PathBuf,
}

impl Machine {
    fn new(mode: u32) -> Self {
        let mut host = Host::of(User::Root);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        let folder = host.folder("logs");
        for (path, mode) in [(host.path(""), 0o755), (folder.clone(), mode)] {
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        Self { host, folder }
    }

    fn launch(&self, user: u32, pattern: &str) -> Outcome {
        let words = words_of_user(user);
        let launch = self.host.launch("p").option("--audit-log");
        let launch = launch.option(self.folder.join(pattern));
        match user {
            0 => launch.run(),
            _ => launch.under(words).run(),
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }
}

fn records(log: &Path) -> usize {
    std::fs::read_to_string(log).unwrap().lines().count()
}

#[test]
fn each_user_has_a_log_of_his_own() {
    let machine = Machine::new(0o1777);
    for _ in 0..2 {
        for user in [0, ALICE, BOB, DAEMON] {
            machine
                .launch(user, "{user}.log")
                .succeeded()
                .prints("ran\n");
        }
    }
    assert_eq!(
        machine.names(),
        ["58401.log", "58402.log", "daemon.log", "root.log"]
    );
    let of = |name: &str| machine.folder.join(name);
    assert_eq!(records(&of("58401.log")), records(&of("root.log")));
    let shared = PermissionsExt::mode(&std::fs::metadata(of("58402.log")).unwrap().permissions());
    assert_eq!(shared & 0o777, 0o600);
}

/// The configuration names it as the command line does, and folders have
/// users' names as well.
#[test]
fn a_folder_for_each_user_needs_none_for_all() {
    let machine = Machine::new(0o755);
    for user in [ALICE, BOB] {
        let own = machine.folder.join(user.to_string());
        std::fs::create_dir(&own).unwrap();
        chown(&own, Some(user), Some(user)).unwrap();
        machine.launch(user, "{user}/audit-{user}.log").succeeded();
        assert!(own.join(format!("audit-{user}.log")).exists());
    }
    let pattern = machine.folder.join("{user}/audit.log");
    machine
        .host
        .audit(&format!("{{ log_file: {:?} }}", pattern.to_str().unwrap()));
    let mut command = machine.host.command(machine.host.launcher());
    command
        .arg("--config")
        .arg(machine.host.path("config.yaml"));
    command
        .arg("--whitelist")
        .arg(machine.host.whitelist())
        .arg("p");
    std::fs::create_dir(machine.folder.join("root")).unwrap();
    crate::kit::run(command, b"").succeeded();
    assert!(machine.folder.join("root/audit.log").exists());
}

/// The attack: take another's name first, so that he writes where one reads and
/// changes it.
#[test]
fn a_log_that_a_stranger_put_there_in_ones_name_is_refused() {
    for name in ["58401.log", ".58401.log.lock", ".58401.log.state"] {
        let machine = Machine::new(0o1777);
        let planted = machine.folder.join(name);
        std::fs::write(&planted, "").unwrap();
        chown(&planted, Some(BOB), Some(BOB)).unwrap();
        for mode in [0o600, 0o666] {
            std::fs::set_permissions(&planted, PermissionsExt::from_mode(mode)).unwrap();
            machine.launch(ALICE, "{user}.log").refused(125);
            assert_eq!(std::fs::read_to_string(&planted).unwrap(), "");
        }
        std::fs::remove_file(&planted).unwrap();
        let own = machine.folder.join("own");
        std::fs::write(&own, "").unwrap();
        symlink(&own, &planted).unwrap();
        machine.launch(ALICE, "{user}.log").refused(125);
        std::fs::remove_file(&planted).unwrap();
        machine.launch(ALICE, "{user}.log").succeeded();
    }
}

/// What the administrator made for somebody is his to write.
#[test]
fn files_that_root_made_for_a_user_do_without_a_folder_for_all() {
    let machine = Machine::new(0o755);
    for name in ["58401.log", ".58401.log.lock", ".58401.log.state"] {
        let path = machine.folder.join(name);
        std::fs::write(&path, "").unwrap();
        chown(&path, Some(ALICE), Some(ALICE)).unwrap();
        let mode = if name.ends_with(".lock") {
            0o200
        } else {
            0o600
        };
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    }
    machine.launch(ALICE, "{user}.log").succeeded();
    machine.launch(BOB, "{user}.log").refused(125);
}

#[test]
fn a_volume_that_everybody_may_write_has_room_for_a_folder_of_ones_own() {
    for mode in [0o777, 0o2777] {
        let machine = Machine::new(mode);
        let refused = machine.launch(ALICE, "audit.log").refused(125);
        refused.says("name a log in a folder of its own beneath it");
        machine.launch(ALICE, "own/audit.log").succeeded();
        machine.launch(BOB, "own/audit.log").refused(125);
    }
}

#[test]
fn a_log_for_several_users_is_refused_with_the_cure() {
    let machine = Machine::new(0o755);
    let log = machine.folder.join("audit.log");
    std::fs::write(&log, "").unwrap();
    std::fs::set_permissions(&log, PermissionsExt::from_mode(0o664)).unwrap();
    machine
        .launch(0, "audit.log")
        .refused(125)
        .says("/{user}.log'");
}

#[test]
fn what_else_stands_in_braces_is_a_mistake() {
    let machine = Machine::new(0o1777);
    for (name, unknown) in [
        ("{uid}.log", "'{uid}'"),
        ("{User}.log", "'{User}'"),
        ("{}", "'{}'"),
        ("{user}/{host}.log", "'{host}'"),
    ] {
        machine.host.audit("{}");
        let by_option = machine.launch(0, name).refused(125);
        by_option.says(&format!("{unknown} is not known"));
        let log = machine.folder.join(name);
        machine.host.audit(&format!("{{ log_file: {log:?} }}"));
        let config = machine.host.path("config.yaml");
        let launch = machine.host.launch("p").option("--config").option(config);
        let configured = launch.run().refused(125);
        configured.says(&format!("{unknown} is not known"));
    }
    assert!(machine.names().is_empty(), "{:?}", machine.names());
}
