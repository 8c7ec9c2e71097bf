//! Third stage: the bytes are fixed, hashed and understood; what runs them is
//! verified; the sandbox is planned. The result is all facts there are.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use secure_exec_core::arch::Arch;
use secure_exec_core::digest::{Algorithm, Digest};
use secure_exec_core::elf;
use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::PLUGIN_PID;
use secure_exec_core::plan::{self, Environment, SandboxPlan};
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{Profile, expand};
use secure_exec_core::shebang;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{Expected, ImageChoice};
use secure_exec_sys::memfd::Use;
use secure_exec_sys::{limits, open, probe, process};

use crate::code::{self, Pinned};
use crate::failure::Failure;
use crate::granted;
use crate::headers;
use crate::image::{Candidate, Fixing, Image};
use crate::interpreter::{self, Interpreter};
use crate::listed::Listed;
use crate::namespaces;
use crate::opened::Opened;
use crate::passed;
use crate::script::{self, Script};
use crate::settings::runtime_folder;
use crate::sight::Sight;
use crate::signature;
use crate::streams::{self, Handed, Streams};
use crate::temporary;

/// A plugin of which everything is known.
#[derive(Debug)]
pub struct Examined {
    /// Whitelist, policy, profile, and all violations.
    pub listed: Listed,
    /// Where the plugin is.
    pub path: PathBuf,
    /// Its bytes.
    pub image: Image,
    /// Their digest.
    pub digest: Digest,
    /// Interpreter, where the plugin is a script.
    pub interpreter: Option<Interpreter>,
    /// Dynamic loader of the plugin or of its interpreter.
    pub loader: Option<OwnedFd>,
    /// Those of programs that it may execute, by their paths.
    pub(crate) loaders: Vec<(String, OwnedFd)>,
    /// Pinned files, by their paths.
    pub libraries: Vec<(String, OwnedFd)>,
    /// The script that an interpreter is given by hand.
    pub script: Option<Script>,
    /// What will be done to the process.
    pub plan: SandboxPlan,
    /// The plugin's environment, without secrets.
    pub environment: Environment,
    /// `{runtime_dir}`.
    pub runtime_folder: PathBuf,
    /// What the caller handed over.
    pub(crate) streams: Streams,
}

impl Examined {
    /// Whether nobody has touched the plugin or its pinned interpreter since
    /// they were hashed.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn is_intact(&self) -> Result<bool, secure_exec_sys::Error> {
        let mut images = self.images();
        images.try_fold(true, |whole, image| Ok(whole && image.is_intact()?))
    }

    /// Whether guarded files of them are what they were when they were fixed.
    ///
    /// # Errors
    /// As fstat(2).
    pub(crate) fn is_unchanged(&self) -> Result<bool, secure_exec_sys::Error> {
        let mut images = self.images();
        images.try_fold(true, |whole, image| Ok(whole && image.is_unchanged()?))
    }

    /// The scripts that an interpreter opens by their paths.
    fn read_by_path(&self) -> impl Iterator<Item = &Image> {
        let own = self.interpreter.as_ref().map(|_| &self.image);
        let by_hand = self.script.as_ref().map(|script| &script.image);
        own.into_iter()
            .chain(by_hand)
            .filter(|image| image.place().is_some())
    }

    /// Those whose files lie there.
    pub(crate) fn read_in_place(&self) -> impl Iterator<Item = &Image> {
        self.read_by_path().filter(|image| image.has_path())
    }

    /// Those of which copies are put there.
    pub(crate) fn copies_in_place(&self) -> impl Iterator<Item = &Image> {
        self.read_by_path().filter(|image| !image.has_path())
    }

    fn images(&self) -> impl Iterator<Item = &Image> {
        let interpreter = self.interpreter.as_ref();
        let pinned = interpreter.and_then(|found| found.file.image());
        let script = self.script.as_ref().map(|script| &script.image);
        [&self.image].into_iter().chain(pinned).chain(script)
    }
}

/// What examining led to.
#[derive(Debug)]
pub enum Examining {
    /// All facts are there.
    Done(Box<Examined>),
    /// The bytes could not be fixed or hashed.
    Violated(Box<Listed>, Violation),
}

