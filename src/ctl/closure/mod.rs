//! The closure of a plugin: every file of code that it is made of, beside its
//! own. Found without running it.

mod by_hand;
mod cache;
mod modules;
mod object;
mod search;
mod system;

use std::collections::BTreeSet;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use secure_exec::failure::Failure;
use secure_exec::interpreter;
use secure_exec::opened::Opened;
use secure_exec::settings::runtime_folder;
use secure_exec_core::escape::Escaped;
use secure_exec_core::profile::{PathGrant, Profile, expand};
use secure_exec_core::shebang::{self, Shebang};
use secure_exec_sys::open;

use by_hand::ByHand;
use modules::{Language, Modules, Script};
use object::Object;
use search::{Found, Loaded, Missing, Search};

/// What a plugin is made of.
#[derive(Debug, Default)]
pub(crate) struct Closure {
    /// The interpreter of a script, by the path that it is run by: the name
    /// decides what some programs do.
    pub(crate) interpreter: Option<PathBuf>,
    /// Real paths of all other files.
    pub(crate) files: BTreeSet<PathBuf>,
    /// What the administrator should know.
    pub(crate) notes: Vec<String>,
}

/// Finds the closure of an open plugin. `with` are files and folders that it
/// loads beside what is found, `kept` files that stay part of it.
///
/// # Errors
/// A file that it can't do without is missing or can't be read.
pub(crate) fn of(opened: &Opened, with: &[PathBuf], kept: &[PathBuf]) -> Result<Closure, Failure> {
    let name = &opened.listed.name;
    let failed = |why: String| Failure::own(format!("plugin '{}': {why}", Escaped(name)));
    let grounds = Grounds::of(opened);
    let mut with = expanded(with)?;
    let mut closure = Closure::default();
    let mut missing = Vec::new();
    let shebang = first_line(opened).map_err(failed)?;
    let main = match &shebang {
        None => opened.path.clone(),
        Some(line) => {
            let pin = opened.listed.entry.as_ref();
            let pin = pin.and_then(|entry| entry.interpreter.as_ref());
            let path = match pin {
                Some(pin) => PathBuf::from(&pin.path),
                None => interpreter::named(line).map_err(failed)?,
            };
            closure.interpreter = Some(path.clone());
            std::fs::canonicalize(&path).map_err(|error| {
                failed(format!("'{}': {error}", Escaped(&path.to_string_lossy())))
            })?
        }
    };
    let object = match &shebang {
        None => Object::of(opened.file.as_fd()),
        Some(_) => Object::read(&main),
    };
    let object = object.map_err(failed)?;
    let object = object.ok_or_else(|| failed("it is no program of 64 bits".into()))?;
    let process = Process::of(&main, object, grounds.library_path()).map_err(failed)?;
    if let Some(missing) = process.found.missing.first() {
        return Err(failed(format!("{missing}\nWithout it, it can't run.")));
    }
    closure.files.extend(process.found.files.iter().cloned());
    let by_hand = match &shebang {
        None => ByHand::of(opened),
        Some(_) => None,
    };
    if let Some(by_hand) = by_hand {
        with.extend(by_hand.files.iter().cloned());
        match by_hand.language {
            None => closure
                .notes
                .push("what the files in 'args' load is not known; name it with --with".into()),
            Some(language) => {
                let script = Script {
                    language,
                    bytes: &by_hand.bytes()?,
                    interpreter: &main,
                    place: by_hand.files.first().unwrap_or(&main),
                    argument: None,
                    environment: &grounds.environment,
                    folders: &grounds.folders(&main),
                    with: &with,
                };
                let found = script.modules()?;
                process.add_modules(found, &mut closure, &mut missing);
            }
        }
    }
    if let (Some(line), Some(path)) = (&shebang, &closure.interpreter) {
        match Language::of(path).or_else(|| Language::of(&main)) {
            None => closure.notes.push(format!(
                "what the script reads beside its interpreter '{}' is not known; name it with --with",
                Escaped(&path.to_string_lossy())
            )),
            Some(language) => {
                let script = Script {
                    language,
                    bytes: &bytes(opened)?,
                    interpreter: path,
                    place: &opened.path,
                    argument: match line.env_target() {
                        Some((_, words)) => words.first().copied(),
                        None => line.argument.as_deref().filter(|_| !line.is_env()),
                    },
                    environment: &grounds.environment,
                    folders: &grounds.folders(&main),
                    with: &with,
                };
                let found = script.modules()?;
                process.add_modules(found, &mut closure, &mut missing);
            }
        }
    }
    let kept = kept
        .iter()
        .filter_map(|path| std::fs::canonicalize(path).ok());
    for file in with.into_iter().chain(kept) {
        process.add(&file, &mut closure, &mut missing);
    }
    missing.retain(|missing| !missing.is_among(&closure.files));
    let missing: BTreeSet<String> = missing.iter().map(ToString::to_string).collect();
    closure.notes.extend(missing);
    Ok(closure)
}

/// The program of a closure with what it loads at its start.
struct Process {
    /// A static program loads nothing.
    search: Option<Search>,
    loaded: Vec<Loaded>,
    found: Found,
}

impl Process {
    fn of(path: &Path, object: Object, library_path: Option<&str>) -> Result<Self, String> {
        let Some(loader) = object.interpreter.clone() else {
            return Ok(Self {
                search: None,
                loaded: Vec::new(),
                found: Found::default(),
            });
        };
        let search = Search::of(&loader, library_path)?;
        let (loaded, found) = search.program(path, object);
        Ok(Self {
            search: Some(search),
            loaded,
            found,
        })
    }

