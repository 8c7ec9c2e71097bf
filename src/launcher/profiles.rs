//! Where a launch's profile comes from, and who may choose it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_core::located::{LocatedError, located};
use secure_exec_core::name::PluginName;
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{self, Profile, ProfileError, RawProfile, builtin};
use secure_exec_core::whitelist::{Entry, ProfileRef};

use crate::failure::Failure;
use crate::owner::Finding;
use crate::settings::{DEFAULT_PROFILES, Settings};
use crate::trail::Trail;
use crate::trust;

/// Where profiles come from: a folder, then the program itself.
pub struct Profiles<'a> {
    /// Adds to the built-in profiles and replaces them.
    folder: &'a Path,
    /// Adds to both, and replaces none.
    additional: Option<&'a Path>,
    /// Files that others can write.
    pub findings: RefCell<Vec<Finding>>,
    /// Files that were read, or looked for.
    pub trail: Trail,
}

/// The folders of a launch's profiles.
#[derive(Clone, Debug)]
pub struct Folders {
    folder: PathBuf,
    additional: Option<PathBuf>,
}

impl Folders {
    /// What is in them, and the built-in ones.
    pub(crate) fn profiles(&self) -> Profiles<'_> {
        Profiles {
            folder: &self.folder,
            additional: self.additional.as_deref(),
            findings: RefCell::default(),
            trail: Trail::default(),
        }
    }

    /// Those of launches that name no others.
    pub(crate) fn of_machine() -> Self {
        Self {
            folder: DEFAULT_PROFILES.into(),
            additional: None,
        }
    }
}

/// The names of the YAML files in a folder, as far as they are names of
/// profiles and plugins; nothing where there is no folder.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: std::io::Error| {
        let folder = folder.to_string_lossy();
        Failure::own(format!("the folder '{}': {error}", Escaped(&folder)))
    };
    let files = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        files => files.map_err(failed)?,
    };
    let mut names = Vec::new();
    for file in files {
        let name = file.map_err(failed)?.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".yaml"));
        let name = name.filter(|name| PluginName::new(name).is_ok());
        names.extend(name.map(String::from));
    }
    Ok(names)
}

impl<'a> Profiles<'a> {
    /// The profiles of a launch. What a whitelist means by a name is not for
    /// its caller to say: under strict a folder that only the caller's own
    /// configuration names can't replace the machine's and built-in profiles.
    #[must_use]
    pub fn new(settings: &'a Settings, policy: Policy) -> Self {
        let (folder, additional) = if settings.profiles_by_caller && policy == Policy::Strict {
            (Path::new(DEFAULT_PROFILES), Some(&*settings.profile_folder))
        } else {
            (&*settings.profile_folder, None)
        };
        Self {
            folder,
            additional,
            findings: RefCell::new(Vec::new()),
            trail: Trail::default(),
        }
    }

    /// Where they come from, to ask again later.
    #[must_use]
    pub fn folders(&self) -> Folders {
        Folders {
            folder: self.folder.to_path_buf(),
            additional: self.additional.map(Path::to_path_buf),
        }
    }

    /// The names of all profiles.
    pub(crate) fn names(&self) -> Result<BTreeSet<String>, Failure> {
        let mut names: BTreeSet<String> = builtin::names().map(String::from).collect();
        for folder in [Some(self.folder), self.additional].into_iter().flatten() {
            names.extend(names_in(folder)?);
        }
        Ok(names)
    }

    /// The profile of a launch: the entry's own, else the caller's, else the
    /// machine's, else `default`. What the whitelist pins, the caller can't
    /// replace under strict.
    pub(crate) fn choose(
        &self,
        settings: &Settings,
        entry: Option<&Entry>,
        policy: Policy,
    ) -> Result<Profile, Failure> {
        let outside = settings.profile.as_deref();
        match entry.and_then(|entry| entry.profile.as_ref()) {
            Some(pinned) => {
                let same = matches!((pinned, outside), (ProfileRef::Named(name), Some(other)) if name == other);
                if outside.is_some() && !same && policy == Policy::Strict {
                    return Err(Failure::own(
                        "the whitelist entry has a profile of its own, and under strict no other can replace it\n\
                         Leave --profile and SECURE_EXEC_PROFILE away, or change the entry.",
                    ));
                }
                match (pinned, outside) {
                    (_, Some(name)) if !same => self.by_name_or_file(name),
                    (ProfileRef::Named(name), _) => self.by_name(name),
                    (ProfileRef::Inline(raw), _) => {
                        let name = raw.name().unwrap_or("inline");
                        self.resolve(raw, name).map_err(Failure::own)
                    }
                }
            }
            None => {
                let of_machine = settings.default_profile.as_deref();
                self.by_name_or_file(outside.or(of_machine).unwrap_or("default"))
            }
        }
    }

    /// A profile by its name.
    ///
    /// # Errors
    /// It is unknown or has a mistake.
    pub fn by_name(&self, name: &str) -> Result<Profile, Failure> {
        let raw = self.raw(name).map_err(Failure::own)?;
        let raw = raw.ok_or_else(|| Failure::own(ProfileError::Unknown(name.to_string())))?;
        self.resolve(&raw, name)
            .map_err(|error| misstated(&error, name))
    }

