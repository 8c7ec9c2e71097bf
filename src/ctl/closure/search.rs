//! Where the dynamic loader finds libraries: the rules of glibc (man 8 ld.so)
//! and of musl. Nothing is run, and where these rules and a loader's differ,
//! the loader is refused what is not pinned, and looks on. So it is with the
//! subfolders `tls`, `haswell` and `x86_64`, which glibc gave up with 2.37.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;

use super::cache::Cache;
use super::object::Object;
use super::system::{self, Glibc};

/// The rules of one program's loader.
pub(super) struct Search {
    rules: Rules,
    machine: u16,
    loader: Loaded,
    /// `LD_LIBRARY_PATH`, where the profile sets it.
    library_path: Vec<String>,
    /// The folders that every search ends with.
    defaults: Vec<String>,
}

enum Rules {
    Glibc {
        cache: Cache,
        /// What `$LIB` stands for.
        lib: String,
        levels: Vec<&'static str>,
    },
    Musl,
}

/// A file that is in the process.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// As it was found: `$ORIGIN` is this one's folder.
    path: PathBuf,
    object: Object,
    /// What needs it, by its place in the list.
    parent: Option<usize>,
    /// The names by which it was asked for.
    names: Vec<String>,
    id: (u64, u64),
}

/// Files that were found, and names that were not.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Real paths.
    pub(super) files: BTreeSet<PathBuf>,
    /// Names of libraries.
    pub(super) missing: Vec<Missing>,
}

/// A library that is not found.
#[derive(Debug)]
pub(super) struct Missing {
    name: String,
    /// What needs it.
    of: PathBuf,
}

impl Missing {
    /// Whether it is there when it is needed: the loader takes a file of this
    /// name that something else has opened before.
    pub(super) fn is_among(&self, files: &BTreeSet<PathBuf>) -> bool {
        let name = Some(OsStr::new(&self.name));
        files.iter().any(|file| file.file_name() == name)
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, of) = (Escaped(&self.name), self.of.to_string_lossy());
        write!(f, "the library '{name}' of '{}' is not found", Escaped(&of))
    }
}

impl Search {
    /// The rules of the loader that a program names. `library_path` is the
    /// value of `LD_LIBRARY_PATH`.
    ///
    /// # Errors
    /// The loader is none that is known, or can't be read; a sentence.
    pub(super) fn of(loader: &str, library_path: Option<&str>) -> Result<Self, String> {
        let shown = Escaped(loader);
        let failed = |why: String| format!("the dynamic loader '{shown}': {why}");
        let path = Path::new(loader);
        let object = Object::read(path).map_err(failed)?;
        let object = object.ok_or_else(|| failed("it is no program of 64 bits".into()))?;
        let real = std::fs::canonicalize(path).map_err(|error| failed(error.to_string()))?;
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        let (rules, defaults) = if name.starts_with("ld-musl-") {
            (Rules::Musl, system::musl_folders(path, name)?)
        } else if name.starts_with("ld-linux-") || name == "ld.so.1" {
            let Glibc {
                cache,
                lib,
                defaults,
            } = system::glibc(&real)?;
            let levels = system::levels();
            (Rules::Glibc { cache, lib, levels }, defaults)
        } else {
            return Err(failed("it is neither glibc's nor musl's".into()));
        };
        let separators: &[char] = match rules {
            Rules::Glibc { .. } => &[':', ';'],
            Rules::Musl => &[':', '\n'],
        };
        let library_path = library_path.unwrap_or_default().split(separators);
        Ok(Self {
            rules,
            machine: object.machine,
            library_path: library_path.map(String::from).collect(),
            defaults,
            loader: Loaded {
                id: id(&real).ok_or_else(|| failed("it can't be examined".into()))?,
                path: path.to_path_buf(),
                object,
                parent: None,
                names: vec![loader.to_string()],
            },
        })
    }

