//! A log that is not as its last writer left it: the next launch repairs it,
//! says so, and loses nothing that was complete.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use secure_exec_core::audit::Event;
use secure_exec_core::audit::chain::{Ends, Link};
use secure_exec_core::audit::state::State;
use serde_json::{Map, Value};

use super::chain;
use crate::kit::{EVERYONE, Host, User, record};

/// A host with a plugin that was launched once: two records.
fn launched(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.launch("p").run().succeeded();
    host
}

fn add(log: &Path, bytes: &[u8]) {
    let mut file = std::fs::OpenOptions::new().append(true).open(log).unwrap();
    file.write_all(bytes).unwrap();
}

/// The recoveries that the next launch records, which has to succeed.
fn recovered(host: &Host) -> Vec<Map<String, Value>> {
    host.launch("p").run().succeeded();
    let text = std::fs::read(host.audit_log()).unwrap();
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    lines
        .filter_map(secure_exec_core::audit::line::fields)
        .filter(|record| record["event_type"] == "audit_recovered")
        .map(|record| record["audit"].as_object().unwrap().clone())
        .collect()
}

fn last(log: &Path) -> Link {
    let text = std::fs::read(log).unwrap();
    let line = text.split_inclusive(|byte| *byte == b'\n').next_back();
    Ends::of(line.unwrap()).unwrap().link()
}

#[test]
fn a_record_without_its_end_is_cut_off() {
    for user in EVERYONE {
        let host = launched(user);
        let torn = b"{\"seq\":3,\"prev\":\"00\",\"plugin_name\":\"half";
        add(&host.audit_log(), torn);
        let recovered = recovered(&host);
        assert_eq!(recovered.len(), 1);
        assert_eq!(recovered[0]["cause"], "torn");
        assert_eq!(recovered[0]["cut_bytes"], torn.len());
        assert_eq!(
            recovered[0]["cut_text"],
            String::from_utf8_lossy(torn).as_ref()
        );
        // The two of each launch, and the one that says what was cut.
        assert_eq!(chain::records(&host.audit_log()).len(), 5);
    }
}

#[test]
fn a_whole_record_of_a_writer_who_could_not_tell_of_it_stays() {
    let host = launched(User::Root);
    let mut line = record::line(Event::SecurityViolation, "killed right after");
    line.seal(last(&host.audit_log()));
    add(&host.audit_log(), line.sealed());
    assert!(recovered(&host).is_empty());
    let records = chain::records(&host.audit_log());
    assert_eq!(records.len(), 5);
    assert_eq!(records[2]["plugin_name"], "killed right after");
}

#[test]
fn numbers_go_on_where_records_are_gone() {
    for user in EVERYONE {
        for (cause, damage) in [
            (
                "lost",
                &(|log: &Path| {
                    let text = std::fs::read_to_string(log).unwrap();
                    let first = text.split_inclusive('\n').next().unwrap();
                    // In place: another file would be another case.
                    std::fs::write(log, first).unwrap();
                }) as &dyn Fn(&Path),
            ),
            ("emptied", &|log| std::fs::write(log, "").unwrap()),
            ("gone", &|log| std::fs::remove_file(log).unwrap()),
            ("exchanged", &|log| {
                let text = std::fs::read_to_string(log).unwrap();
                let first = text.split_inclusive('\n').next().unwrap();
                let other = log.with_extension("other");
                std::fs::copy(log, &other).unwrap();
                std::fs::write(&other, first).unwrap();
                let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(log).unwrap());
                std::os::unix::fs::chown(&other, Some(owner), Some(owner)).unwrap();
                std::fs::rename(other, log).unwrap();
            }),
        ] {
            let host = launched(user);
            let log = host.audit_log();
            let known = last(&log);
            damage(&log);
            let recovered = recovered(&host);
            assert_eq!(recovered.len(), 1, "{cause}: {recovered:?}");
            assert_eq!(recovered[0]["cause"], cause);
            assert_eq!(recovered[0]["known_seq"], known.seq);
            assert_eq!(recovered[0]["known_hash"], known.hash.to_string());
            // Whoever reads the chain sees that something is missing.
            let text = std::fs::read(&log).unwrap();
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            let after = lines
                .filter_map(Ends::of)
                .find(|ends| ends.seq > known.seq)
                .unwrap_or_else(|| panic!("{cause}: nothing after what is lost"));
            assert_eq!(
                (after.seq, after.prev),
                (known.seq + 1, known.hash),
                "{cause}"
            );
        }
    }
}

#[test]
fn a_copy_in_its_place_is_as_good() {
    let host = launched(User::Root);
    let log = host.audit_log();
    let copy = log.with_extension("copy");
    std::fs::copy(&log, &copy).unwrap();
    std::fs::rename(&copy, &log).unwrap();
    assert!(recovered(&host).is_empty());
    assert_eq!(chain::records(&log).len(), 4);
}

