//! First stage: whitelist, entry, policy, profile.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secure_exec_core::config::Sync;
use secure_exec_core::decide::{Judgement, decide};
use secure_exec_core::digest::{self, Algorithm};
use secure_exec_core::escape::Escaped;
use secure_exec_core::located::located;
use secure_exec_core::name::PluginName;
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{Isolation, OnViolation, Profile, RawProfile};
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{self, Entry, Expected, ProfileRef, Whitelist};

use crate::audit;
use crate::failure::Failure;
use crate::profiles::{Folders, Profiles};
use crate::settings::Settings;
use crate::state;
use crate::trail::Trail;
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
    /// What launches go by, this one's record among it.
    pub trail: Trail,
    /// Where profiles come from.
    pub profiles: Folders,
    /// The whitelist's folder, where it is one with a file a plugin.
    pub whitelist_folder: Option<PathBuf>,
    /// Profiles that stand in entries of the whitelist's file.
    pub inline: Arc<[(String, RawProfile)]>,
    /// What signs the audit log: nobody else may read it.
    pub signing_key: Option<PathBuf>,
    /// When records are brought to the disk.
    pub sync: Sync,
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
    /// The files that were read, or looked for.
    pub trail: Trail,
    /// Profiles that stand in its entries, each with the entry's name.
    pub inline: Arc<[(String, RawProfile)]>,
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

    let profiles = Profiles::new(settings, policy);
    let profile = profiles.choose(settings, entry, policy)?;
    let folders = profiles.folders();
    let trail = settings.trail.fork();
    trail.follow(&loaded.trail);
    trail.follow(&profiles.trail);
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
    violations.extend(of_whitelist(settings, &loaded.path, &demanded, &trail)?);
    Ok(Listed {
        name: plugin.to_string(),
        entry: entry.cloned(),
        plugin_root: loaded.plugin_root(settings),
        whitelist: demanded,
        whitelist_path: loaded.path.clone(),
        whitelist_digest: Some(loaded.digest.clone()),
        policy,
        profile,
        trail,
        profiles: folders,
        whitelist_folder: Some(&loaded.folder)
            .filter(|folder| **folder == settings.whitelist && is_folder(folder))
            .cloned(),
        inline: Arc::clone(&loaded.inline),
        signing_key: settings.audit.sign.as_ref().and_then(audit::key_path),
        sync: settings.audit.sync,
        violations,
        warnings,
    })
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
            state::remember_serial(folder, &self.whitelist_path, serial, &self.trail)
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
    let trail = Trail::default();
    let loaded = trust::read(path, &trail).map_err(|error| {
        let cure = error.cure("Name another with --whitelist or SECURE_EXEC_WHITELIST.");
        Failure::own(format!("the whitelist {error}\n{cure}"))
    })?;
    let shown = path.to_string_lossy();
    let whitelist = Whitelist::parse(&loaded.bytes, &shown).map_err(Failure::own)?;
    Ok(Loaded {
        inline: inline(&whitelist),
        whitelist,
        trail,
        path: path.to_path_buf(),
        digest: digest::sha256(&loaded.bytes).to_string(),
        folder: folder_of(path).to_path_buf(),
        findings: loaded.finding.into_iter().collect(),
    })
}

fn inline(whitelist: &Whitelist) -> Arc<[(String, RawProfile)]> {
    let entries = whitelist.entries.iter();
    let inline = entries.filter_map(|entry| match &entry.profile {
        Some(ProfileRef::Inline(raw)) => Some((entry.name.to_string(), (**raw).clone())),
        _ => None,
    });
    inline.collect()
}

/// The name, without `.yaml`, of the file in a whitelist folder that has the
/// settings for plugins which no other file lists.
pub const FOLDER_SETTINGS: &str = ".settings";

/// A folder holds one file a plugin, so a lookup reads one file however many
/// there are; of a plugin without one, the folder's own.
fn load_folder(folder: &Path, plugin: &str) -> Result<Loaded, Failure> {
    let trail = Trail::default();
    trail.folder(folder);
    let named = PluginName::new(plugin).ok();
    let named = named.filter(|name| name.as_str() != FOLDER_SETTINGS);
    if let Some(name) = named
        && let Some(found) = load_file_of(folder, name.as_str(), &trail)?
    {
        let (loaded, path) = found;
        let shown = path.to_string_lossy();
        let whitelist = Whitelist::parse_entry_file(&loaded.bytes, &shown, name.as_str());
        return Ok(of_folder(
            folder,
            whitelist.map_err(Failure::own)?,
            &loaded,
            &path,
            trail,
        ));
    }
    let Some((loaded, path)) = load_file_of(folder, FOLDER_SETTINGS, &trail)? else {
        return Ok(Loaded {
            whitelist: Whitelist::default(),
            path: folder.to_path_buf(),
            digest: digest::sha256(b"").to_string(),
            folder: folder.to_path_buf(),
            findings: Vec::new(),
            trail,
            inline: Arc::default(),
        });
    };
    let shown = path.to_string_lossy();
    let whitelist = Whitelist::parse(&loaded.bytes, &shown).map_err(Failure::own)?;
    if let Some(entry) = whitelist.entries.first() {
        let why = "this file has the settings of the folder; a plugin has a file of its own name";
        let text = std::str::from_utf8(&loaded.bytes).unwrap_or_default();
        let error = located(text, &shown, entry.line, entry.column, why.into());
        return Err(Failure::own(error));
    }
    Ok(of_folder(folder, whitelist, &loaded, &path, trail))
}

fn load_file_of(
    folder: &Path,
    name: &str,
    trail: &Trail,
) -> Result<Option<(trust::Loaded, PathBuf)>, Failure> {
    let path = folder.join(format!("{name}.yaml"));
    match trust::read(&path, trail) {
        Ok(loaded) => Ok(Some((loaded, path))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(Failure::own(format!("the whitelist {error}"))),
    }
}

fn of_folder(
    folder: &Path,
    whitelist: Whitelist,
    loaded: &trust::Loaded,
    path: &Path,
    trail: Trail,
) -> Loaded {
    Loaded {
        inline: inline(&whitelist),
        whitelist,
        trail,
        path: path.to_path_buf(),
        digest: digest::sha256(&loaded.bytes).to_string(),
        folder: folder.to_path_buf(),
        findings: loaded.finding.clone().into_iter().collect(),
    }
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
    trail: &Trail,
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
        found.extend(state::check_serial(folder, path, serial, trail)?);
    }
    Ok(found)
}
