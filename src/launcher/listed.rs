//! First stage: whitelist, entry, policy, profile.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use secure_exec_core::decide::{Judgement, decide};
use secure_exec_core::digest::{self, Algorithm};
use secure_exec_core::escape::Escaped;
use secure_exec_core::located::{LocatedError, located};
use secure_exec_core::name::PluginName;
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{
    self, Isolation, OnViolation, Profile, ProfileError, RawProfile, builtin,
};
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{self, Entry, Expected, ProfileRef, Whitelist};

use crate::failure::Failure;
use crate::settings::Settings;
use crate::state;
use crate::trust::{self, Finding};

/// What is launched, and on which terms. Nothing of the plugin was touched
/// yet.
#[derive(Clone, Debug)]
pub struct Listed {
    /// PLUGIN as it was named.
    pub name: String,
    /// The whitelist's entry; an unlisted plugin has none.
    pub entry: Option<Entry>,
    /// What the whitelist demands.
    pub whitelist: whitelist::Settings,
    /// The whitelist's file.
    pub whitelist_path: PathBuf,
    /// SHA-256 of the whitelist file.
    pub whitelist_digest: Option<String>,
    /// Where relative paths begin.
    pub plugin_root: PathBuf,
    /// The policy in force.
    pub policy: Policy,
    /// The profile in force.
    pub profile: Profile,
    /// Files and folders by which launches go, this one's record among them.
    pub keeps: Vec<PathBuf>,
    /// What is wrong already.
    pub violations: Vec<Violation>,
    /// What is to be said on stderr.
    pub warnings: Vec<String>,
}

/// A whitelist from its file, or one file of its folder, for any number of
/// lookups.
pub struct Loaded {
    /// What it says.
    pub whitelist: Whitelist,
    /// Its file.
    pub path: PathBuf,
    /// SHA-256 of the file.
    pub digest: String,
    /// Where the whitelist lies.
    pub folder: PathBuf,
    /// Others than root and owner could have written it.
    pub findings: Vec<Finding>,
}

/// Loads what a launch goes by.
///
/// # Errors
/// A whitelist or profile that is missing, has a mistake, or that others can
/// write under strict; a profile that the whitelist does not admit.
pub fn list(settings: &Settings, plugin: &str) -> Result<Listed, Failure> {
    let loaded = load(&settings.whitelist, plugin)?;
    let mut listed = look_up(settings, &loaded, plugin, loaded.whitelist.find(plugin))?;
    let of_file = loaded.whitelist.warnings;
    listed.warnings.splice(0..0, of_file);
    Ok(listed)
}

/// What a launch goes by, from a whitelist that is loaded already. Its
/// warnings are not in the result.
///
/// # Errors
/// As [`list`].
pub fn look_up(
    settings: &Settings,
    loaded: &Loaded,
    plugin: &str,
    entry: Option<&Entry>,
) -> Result<Listed, Failure> {
    let demanded = loaded.whitelist.settings.clone();
    let policy = settings.policy.at_least(demanded.policy);
    let mut violations = Vec::new();
    let mut warnings = Vec::new();
    let mut findings = settings.insecure.clone();
    findings.extend(loaded.findings.clone());

    let profiles = Profiles::new(&settings.profile_folder);
    let profile = profiles.choose(settings, entry, policy)?;
    findings.extend(profiles.findings.into_inner());
    if profile.isolation == Isolation::None && !demanded.allow_unconfined {
        return Err(Failure::own(format!(
            "profile '{}' has no sandbox, and the whitelist does not say 'allow_unconfined: true'\n\
             Use another profile, or allow it in the whitelist's settings.",
            Escaped(&profile.name)
        )));
    }
    let observes = profile.syscalls.on_violation == OnViolation::Log;
    if observes && policy == Policy::Strict && !demanded.allow_unconfined {
        return Err(Failure::own(format!(
            "profile '{}' only logs refused calls ('on_violation: log'), and the whitelist does not say 'allow_unconfined: true'\n\
             Use another profile or policy permissive, or allow it in the whitelist's settings.",
            Escaped(&profile.name)
        )));
    }
    for finding in findings {
        violations.push(Violation::InsecurePermissions(finding.to_string()));
    }
    match entry {
        None => violations.push(Violation::NotWhitelisted),
        Some(entry) => violations.extend(of_entry(entry, &demanded, &mut warnings)),
    }
    violations.extend(of_whitelist(settings, &loaded.path, &demanded)?);
    Ok(Listed {
        name: plugin.to_string(),
        entry: entry.cloned(),
        plugin_root: loaded.plugin_root(settings),
        whitelist: demanded,
        whitelist_path: loaded.path.clone(),
        whitelist_digest: Some(loaded.digest.clone()),
        policy,
        profile,
        keeps: keeps(settings, &loaded.path),
        violations,
        warnings,
    })
}

