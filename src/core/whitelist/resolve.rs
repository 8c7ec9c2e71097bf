//! From what is written to what is meant.

use std::collections::HashSet;

use serde_yaml::Spanned;

use super::raw::{RawEntry, RawPin, RawProfileRef, RawSettings, RawWhitelist};
use super::{Entry, Expected, Pin, ProfileRef, Settings, Whitelist};
use crate::digest::{Algorithm, Digest, MalformedDigest};
use crate::escape::Escaped;
use crate::located::{LocatedError, located, parse_yaml};
use crate::name::PluginName;

pub(super) fn whitelist(bytes: &[u8], file: &str) -> Result<Whitelist, LocatedError> {
    let raw: RawWhitelist = parse_yaml(bytes, file)?;
    let source = Source {
        text: std::str::from_utf8(bytes).unwrap_or_default(),
        file,
    };
    if !matches!(raw.version.value.0.as_str(), "1" | "1.0") {
        let shown = Escaped(&raw.version.value.0);
        return Err(source.at(
            &raw.version,
            format!("version '{shown}' is not supported; this is 1.0"),
        ));
    }
    let settings = settings(raw.settings, &source)?;
    let mut warnings = Vec::new();
    let plugins = raw.plugins.unwrap_or_default();
    let mut entries = Vec::with_capacity(plugins.len());
    for plugin in plugins {
        entries.push(entry(plugin, &settings, &source, &mut warnings)?);
    }
    unique(&entries, &source)?;
    Ok(Whitelist {
        settings,
        entries,
        warnings,
    })
}

struct Source<'a> {
    text: &'a str,
    file: &'a str,
}

impl Source<'_> {
    fn at<T>(&self, value: &Spanned<T>, message: String) -> LocatedError {
        let (line, column) = place(value);
        located(self.text, self.file, line, column, message)
    }
}

fn place<T>(value: &Spanned<T>) -> (u32, u32) {
    let place = value.referenced;
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    (narrow(place.line()), narrow(place.column()))
}

fn settings(raw: RawSettings, source: &Source<'_>) -> Result<Settings, LocatedError> {
    let expires_at = raw
        .expires_at
        .map(|text| {
            text.value.parse::<jiff::Timestamp>().map_err(|_| {
                let shown = Escaped(&text.value);
                source.at(
                    &text,
                    format!("'{shown}' is no time; write 2027-01-31T00:00:00Z"),
                )
            })
        })
        .transpose()?;
    let forbidden = raw.forbidden_paths.into_iter();
    let forbidden_paths = forbidden
        .map(|path| forbidden_path(&path, source))
        .collect::<Result<_, _>>()?;
    Ok(Settings {
        hash_algorithm: raw.hash_algorithm,
        enforce_signatures: raw.enforce_signatures,
        allow_dev_plugins: raw.allow_dev_plugins,
        policy: raw.policy,
        image_minimum: raw.image_minimum,
        plugin_root: raw.plugin_root,
        max_file_size: raw.max_file_size.map(|size| size.0),
        forbidden_paths,
        trusted_keys: raw.trusted_keys,
        expires_at,
        serial: raw.serial,
        allow_unconfined: raw.allow_unconfined,
    })
}

/// One way to write a path alone, so that nobody takes another one for
/// forbidden.
fn forbidden_path(path: &Spanned<String>, source: &Source<'_>) -> Result<String, LocatedError> {
    let text = path.value.as_str();
    let below = text.strip_prefix('/');
    let below = below.map(|below| below.strip_suffix('/').unwrap_or(below));
    let is_clean = |below: &str| {
        let mut parts = below.split('/');
        !below.contains('\0') && parts.all(|part| !["", ".", ".."].contains(&part))
    };
    match below {
        Some("") if text == "/" => Ok("/".into()),
        Some(below) if is_clean(below) => Ok(format!("/{below}")),
        _ => {
            let shown = Escaped(text);
            let why = format!(
                "the forbidden path '{shown}' must be absolute and without '..', '.' and '//', such as /srv/incoming"
            );
            Err(source.at(path, why))
        }
    }
}