/// Examines an open plugin, and the standard streams that it is to have.
///
/// # Errors
/// A system call failed, or the profile names a path that can't be.
pub fn examine(opened: Opened, streams: Handed) -> Result<Examining, Failure> {
    let Opened {
        mut listed,
        file,
        stat,
        path,
        limit,
    } = opened;
    let name = listed.name.clone();
    let failed = |error: secure_exec_sys::Error| Failure::NotExecuted {
        plugin: name.clone(),
        message: error.to_string(),
    };
    let is_script = is_script(&file).map_err(&failed)?;
    let choice = listed
        .entry
        .as_ref()
        .map_or(ImageChoice::Auto, |entry| entry.image);
    let again = open::duplicate(&file).map_err(&failed)?;
    let sight = Sight::default();
    let for_others = is_for_others(&listed);
    let place = listed.place();
    let candidate = Candidate {
        path: &place,
        stat: &stat,
        purpose: if is_script { Use::Read } else { Use::Execute },
        for_others,
        choice,
        minimum: listed.whitelist.image_minimum,
        limit,
        sight: &sight,
    };
    let mut fixed = Image::fix(file, &candidate);
    if let Ok(Fixing::Unavailable(why)) = &fixed {
        let violation = unfixable(why);
        if listed.policy.waive(&violation).is_some() {
            listed.violations.push(violation);
            fixed = Image::fix_copy(&again, &candidate);
        }
    }
    drop(again);
    listed.trail.program(&place);
    let mut image = match fixed.map_err(&failed)? {
        Fixing::Fixed(image) => image,
        Fixing::TooLarge => {
            let found = "the plugin grew while it was read".to_string();
            return Ok(Examining::Violated(
                Box::new(listed),
                Violation::FileSizeExceeded { limit, found },
            ));
        }
        Fixing::Unavailable(why) => {
            return Ok(Examining::Violated(Box::new(listed), unfixable(&why)));
        }
    };
    if let Some(why) = image.misses_its_folder() {
        let cure = match choice {
            ImageChoice::Sealed => "take 'image: sealed' out of its entry",
            _ => "install it as root, in folders that root alone can write",
        };
        listed.warnings.push(format!(
            "plugin '{}' looks for libraries beside itself ($ORIGIN) and runs as a copy in memory, which lies in no folder ({why}): {cure}",
            Escaped(&listed.name)
        ));
    }
    let algorithm = listed.algorithm();
    let digest = match image.digest(algorithm).map_err(&failed)? {
        Some(digest) => digest,
        None => {
            let why = format!("the plugin has no {algorithm} digest here");
            let violation = Violation::ImageUnavailable(why);
            let overlooked = listed.policy.waive(&violation).is_some();
            let other = image.digest(Algorithm::Sha256).map_err(&failed)?;
            match other.filter(|_| overlooked) {
                None => return Ok(Examining::Violated(Box::new(listed), violation)),
                Some(other) => {
                    listed.violations.push(violation);
                    other
                }
            }
        }
    };
    of_bytes(&mut listed, &image, &digest);

    let mut own_script = script::examine(&mut listed, limit, for_others, &sight);
    let mut violations = Vec::new();
    let interpreter = if is_script {
        let head = image.head().map_err(&failed)?;
        match script(&head, &listed, &sight) {
            Ok(found) => Some(found),
            // Without an interpreter there is nothing to execute.
            Err(violation) => return Ok(Examining::Violated(Box::new(listed), violation)),
        }
    } else {
        violations.extend(unused_pin(&listed));
        None
    };
    let program = match &interpreter {
        Some(found) => found.program.clone(),
        None => match own_program(&image) {
            Ok(program) => program,
            Err(violation) => return Ok(Examining::Violated(Box::new(listed), violation)),
        },
    };
    let pins = listed
        .entry
        .as_ref()
        .map(|entry| entry.libraries.clone())
        .unwrap_or_default();
    // Each is open once more for its rule.
    limits::make_room_for_files(pins.len().saturating_mul(2)).map_err(&failed)?;
    let mut libraries = Vec::with_capacity(pins.len());
    for pin in &pins {
        listed.trail.library(&pin.path);
        match interpreter::library(pin) {
            Ok(found) => {
                libraries.push((pin.path.clone(), found.file));
                violations.extend(found.violation);
            }
            Err(violation) => violations.push(violation),
        }
    }
    let loader = match &program.interpreter {
        None => None,
        Some(path) => match interpreter::loader(Path::new(path), &libraries, &listed.trail) {
            Ok(found) => {
                violations.extend(found.violation);
                Some(found.file)
            }
            Err(violation) => {
                violations.push(violation);
                None
            }
        },
    };
    violations.extend(headers::check(&program, loader.as_ref(), &listed));
    listed.violations.extend(violations);
    let runtime_folder = runtime_folder(&listed.name);
    let mut environment = environment(&listed, &path);
    let plan = plan(&mut listed, &path, &runtime_folder, &environment)?;
    if let Some(spaces) = plan.namespaces() {
        let put = |image: &mut Image, named: &Path, real: &Path| {
            let place = namespaces::copied::place(spaces, image, named, real, &sight);
            place.map(|place| image.put_copy_at(place)).map_err(&failed)
        };
        if interpreter.is_some() {
            put(&mut image, &listed.place(), &path)?;
        }
        if let Some(script) = &mut own_script {
            let named = PathBuf::from(&script.path);
            put(&mut script.image, &named, &script.real)?;
        }
    }
    let own = program.interpreter.as_deref();
    let loaders = granted::loaders(&plan, own, &libraries, &listed.trail);
    let pinned = Pinned {
        script: own_script.as_ref(),
        libraries: &libraries,
    };
    let unpinned = code::unpinned(&listed, &path, &pinned, &plan);
    listed.violations.extend(unpinned);
    if let Some(folder) = plan.temporary() {
        // The caller's would lead nowhere; the profile's own value stays.
        let is_set = listed.profile.environment.set.contains_key(plan::TMPDIR);
        if !is_set {
            environment.insert(plan::TMPDIR.into(), folder.as_bytes().to_vec());
        }
    }
    if plan.namespaces().is_some() {
        passed::announce(&mut environment, &listed.profile, || PLUGIN_PID);
    }
    let (streams, violations) = streams::examine(streams, &listed, &plan).map_err(&failed)?;
    listed.violations.extend(violations);
    Ok(Examining::Done(Box::new(Examined {
        listed,
        path,
        image,
        digest,
        interpreter,
        loader,
        loaders,
        libraries,
        script: own_script,
        plan,
        environment,
        runtime_folder,
        streams,
    })))
}

