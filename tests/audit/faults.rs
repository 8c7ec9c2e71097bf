//! Errors of the disk, injected into the launcher's calls: under strict a
//! decision that is not written, or not on the disk as it should be, is no
//! decision.

use crate::kit::{EVERYONE, Host, Launch, User};

use super::chain;

fn host(user: User, options: &str) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    host.audit(options);
    // The log is there, so that all launches make the same calls.
    host.launch("p").run().succeeded();
    host
}

/// The launch, with faults injected into its calls.
fn with<'a>(launch: Launch<'a>, faults: &[&str]) -> Launch<'a> {
    let mut words = vec!["strace", "-o", "/dev/null"];
    for fault in faults {
        words.extend(["-e", fault]);
    }
    launch.under(words)
}

#[test]
fn a_write_that_fails() {
    for user in EVERYONE {
        for error in ["EIO", "EROFS", "ENOSPC", "EDQUOT"] {
            let host = host(user, "{}");
            let before = host.records().len();
            // The first write is the decision's.
            let fault = format!("inject=write:error={error}:when=1");
            let refused = with(host.launch("p"), &[&fault]).run().refused(125);
            refused.says("can't be written").says(error);
            assert_eq!(host.records().len(), before);
            let fault = format!("inject=write:error={error}:when=1+");
            for policy in ["permissive", "audit-only"] {
                // Every write: the plugin's as well, after it.
                let outcome = with(host.launch("p").policy(policy), &[&fault]).run();
                assert_eq!(outcome.stdout, "", "{outcome:?}");
            }
            host.launch("p").run().succeeded().prints("ran\n");
            chain::records(&host.audit_log());
        }
    }
}

#[test]
fn a_record_that_the_others_are_not_told_of_is_taken_back() {
    let host = host(User::Root, "{}");
    let before = host.records();
    let refused = with(host.launch("p"), &["inject=pwrite64:error=EIO:when=1"]).run();
    refused.refused(125).says("EIO");
    assert_eq!(host.records(), before);
    host.launch("p").run().succeeded();
    chain::records(&host.audit_log());
}

#[test]
fn a_last_record_that_fails() {
    // Not injected: the filter would see the tracer's call in place of the
    // launcher's. The decision fits into the limit, what was applied does not.
    for user in EVERYONE {
        let host = host(user, "{}");
        let before = host.records();
        let decision = std::fs::read_to_string(host.audit_log()).unwrap();
        let decision = decision.lines().next().unwrap().len();
        let size = std::fs::metadata(host.audit_log()).unwrap().len();
        let limit = format!("--fsize={}", size + decision as u64 + 200);
        let refused = host.launch("p").under(["prlimit", &limit]).run();
        refused.refused(125).says("can't be written").prints("");
        // The decision stands; nothing says that anything was applied.
        let records = host.records();
        assert_eq!(records.len(), before.len() + 1);
        assert_eq!(
            records[before.len()]["event_type"],
            "plugin_validation_success"
        );
        let permissive = host.launch("p").policy("permissive");
        let limit = format!("--fsize={}", size + 2 * decision as u64 + 200);
        let permissive = permissive.under(["prlimit", &limit]).run();
        permissive.succeeded().prints("ran\n");
        host.launch("p").run().succeeded();
        chain::records(&host.audit_log());
    }
}

/// How often the log was brought to the disk in a launch that succeeds.
fn synced(host: &Host) -> usize {
    let trace = host.write("trace", "");
    let words = ["strace", "-o", trace.to_str().unwrap()];
    let calls = ["-e", "trace=fdatasync,fsync"];
    host.launch("p").under(words).under(calls).run().succeeded();
    let trace = std::fs::read_to_string(trace).unwrap();
    trace.lines().filter(|line| line.contains("sync(")).count()
}

#[test]
fn on_the_disk_when_it_should_be() {
    for user in EVERYONE {
        for (sync, expected) in [("never", 0), ("decision", 1), ("always", 2)] {
            let host = host(user, &format!("{{ sync: {sync} }}"));
            assert_eq!(synced(&host), expected, "{sync}");
        }
        // What nobody asks for:
        assert_eq!(synced(&host(user, "{}")), 0);
    }
}

#[test]
fn a_disk_that_does_not_take_it() {
    for user in EVERYONE {
        for sync in ["decision", "always"] {
            let host = host(user, &format!("{{ sync: {sync} }}"));
            let fault = "inject=fdatasync:error=EIO:when=1";
            let refused = with(host.launch("p"), &[fault]).run().refused(125);
            refused.says("EIO").prints("");
            let permissive = with(host.launch("p").policy("permissive"), &[fault]).run();
            permissive.succeeded().prints("ran\n");
            chain::records(&host.audit_log());
        }
    }
}

#[test]
fn a_rotation_that_fails_refuses_nothing() {
    for fault in ["inject=renameat2:error=EIO", "inject=renameat2:error=EROFS"] {
        let (host, long) = nearly_full();
        let log = host.audit_log();
        // For its name alone.
        let launch = with(host.launch(&long), &[fault]).run().refused(126);
        launch.says("audit.log' grows on: rename: ");
        assert_eq!(chain::files(&log).len(), 1);
        host.launch("p").run().succeeded().prints("ran\n");
        let records = chain::records(&log);
        let last = records.last().unwrap();
        assert_eq!(last["event_type"], "sandbox_applied");
        assert_eq!(chain::files(&log).len(), 2);
    }
}

#[test]
fn a_new_file_that_can_not_be_made_leaves_the_old_one_in_its_place() {
    let (host, long) = nearly_full();
    let log = host.audit_log();
    // One of the launcher's calls makes it. Failures of the others have records
    // as well, which fill the log in the end.
    let (before, launch) = (1..100)
        .find_map(|number| {
            let before = chain::files(&log).len();
            let fault = format!("inject=openat:error=ENOSPC:when={number}");
            let launch = with(host.launch(&long), &[&fault]).run();
            launch
                .stderr
                .contains("grows on: open for appending")
                .then_some((before, launch))
        })
        .unwrap();
    let launch = launch.refused(126);
    launch.says("grows on: open for appending: No space left on device (ENOSPC)");
    assert_eq!(chain::files(&log).len(), before);
    host.launch(&long).run().refused(126);
    assert_eq!(chain::files(&log).len(), before + 1);
    chain::records(&log);
}

/// A log that the next refusal of that name rotates.
fn nearly_full() -> (Host, String) {
    let long = "n".repeat(60_000);
    let host = host(User::Root, "{ max_size: 1 }");
    while std::fs::metadata(host.audit_log()).map_or(0, |log| log.len()) < 890_000 {
        host.launch(&long).run().refused(126);
    }
    (host, long)
}

#[test]
fn another_program_that_renames_the_log_in_the_same_moment() {
    let long = "n".repeat(60_000);
    let host = host(User::Root, "{ max_size: 1 }");
    let log = host.audit_log();
    while std::fs::metadata(&log).unwrap().len() < 890_000 {
        host.launch(&long).run().refused(126);
    }
    // What the kernel says then.
    with(host.launch(&long), &["inject=renameat2:error=ENOENT"])
        .run()
        .refused(126);
    assert_eq!(chain::files(&log).len(), 1);
    host.launch("p").run().succeeded();
    assert_eq!(chain::files(&log).len(), 2);
    chain::records(&log);
}
