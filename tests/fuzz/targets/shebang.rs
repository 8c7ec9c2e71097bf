//! First lines of scripts: no panic; an interpreter is an absolute path that
//! stands in the line, as its argument does.

#![no_main]

use libfuzzer_sys::fuzz_target;
use secure_exec_core::escape::is_unsafe;
use secure_exec_core::shebang;

fuzz_target!(|bytes: &[u8]| {
    let line = match shebang::parse(bytes) {
        Ok(Some(line)) => line,
        Ok(None) => return assert!(!bytes.starts_with(b"#!")),
        Err(why) => return assert!(!why.chars().any(is_unsafe), "{why:?}"),
    };
    let first = bytes
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    let first = std::str::from_utf8(first).expect("what was read is text");
    assert!(first.len() <= shebang::HEAD && line.interpreter.starts_with('/'));
    assert!(first.contains(&line.interpreter) && !line.interpreter.contains(is_unsafe));
    if let Some(argument) = &line.argument {
        assert!(first.ends_with(argument) || first.trim_end().ends_with(argument));
    }
    if let Some((program, _)) = line.env_target() {
        assert!(!program.contains('/'));
    }
});
