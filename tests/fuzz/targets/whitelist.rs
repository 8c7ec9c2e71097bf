//! Whitelists: no panic; an error is safe to print; a digest stays the same
//! through its text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secure_exec_core::digest::{Algorithm, Digest};
use secure_exec_core::escape::is_unsafe;
use secure_exec_core::whitelist::{Expected, Whitelist};

fuzz_target!(|bytes: &[u8]| {
    let whitelist = match Whitelist::parse(bytes, "whitelist") {
        Ok(whitelist) => whitelist,
        Err(error) => {
            let shown = error.to_string();
            assert!(
                !shown.chars().any(|c| c != '\n' && is_unsafe(c)),
                "{shown:?}"
            );
            return;
        }
    };
    for warning in &whitelist.warnings {
        assert!(!warning.chars().any(is_unsafe), "{warning:?}");
    }
    for entry in &whitelist.entries {
        let name = entry.name.as_str();
        assert!(!name.is_empty() && !name.contains(['/', '\0', '\n']));
        assert!(
            std::ptr::eq(whitelist.find(name).unwrap(), entry),
            "one of each name"
        );
        if let Expected::Pinned(digest) = &entry.hash {
            let again = Digest::parse(&digest.to_string(), Algorithm::Sha512);
            assert!(again.is_ok_and(|again| again.matches(digest)));
        }
    }
});