    /// What a program is made of: it and its loader, its libraries and theirs.
    pub(super) fn program(&self, path: &Path, object: Object) -> (Vec<Loaded>, Found) {
        let program = Loaded {
            path: path.to_path_buf(),
            object,
            parent: None,
            names: Vec::new(),
            id: id(path).unwrap_or_default(),
        };
        let mut loaded = vec![program, self.loader.clone()];
        let mut found = self.fill(&mut loaded, 0);
        found.files.extend(real(&self.loader.path));
        (loaded, found)
    }

    /// What a module brings along that a running program loads: it and what it
    /// needs beyond what is there.
    pub(super) fn module(&self, process: &[Loaded], path: &Path) -> Result<Found, String> {
        let mut loaded = process.to_vec();
        let Some(object) = Object::read(path)?.filter(|object| object.machine == self.machine)
        else {
            return Ok(Found::default());
        };
        let at = loaded.len();
        loaded.push(Loaded {
            path: path.to_path_buf(),
            object,
            parent: Some(0),
            names: Vec::new(),
            id: id(path).unwrap_or_default(),
        });
        Ok(self.fill(&mut loaded, at))
    }

    /// Adds what is needed, breadth first, from one place of the list on.
    fn fill(&self, loaded: &mut Vec<Loaded>, from: usize) -> Found {
        let mut found = Found::default();
        let mut at = from;
        while let Some(next) = loaded.get(at).cloned() {
            for name in &next.object.needed {
                if loaded.iter().any(|known| self.answers(known, name)) {
                    continue;
                }
                let libraries = self.find(loaded, at, name);
                if libraries.is_empty() {
                    found.missing.push(Missing {
                        name: name.clone(),
                        of: next.path.clone(),
                    });
                }
                for (path, object, id) in libraries {
                    found.files.extend(real(&path));
                    match loaded.iter_mut().find(|known| known.id == id) {
                        Some(known) => known.names.push(name.clone()),
                        None => loaded.push(Loaded {
                            path,
                            object,
                            parent: Some(at),
                            names: vec![name.clone()],
                            id,
                        }),
                    }
                }
            }
            at = at.saturating_add(1);
        }
        found
    }

    /// Whether a loaded file is the library of this name.
    fn answers(&self, known: &Loaded, name: &str) -> bool {
        let by_own_name = match self.rules {
            Rules::Glibc { .. } => known.object.name.as_deref() == Some(name),
            // musl is one library, whatever part of it is asked for.
            Rules::Musl => known.id == self.loader.id && system::is_of_musl(name),
        };
        by_own_name || known.names.iter().any(|known| known == name)
    }

