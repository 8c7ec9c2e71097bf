//! Properties of what reads outside text: whatever the bytes, no panic, and
//! nothing unsafe in what is said of them.

#![allow(
    clippy::cast_possible_truncation,
    reason = "random numbers are cut to what is needed"
)]

use proptest::prelude::*;

use crate::digest::{Algorithm, Digest};
use crate::escape::{Escaped, Whole, is_unsafe, json};
use crate::profile::{self, RawProfile, builtin};
use crate::size::parse_size;
use crate::whitelist::{self, Whitelist};
use crate::{config, elf, invocation, shebang};

const WHITELIST: &[u8] = include_bytes!("../../tests/fuzz/seeds/whitelist/all.yaml");
const LOCK: &[u8] = b"secure-exec-lock 1\n\
    sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /a\n\
    blake3:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  /b  c\n";
const PROFILE: &[u8] = include_bytes!("../../tests/fuzz/seeds/profile/all.yaml");
const CONFIG: &[u8] = include_bytes!("../../tests/fuzz/seeds/config/all.yaml");
const PROGRAM: &[u8] = include_bytes!("../../tests/fuzz/seeds/elf/dynamic");

/// Valid bytes with a few changes: overwritten, inserted, removed, repeated.
fn mutated(valid: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<u16>(), 0..5_u8, any::<u8>(), 0..40_usize);
    prop::collection::vec(change, 0..8).prop_map(move |changes| {
        changes
            .into_iter()
            .fold(valid.to_vec(), |mut bytes, (at, kind, byte, count)| {
                let at = usize::from(at) % bytes.len().max(1);
                let end = bytes.len().min(at + count);
                let telling = b"{}[]:-\n\t\"'&*!|>%@`#,?\0\x1b\xff0 "[usize::from(byte) % 26];
                match kind {
                    0 => bytes[at..end].fill(byte),
                    1 => bytes.insert(at, telling),
                    2 => drop(bytes.drain(at..end)),
                    3 => {
                        let part = bytes[at..end].to_vec();
                        bytes.splice(at..at, part);
                    }
                    _ => bytes.truncate(at.max(1)),
                }
                if bytes.is_empty() { vec![b'x'] } else { bytes }
            })
    })
}

fn any_or(valid: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 0..300),
        1 => "\\PC*|[\\x00-\\x7f]*".prop_map(String::into_bytes),
        4 => mutated(valid),
    ]
}

/// A text may be shown: with line feeds where it says so itself.
fn is_shown(text: &str) -> bool {
    !text.chars().any(|c| c != '\n' && is_unsafe(c))
}

fn lookup(name: &str) -> Option<Result<RawProfile, crate::located::LocatedError>> {
    builtin::source(name).map(|text| RawProfile::parse(text.as_bytes(), name))
}

#[test]
fn the_seeds_are_valid() {
    assert_eq!(Whitelist::parse(WHITELIST, "w").unwrap().entries.len(), 1);
    let raw = RawProfile::parse(PROFILE, "p").unwrap();
    assert!(profile::resolve(&raw, "worker", &lookup).is_ok());
    assert!(config::Config::parse(CONFIG, "c").is_ok());
    assert!(elf::inspect(PROGRAM).unwrap().interpreter.is_some());
}