fn is_script(file: &OwnedFd) -> Result<bool, secure_exec_sys::Error> {
    let mut start = [0; 2];
    let count = open::read_at(file.as_fd(), &mut start, 0)?;
    Ok(count == 2 && start == *b"#!")
}

/// Whether the plugin will be another user than the launcher.
fn is_for_others(listed: &Listed) -> bool {
    listed.profile.user.is_some() && listed.policy != Policy::AuditOnly
}

fn unfixable(why: &str) -> Violation {
    Violation::ImageUnavailable(format!("the bytes can't be fixed as 'image' asks: {why}"))
}

/// What the bytes themselves violate.
fn of_bytes(listed: &mut Listed, image: &Image, digest: &Digest) {
    if let Some(minimum) = listed.whitelist.image_minimum
        && image.strength() < minimum
    {
        listed.violations.push(Violation::ImageUnavailable(format!(
            "the image is {}, the whitelist demands {}",
            image.strength().name(),
            minimum.name()
        )));
    }
    let Some(entry) = &listed.entry else {
        return;
    };
    let mut found = Vec::new();
    // Another algorithm's digest says nothing: that the right one is not to be
    // had is a violation already.
    if let Expected::Pinned(expected) = &entry.hash
        && expected.algorithm() == digest.algorithm()
        && !expected.matches(digest)
    {
        found.push(Violation::HashMismatch {
            expected: expected.clone(),
            actual: digest.clone(),
        });
    }
    found.extend(signature::check(
        entry,
        &listed.whitelist,
        image,
        &listed.trail,
    ));
    listed.violations.extend(found);
}

fn script(head: &[u8], listed: &Listed, sight: &Sight) -> Result<Interpreter, Violation> {
    let line = shebang::parse(head).map_err(Violation::FirstLine)?;
    let line = line.ok_or_else(|| Violation::FirstLine("the script has no first line".into()))?;
    let pin = listed
        .entry
        .as_ref()
        .and_then(|entry| entry.interpreter.as_ref());
    let terms = interpreter::Terms {
        minimum: listed.whitelist.image_minimum,
        for_others: is_for_others(listed),
        trail: &listed.trail,
        sight,
    };
    interpreter::of_script(&line, pin, &terms)
}

