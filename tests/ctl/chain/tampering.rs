//! What is done to a log with a shell, and what is said of it.

use std::process::Command;

use super::log::{self, assert_whole, change, found, rehashed, rotated};
use crate::kit::{Host, run};

/// A log of four files with four records each, from which a shell takes
/// something.
fn after(host: &Host, script: &str) -> (String, String, Option<u64>) {
    log::write(host, "{ max_backups: 0 }", 4, 4);
    assert_whole(host, &[]);
    let mut shell = Command::new("/bin/sh");
    shell.args(["-ec", script]).current_dir(host.path("state"));
    run(shell, b"").succeeded();
    found(host, &[])
}

#[test]
fn each_thing_is_called_by_its_name() {
    let host = Host::new();
    // The second file has the records 5 to 9, the third 10 to 14, the last 15
    // to 19.
    for (script, kind, file, seq) in [
        (
            "sed -i 3s/plugin-1/plugin-x/ audit.log.000002",
            "edited",
            "audit.log.000002",
            Some(7),
        ),
        (
            "sed -i '3s/\"seq\":7/\"seq\":8/' audit.log.000002",
            "edited",
            "audit.log.000002",
            Some(7),
        ),
        (
            "sed -i 3d audit.log.000002",
            "deleted",
            "audit.log.000002",
            Some(7),
        ),
        (
            "sed -i 1d audit.log.000002",
            "deleted",
            "audit.log.000002",
            Some(5),
        ),
        (
            "sed -i 1d audit.log.000001",
            "deleted",
            "audit.log.000001",
            Some(1),
        ),
        (
            "sed -i 3p audit.log.000002",
            "inserted",
            "audit.log.000002",
            Some(7),
        ),
        (
            "sed -i '3i note' audit.log.000002",
            "inserted",
            "audit.log.000002",
            None,
        ),
        (
            "sed -i '2{h;d};4G' audit.log.000002",
            "moved",
            "audit.log.000002",
            Some(6),
        ),
        (
            "sed -n 2p audit.log.000001 >> audit.log; sed -i 2d audit.log.000001",
            "moved",
            "audit.log.000001",
            Some(2),
        ),
        (
            "sed -i '$d' audit.log.000002",
            "cut",
            "audit.log.000002",
            Some(9),
        ),
        (
            "truncate -s -1 audit.log.000002",
            "cut",
            "audit.log.000002",
            Some(9),
        ),
        (
            "truncate -s -99 audit.log.000002",
            "cut",
            "audit.log.000002",
            Some(9),
        ),
        (
            "truncate -s 700 audit.log.000002",
            "cut",
            "audit.log.000002",
            Some(6),
        ),
        (
            "truncate -s 0 audit.log.000002",
            "cut",
            "audit.log.000002",
            Some(5),
        ),
        ("truncate -s -99 audit.log", "cut", "audit.log", Some(19)),
        (
            "rm audit.log.000002",
            "file_missing",
            "audit.log.000002",
            Some(5),
        ),
        (
            "rm audit.log.000001",
            "file_missing",
            "audit.log.000001",
            Some(1),
        ),
        (
            "rm audit.log.00000[123]",
            "file_missing",
            "audit.log.000001",
            Some(1),
        ),
        (
            "mv audit.log.000002 audit.log.000007",
            "file_renamed",
            "audit.log.000007",
            Some(5),
        ),
        (
            "mv audit.log.000002 audit.log.old",
            "file_renamed",
            "audit.log.old",
            Some(5),
        ),
        (
            "mv audit.log.000002 elsewhere",
            "file_missing",
            "audit.log.000002",
            Some(5),
        ),
        (
            "mv audit.log.000002 x; mv audit.log.000003 audit.log.000002; mv x audit.log.000003",
            "file_renamed",
            "audit.log.000003",
            Some(5),
        ),
        (
            "cp audit.log.000001 audit.log.000003",
            "file_swapped",
            "audit.log.000003",
            Some(10),
        ),
        (
            "cp audit.log.000003 audit.log.000001",
            "file_swapped",
            "audit.log.000001",
            Some(1),
        ),
        (
            "cp audit.log.000001 audit.log",
            "file_swapped",
            "audit.log",
            None,
        ),
        (
            "cp audit.log.000002 audit.log.000009",
            "file_added",
            "audit.log.000009",
            None,
        ),
        (
            "gzip audit.log.000002; truncate -s -60 audit.log.000002.gz",
            "damaged",
            "audit.log.000002.gz",
            Some(5),
        ),
        (
            "sed -i 3d audit.log.000002; gzip audit.log.000002",
            "deleted",
            "audit.log.000002.gz",
            Some(7),
        ),
        (
            "gzip audit.log.000002; rm audit.log.000002.gz",
            "file_missing",
            "audit.log.000002",
            Some(5),
        ),
    ] {
        let found = after(&host, script);
        let seq = match kind {
            // How much of it was unpacked is the compressor's.
            "damaged" => found.2,
            _ => seq,
        };
        assert_eq!(found, (kind.into(), file.into(), seq), "{script}");
    }
}

#[test]
fn what_leaves_no_trace_leaves_none() {
    let host = Host::new();
    log::write(&host, "{ max_backups: 0 }", 3, 4);
    let mut shell = Command::new("/bin/sh");
    let script =
        "gzip -n audit.log.000001; cp -p audit.log.000002 audit.log.000002~; touch audit.log";
    shell.args(["-ec", script]).current_dir(host.path("state"));
    run(shell, b"").succeeded();
    assert_whole(&host, &[]);
}

#[test]
fn a_record_that_was_hashed_anew_is_told_from_its_successor() {
    let host = Host::new();
    log::write(&host, "{ max_backups: 0 }", 2, 4);
    change(&rotated(&host, 1), |lines| {
        lines[1] = rehashed(&lines[1].replace("plugin-", "forged-"));
    });
    let found_here = found(&host, &[]);
    assert_eq!(
        found_here,
        ("rehashed".into(), "audit.log.000001".into(), Some(2))
    );
}

#[test]
fn of_two_records_the_one_that_is_named_is_the_genuine_one() {
    for is_first in [false, true] {
        let host = Host::new();
        log::write(&host, "{}", 1, 5);
        let log = host.audit_log();
        change(&log, |lines| {
            let forged = rehashed(&lines[2].replace("plugin-", "forged-"));
            lines.insert(if is_first { 2 } else { 3 }, forged);
        });
        let said = log::verify(&host, &[]).stdout;
        let (forged, genuine) = if is_first { (3, 4) } else { (4, 3) };
        assert!(
            said.contains(&format!("audit.log:{forged}: inserted: ")),
            "{said}"
        );
        assert!(
            said.contains(&format!("names the one at audit.log:{genuine}")),
            "{said}"
        );
    }
}

#[test]
fn what_is_lost_can_be_left_behind() {
    let host = Host::new();
    log::write(&host, "{ max_backups: 0 }", 4, 4);
    std::fs::remove_file(rotated(&host, 1)).unwrap();
    change(&rotated(&host, 3), |lines| drop(lines.remove(2)));
    assert_eq!(found(&host, &[]).0, "file_missing");
    let said = log::verify(&host, &[]).stdout;
    assert!(said.contains("One more thing is wrong"), "{said}");
    assert_eq!(found(&host, &["--from", "5"]).2, Some(12));
    let said = assert_whole(&host, &["--from", "13"]);
    assert_eq!(
        (&said["first_seq"], &said["records"]),
        (&13.into(), &7.into())
    );
}