proptest! {
    #[test]
    fn whitelists(bytes in any_or(WHITELIST)) {
        match Whitelist::parse(&bytes, "w") {
            Ok(whitelist) => prop_assert!(whitelist.warnings.iter().all(|w| !w.contains(is_unsafe))),
            Err(error) => prop_assert!(is_shown(&error.to_string()), "{error:?}"),
        }
    }

    #[test]
    fn lock_files(bytes in any_or(LOCK)) {
        match whitelist::parse_lock(&bytes, "l") {
            // There is one way to write a list of pins.
            Ok(pins) => prop_assert_eq!(whitelist::write_lock(&pins).unwrap().into_bytes(), bytes),
            Err(error) => prop_assert!(is_shown(&error.to_string()), "{error:?}"),
        }
    }

    #[test]
    fn words(name in "node|python3|sh|perl|gawk|php|make|ruby|tool", words in prop::collection::vec("(-W|-C|-d|--define|auto_prepend_file=)?[-+=/:,@a-fü.\"]{0,12}", 0..6)) {
        let reading = invocation::read(&[&name], &words);
        for named in &reading.named {
            let word = words.get(named.word).and_then(|word| word.get(named.start..));
            prop_assert!(word.is_some_and(|word| word.starts_with(named.text)), "{named:?}");
        }
    }

    #[test]
    fn profiles(bytes in any_or(PROFILE)) {
        match RawProfile::parse(&bytes, "p") {
            Err(error) => prop_assert!(is_shown(&error.to_string()), "{error:?}"),
            Ok(raw) => if let Err(error) = profile::resolve(&raw, "p", &lookup) {
                prop_assert!(is_shown(&error.to_string()), "{error:?}");
            },
        }
    }

    #[test]
    fn configurations(bytes in any_or(CONFIG)) {
        if let Err(error) = config::Config::parse(&bytes, "c") {
            prop_assert!(is_shown(&error.to_string()), "{error:?}");
        }
    }

    #[test]
    fn programs(bytes in any_or(PROGRAM)) {
        let _ = elf::uses_origin(&bytes);
        if let Ok(program) = elf::inspect(&bytes) {
            let loader = program.interpreter.unwrap_or("/".into());
            prop_assert!(loader.starts_with('/') && !loader.contains(is_unsafe));
        }
    }

    #[test]
    fn first_lines(bytes in any_or(b"#! /usr/bin/env \tpython3 \nprint()\n")) {
        match shebang::parse(&bytes) {
            Ok(None) => prop_assert!(!bytes.starts_with(b"#!")),
            Ok(Some(line)) => prop_assert!(line.interpreter.starts_with('/')),
            Err(why) => prop_assert!(!why.contains(is_unsafe), "{why:?}"),
        }
    }

    #[test]
    fn digests_stay_the_same_through_their_text(
        which in 0..Algorithm::ALL.len(), other in 0..Algorithm::ALL.len(), bytes in any::<[u8; 64]>()
    ) {
        let (algorithm, other) = (Algorithm::ALL[which], Algorithm::ALL[other]);
        let digest = Digest::from_bytes(algorithm, &bytes[..algorithm.size()]).unwrap();
        prop_assert_eq!(Digest::parse(&digest.to_string(), other), Ok(digest.clone()));
        prop_assert_eq!(Digest::parse(&digest.hex(), algorithm), Ok(digest.clone()));
        prop_assert_eq!(Digest::parse(&digest.hex().to_uppercase(), algorithm), Ok(digest.clone()));
        let longer = format!("{digest}0");
        prop_assert!(Digest::parse(&longer, other).is_err());
        prop_assert!(Digest::parse(&longer[..longer.len() - 2], other).is_err());
    }

    #[test]
    fn no_other_text_is_a_digest(text in "\\PC{0,80}|[0-9a-g:]{60,70}") {
        if let Ok(digest) = Digest::parse(&text, Algorithm::Sha256) {
            let lower = text.to_lowercase();
            prop_assert!(lower == digest.hex() || lower == digest.to_string());
        }
    }

    #[test]
    fn sizes_are_a_number_times_a_unit(number in any::<u64>(), unit in 0..10_usize, space in " ?") {
        let (name, factor) = [
            ("", 1), ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30),
            ("TiB", 1 << 40), ("KB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000),
            ("TB", 1_000_000_000_000_u128),
        ][unit];
        let expected = u64::try_from(u128::from(number) * factor).ok();
        prop_assert_eq!(parse_size(&format!("{number}{space}{name}")), expected);
        let small = number >> 44;
        prop_assert_eq!(
            parse_size(&format!("{small}{name}")).map(u128::from),
            u64::try_from(u128::from(small) * factor).ok().map(u128::from)
        );
    }

    #[test]
    fn no_other_text_is_a_size(text in "\\PC{0,12}|[0-9.eE+-]{1,24}[KMGTiB]{0,3}") {
        if parse_size(&text).is_some() {
            prop_assert!(text.starts_with(|c: char| c.is_ascii_digit()), "{text:?}");
            prop_assert!(!text.contains(['.', '-', '+', 'e', 'E']), "{text:?}");
        }
    }

    #[test]
    fn escaped_text_is_safe(characters in prop::collection::vec(any::<char>(), 0..600)) {
        let text: String = characters.into_iter().collect();
        let (cut, whole) = (Escaped(&text).to_string(), Whole(&text).to_string());
        prop_assert!(!cut.contains(is_unsafe) && !whole.contains(is_unsafe));
        prop_assert!(cut.chars().count() <= Escaped::LIMIT * 8 + 40);
        if !text.contains(is_unsafe) {
            prop_assert_eq!(&whole, &text);
        }
        let value = serde_json::json!({ "name": text });
        for serialised in [value.to_string(), format!("{value:#}")] {
            let line = json(&serialised);
            prop_assert!(is_shown(&line), "{line:?}");
            prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(&line).unwrap(), &value);
        }
    }
}