    /// A library that the file at one place of the list needs. More than one
    /// where the loader's choice depends on what it calls the processor.
    fn find(&self, loaded: &[Loaded], at: usize, name: &str) -> Vec<(PathBuf, Object, (u64, u64))> {
        let Some(own) = loaded.get(at) else {
            return Vec::new();
        };
        if name.contains('/') {
            let paths = self.expanded(name, &own.path).into_iter();
            return paths
                .filter_map(|path| self.candidate(Path::new(&path)))
                .collect();
        }
        let of_others = self.inherited(loaded, at);
        let library_path = self.library_path.iter().map(|folder| (own, folder.clone()));
        let before = match self.rules {
            Rules::Glibc { .. } => of_others
                .into_iter()
                .chain(library_path)
                .collect::<Vec<_>>(),
            Rules::Musl => library_path.chain(of_others).collect(),
        };
        let runpath = match (&self.rules, &own.object.runpath) {
            (Rules::Glibc { .. }, Some(runpath)) => split(runpath),
            _ => Vec::new(),
        };
        let runpath = runpath.into_iter().map(|folder| (own, folder));
        for (of, folder) in before.into_iter().chain(runpath) {
            let folders = self.expanded(&folder, &of.path).into_iter();
            let found: Vec<_> = folders
                .filter_map(|folder| self.within(Path::new(&folder), name))
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
        let cached = self.cached(name).filter(|path| {
            let is_default = |folder: &String| path.parent() == Some(Path::new(folder));
            !own.object.no_default || !self.defaults.iter().any(is_default)
        });
        if let Some(found) = cached.and_then(|path| self.candidate(path)) {
            return vec![found];
        }
        let defaults = self.defaults.iter().filter(|_| !own.object.no_default);
        let mut found = defaults.filter_map(|folder| self.within(Path::new(folder), name));
        found.next().into_iter().collect()
    }

    /// Folders that a file and those that led to it name for what they load.
    fn inherited<'a>(&self, loaded: &'a [Loaded], at: usize) -> Vec<(&'a Loaded, String)> {
        let mut folders = Vec::new();
        let mut next = Some(at);
        let own_runpath = loaded
            .get(at)
            .is_some_and(|own| own.object.runpath.is_some());
        let is_musl = matches!(self.rules, Rules::Musl);
        if own_runpath && !is_musl {
            return folders;
        }
        let mut passed_main = false;
        while let Some((at, own)) = next.and_then(|at| Some((at, loaded.get(at)?))) {
            passed_main |= at == 0;
            let paths = match &own.object.runpath {
                Some(runpath) if is_musl => Some(runpath),
                _ => own.object.rpath.as_ref(),
            };
            let paths = paths.map(|paths| split(paths)).unwrap_or_default();
            folders.extend(paths.into_iter().map(|folder| (own, folder)));
            next = own.parent;
        }
        if let Some(main) = loaded.first().filter(|_| !passed_main && !is_musl) {
            let paths = main.object.rpath.as_deref().map(split).unwrap_or_default();
            folders.extend(paths.into_iter().map(|folder| (main, folder)));
        }
        folders
    }

    /// A library in a folder: in the best of the processor's own subfolders,
    /// else in the folder itself.
    fn within(&self, folder: &Path, name: &str) -> Option<(PathBuf, Object, (u64, u64))> {
        let levels: &[&str] = match &self.rules {
            Rules::Glibc { levels, .. } => levels,
            Rules::Musl => &[],
        };
        let better = levels.iter();
        let better = better.map(|level| folder.join("glibc-hwcaps").join(level).join(name));
        better
            .chain([folder.join(name)])
            .find_map(|path| self.candidate(&path))
    }

    /// A file that the loader would take: of this machine.
    fn candidate(&self, path: &Path) -> Option<(PathBuf, Object, (u64, u64))> {
        if !path.is_absolute() || !path.is_file() {
            return None;
        }
        let object = Object::read(path).ok()??;
        (object.machine == self.machine).then_some((path.to_path_buf(), object, id(path)?))
    }

    fn cached(&self, name: &str) -> Option<&Path> {
        match &self.rules {
            Rules::Glibc { cache, levels, .. } => {
                cache.find(name, self.machine, levels).map(PathBuf::as_path)
            }
            Rules::Musl => None,
        }
    }

    /// A path with its tokens replaced, in every way that is possible here.
    fn expanded(&self, text: &str, of: &Path) -> Vec<String> {
        let origin = of.parent().unwrap_or(of).to_string_lossy();
        let replace = |text: &str, token: &str, with: &str| {
            let curly = format!("${{{token}}}");
            text.replace(&curly, with)
                .replace(&format!("${token}"), with)
        };
        let text = replace(text, "ORIGIN", &origin);
        let Rules::Glibc { lib, .. } = &self.rules else {
            return if text.contains('$') {
                Vec::new()
            } else {
                vec![text]
            };
        };
        let text = replace(&text, "LIB", lib);
        let mut texts: Vec<String> = system::platforms(self.machine)
            .iter()
            .map(|platform| replace(&text, "PLATFORM", platform))
            .collect();
        texts.dedup();
        texts
    }
}

fn split(paths: &str) -> Vec<String> {
    paths.split(':').map(String::from).collect()
}

fn id(path: &Path) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn real(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}
