//! Programs that a plugin needs to run at all, trusted by digest or by place:
//! the interpreter of a script, the dynamic loader, pinned libraries.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use secure_exec_core::arch::Arch;
use secure_exec_core::digest::Hasher;
use secure_exec_core::elf::Program;
use secure_exec_core::escape::Escaped;
use secure_exec_core::shebang::Shebang;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{ImageChoice, Pin, Strength};
use secure_exec_sys::memfd::Use;
use secure_exec_sys::open::{self, Kind};

use crate::image::{self, Candidate, Fixing, Image, digest_file};
use crate::opened::DEFAULT_LIMIT;
use crate::owner::Finding;
use crate::sight::Sight;
use crate::trail::Trail;
use crate::trust;

/// Where `env` is answered from: the caller's PATH is not to be trusted.
pub(crate) const PROGRAMS: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// The interpreter of a script.
#[derive(Debug)]
pub struct Interpreter {
    /// Where it was found.
    pub path: PathBuf,
    /// The program.
    pub file: Trusted,
    /// Its arguments from the script's first line.
    pub arguments: Vec<String>,
    /// What of that line was left out, where the entry's interpreter replaces
    /// an `env` that can't be followed.
    pub left_out: Option<String>,
    /// Its headers.
    pub program: Program,
}

/// What verifying an interpreter goes by.
pub(crate) struct Terms<'a> {
    /// The bytes of a pinned one are fixed at least as strongly.
    pub(crate) minimum: Option<Strength>,
    /// Another user than the launcher's executes it.
    pub(crate) for_others: bool,
    /// The launch's trail.
    pub(crate) trail: &'a Trail,
    /// The launch's look at the file system.
    pub(crate) sight: &'a Sight,
}

/// A program that may be executed beside the plugin.
#[derive(Debug)]
pub enum Trusted {
    /// By its digest.
    Pinned(Image),
    /// Owned and writable by root alone along its whole path.
    Place(OwnedFd),
}

impl Trusted {
    /// The descriptor.
    #[must_use]
    pub fn file(&self) -> &OwnedFd {
        match self {
            Self::Pinned(image) => image.file(),
            Self::Place(file) => file,
        }
    }

    /// Its fixed bytes, if it is pinned.
    pub(crate) const fn image(&self) -> Option<&Image> {
        match self {
            Self::Pinned(image) => Some(image),
            Self::Place(_) => None,
        }
    }

    /// Whether Landlock needs a rule for it.
    #[must_use]
    pub const fn has_path(&self) -> bool {
        match self {
            Self::Pinned(image) => image.has_path(),
            Self::Place(_) => true,
        }
    }
}

/// Opens and verifies the interpreter that a script asks for, or the one that
/// its whitelist entry names instead of any other. Either gets the arguments of
/// the first line; those of an `env` that does more than to find a program are
/// left out for the entry's, and refused without one.
///
/// # Errors
/// [`Violation::InterpreterUntrusted`] or [`Violation::FirstLine`], with the
/// reason.
pub(crate) fn of_script(
    shebang: &Shebang,
    pin: Option<&Pin>,
    terms: &Terms<'_>,
) -> Result<Interpreter, Violation> {
    let untrusted = Violation::InterpreterUntrusted;
    let target = shebang.env_target();
    let is_lost = shebang.is_env() && target.is_none();
    if is_lost && pin.is_none() {
        return Err(Violation::FirstLine(format!(
            "'env' may only name a program in the script's first line, with plain arguments behind '-S', not '{}': write the interpreter's path there",
            Escaped(shebang.argument.as_deref().unwrap_or_default())
        )));
    }
    let path = match pin {
        Some(pin) => PathBuf::from(&pin.path),
        None => named(shebang).map_err(untrusted)?,
    };
    let arguments: Vec<String> = match target {
        // Of env's words, the first was the interpreter's name.
        Some((_, words)) => words.into_iter().map(String::from).collect(),
        None if is_lost => Vec::new(),
        None => shebang.argument.iter().cloned().collect(),
    };
    let left_out = shebang.argument.clone().filter(|_| is_lost);
    let file = trusted(&path, pin, terms).map_err(untrusted)?;
    let shown = path.to_string_lossy().into_owned();
    let program = image::program(file.file().as_fd())
        .map_err(|why| untrusted(format!("the interpreter '{}': {why}", Escaped(&shown))))?;
    if program.arch != Some(Arch::NATIVE) {
        return Err(untrusted(format!(
            "the interpreter '{}' is not for this machine",
            Escaped(&shown)
        )));
    }
    Ok(Interpreter {
        path,
        file,
        arguments,
        left_out,
        program,
    })
}

/// The interpreter that a script's first line names.
///
/// # Errors
/// `env` is to look for one that is nowhere; a sentence.
pub fn named(shebang: &Shebang) -> Result<PathBuf, String> {
    let Some((name, _)) = shebang.env_target() else {
        return Ok(PathBuf::from(&shebang.interpreter));
    };
    if name.starts_with('/') {
        return Ok(PathBuf::from(name));
    }
    on_path(name).ok_or_else(|| {
        format!(
            "no program '{}' is in {}",
            Escaped(name),
            PROGRAMS.join(", ")
        )
    })
}

/// A loader or library, with what is wrong with it.
#[derive(Debug)]
pub struct Library {
    /// Its file.
    pub file: OwnedFd,
    /// It is not the pinned one, or lies where it is not to be trusted.
    pub violation: Option<Violation>,
}

