//! An entry that is about to be written.

use std::path::Path;

use secure_exec::failure::Failure;
use secure_exec::hash_command;
use secure_exec_core::digest::{Algorithm, Digest};
use secure_exec_core::escape::Escaped;
use secure_exec_core::whitelist::{Entry, Expected, Pin, ProfileRef};
use secure_exec_sys::{open, verity};
use std::os::fd::AsFd as _;

use crate::yaml::write::Value;

/// An entry's keys with their values, in the order in which they are written.
/// Keys at their defaults are left out.
pub(crate) fn fields(entry: &Entry) -> Vec<(String, Value)> {
    let text = |text: &str| Value::Text(text.to_string());
    let mut fields = vec![
        ("name".to_string(), text(entry.name.as_str())),
        ("path".into(), text(&entry.path)),
    ];
    if let Expected::Pinned(digest) = &entry.hash {
        fields.push(("hash".into(), text(&digest.to_string())));
    }
    if !entry.enabled {
        fields.push(("enabled".into(), Value::Flag(false)));
    }
    if let Some(ProfileRef::Named(name)) = &entry.profile {
        fields.push(("profile".into(), text(name)));
    }
    if !entry.args.is_empty() {
        let args = entry.args.iter().map(|word| text(word)).collect();
        fields.push(("args".into(), Value::List(args)));
    }
    if let Some(name) = &entry.argv0 {
        fields.push(("argv0".into(), text(name)));
    }
    if let Some(interpreter) = &entry.interpreter {
        fields.push(("interpreter".into(), pin(interpreter)));
    }
    if let Some(script) = &entry.script {
        fields.push(("script".into(), pin(script)));
    }
    if !entry.libraries.is_empty() {
        let libraries = entry.libraries.iter().map(pin).collect();
        fields.push(("libraries".into(), Value::List(libraries)));
    }
    if !entry.metadata.is_empty() {
        let pairs = entry.metadata.iter();
        let pairs = pairs.map(|(key, value)| (key.clone(), text(value)));
        fields.push(("metadata".into(), Value::Map(pairs.collect())));
    }
    fields
}

/// A pin, as it is written.
pub(crate) fn pin(pin: &Pin) -> Value {
    let text = |text: &str| Value::Text(text.to_string());
    let mut pairs = vec![("path".to_string(), text(&pin.path))];
    if let Some(hash) = &pin.hash {
        pairs.push(("hash".into(), text(&hash.to_string())));
    }
    Value::Map(pairs)
}

/// The digest of a file, by the kernel where the algorithm is its own.
pub(crate) fn digest(path: &Path, algorithm: Algorithm) -> Result<Digest, Failure> {
    if algorithm != Algorithm::FsVeritySha256 {
        return hash_command::digest(path, algorithm).map_err(Failure::own);
    }
    let file = open::open_file(path).map_err(Failure::own)?;
    let measured = verity::measure(file.as_fd()).map_err(Failure::own)?;
    measured
        .and_then(|bytes| Digest::from_bytes(algorithm, &bytes))
        .ok_or_else(|| {
            Failure::own(format!(
                "'{}' has no fs-verity digest\nEnable fs-verity on it first, or use another --algorithm.",
                Escaped(&path.to_string_lossy())
            ))
        })
}

/// Interpreters and libraries are read here, not measured by the kernel.
pub(crate) fn for_pins(algorithm: Algorithm) -> Algorithm {
    match algorithm {
        Algorithm::FsVeritySha256 => Algorithm::Sha256,
        other => other,
    }
}

/// A path as a whitelist can have it.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    path.to_str().map(String::from).ok_or_else(|| {
        let shown = path.to_string_lossy();
        Failure::own(format!(
            "'{}' is not UTF-8, and a whitelist is",
            Escaped(&shown)
        ))
    })
}
