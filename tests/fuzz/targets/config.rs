//! Configuration files: no panic, and an error that is safe to print.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secure_exec_core::config::Config;
use secure_exec_core::escape::is_unsafe;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Config::parse(bytes, "config") {
        let shown = error.to_string();
        assert!(
            !shown.chars().any(|c| c != '\n' && is_unsafe(c)),
            "{shown:?}"
        );
    }
});