/// Whoever pinned an interpreter takes the plugin for something else than it is.
fn unused_pin(listed: &Listed) -> Option<Violation> {
    let pin = listed.entry.as_ref()?.interpreter.as_ref()?;
    Some(Violation::InterpreterUntrusted(format!(
        "the entry names the interpreter '{}', and the plugin is no script: take 'interpreter' out of the entry",
        Escaped(&pin.path)
    )))
}

fn own_program(image: &Image) -> Result<elf::Program, Violation> {
    let program = image
        .program()
        .map_err(|why| Violation::NotExecutable(format!("the plugin can't be run: {why}")))?;
    if program.arch == Some(Arch::NATIVE) {
        Ok(program)
    } else {
        let machine = Arch::NATIVE.name();
        Err(Violation::NotExecutable(format!(
            "the plugin is no 64-bit program for {machine}"
        )))
    }
}

/// The variable that tells a plugin where its file really is: `/proc/self/exe`
/// of a copy in memory does not.
const OWN_PATH: &str = "SECURE_EXEC_PLUGIN_PATH";

fn environment(listed: &Listed, path: &Path) -> Environment {
    let mut environment = match listed.policy {
        Policy::AuditOnly => Environment::inherit(inherited()),
        Policy::Strict | Policy::Permissive => {
            let passed = |(name, _): &(String, Vec<u8>)| !listed.withheld.contains(&name.as_str());
            let inherited = inherited().filter(passed);
            Environment::compose(&listed.profile.environment, inherited)
        }
    };
    let path = path.as_os_str().as_bytes().to_vec();
    environment.insert(OWN_PATH.into(), path);
    passed::announce(&mut environment, &listed.profile, process::id);
    environment
}

/// The caller's variables, but for those whose names are not UTF-8: no profile
/// can name them.
pub fn inherited() -> impl Iterator<Item = (String, Vec<u8>)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((name, OsString::into_vec(value)))
    })
}

/// Whether a plugin of this profile would run as user 0.
#[must_use]
pub fn runs_as_superuser(profile: &Profile) -> bool {
    match &profile.user {
        None => process::effective_user() == 0,
        // An unknown user ends the launch later.
        Some(name) => process::find_user(name).is_ok_and(|account| account.uid() == 0),
    }
}

fn plan(
    listed: &mut Listed,
    path: &Path,
    runtime_folder: &Path,
    environment: &Environment,
) -> Result<SandboxPlan, Failure> {
    let plugin_dir = path.parent().unwrap_or(path);
    let variable = |name: &str| std::env::var(name).ok();
    let expand = |text: &str| {
        let folders = [
            ("{plugin_dir}", plugin_dir),
            ("{runtime_dir}", runtime_folder),
        ];
        for (name, folder) in folders {
            // Never a path that only looks alike.
            if text.contains(name) && folder.to_str().is_none() {
                let text = Escaped(text);
                return Err(format!("'{text}': the folder {name} is not UTF-8"));
            }
        }
        let [(_, plugin_dir), (_, runtime_dir)] =
            folders.map(|(name, folder)| (name, folder.to_string_lossy()));
        expand(text, &variable, &plugin_dir, &runtime_dir)
    };
    let temporary = temporary::folder(&listed.profile).map_err(Failure::own)?;
    let inputs = plan::Inputs {
        temporary: &temporary,
        kernel: match listed.policy {
            Policy::AuditOnly => probe::kernel(),
            Policy::Strict | Policy::Permissive => namespaces::kernel(&listed.profile),
        },
        policy: listed.policy,
        environment,
        superuser: runs_as_superuser(&listed.profile),
        expand: &expand,
        libraries_pinned: listed
            .entry
            .as_ref()
            .is_some_and(|entry| !entry.libraries.is_empty()),
    };
    let plan = plan::lower(&listed.profile, &inputs).map_err(|why| {
        let name = Escaped(&listed.profile.name);
        Failure::own(format!("profile '{name}': {why}"))
    })?;
    let missing = plan.enforcement().missing();
    if !missing.is_empty() && listed.profile.isolation.confines() {
        let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let why = format!("this system lacks {}", names.join(", "));
        listed.violations.push(Violation::SandboxUnavailable(why));
    }
    Ok(plan)
}
