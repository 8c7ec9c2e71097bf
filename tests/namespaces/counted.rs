//! Root's processes, which the kernel does not count against `RLIMIT_NPROC`:
//! a cgroup does.

use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::{Running, install};
use crate::kit::{EVERYONE, Host, User, program};

/// Starts threads and, with `fork`, processes, and prints how many there were;
/// then waits for the end of its standard input.
const MANY: &str = r#"#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *waits(void *_) { pause(); return _; }
int main(int n, char **a) {
    int most = atoi(a[2]), made = 1;
    char byte;
    for (; made < most; made++) {
        pthread_t thread;
        if (!strcmp(a[1], "fork")) {
            int child = fork();
            if (child < 0) break;
            while (!child && read(0, &byte, 1) > 0) {}
            if (!child) _exit(0);
        } else if (pthread_create(&thread, 0, waits, 0)) break;
    }
    printf("%d\n", made);
    fflush(stdout);
    return read(0, &byte, 1) != 0;
}"#;

const GRANTS: &str = "limits: { processes: 20 }\nprocesses: { fork: true }";

fn sandbox(host: &Host) -> Value {
    host.record("sandbox_applied")["sandbox"].clone()
}

/// The folder of this process's group, whose pids controller is counted by,
/// and the file of a group that lists who is in it.
fn own_group() -> (PathBuf, &'static str) {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let find = |start: &str| groups.lines().find_map(|line| line.split_once(start));
    let (mount, path, list) = match (find(":pids:"), find("0::")) {
        (Some((_, path)), _) => ("/sys/fs/cgroup/pids", path, "cgroup.procs"),
        // A group for threads lists no processes.
        (None, Some((_, path))) => ("/sys/fs/cgroup", path, "cgroup.threads"),
        (None, None) => panic!("no pids controller in {groups}"),
    };
    let folder = Path::new(mount).join(path.trim_start_matches('/'));
    (folder, list)
}

/// The group that was made for a plugin's process.
fn group_of(process: u32) -> PathBuf {
    let (own, _) = own_group();
    let groups = std::fs::read_dir(own.join("secure-exec")).unwrap();
    let mut groups = groups.map(|group| group.unwrap().path());
    let is_in = |group: &PathBuf| members(group).contains(&process);
    groups.find(is_in).unwrap()
}

/// None of a group that is being removed.
fn members(group: &Path) -> Vec<u32> {
    let (_, list) = own_group();
    let list = std::fs::read_to_string(group.join(list)).unwrap_or_default();
    list.lines().map(|line| line.parse().unwrap()).collect()
}

#[test]
fn a_limit_on_processes_holds_for_everybody() {
    for user in EVERYONE {
        let host = install(user, program::c(MANY), GRANTS);
        for what in ["fork", "thread"] {
            let made = |plugin: &str| {
                let mut running = Running::start(host.launch(plugin).args([what, "100"]));
                let made: u32 = running.line().parse().unwrap();
                assert_eq!(running.finish(), 0);
                made
            };
            match user {
                User::Root => {
                    // Without a group nothing counts them.
                    assert_eq!(made("process"), 100);
                    let told = sandbox(&host);
                    assert_eq!(
                        told["limits_not_enforced"],
                        serde_json::json!(["processes"])
                    );
                    let why = told["processes_limited_by"].as_str().unwrap();
                    assert!(why.starts_with("nothing: root is exempt"), "{why}");
                    assert_eq!(made("namespaces"), 20);
                }
                // Of all processes of the user.
                User::Ordinary => assert!(made("namespaces") <= 20),
            }
            let told = sandbox(&host);
            assert_eq!(told["limits_not_enforced"], serde_json::json!([]));
            let by = told["processes_limited_by"].as_str().unwrap();
            match user {
                User::Root => assert!(by.starts_with("pids cgroup (v"), "{by}"),
                User::Ordinary => assert_eq!(by, "RLIMIT_NPROC"),
            }
        }
    }
}

#[test]
fn the_group_is_gone_when_the_plugin_is() {
    let host = install(User::Root, program::c(MANY), GRANTS);
    let mut running = Running::start(host.launch("namespaces").args(["fork", "9"]));
    assert_eq!(running.line(), "9");
    let [launcher, first, plugin] = running.processes();
    let group = group_of(plugin);
    let members = members(&group);
    assert_eq!(members.len(), 9);
    for process in [launcher, first] {
        assert!(!members.contains(&process));
    }
    let limit = std::fs::read_to_string(group.join("pids.max")).unwrap();
    assert_eq!(limit.trim(), "20");
    assert_eq!(running.finish(), 0);
    assert!(!group.exists());
}

