//! The script of an interpreter that is the plugin and is given it by hand
//! (`script` in the entry): opened once, verified, and read by the interpreter
//! from the bytes that were verified.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use secure_exec_core::digest::{Digest, Hasher};
use secure_exec_core::escape::Escaped;
use secure_exec_core::invocation::{self, Named};
use secure_exec_core::plan::{SandboxPlan, Step};
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{ImageChoice, Pin, Strength};
use secure_exec_sys::memfd::Use;
use secure_exec_sys::open::{self, Kind, Stat};
use secure_exec_sys::process;

use crate::examined::Examined;
use crate::failure::Failure;
use crate::image::{Candidate, Fixing, Image};
use crate::listed::Listed;
use crate::opened;
use crate::passed;
use crate::sight::Sight;

/// A script whose bytes are fixed and hashed.
#[derive(Debug)]
pub struct Script {
    /// Its path, as the entry has it.
    pub path: String,
    /// Where it really is.
    pub(crate) real: PathBuf,
    /// Its bytes.
    pub image: Image,
    /// Their digest.
    pub digest: Digest,
    /// Device and inode of its file.
    pub(crate) identity: (u64, u64),
}

/// Opens the script of an entry and compares it with its pin: with the care
/// that a plugin is opened with. What is wrong with it is added to the
/// violations of `listed`.
pub(crate) fn examine(
    listed: &mut Listed,
    limit: u64,
    for_others: bool,
    sight: &Sight,
) -> Option<Script> {
    let entry = listed.entry.as_ref()?;
    let pin = entry.script.clone()?;
    listed.trail.program(&pin.path);
    match open(&pin, listed, limit, for_others, sight) {
        Ok((script, violations)) => {
            listed.violations.extend(violations);
            Some(script)
        }
        Err(violation) => {
            listed.violations.push(violation);
            None
        }
    }
}

fn open(
    pin: &Pin,
    listed: &Listed,
    limit: u64,
    for_others: bool,
    sight: &Sight,
) -> Result<(Script, Vec<Violation>), Violation> {
    let shown = Escaped(&pin.path);
    let mismatch = |why: String| Violation::LibraryMismatch(format!("the script '{shown}': {why}"));
    let failed = |error: secure_exec_sys::Error| mismatch(error.to_string());
    let expected = pin
        .hash
        .as_ref()
        .ok_or_else(|| mismatch("no hash".into()))?;
    let hasher = Hasher::new(expected.algorithm())
        .ok_or_else(|| mismatch("fs-verity digests are for plugins alone".into()))?;
    let place = Path::new(&pin.path);
    let opened = open::settled(|| {
        let file = open::open_no_magic(place)?;
        let path = open::real_path(file.as_fd())?;
        Ok((file, path))
    });
    let (file, real) = opened.map_err(failed)?;
    let stat = open::stat(file.as_fd()).map_err(failed)?;
    if stat.kind != Kind::Regular {
        let why = format!("the script '{shown}' is {}", stat.kind);
        return Err(Violation::NotARegularFile(why));
    }
    let mut violations = Vec::new();
    violations.extend(opened::forbidden(listed, place, &stat, &real).map_err(failed)?);
    if stat.mode & 0o002 != 0 {
        violations.push(Violation::InsecurePermissions(format!(
            "everyone can write the script '{shown}' (mode {:04o})",
            stat.mode
        )));
    }
    if stat.size > limit {
        let found = format!("the script '{shown}' is larger");
        return Err(Violation::FileSizeExceeded { limit, found });
    }
    let candidate = Candidate {
        path: place,
        stat: &stat,
        purpose: Use::Read,
        for_others,
        choice: ImageChoice::Auto,
        minimum: listed.whitelist.image_minimum,
        limit,
        sight,
    };
    let image = match Image::fix(file, &candidate).map_err(failed)? {
        Fixing::Fixed(image) => image,
        Fixing::TooLarge => {
            let found = format!("the script '{shown}' is larger");
            return Err(Violation::FileSizeExceeded { limit, found });
        }
        Fixing::Unavailable(why) => {
            let why = format!("the script's bytes can't be fixed: {why}");
            return Err(Violation::ImageUnavailable(why));
        }
    };
    violations.extend(too_weak(&image, listed.whitelist.image_minimum));
    let digest = digest(&image, hasher).map_err(mismatch)?;
    if !digest.matches(expected) {
        violations.push(mismatch(format!("expected {expected}, actual {digest}")));
    }
    let script = Script {
        path: pin.path.clone(),
        real,
        image,
        digest,
        identity: identity(&stat),
    };
    Ok((script, violations))
}

fn digest(image: &Image, mut hasher: Hasher) -> Result<Digest, String> {
    let bytes = image.content().map_err(|error| error.to_string())?;
    hasher.update(&bytes.ok_or("it is too large")?);
    Ok(hasher.finish())
}

fn too_weak(image: &Image, minimum: Option<Strength>) -> Option<Violation> {
    let minimum = minimum.filter(|minimum| image.strength() < *minimum)?;
    Some(Violation::ImageUnavailable(format!(
        "the script's image is {}, the whitelist demands {}",
        image.strength().name(),
        minimum.name()
    )))
}