#[test]
fn the_chain_outlives_its_state() {
    for (damage, bytes) in [("missing", None), ("nonsense", Some("x".repeat(320)))] {
        let host = launched(User::Root);
        let log = host.audit_log();
        let state = log.with_file_name(".audit.log.state");
        match bytes {
            None => std::fs::remove_file(state).unwrap(),
            Some(bytes) => std::fs::write(state, bytes).unwrap(),
        }
        let recovered = recovered(&host);
        assert_eq!(recovered.len(), 1, "{damage}");
        assert_eq!(recovered[0]["cause"], "state_missing");
        assert_eq!(chain::records(&log).len(), 5, "{damage}");
    }
}

#[test]
fn a_chain_that_begins_anew_says_so() {
    // The past is compressed: where it ended is not looked up.
    let host = launched(User::Root);
    let log = host.audit_log();
    let past = log.with_file_name("audit.log.000001");
    std::fs::rename(&log, &past).unwrap();
    let packed = Command::new("gzip").arg(&past).status().unwrap();
    assert!(packed.success());
    std::fs::remove_file(log.with_file_name(".audit.log.state")).unwrap();
    let recovered = recovered(&host);
    assert_eq!(recovered.len(), 1);
    assert_eq!(recovered[0]["cause"], "state_missing");
    let text = std::fs::read(&log).unwrap();
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    assert_eq!(Ends::of(first).unwrap().seq, 1);
}

#[test]
fn a_file_that_is_no_log_is_neither_cut_nor_written_to() {
    for user in EVERYONE {
        for bytes in [
            &b"\x7fELF\0\n\0end"[..],
            b"words\n",
            b"words",
            b"{\"key\":\"value\"}\n",
            b"key=value\n",
            b"\n",
            b"\0\0\0",
        ] {
            let mut host = Host::of(user);
            host.install_sh("p", "exit 0");
            host.list("p", &[]);
            let log = host.write("state/audit.log", "");
            std::fs::write(&log, bytes).unwrap();
            let refused = host.launch("p").run().refused(125);
            refused.says("the file holds something else than records");
            assert_eq!(std::fs::read(&log).unwrap(), bytes);
            // Nor where there was a log before.
            std::fs::remove_file(&log).unwrap();
            host.launch("p").run().succeeded();
            let other = host.write("state/other", "");
            std::fs::write(&other, bytes).unwrap();
            std::fs::rename(&other, &log).unwrap();
            host.launch("p").run().refused(125);
            assert_eq!(std::fs::read(&log).unwrap(), bytes);
        }
    }
    let mut host = Host::new();
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    let log = host.write("state/audit.log", &"x".repeat(17 << 20));
    host.launch("p").run().refused(125);
    assert_eq!(std::fs::metadata(log).unwrap().len(), 17 << 20);
}

#[test]
fn a_log_without_a_chain_and_a_first_record_without_its_end_are_logs() {
    let old = "{\"timestamp\":\"t\",\"event_type\":\"plugin_validation_success\"}\n";
    for (text, left, causes) in [
        (old, old, &["state_missing"][..]),
        (&format!("{old}{{\"tim"), old, &["torn", "state_missing"]),
        (
            "timestamp=t event_type=x\n",
            "timestamp=t event_type=x\n",
            &["state_missing"],
        ),
        ("{\"seq\":1,\"prev\":\"00", "", &["torn", "state_missing"]),
        ("seq=1 prev=00", "", &["torn", "state_missing"]),
        ("{\"s", "", &["torn", "state_missing"]),
    ] {
        let mut host = Host::new();
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        let log = host.write("state/audit.log", text);
        let recovered = recovered(&host);
        let found: Vec<_> = recovered.iter().map(|record| &record["cause"]).collect();
        assert_eq!(found, causes, "{text}");
        let rest = std::fs::read_to_string(&log).unwrap();
        let rest = rest.strip_prefix(left).unwrap();
        std::fs::write(&log, rest).unwrap();
        assert_eq!(chain::records(&log).len(), 2 + causes.len());
    }
}

#[test]
fn a_name_that_looks_like_a_record_is_none() {
    // The log's end is read from somewhere within a long line.
    let mut host = Host::new();
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.audit("{ log_format: logfmt }");
    let log = host.audit_log();
    let forged = format!("seq=777777 prev={} x", "0".repeat(64));
    let mut more = 16_000;
    loop {
        std::fs::remove_file(&log).ok();
        let name = format!("{forged}{}", "n".repeat(more));
        host.launch(&name).run().refused(126);
        let text = std::fs::read_to_string(&log).unwrap();
        let place = text.len() - text.rfind(&forged).unwrap();
        if place == 16 << 10 {
            break;
        }
        more = more + (16 << 10) - place;
    }
    let known = last(&log).seq;
    std::fs::remove_file(log.with_file_name(".audit.log.state")).unwrap();
    let recovered = recovered(&host);
    assert_eq!(recovered.last().unwrap()["found_seq"], known);
}