    /// Adds the modules of a script, and their libraries.
    fn add_modules(&self, found: Modules, closure: &mut Closure, missing: &mut Vec<Missing>) {
        closure.notes.extend(found.notes);
        for file in found.files {
            self.add(&file, closure, missing);
        }
    }

    /// Adds a file that is loaded later, and its libraries.
    fn add(&self, path: &Path, closure: &mut Closure, missing: &mut Vec<Missing>) {
        if !closure.files.insert(path.to_path_buf()) {
            return;
        }
        let found = self
            .search
            .as_ref()
            .map(|search| search.module(&self.loaded, path));
        match found {
            None => {}
            Some(Ok(found)) => {
                closure.files.extend(found.files);
                missing.extend(found.missing);
            }
            Some(Err(why)) => {
                let shown = path.to_string_lossy();
                closure.notes.push(format!("'{}': {why}", Escaped(&shown)));
            }
        }
    }
}

/// What the profile gives a plugin to stand on.
struct Grounds {
    environment: Vec<(String, String)>,
    granted: Vec<PathBuf>,
}

impl Grounds {
    fn of(opened: &Opened) -> Self {
        let profile = &opened.listed.profile;
        let folder = opened.path.parent().unwrap_or(&opened.path);
        let runtime = runtime_folder(&opened.listed.name);
        let (folder, runtime) = (folder.to_string_lossy(), runtime.to_string_lossy());
        let set = profile.environment.set.iter().map(|(name, value)| {
            let value = value.replace("{runtime_dir}", &runtime);
            (name.clone(), value.replace("{plugin_dir}", &folder))
        });
        let files = &profile.filesystem;
        let granted = files.code.iter().chain(&files.read).chain(&files.apart);
        let granted = granted.chain(&files.execute);
        Self {
            environment: set.collect(),
            granted: granted
                .filter_map(|grant| place(grant, &folder, &runtime))
                .collect(),
        }
    }

    fn library_path(&self) -> Option<&str> {
        let mut set = self.environment.iter();
        let found = set.find(|(name, _)| name == "LD_LIBRARY_PATH");
        found.map(|(_, value)| value.as_str())
    }

    /// Where modules may lie: where systems install code, where the profile
    /// lets the plugin read, and beside an interpreter of another place.
    fn folders(&self, interpreter: &Path) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = FOLDERS.iter().map(PathBuf::from).collect();
        folders.extend(self.granted.iter().cloned());
        let prefix = interpreter.parent().and_then(Path::parent);
        if let Some(prefix) = prefix.filter(|prefix| prefix.components().count() > 2) {
            folders.push(prefix.join("lib"));
        }
        folders
    }
}

/// Where systems install libraries and modules.
const FOLDERS: &[&str] = &[
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/share",
    "/etc/perl",
];

/// Grants of a profile, apart from its folders of code, that let pinned files'
/// neighbours be read all the same.
pub(crate) fn holes(opened: &Opened, closure: &Closure) -> Vec<String> {
    let profile: &Profile = &opened.listed.profile;
    let folder = opened.path.parent().unwrap_or(&opened.path);
    let runtime = runtime_folder(&opened.listed.name);
    let (folder, runtime) = (folder.to_string_lossy(), runtime.to_string_lossy());
    let files = &profile.filesystem;
    let grants = files.read.iter().chain(&files.apart);
    let grants = grants.chain(&files.write).chain(&files.execute);
    grants
        .filter(|grant| !files.code.iter().any(|code| code.path == grant.path))
        .filter_map(|grant| place(grant, &folder, &runtime))
        .filter_map(|path| std::fs::canonicalize(path).ok())
        .filter(|path| path.is_dir() && closure.files.iter().any(|file| file.starts_with(path)))
        .map(|path| {
            format!(
                "the profile grants '{}', which holds code: what is not pinned there can be loaded too\n\
                 Name the folders of code under 'filesystem.code' instead.",
                Escaped(&path.to_string_lossy())
            )
        })
        .collect()
}

fn place(grant: &PathGrant, folder: &str, runtime: &str) -> Option<PathBuf> {
    let variable = |name: &str| std::env::var(name).ok();
    let path = expand(&grant.path, &variable, folder, runtime).ok()?;
    Some(PathBuf::from(path)).filter(|path| path.is_absolute())
}

fn first_line(opened: &Opened) -> Result<Option<Shebang>, String> {
    let mut head = vec![0; shebang::HEAD];
    let read = open::read_at(opened.file.as_fd(), &mut head, 0);
    head.truncate(read.map_err(|error| error.to_string())?);
    shebang::parse(&head)
}

fn bytes(opened: &Opened) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = open::duplicate(&opened.file).map_err(Failure::own)?;
    open::read_bounded(file.as_fd(), &mut bytes, opened.limit).map_err(Failure::own)?;
    Ok(bytes)
}

/// Files by their real paths; of a folder, all that lie in it.
fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    let mut left = paths.to_vec();
    while let Some(path) = left.pop() {
        let failed = |error: std::io::Error| {
            let shown = path.to_string_lossy();
            Failure::own(format!("--with '{}': {error}", Escaped(&shown)))
        };
        let real = std::fs::canonicalize(&path).map_err(failed)?;
        if real.is_dir() {
            for entry in std::fs::read_dir(&real).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                // A link may lead anywhere; what it leads to is for whoever
                // names it.
                if kind.is_dir() || kind.is_file() {
                    left.push(entry.path());
                }
            }
        } else if real.is_file() {
            files.push(real);
        } else {
            let shown = path.to_string_lossy();
            return Err(Failure::own(format!(
                "--with '{}': it is neither a file nor a folder",
                Escaped(&shown)
            )));
        }
    }
    files.sort_unstable();
    Ok(files)
}
