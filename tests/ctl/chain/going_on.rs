//! A log that is written and rotated while it is verified.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::log::{Writer, assert_whole, verify};
use crate::kit::Host;

/// Times that the log is looked at.
const LOOKS: usize = 60;

#[test]
fn a_writer_that_goes_on_is_never_taken_for_a_forger() {
    for options in [
        "{ max_backups: 2, SIGN }",
        "{ max_backups: 3, compress: true, SIGN }",
        "{ max_backups: 50, log_format: logfmt, SIGN }",
    ] {
        let host = Host::new();
        let key = host.path("log.key");
        crate::ctl(&host, ["audit", "keygen", "--out", key.to_str().unwrap()]).succeeded();
        let sign = format!("sign: {{ key: {}, interval: 0 }}", key.display());
        let options = options.replace("SIGN", &sign);
        let log = host.audit_log();
        Writer::of(&log, &options).write("first");
        let is_over = AtomicBool::new(false);
        let rotations = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (log, options, is_over, rotations) = (&log, &options, &is_over, &rotations);
                scope.spawn(move || {
                    let writer = (writer, Writer::of(log, options));
                    for round in 0.. {
                        if is_over.load(Ordering::Relaxed) {
                            return;
                        }
                        // Long ones take several pages.
                        let length = if round % 3 == 0 { 20_000 } else { 20 };
                        writer.1.write(&"p".repeat(length));
                        if writer.0 == 0 && round % 5 == 0 {
                            writer.1.rotate();
                            rotations.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            let public = format!("{}.pub", key.display());
            let looks = std::panic::catch_unwind(|| {
                for _ in 0..LOOKS {
                    let before = rotations.load(Ordering::Relaxed);
                    verify(&host, &["--key", &public]).succeeded();
                    // It must have gone on, or the test is none.
                    while rotations.load(Ordering::Relaxed) == before {
                        std::thread::yield_now();
                    }
                }
            });
            is_over.store(true, Ordering::Relaxed);
            looks.unwrap();
        });
        assert_whole(&host, &[]);
    }
}

#[test]
fn a_renamed_file_that_launches_still_write_to_is_whole() {
    let host = Host::new();
    let log = host.audit_log();
    let held = Writer::of(&log, "{}");
    held.write("first");
    held.hold();
    std::fs::rename(&log, host.path("state/audit.log.1")).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let writer = Writer::of(&log, "{}");
            while !is_over.load(Ordering::Relaxed) {
                writer.write(&"p".repeat(200_000));
            }
        });
        let looks = std::panic::catch_unwind(|| {
            for _ in 0..3 {
                verify(&host, &[]).succeeded();
            }
        });
        is_over.store(true, Ordering::Relaxed);
        looks.unwrap();
    });
    // It went on under that name.
    assert!(!log.exists());
    assert!(assert_whole(&host, &[])["records"].as_u64() > Some(3));
}