#[test]
fn a_state_that_is_no_plain_file_is_refused() {
    let host = launched(User::Root);
    let state = host.audit_log().with_file_name(".audit.log.state");
    let target = host.write("target", "precious\n");
    std::fs::remove_file(&state).unwrap();
    std::os::unix::fs::symlink(&target, &state).unwrap();
    host.launch("p")
        .run()
        .refused(125)
        .says("it is a symbolic link");
    assert_eq!(std::fs::read_to_string(target).unwrap(), "precious\n");
}

#[test]
fn a_number_that_none_can_follow_is_not_given_twice() {
    let host = launched(User::Root);
    let path = host.audit_log().with_file_name(".audit.log.state");
    let mut state = State::parse(&std::fs::read(&path).unwrap()).unwrap();
    state.last.seq = u64::MAX;
    std::fs::write(&path, state.render()).unwrap();
    host.launch("p").run().refused(125).says("EOVERFLOW");
    assert_eq!(chain::records(&host.audit_log()).len(), 2);
}

#[test]
fn a_clock_that_was_set_back_changes_no_number() {
    let host = launched(User::Root);
    host.audit("{ max_age: 1 }");
    let path = host.audit_log().with_file_name(".audit.log.state");
    let mut state = State::parse(&std::fs::read(&path).unwrap()).unwrap();
    // The log was begun, and its head signed, in the future.
    state.begun += 1_000_000;
    state.head = state.begun;
    std::fs::write(&path, state.render()).unwrap();
    assert!(recovered(&host).is_empty());
    assert_eq!(chain::files(&host.audit_log()).len(), 1, "rotated");
    assert_eq!(chain::records(&host.audit_log()).len(), 4);
}

#[test]
fn a_writer_that_is_killed_before_it_tells_of_the_new_file() {
    for compress in [false, true] {
        let mut host = Host::new();
        host.install_sh("p", "exit 0");
        host.list("p", &[]);
        host.audit(&format!("{{ max_size: 1, compress: {compress} }}"));
        let log = host.audit_log();
        let long = "n".repeat(60_000);
        while std::fs::metadata(&log).map_or(0, |log| log.len()) < 890_000 {
            host.launch(&long).run().refused(126);
        }
        let inject = "inject=pwrite64:signal=KILL:when=1";
        let words = ["strace", "-o", "/dev/null", "-e", inject];
        let killed = host.launch(&long).under(words).run();
        assert_eq!(killed.status, 128 + 9);
        // Its first record says it all, so that nothing is amiss.
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(text.contains("\"audit_rotated\""), "{text}");
        assert_eq!(recovered(&host), []);
        let records = chain::records(&log);
        assert_eq!(chain::of_event(&records, "audit_rotated").len(), 1);
        let ending = if compress {
            "log.000001.gz"
        } else {
            "log.000001"
        };
        assert!(log.with_extension(ending).exists());
    }
}

#[test]
fn a_writer_may_be_killed_at_any_of_its_calls() {
    // While it rotates, appends, tells the others: each launch is killed one
    // call later than the one before. Then one is let through.
    let calls = [
        "openat",
        "renameat2",
        "write",
        "pwrite64",
        "unlinkat",
        "fcntl",
    ];
    // Twice in a record.
    let long = "n".repeat(60_000);
    let mut host = Host::new();
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.audit("{ max_size: 1, max_backups: 2 }");
    let log = host.audit_log();
    let fill = |host: &Host| {
        while std::fs::metadata(&log).map_or(0, |log| log.len()) < 890_000 {
            host.launch(&long).run().refused(126);
        }
    };
    for call in calls {
        let mut killed = 0;
        loop {
            fill(&host);
            let when = killed + 1;
            let inject = format!("inject={call}:signal=KILL:when={when}");
            let words = ["strace", "-o", "/dev/null", "-e", &inject];
            let outcome = host.launch(&long).under(words).run();
            if outcome.status != 128 + 9 {
                // It makes fewer calls than that.
                outcome.refused(126);
                break;
            }
            killed += 1;
            for recovery in recovered(&host) {
                assert_eq!(recovery["cause"], "torn", "{call} {killed}: {recovery:?}");
            }
        }
        assert!(killed > 0, "{call} was not interrupted");
    }
    // What is older was removed.
    let oldest = chain::files(&log).remove(0);
    let text = std::fs::read(oldest).unwrap();
    let first = text.split_inclusive(|byte| *byte == b'\n').next().unwrap();
    let first = Ends::of(first).unwrap();
    let before = Link {
        seq: first.seq - 1,
        hash: first.prev,
    };
    let records = chain::records_after(&log, before);
    for recovery in chain::of_event(&records, "audit_recovered") {
        assert_eq!(recovery["audit"]["cause"], "torn", "{recovery:?}");
    }
}
