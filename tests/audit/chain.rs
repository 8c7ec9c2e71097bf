//! A log read as its readers do: all its files in order, and whether they make
//! one chain.

use std::path::{Path, PathBuf};

use secure_exec_core::audit::chain::{Ends, Link};
use secure_exec_core::audit::files::Rotated;
use secure_exec_core::audit::line;
use serde_json::{Map, Value};

/// The log's files, oldest first, the one that is written last.
pub(super) fn files(log: &Path) -> Vec<PathBuf> {
    let name = log.file_name().unwrap().to_str().unwrap();
    let folder = std::fs::read_dir(log.parent().unwrap()).unwrap();
    let mut rotated: Vec<Rotated> = folder
        .filter_map(|file| Rotated::of(name, file.unwrap().file_name().to_str()?))
        .collect();
    rotated.sort();
    let mut files: Vec<PathBuf> = rotated
        .iter()
        .map(|file| log.with_file_name(&file.name))
        .collect();
    files.push(log.to_path_buf());
    files
}

/// Their names.
pub(super) fn names(log: &Path) -> Vec<String> {
    let files = files(log);
    let names = files.iter().map(|file| file.file_name().unwrap());
    names
        .map(|name| name.to_str().unwrap().to_string())
        .collect()
}

pub(super) fn content(file: &Path) -> Vec<u8> {
    let bytes = std::fs::read(file).unwrap();
    if file.extension().is_none_or(|extension| extension != "gz") {
        return bytes;
    }
    let unpacked = std::process::Command::new("gzip")
        .args(["--decompress", "--stdout"])
        .arg(file)
        .output()
        .unwrap();
    assert!(unpacked.status.success(), "{unpacked:?}");
    unpacked.stdout
}

/// All records of a log, which must be whole and make one chain from `start`.
#[track_caller]
pub(super) fn records_after(log: &Path, start: Link) -> Vec<Map<String, Value>> {
    let mut last = start;
    let mut records = Vec::new();
    for file in files(log) {
        let bytes = content(&file);
        for (number, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let place = format!("{}:{}", file.display(), number + 1);
            assert_eq!(text.last(), Some(&b'\n'), "{place}: cut off");
            let ends = Ends::of(text)
                .unwrap_or_else(|| panic!("{place}: no record: {}", String::from_utf8_lossy(text)));
            assert!(ends.is_genuine(text), "{place}: another hash");
            assert_eq!(ends.seq, last.seq + 1, "{place}: number");
            assert_eq!(ends.prev, last.hash, "{place}: link");
            last = ends.link();
            records.push(line::fields(text).unwrap());
        }
    }
    records
}

/// As [`records_after`], from the first record there was.
#[track_caller]
pub(super) fn records(log: &Path) -> Vec<Map<String, Value>> {
    records_after(log, Link::START)
}

/// The records of an event.
pub(super) fn of_event<'a>(
    records: &'a [Map<String, Value>],
    event: &str,
) -> Vec<&'a Map<String, Value>> {
    records
        .iter()
        .filter(|record| record["event_type"] == event)
        .collect()
}
