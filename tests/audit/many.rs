//! Many launchers, one log.

use std::collections::BTreeMap;
use std::process::Stdio;

use crate::kit::{EVERYONE, Host};

#[test]
fn lines_of_many_writers_stay_whole() {
    const WRITERS: usize = 16;
    const LAUNCHES: usize = 5;
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        // Long lines tear more easily than short ones.
        let long = "n".repeat(60_000);
        std::thread::scope(|scope| {
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    for launch in 0..LAUNCHES {
                        if launch % 2 == 0 {
                            host.launch("p").run().succeeded();
                        } else {
                            host.launch(&long).run().refused(126);
                        }
                    }
                });
            }
        });
        let text = std::fs::read_to_string(host.audit_log()).unwrap();
        assert!(text.ends_with('\n'));
        let mut launches: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for record in host.records() {
            let id = record["launch_id"].as_str().unwrap().to_string();
            let event = record["event_type"].as_str().unwrap().to_string();
            launches.entry(id).or_default().push(event);
        }
        assert_eq!(launches.len(), WRITERS * LAUNCHES);
        for events in launches.values() {
            let events: Vec<&str> = events.iter().map(String::as_str).collect();
            assert!(
                matches!(
                    events[..],
                    ["plugin_validation_success", "sandbox_applied"] | ["security_violation"]
                ),
                "{events:?}"
            );
        }
    }
}

#[test]
fn a_record_is_one_write_to_a_file_opened_for_appending() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        let trace = host.write("trace", "");
        let words = ["strace", "-o", trace.to_str().unwrap()];
        let calls = ["-e", "trace=openat,write,pwrite64,writev"];
        host.launch("p").under(words).under(calls).run().succeeded();
        // The launcher's memory is closed to strace, so paths and bytes are not
        // shown, but flags, descriptors and lengths are.
        let trace = std::fs::read_to_string(trace).unwrap();
        let opened = trace
            .lines()
            .find(|call| call.contains("O_APPEND") && !call.contains("= -1"));
        let opened = opened.unwrap_or_else(|| panic!("{trace}"));
        for flag in ["O_CREAT", "O_EXCL", "O_NOFOLLOW", "O_CLOEXEC", "0600"] {
            assert!(opened.contains(flag), "{opened}");
        }
        let (_, descriptor) = opened.rsplit_once("= ").unwrap();
        let log = std::fs::read_to_string(host.audit_log()).unwrap();
        let expected = log
            .split_inclusive('\n')
            .map(|line| format!("write {0} {0}", line.len()));
        let calls = trace.lines().filter_map(|call| {
            let (name, rest) = call.split_once('(')?;
            let (arguments, answer) = rest.split_once(')')?;
            let mut arguments = arguments.split(", ");
            let is_log = arguments.next() == Some(descriptor) && name != "openat";
            let last = arguments.last()?;
            let answer = answer.trim_start_matches([' ', '=']);
            is_log.then(|| format!("{name} {last} {answer}"))
        });
        assert_eq!(calls.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_holder_of_the_lock_that_goes_away_is_waited_for() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        let lock = host.lock_audit_log();
        let mut command = host.launch("p").command();
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let open = format!("/proc/{}/fd", child.id());
        let has_opened = || {
            let files = std::fs::read_dir(&open).into_iter().flatten().flatten();
            files
                .filter_map(|file| std::fs::read_link(file.path()).ok())
                .any(|file| file.ends_with(".audit.log.lock"))
        };
        while !has_opened() {
            assert!(child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        assert!(!host.audit_log().exists());
        drop(lock);
        assert!(child.wait().unwrap().success());
        assert_eq!(host.records().len(), 2);
    }
}

#[test]
fn one_who_never_lets_go_of_the_lock_stops_strict_launches_alone() {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let _lock = host.lock_audit_log();
    let refused = host.launch("p").run().refused(125);
    refused.says("can't be written").says("lslocks");
    assert!(!host.audit_log().exists());
}