#[test]
fn a_group_that_a_killed_launcher_left_is_removed_by_the_next() {
    let host = install(User::Root, program::c(MANY), GRANTS);
    let mut running = Running::start(host.launch("namespaces").args(["fork", "2"]));
    assert_eq!(running.line(), "2");
    let [launcher, _, plugin] = running.processes();
    let group = group_of(plugin);
    kill(Pid::from_raw(launcher.try_into().unwrap()), Signal::SIGKILL).unwrap();
    running.launcher.wait().unwrap();
    // The end of its output is that of its last process.
    assert_eq!(running.line(), "");
    let mut other = Running::start(host.launch("namespaces").args(["fork", "2"]));
    assert_eq!(other.line(), "2");
    assert!(!group.exists());
    // One in which somebody is stays.
    let [.., plugin] = other.processes();
    let group = group_of(plugin);
    let third = host.launch("namespaces").args(["fork", "2"]).run();
    assert_eq!((third.status, &*third.stdout), (0, "2\n"), "{third:?}");
    assert!(group.exists());
    assert_eq!(other.finish(), 0);
}

#[test]
fn many_launches_at_a_time_have_a_group_each() {
    let host = install(User::Root, program::c(MANY), GRANTS);
    let launch = || host.launch("namespaces").args(["fork", "100"]).run();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| (0..4).map(|_| launch()).collect::<Vec<_>>()))
            .collect();
        for thread in threads {
            for outcome in thread.join().unwrap() {
                assert_eq!(
                    (outcome.status, &*outcome.stdout),
                    (0, "20\n"),
                    "{outcome:?}"
                );
            }
        }
    });
    let counted = host.records().iter().all(|record| {
        let by = record["sandbox"]["processes_limited_by"].as_str();
        by.is_none_or(|by| by.starts_with("pids cgroup"))
    });
    assert!(counted);
}

/// Launches at the same moment make their groups in one place, where each also
/// removes what killed ones left.
#[test]
fn no_launch_loses_its_group_to_another() {
    const AT_ONCE: usize = 32;
    let host = install(
        User::Root,
        program::c("int main(void) { return 0; }"),
        GRANTS,
    );
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                for _ in 0..2000_usize.div_ceil(AT_ONCE) {
                    let outcome = host.launch("namespaces").run();
                    assert_eq!(outcome.status, 0, "{outcome:?}");
                }
            });
        }
    });
    let records = host.records();
    let by = |record: &Value| record["sandbox"]["processes_limited_by"].clone();
    let told: Vec<Value> = records.iter().map(by).filter(|by| !by.is_null()).collect();
    assert!(told.len() >= 2000, "{}", told.len());
    for by in told {
        assert!(by.as_str().unwrap().starts_with("pids cgroup"), "{by}");
    }
}

#[test]
fn where_there_is_no_controller_the_record_says_that_nothing_counts() {
    let host = install(User::Root, program::c(MANY), GRANTS);
    let (own, _) = own_group();
    for (hide, says) in [
        ("umount -l /sys/fs/cgroup", "no pids controller is mounted"),
        (
            "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"",
            "Read-only file system (EROFS)",
        ),
    ] {
        let hide = format!("{hide} || exit 99; shift; exec \"$@\"");
        let own = own.to_str().unwrap();
        let words = ["unshare", "-m", "sh", "-c", &hide, "sh", own];
        let launch = host.launch("namespaces").under(words);
        let outcome = launch.args(["fork", "100"]).run();
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (0, "100\n"),
            "{outcome:?}"
        );
        let told = sandbox(&host);
        let why = told["processes_limited_by"].as_str().unwrap();
        assert!(why.starts_with("nothing: ") && why.ends_with(says), "{why}");
        assert_eq!(
            told["limits_not_enforced"],
            serde_json::json!(["processes"])
        );
    }
}

#[test]
fn a_user_that_a_launcher_of_roots_becomes_is_counted_by_the_kernel() {
    let mut host = Host::of(User::Root);
    host.profile(
        "p",
        &format!("isolation: namespaces\nuser: nobody\n{GRANTS}"),
    );
    host.install_copy("p", program::c(MANY));
    host.list("p", &["profile: p"]);
    let outcome = host.launch("p").args(["thread", "100"]).run().succeeded();
    assert!(
        outcome.stdout.trim().parse::<u32>().unwrap() <= 20,
        "{outcome:?}"
    );
    assert_eq!(sandbox(&host)["processes_limited_by"], "RLIMIT_NPROC");
}