/// Opens a dynamic loader, and verifies one that is none of the pinned files.
/// Programs name it by a link more often than not, so those are told by what
/// they are.
///
/// # Errors
/// [`Violation::InterpreterUntrusted`]: there is none.
pub fn loader(
    path: &Path,
    pinned: &[(String, OwnedFd)],
    trail: &Trail,
) -> Result<Library, Violation> {
    let untrusted = Violation::InterpreterUntrusted;
    let (file, complaint) = placed("the dynamic loader", path, trail).map_err(untrusted)?;
    let same = |one: &OwnedFd| open::stat(one.as_fd()).map(|stat| (stat.dev, stat.ino));
    let own = same(&file).map_err(|error| untrusted(error.to_string()))?;
    if pinned
        .iter()
        .any(|(_, pin)| same(pin).is_ok_and(|pin| pin == own))
    {
        let violation = None;
        return Ok(Library { file, violation });
    }
    let violation = complaint.map(|why| untrusted(format!("the dynamic loader {why}")));
    Ok(Library { file, violation })
}

/// Opens a pinned library and compares it with its pin.
///
/// It is loaded after exec, from its own file, which nothing guards by then:
/// so nobody else may be able to write it, now or through a descriptor from
/// earlier.
///
/// # Errors
/// [`Violation::LibraryMismatch`]: there is nothing to compare.
pub fn library(pin: &Pin) -> Result<Library, Violation> {
    let shown = Escaped(&pin.path);
    let mismatch =
        |why: String| Violation::LibraryMismatch(format!("the library '{shown}': {why}"));
    let expected = pin
        .hash
        .as_ref()
        .ok_or_else(|| mismatch("no hash".into()))?;
    let file = open_program("the library", Path::new(&pin.path));
    let file = file.map_err(Violation::LibraryMismatch)?;
    let writable = |why| Violation::InsecurePermissions(format!("the library '{shown}' {why}"));
    let writer = trust::writer(&file).map_err(|error| mismatch(error.to_string()))?;
    let hasher = Hasher::new(expected.algorithm())
        .ok_or_else(|| mismatch("fs-verity digests are for plugins alone".into()))?;
    let actual = digest_file(file.as_fd(), hasher, DEFAULT_LIMIT)
        .map_err(|error| mismatch(error.to_string()))?
        .ok_or_else(|| mismatch("it is too large".into()))?;
    let violation = if actual.matches(expected) {
        writer.map(writable)
    } else {
        Some(mismatch(format!("expected {expected}, actual {actual}")))
    };
    Ok(Library { file, violation })
}

fn trusted(path: &Path, pin: Option<&Pin>, terms: &Terms<'_>) -> Result<Trusted, String> {
    let Some(expected) = pin.and_then(|pin| pin.hash.as_ref()) else {
        return match placed("the interpreter", path, terms.trail)? {
            (file, None) => Ok(Trusted::Place(file)),
            (_, Some(why)) => Err(format!("the interpreter is not pinned, and {why}")),
        };
    };
    let file = open_program("the interpreter", path)?;
    let stat = open::stat(file.as_fd()).map_err(|error| error.to_string())?;
    let candidate = Candidate {
        path,
        stat: &stat,
        purpose: Use::Execute,
        for_others: terms.for_others,
        choice: ImageChoice::Auto,
        minimum: terms.minimum,
        limit: DEFAULT_LIMIT,
        sight: terms.sight,
    };
    let fixed = Image::fix(file, &candidate);
    terms.trail.program(path);
    let image = match fixed.map_err(|error| error.to_string())? {
        Fixing::Fixed(image) => image,
        Fixing::TooLarge => return Err("the interpreter is too large".into()),
        Fixing::Unavailable(why) => return Err(why),
    };
    if let Some(minimum) = terms.minimum
        && image.strength() < minimum
    {
        return Err(format!(
            "the interpreter's image is {}, the whitelist demands {}",
            image.strength().name(),
            minimum.name()
        ));
    }
    match image.digest(expected.algorithm()) {
        Ok(Some(actual)) if actual.matches(expected) => Ok(Trusted::Pinned(image)),
        Ok(Some(actual)) => Err(format!(
            "the interpreter is not the pinned one: expected {expected}, actual {actual}"
        )),
        Ok(None) => Err("the interpreter has no such digest".into()),
        Err(error) => Err(error.to_string()),
    }
}

/// Opens a program, and says who but root could replace it, as a phrase. An
/// update that replaces it meanwhile is no attack.
fn placed(role: &str, path: &Path, trail: &Trail) -> Result<(OwnedFd, Option<Finding>), String> {
    let looked = open::settled(|| {
        let file = match open_program(role, path) {
            Ok(file) => file,
            Err(why) => return Ok(Err(why)),
        };
        let complaint = trust::writable_by_root_alone(path, &file, trail)?;
        Ok(Ok((file, complaint)))
    });
    looked.map_err(|error| error.to_string())?
}

fn open_program(role: &str, path: &Path) -> Result<OwnedFd, String> {
    let shown = path.to_string_lossy();
    let shown = format!("{role} '{}'", Escaped(&shown));
    let file = open::open_no_magic(path).map_err(|error| format!("{shown}: {error}"))?;
    let stat = open::stat(file.as_fd()).map_err(|error| format!("{shown}: {error}"))?;
    if stat.kind != Kind::Regular {
        return Err(format!("{shown} is {}", stat.kind));
    }
    // Before anything reads it; what grows later meets the limit there.
    if stat.size > DEFAULT_LIMIT {
        return Err(format!(
            "{shown} has {} bytes, {DEFAULT_LIMIT} are the limit",
            stat.size
        ));
    }
    Ok(file)
}

fn on_path(name: &str) -> Option<PathBuf> {
    PROGRAMS
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| open::stat_path(path, true).is_ok_and(|stat| stat.kind == Kind::Regular))
}