fn keeps(settings: &Settings, whitelist: &Path) -> Vec<PathBuf> {
    let optional = [
        &settings.audit_log,
        &settings.state_folder,
        &settings.config,
    ];
    let always = [whitelist, &settings.profile_folder];
    let optional = optional.into_iter().filter_map(|path| path.as_deref());
    let paths = always.into_iter().chain(optional);
    paths.map(Path::to_path_buf).collect()
}

impl Loaded {
    /// Where relative plugin paths begin.
    #[must_use]
    pub fn plugin_root(&self, settings: &Settings) -> PathBuf {
        let demanded = self.whitelist.settings.plugin_root.as_ref();
        demanded
            .map(|root| self.folder.join(root))
            .or_else(|| settings.plugin_root.clone())
            .unwrap_or_else(|| self.folder.clone())
    }
}

impl Listed {
    /// Remembers the whitelist's serial, so that no older one counts after it.
    ///
    /// # Errors
    /// The state can't be written.
    pub fn remember(&self, settings: &Settings) -> Result<(), Failure> {
        self.whitelist.serial.map_or(Ok(()), |serial| {
            let folder = settings.state_folder.as_deref();
            state::remember_serial(folder, &self.whitelist_path, serial)
        })
    }

    /// What the policy says of what was found so far: a plugin that is refused
    /// already is not even opened.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        decide(self.policy, self.violations.clone())
    }

    /// The path as it is written, in the whitelist or by the caller.
    #[must_use]
    pub fn written_path(&self) -> &str {
        self.entry.as_ref().map_or(&self.name, |entry| &entry.path)
    }

    /// The algorithm to hash the plugin with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.entry.as_ref().map(|entry| &entry.hash) {
            Some(Expected::Pinned(digest)) => digest.algorithm(),
            _ => self.whitelist.hash_algorithm,
        }
    }

    /// The digest that the whitelist expects, as text.
    #[must_use]
    pub fn expected(&self) -> Option<String> {
        self.entry.as_ref()?.hash.text()
    }
}

/// Whether a whitelist is a folder with one file a plugin.
#[must_use]
pub fn is_folder(path: &Path) -> bool {
    secure_exec_sys::open::stat_path(path, true)
        .is_ok_and(|stat| stat.kind == secure_exec_sys::open::Kind::Directory)
}

/// Loads a whitelist; of a folder, the file of the plugin.
///
/// # Errors
/// It is missing or has a mistake.
pub fn load(path: &Path, plugin: &str) -> Result<Loaded, Failure> {
    if is_folder(path) {
        return load_folder(path, plugin);
    }
    let loaded = trust::read(path).map_err(|error| {
        let cure = error.cure("Name another with --whitelist or SECURE_EXEC_WHITELIST.");
        Failure::own(format!("the whitelist {error}\n{cure}"))
    })?;
    let shown = path.to_string_lossy();
    Ok(Loaded {
        whitelist: Whitelist::parse(&loaded.bytes, &shown).map_err(Failure::own)?,
        path: path.to_path_buf(),
        digest: digest::sha256(&loaded.bytes).to_string(),
        folder: folder_of(path).to_path_buf(),
        findings: loaded.finding.into_iter().collect(),
    })
}

