//! Profiles: no panic; an error is safe to print; what resolves ends in
//! `default` and has only rooted paths.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secure_exec_core::escape::is_unsafe;
use secure_exec_core::profile::{RawProfile, builtin, has_dotdot, resolve};

fuzz_target!(|bytes: &[u8]| {
    let raw = match RawProfile::parse(bytes, "profile") {
        Ok(raw) => raw,
        Err(error) => return is_safe(&error.to_string()),
    };
    let lookup = |name: &str| {
        let source = builtin::source(name)?;
        Some(RawProfile::parse(source.as_bytes(), name))
    };
    let profile = match resolve(&raw, "fuzzed", &lookup) {
        Ok(profile) => profile,
        Err(error) => return is_safe(&error.to_string()),
    };
    assert_eq!(profile.chain.first().map(String::as_str), Some("default"));
    let files = &profile.filesystem;
    for grant in files
        .code
        .iter()
        .chain(&files.read)
        .chain(&files.write)
        .chain(&files.execute)
    {
        assert!(grant.path.starts_with(['/', '$', '{']) && !has_dotdot(&grant.path));
        assert!(!grant.path.contains('\0'));
    }
});

fn is_safe(shown: &str) {
    assert!(
        !shown.chars().any(|c| c != '\n' && is_unsafe(c)),
        "{shown:?}"
    );
}
