//! Files of a log changed at random: whatever is done to them is found, and by
//! its place.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;

use super::log;
use crate::kit::Host;

#[derive(Clone, Debug)]
enum Mutation {
    /// A bit of a byte.
    Flip(Index, u8),
    /// Bytes from there to the end.
    Truncate(Index),
    /// Bytes in the middle.
    Take(Index, Index),
    /// Bytes once more, elsewhere.
    Copy(Index, Index, Index),
    Delete,
    /// Over another file.
    Over(Index),
    /// Exchanged with another file.
    Exchange(Index),
}

fn mutations() -> impl Strategy<Value = Mutation> {
    let index = any::<Index>;
    prop_oneof![
        4 => (index(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        2 => index().prop_map(Mutation::Truncate),
        2 => (index(), index()).prop_map(|(from, to)| Mutation::Take(from, to)),
        2 => (index(), index(), index()).prop_map(|(from, to, at)| Mutation::Copy(from, to, at)),
        1 => Just(Mutation::Delete),
        1 => index().prop_map(Mutation::Over),
        1 => index().prop_map(Mutation::Exchange),
    ]
}

/// Does it to the file at `at`; returns whether that changed anything.
fn apply(mutation: &Mutation, files: &[PathBuf], at: usize) -> bool {
    let before: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    let mut bytes = before[at].clone();
    let range = |from: &Index, to: &Index| {
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()) + 1);
        from.min(to)..to.max(from)
    };
    match mutation {
        Mutation::Flip(place, bit) => {
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
        }
        Mutation::Truncate(place) => bytes.truncate(place.index(bytes.len())),
        Mutation::Take(from, to) => drop(bytes.drain(range(from, to))),
        Mutation::Copy(from, to, place) => {
            let copy = bytes[range(from, to)].to_vec();
            let place = place.index(bytes.len());
            bytes.splice(place..place, copy);
        }
        Mutation::Delete => {
            fs::remove_file(&files[at]).unwrap();
            return true;
        }
        Mutation::Over(other) => bytes = before[other.index(files.len())].clone(),
        Mutation::Exchange(other) => {
            let other = other.index(files.len());
            fs::write(&files[other], &before[at]).unwrap();
            bytes = before[other].clone();
        }
    }
    fs::write(&files[at], &bytes).unwrap();
    bytes != before[at]
}

#[test]
fn a_file_that_was_changed() {
    let host = Host::new();
    let mut runner = TestRunner::new(ProptestConfig::with_cases(100));
    let cases = (any::<Index>(), mutations());
    let outcome = runner.run(&cases, |(at, mutation)| {
        log::write(&host, "{ max_backups: 3 }", 5, 3);
        let entries = fs::read_dir(host.path("state")).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.to_str().unwrap().contains("/audit.log"));
        files.sort();
        // The active file sorts first.
        files.rotate_left(1);
        prop_assert_eq!(files.len(), 4);
        let is_changed = apply(&mutation, &files, at.index(files.len()));
        let said = log::verify(&host, &[]);
        // The writers' state shows what is cut off the end.
        let status = i32::from(is_changed);
        prop_assert_eq!(said.status, status, "{:?} {:#?}", mutation, said);
        Ok(())
    });
    outcome.unwrap();
}