/// A folder holds one file a plugin, so a lookup reads one file however many
/// there are.
fn load_folder(folder: &Path, plugin: &str) -> Result<Loaded, Failure> {
    let nothing = |findings| Loaded {
        whitelist: Whitelist::default(),
        path: folder.to_path_buf(),
        digest: digest::sha256(b"").to_string(),
        folder: folder.to_path_buf(),
        findings,
    };
    let Ok(name) = PluginName::new(plugin) else {
        return Ok(nothing(Vec::new()));
    };
    let path = folder.join(format!("{name}.yaml"));
    let loaded = match trust::read(&path) {
        Ok(loaded) => loaded,
        Err(error) if error.is_not_found() => return Ok(nothing(Vec::new())),
        Err(error) => return Err(Failure::own(format!("the whitelist {error}"))),
    };
    let shown = path.to_string_lossy();
    let whitelist =
        Whitelist::parse_entry_file(&loaded.bytes, &shown, name.as_str()).map_err(Failure::own)?;
    Ok(Loaded {
        whitelist,
        path,
        digest: digest::sha256(&loaded.bytes).to_string(),
        folder: folder.to_path_buf(),
        findings: loaded.finding.into_iter().collect(),
    })
}

/// The folder that a file lies in.
#[must_use]
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn of_entry(
    entry: &Entry,
    demanded: &whitelist::Settings,
    warnings: &mut Vec<String>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    if !entry.enabled {
        found.push(Violation::Disabled);
    }
    match &entry.hash {
        Expected::Pinned(_) => {}
        Expected::Malformed(malformed) => found.push(Violation::MalformedHash(malformed.clone())),
        Expected::Missing => {
            if entry.dev && demanded.allow_dev_plugins {
                warnings.push(format!(
                    "plugin '{}' is under development and has no hash",
                    entry.name
                ));
            }
            found.push(Violation::MissingHash);
        }
    }
    found
}

fn of_whitelist(
    settings: &Settings,
    path: &Path,
    demanded: &whitelist::Settings,
) -> Result<Vec<Violation>, Failure> {
    let mut found = Vec::new();
    if let Some(end) = demanded
        .expires_at
        .filter(|end| *end <= jiff::Timestamp::now())
    {
        found.push(Violation::WhitelistExpired(format!(
            "the whitelist expired at {end}"
        )));
    }
    if let Some(serial) = demanded.serial {
        let folder = settings.state_folder.as_deref();
        found.extend(state::check_serial(folder, path, serial)?);
    }
    Ok(found)
}

/// Where profiles come from: the machine's folder, then the program itself.
pub struct Profiles<'a> {
    /// The machine's folder.
    folder: &'a Path,
    /// Files that others can write.
    pub findings: RefCell<Vec<Finding>>,
}

impl<'a> Profiles<'a> {
    /// The profiles of a machine that has its own in `folder`.
    #[must_use]
    pub const fn new(folder: &'a Path) -> Self {
        Self {
            folder,
            findings: RefCell::new(Vec::new()),
        }
    }

    /// The profile of a launch: the entry's own, else the caller's, else the
    /// machine's, else `default`. What the whitelist pins, the caller can't
    /// replace under strict.
    fn choose(
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
        let path = self.folder.join(format!("{name}.yaml"));
        match trust::read(&path) {
            Ok(loaded) => self.parsed(loaded, &path).map(Some),
            Err(error) if error.is_not_found() => builtin::raw(name).transpose().map_err(|error| {
                let file = format!("the built-in profile '{name}'");
                located("", &file, 0, 0, error.to_string())
            }),
            Err(error) => Err(located("", &path.to_string_lossy(), 0, 0, error.what())),
        }
    }

    fn file(&self, path: &Path) -> Result<RawProfile, Failure> {
        let loaded = trust::read(path).map_err(|error| {
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
            plugin_root: None,
            state_folder: None,
            config: None,
            insecure: Vec::new(),
        };
        let profiles = Profiles::new(&settings.profile_folder);
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
