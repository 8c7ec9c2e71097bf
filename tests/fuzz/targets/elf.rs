//! ELF headers: no panic; few and small parts are asked for; reading all at
//! once and in parts says the same.

#![no_main]

use std::cell::Cell;

use libfuzzer_sys::fuzz_target;
use secure_exec_core::elf;

fuzz_target!(|bytes: &[u8]| {
    let asked = Cell::new(0_usize);
    let part = |offset: u64, length: usize| {
        assert!(length <= 4096, "{length}");
        asked.set(asked.get() + 1);
        let start = usize::try_from(offset).ok()?;
        Some(bytes.get(start..start.checked_add(length)?)?.to_vec())
    };
    let inspected = elf::inspect_parts(&part);
    assert!(asked.get() <= 80, "{}", asked.get());
    assert_eq!(inspected, elf::inspect(bytes));
    if let Ok(program) = inspected {
        assert!(elf::is_elf(bytes));
        let loader = program.interpreter.unwrap_or("/".into());
        assert!(loader.starts_with('/') && !loader.contains('\0'));
    }
    let _ = elf::uses_origin(bytes);
});