pub(crate) const fn identity(stat: &Stat) -> (u64, u64) {
    (stat.dev, stat.ino)
}

/// What the interpreter gets in place of the script's name.
struct HandedOver {
    word: String,
    /// The descriptor that the word names, which lives through exec.
    file: Option<OwnedFd>,
}

/// Decides what the interpreter reads the verified bytes from. Here, and
/// nowhere else.
fn hand_over(script: &Script, absent: &[u32]) -> Result<HandedOver, Failure> {
    if let Some(word) = script.image.place().and_then(Path::to_str) {
        let word = word.to_string();
        return Ok(HandedOver { word, file: None });
    }
    let file = passed::duplicate(script.image.file(), absent).map_err(Failure::own)?;
    Ok(HandedOver {
        word: format!("/proc/self/fd/{}", process::number(&file)),
        file: Some(file),
    })
}

/// The plugin's arguments.
pub(crate) struct Arguments {
    /// The entry's and the caller's, with the script's name replaced.
    pub(crate) words: Vec<Vec<u8>>,
    /// A descriptor that one of them names.
    pub(crate) file: Option<OwnedFd>,
}

/// Puts the arguments together. Each part of the entry's that names the script
/// is replaced; where none does, the caller's first argument must name it: what
/// the caller could put before it might lead the interpreter to other code.
///
/// # Errors
/// No argument names the script.
pub(crate) fn arguments(examined: &Examined, called: &[OsString]) -> Result<Arguments, Failure> {
    let entry = examined.listed.entry.as_ref();
    let args = entry.map(|entry| entry.args.as_slice()).unwrap_or_default();
    let mut words: Vec<Vec<u8>> = args.iter().map(|word| word.clone().into_bytes()).collect();
    let mut called: Vec<Vec<u8>> = called.iter().map(|word| word.as_bytes().to_vec()).collect();
    let Some(script) = &examined.script else {
        words.append(&mut called);
        return Ok(Arguments { words, file: None });
    };
    let folder = working_directory(&examined.plan);
    let handed = hand_over(script, &examined.streams.absent)?;
    let reading = invocation::read(&names(examined), args);
    let mut is_named = false;
    for (number, (word, args)) in words.iter_mut().zip(args).enumerate() {
        let parts = reading.named.iter().filter(|part| part.word == number);
        let Some(part) = parts
            .into_iter()
            .find(|part| script.is_named(part, &folder))
        else {
            continue;
        };
        if let Some(replaced) = replaced(args, part, &handed.word) {
            *word = replaced.into_bytes();
            is_named = true;
        }
    }
    if !is_named
        && let Some(first) = called.first_mut()
        && std::str::from_utf8(first).is_ok_and(|first| script.is(&folder.join(first)))
    {
        *first = handed.word.into_bytes();
        is_named = true;
    }
    if !is_named {
        let path = Escaped(&script.path);
        return Err(Failure::NotExecuted {
            plugin: examined.listed.name.clone(),
            message: format!(
                "no argument names its script '{path}'\n\
                 Write it into the entry, 'args: [{path}]', or call the plugin with it as the first argument."
            ),
        });
    }
    words.append(&mut called);
    Ok(Arguments {
        words,
        file: handed.file,
    })
}

/// The word with the script's name replaced.
fn replaced(word: &str, part: &Named<'_>, with: &str) -> Option<String> {
    let end = part.start.checked_add(part.text.len())?;
    let (before, after) = (word.get(..part.start)?, word.get(end..)?);
    Some(format!("{before}{with}{after}"))
}

impl Script {
    /// Whether a part of an argument names the script.
    pub(crate) fn is_named(&self, part: &Named<'_>, folder: &Path) -> bool {
        part.places(folder).any(|place| self.is(&place))
    }

    /// Whether a path is the script's: that in the entry, or another one that
    /// leads to its file.
    fn is(&self, path: &Path) -> bool {
        path == Path::new(&self.path)
            || open::stat_path(path, true).is_ok_and(|stat| identity(&stat) == self.identity)
    }
}

/// Where relative arguments begin; empty where the caller is.
pub(crate) fn working_directory(plan: &SandboxPlan) -> PathBuf {
    let folder = plan.steps().iter().find_map(|step| match step {
        Step::WorkingDirectory(path) => Some(PathBuf::from(path)),
        _ => None,
    });
    folder.unwrap_or_default()
}

/// The names by which the plugin may be known as an interpreter.
pub(crate) fn names(examined: &Examined) -> Vec<&str> {
    of_names(&examined.listed, &examined.path)
}

/// The same before all is known.
#[must_use]
pub fn of_names<'a>(listed: &'a Listed, path: &'a Path) -> Vec<&'a str> {
    let real = path.file_name().and_then(|name| name.to_str());
    let entry = listed.entry.as_ref();
    let written = entry.map(|entry| entry.path.as_str());
    let told = entry.and_then(|entry| entry.argv0.as_deref());
    // Called by a link that is named as the entry is, one of many is that one.
    let linked = entry
        .filter(|_| real.is_some_and(invocation::is_many))
        .map(|entry| entry.name.as_str());
    let names = told.into_iter().chain(written).chain(real);
    names.chain(linked).collect()
}