    /// A profile by its name, or by the path of its file, which has a `/`.
    ///
    /// # Errors
    /// As [`Profiles::by_name`].
    pub fn by_name_or_file(&self, name: &str) -> Result<Profile, Failure> {
        if !name.contains('/') {
            return self.by_name(name);
        }
        let raw = self.file(Path::new(name))?;
        let stem = Path::new(name)
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy();
        let own = raw.name().unwrap_or(&stem).to_string();
        self.resolve(&raw, &own)
            .map_err(|error| misstated(&error, name))
    }

    /// Composes a profile with what it extends.
    ///
    /// # Errors
    /// As [`profile::resolve`].
    pub fn resolve(&self, raw: &RawProfile, name: &str) -> Result<Profile, ProfileError> {
        profile::resolve(raw, name, &|name| self.raw(name).transpose())
    }

    fn raw(&self, name: &str) -> Result<Option<RawProfile>, LocatedError> {
        if PluginName::new(name).is_err() {
            return Ok(None);
        }
        let known = match self.in_folder(self.folder, name)? {
            None => builtin::raw(name).transpose().map_err(|error| {
                let file = format!("the built-in profile '{name}'");
                located("", &file, 0, 0, error.to_string())
            })?,
            found => found,
        };
        let Some(folder) = self.additional else {
            return Ok(known);
        };
        let added = self.in_folder(folder, name)?;
        if known.is_some() && added.is_some() {
            let path = folder.join(format!("{name}.yaml"));
            let why = "under strict, a configuration that the caller names can't replace a profile of the machine's or \
                       a built-in one; give this one a name of its own";
            return Err(located("", &path.to_string_lossy(), 0, 0, why.into()));
        }
        Ok(known.or(added))
    }

    fn in_folder(&self, folder: &Path, name: &str) -> Result<Option<RawProfile>, LocatedError> {
        let path = folder.join(format!("{name}.yaml"));
        match trust::read(&path, &self.trail) {
            Ok(loaded) => self.parsed(loaded, &path).map(Some),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(located("", &path.to_string_lossy(), 0, 0, error.what())),
        }
    }

    fn file(&self, path: &Path) -> Result<RawProfile, Failure> {
        let loaded = trust::read(path, &self.trail).map_err(|error| {
            let cure = error.cure("Name another, by its name or the path of its file.");
            Failure::own(format!("the profile {error}\n{cure}"))
        })?;
        self.parsed(loaded, path).map_err(Failure::own)
    }

    fn parsed(&self, loaded: trust::Loaded, path: &Path) -> Result<RawProfile, LocatedError> {
        self.findings.borrow_mut().extend(loaded.finding);
        RawProfile::parse(&loaded.bytes, &path.to_string_lossy())
    }
}

/// A launch composes values and no longer knows their places; the tool does.
fn misstated(error: &ProfileError, name: &str) -> Failure {
    match error {
        ProfileError::Invalid(..) => Failure::own(format!(
            "{error}\n'secure-execctl profile check {}' shows where.",
            Escaped(name)
        )),
        _ => Failure::own(error),
    }
}

#[cfg(test)]
mod tests {
    use secure_exec_core::whitelist::Whitelist;

    use super::*;

    /// The profile of an entry that names `pinned`, if that.
    fn chosen(pinned: Option<&str>, caller: Option<&str>, machine: Option<&str>) -> Option<String> {
        let profile = pinned.map(|name| format!("    profile: {name}\n"));
        let text = format!(
            "version: 1\nplugins:\n  - name: p\n    path: p\n{}",
            profile.unwrap_or_default()
        );
        let whitelist = Whitelist::parse(text.as_bytes(), "w").unwrap();
        let settings = Settings {
            whitelist: "w".into(),
            policy: Policy::Strict,
            profile: caller.map(String::from),
            default_profile: machine.map(String::from),
            profile_folder: "/nonexistent".into(),
            audit_log: None,
            audit_pattern: None,
            audit: secure_exec_core::config::AuditConfig::default(),
            plugin_root: None,
            profiles_by_caller: false,
            state_folder: None,
            trail: Trail::default(),
            insecure: Vec::new(),
        };
        let profiles = Profiles::new(&settings, Policy::Strict);
        let found = profiles.choose(&settings, whitelist.find("p"), Policy::Strict);
        found.map(|profile| profile.name).ok()
    }

    #[test]
    fn the_machines_profile_is_for_entries_without_one() {
        assert_eq!(chosen(None, None, Some("node")).unwrap(), "node");
        assert_eq!(
            chosen(Some("python"), None, Some("node")).unwrap(),
            "python"
        );
        assert_eq!(chosen(None, Some("jvm"), Some("node")).unwrap(), "jvm");
        assert_eq!(chosen(None, None, None).unwrap(), "default");
    }

    #[test]
    fn a_caller_does_not_replace_the_entrys_profile_under_strict() {
        assert_eq!(chosen(Some("python"), Some("unconfined"), None), None);
        assert_eq!(
            chosen(Some("python"), Some("python"), None).unwrap(),
            "python"
        );
    }
}
