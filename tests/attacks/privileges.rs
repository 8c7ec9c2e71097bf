//! Programs that were installed with rights which their callers lack.

use std::path::Path;

use crate::kit::privileges::take_no_orders;

#[test]
fn a_launcher_with_more_rights_than_its_caller_takes_no_orders() {
    take_no_orders(
        Path::new(env!("CARGO_BIN_EXE_secure-exec")),
        &[
            &["--dry-run", "--config", "{SECRET}", "p"],
            &["--dry-run", "--whitelist", "{SECRET}", "p"],
            &["--dry-run", "--profile", "{SECRET}", "p"],
            &["--config", "{SECRET}", "p"],
            &["--ready-fd", "1", "p"],
            &["p"],
        ],
    );
}

#[test]
fn nor_does_a_plugin_hash() {
    take_no_orders(
        Path::new(env!("CARGO_BIN_EXE_plugin-hash")),
        &[
            &["--file", "{SECRET}"],
            &["--check", "{SECRET}"],
            &["{SECRET}"],
        ],
    );
}