fn entry(
    raw: RawEntry,
    settings: &Settings,
    source: &Source<'_>,
    warnings: &mut Vec<String>,
) -> Result<Entry, LocatedError> {
    let name =
        PluginName::new(&raw.name.value).map_err(|why| source.at(&raw.name, why.to_string()))?;
    if raw.path.is_empty() || raw.path.contains('\0') {
        let why = format!("the path of plugin '{name}' is empty or contains NUL");
        return Err(source.at(&raw.name, why));
    }
    if raw.args.iter().any(|word| word.contains('\0')) {
        let why = format!("an argument of plugin '{name}' contains NUL, which none can");
        return Err(source.at(&raw.name, why));
    }
    if let Some(word) = &raw.argv0
        && (word.value.is_empty() || word.value.contains('\0'))
    {
        let why = format!("'argv0' of plugin '{name}' is empty or contains NUL");
        return Err(source.at(word, why));
    }
    let hash = match &raw.hash {
        None if raw.algorithm.is_some() => {
            let why = format!(
                "plugin '{name}' has an 'algorithm' and no 'hash' that it could be of; add the hash, or take it out"
            );
            return Err(source.at(&raw.name, why));
        }
        None => Expected::Missing,
        Some(text) => match expected(&text.value, raw.algorithm, settings.hash_algorithm) {
            Ok(digest) => Expected::Pinned(digest),
            Err(malformed) => {
                let (line, column) = place(text);
                let file = Escaped(source.file);
                warnings.push(format!(
                    "{file}:{line}:{column}: plugin '{name}': {malformed}"
                ));
                Expected::Malformed(malformed)
            }
        },
    };
    let dev = raw
        .metadata
        .get("dev")
        .is_some_and(|value| value.0 == "true");
    let (line, column) = place(&raw.name);
    let interpreter = raw
        .interpreter
        .map(|found| pin(found, settings, source))
        .transpose()?;
    let hashed = |found: RawPin, why: &str| match &found.hash {
        None => Err(source.at(&found.path, why.into())),
        Some(_) => pin(found, settings, source),
    };
    let libraries = raw
        .libraries
        .into_iter()
        .map(|found| hashed(found, "a library needs a hash"))
        .collect::<Result<_, _>>()?;
    let script = raw
        .script
        .map(|found| hashed(found, "a script needs a hash"))
        .transpose()?;
    let lock = raw
        .lock
        .map(|text| lock(&text, settings, source))
        .transpose()?;
    Ok(Entry {
        name,
        path: raw.path,
        hash,
        enabled: raw.enabled,
        dev,
        metadata: raw
            .metadata
            .into_iter()
            .map(|(key, value)| (key, value.0))
            .collect(),
        profile: raw.profile.map(|profile| match profile {
            RawProfileRef::Named(name) => ProfileRef::Named(name),
            RawProfileRef::Inline(inline) => ProfileRef::Inline(inline),
        }),
        args: raw.args,
        argv0: raw.argv0.map(|word| word.value),
        signature: raw.signature,
        interpreter,
        libraries,
        lock,
        script,
        image: raw.image,
        max_file_size: raw.max_file_size.map(|size| size.0),
        line,
        column,
    })
}

/// `algorithm` and the prefix of `hash` say the same thing; two answers are
/// none.
fn expected(
    text: &str,
    algorithm: Option<Algorithm>,
    default: Algorithm,
) -> Result<Digest, MalformedDigest> {
    let digest = Digest::parse(text, algorithm.unwrap_or(default))?;
    match algorithm {
        Some(named) if named != digest.algorithm() => {
            let why = format!(
                "the hash is of {}, 'algorithm' says {named}",
                digest.algorithm()
            );
            Err(MalformedDigest::new(text, why))
        }
        _ => Ok(digest),
    }
}

fn pin(raw: RawPin, settings: &Settings, source: &Source<'_>) -> Result<Pin, LocatedError> {
    if !raw.path.value.starts_with('/') || raw.path.value.contains('\0') {
        return Err(source.at(&raw.path, "this path must be absolute".into()));
    }
    let hash = raw
        .hash
        .map(|text| {
            Digest::parse(&text.value, settings.hash_algorithm)
                .map_err(|malformed| source.at(&text, malformed.to_string()))
        })
        .transpose()?;
    Ok(Pin {
        path: raw.path.value,
        hash,
    })
}

/// The digest of a lock file, which is read and hashed, not measured by the
/// kernel.
fn lock(
    text: &Spanned<String>,
    settings: &Settings,
    source: &Source<'_>,
) -> Result<Digest, LocatedError> {
    let default = match settings.hash_algorithm {
        Algorithm::FsVeritySha256 => Algorithm::Sha256,
        other => other,
    };
    match Digest::parse(&text.value, default) {
        Ok(digest) if digest.algorithm() == Algorithm::FsVeritySha256 => {
            Err(source.at(text, "fs-verity digests are for plugins alone".into()))
        }
        Ok(digest) => Ok(digest),
        Err(malformed) => Err(source.at(text, malformed.to_string())),
    }
}

fn unique(entries: &[Entry], source: &Source<'_>) -> Result<(), LocatedError> {
    let mut seen = HashSet::with_capacity(entries.len());
    match entries
        .iter()
        .find(|entry| !seen.insert(entry.name.as_str()))
    {
        None => Ok(()),
        Some(second) => {
            let why = format!("a second plugin has the name '{}'", second.name);
            Err(located(
                source.text,
                source.file,
                second.line,
                second.column,
                why,
            ))
        }
    }
}
