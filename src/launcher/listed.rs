//! First stage: whitelist, entry, policy, profile.

mod folder;
mod lock;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secure_exec_core::config::Sync;
use secure_exec_core::decide::{Judgement, decide};
use secure_exec_core::digest::{self, Algorithm};
use secure_exec_core::escape::Escaped;
use secure_exec_core::policy::Policy;
use secure_exec_core::profile::{OnViolation, Profile, RawProfile};
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{self, Entry, Expected, ProfileRef, Whitelist};
use secure_exec_sys::open;

use crate::audit;
use crate::certificates;
use crate::failure::Failure;
use crate::owner::Finding;
use crate::profiles::{Folders, Profiles, names_in};
use crate::settings::{DEFAULT_WHITELIST, Settings};
use crate::state;
use crate::trail::{Kept, Trail};
use crate::trust;
pub use folder::{FOLDER_SETTINGS, Floor, floor_of_file, load_floor};
pub use lock::{Locked, path as lock_path, read as read_lock};

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
    /// The settings of the whitelist's folder, which the file only tightens.
    pub floor: Option<Floor>,
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
    /// What the entries of the whitelist's file pin, if the profile lets the
    /// plugin write anything.
    programs: Vec<Kept>,
    /// What signs the audit log: nobody else may read it.
    pub signing_key: Option<PathBuf>,
    /// When records are brought to the disk.
    pub sync: Sync,
    /// What Landlock refuses goes to the kernel's audit as well.
    pub kernel_denials: bool,
    /// What is wrong already.
    pub violations: Vec<Violation>,
    /// What is to be said on stderr.
    pub warnings: Vec<String>,
    /// Variables that are not passed, since they name what is not granted.
    pub(crate) withheld: Vec<&'static str>,
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
    /// Where its file lies, links followed: the lock files lie beside it.
    pub beside: PathBuf,
    /// Others could have written it, or the settings of its folder.
    pub findings: Vec<Finding>,
    /// The settings of its folder, which it only tightens; a file that is these
    /// settings itself has none.
    pub floor: Option<Floor>,
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
    let mut listed = list_once(settings, plugin)?;
    // Whitelist and lock file are replaced one right after the other. Two looks
    // that see the same have seen what lies there.
    for _ in 1..open::LOOKS {
        let Some(mismatch) = listed.mismatch() else {
            break;
        };
        let again = list_once(settings, plugin)?;
        let is_same =
            again.whitelist_digest == listed.whitelist_digest && again.mismatch() == Some(mismatch);
        listed = again;
        if is_same {
            break;
        }
    }
    Ok(listed)
}

fn list_once(settings: &Settings, plugin: &str) -> Result<Listed, Failure> {
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
    let mut profile = profile;
    let mut withheld = Vec::new();
    if policy != Policy::AuditOnly {
        for (name, why) in certificates::admit(&mut profile, entry) {
            warnings.push(why);
            withheld.push(name);
        }
    }
    let folders = profiles.folders();
    let trail = settings.trail.fork();
    trail.follow(&loaded.trail);
    trail.follow(&profiles.trail);
    findings.extend(profiles.findings.into_inner());
    if !profile.isolation.confines() && !demanded.allow_unconfined {
        return Err(Failure::own(format!(
            "profile '{}' has no sandbox, and the whitelist does not say 'allow_unconfined: true'\n\
             Use another profile, or allow it in the whitelist's settings{}.",
            Escaped(&profile.name),
            loaded.also_in()
        )));
    }
    let observes = profile.syscalls.on_violation == OnViolation::Log;
    if observes && policy == Policy::Strict && !demanded.allow_unconfined {
        return Err(Failure::own(format!(
            "profile '{}' only logs refused calls ('on_violation: log'), and the whitelist does not say 'allow_unconfined: true'\n\
             Use another profile or policy permissive, or allow it in the whitelist's settings{}.",
            Escaped(&profile.name),
            loaded.also_in()
        )));
    }
    let mut entry = entry.cloned();
    let lock = lock(&mut entry, loaded, &trail);
    let lock = lock.unwrap_or_else(|violation| {
        violations.push(violation);
        None
    });
    findings.extend(lock);
    for finding in findings {
        violations.push(Violation::InsecurePermissions(finding.to_string()));
    }
    match &entry {
        None => violations.push(Violation::NotWhitelisted),
        Some(entry) => violations.extend(of_entry(entry, &demanded, &mut warnings)),
    }
    violations.extend(of_whitelist(settings, loaded, &demanded, &trail)?);
    let plugin_root = loaded.plugin_root(settings);
    let grants = &profile.filesystem.write;
    let programs = if grants.is_empty() && profile.network.unix_bind.is_empty() {
        Vec::new()
    } else {
        programs(loaded, &[&plugin_root])
    };
    Ok(Listed {
        name: plugin.to_string(),
        entry,
        plugin_root,
        whitelist: demanded,
        whitelist_path: loaded.path.clone(),
        whitelist_digest: Some(loaded.digest.clone()),
        floor: loaded.floor.clone(),
        policy,
        profile,
        trail,
        profiles: folders,
        whitelist_folder: Some(&loaded.folder)
            .filter(|folder| **folder == settings.whitelist && is_folder(folder))
            .cloned(),
        inline: Arc::clone(&loaded.inline),
        programs,
        signing_key: settings.audit.sign.as_ref().and_then(audit::key_path),
        sync: settings.audit.sync,
        kernel_denials: settings.audit.kernel_denials,
        violations,
        warnings,
        withheld,
    })
}

/// The pins of the entry's lock file become libraries of the entry. Returns who
/// else could have written it.
fn lock(
    entry: &mut Option<Entry>,
    loaded: &Loaded,
    trail: &Trail,
) -> Result<Option<Finding>, Violation> {
    let Some(entry) = entry else {
        return Ok(None);
    };
    let Some(expected) = &entry.lock else {
        return Ok(None);
    };
    let read = read_lock(&loaded.beside, entry.name.as_str(), expected, trail)?;
    let Locked { pins, finding } = read;
    entry.libraries.extend(pins);
    Ok(finding)
}

/// The files that entries pin, in lock files as well: plugins, interpreters,
/// scripts, libraries.
fn programs(loaded: &Loaded, plugin_roots: &[&Path]) -> Vec<Kept> {
    let mut found = Vec::new();
    let placed = |path: &String| -> Vec<PathBuf> {
        plugin_roots.iter().map(|root| root.join(path)).collect()
    };
    for entry in &loaded.whitelist.entries {
        let pins = entry.interpreter.iter().chain(&entry.script);
        let programs = pins.map(|pin| &pin.path).chain([&entry.path]);
        found.extend(programs.flat_map(placed).map(Kept::Program));
        // A lock file that is not the pinned one lets nothing run.
        let locked = entry.lock.as_ref().map(|expected| {
            let name = entry.name.as_str();
            read_lock(&loaded.beside, name, expected, &Trail::default())
        });
        let pins = locked.and_then(Result::ok).map(|locked| locked.pins);
        let pins = pins.iter().flatten().chain(&entry.libraries);
        found.extend(pins.flat_map(|pin| placed(&pin.path)).map(Kept::Library));
    }
    found
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
    /// Remembers the whitelist's serials, so that no older one counts after it.
    ///
    /// # Errors
    /// The state can't be written.
    pub fn remember(&self, settings: &Settings) -> Result<(), Failure> {
        let own = self
            .whitelist
            .serial
            .map(|serial| (&self.whitelist_path, serial));
        let floor = self.floor.as_ref();
        let floor = floor.and_then(|floor| Some((&floor.path, floor.serial?)));
        let folder = settings.state_folder.as_deref();
        for (path, serial) in own.into_iter().chain(floor) {
            state::remember_serial(folder, path, serial, &self.trail)?;
        }
        Ok(())
    }

    /// The files that all entries of the whitelist pin, for a profile that lets
    /// the plugin write something.
    ///
    /// # Errors
    /// The whitelist's folder can't be listed.
    pub(crate) fn all_programs(&self) -> Result<Vec<Kept>, Failure> {
        let mut found = self.programs.clone();
        let mut others = Vec::new();
        let whitelist = &self.whitelist_path;
        // A file of a whitelist's folder may be named by itself.
        let is_one_of_folder = whitelist.extension().is_some_and(|end| end == "yaml");
        let folder = is_one_of_folder.then(|| folder_of(whitelist));
        if let Some(folder) = self.whitelist_folder.as_deref().or(folder) {
            let names = names_in(folder)?.into_iter();
            others.extend(names.map(|name| (folder.to_path_buf(), name)));
        }
        others.push((DEFAULT_WHITELIST.into(), String::new()));
        for (path, name) in others {
            // What can't be read lets nothing run.
            let Ok(other) = load(&path, &name) else {
                continue;
            };
            let root = other.whitelist.settings.plugin_root.as_ref();
            let root = root.map_or_else(|| other.folder.clone(), |root| other.folder.join(root));
            found.extend(programs(&other, &[&root, &self.plugin_root]));
        }
        Ok(found)
    }

    /// What the policy says of what was found so far: a plugin that is refused
    /// already is not even opened.
    #[must_use]
    pub fn judgement(&self) -> Judgement {
        decide(self.policy, self.violations.clone())
    }

    /// What is wrong with the entry's lock file.
    fn mismatch(&self) -> Option<&Violation> {
        let mut violations = self.violations.iter();
        violations.find(|violation| matches!(violation, Violation::LockFile(_)))
    }

    /// The path as it is written, in the whitelist or by the caller.
    #[must_use]
    pub fn written_path(&self) -> &str {
        self.entry.as_ref().map_or(&self.name, |entry| &entry.path)
    }

    /// Where the plugin is, as it is written, links and all.
    #[must_use]
    pub fn place(&self) -> PathBuf {
        match &self.entry {
            None => PathBuf::from(&self.name),
            Some(entry) => self.plugin_root.join(&entry.path),
        }
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
    open::stat_path(path, true).is_ok_and(|stat| stat.kind == open::Kind::Directory)
}

/// Loads a whitelist; of a folder, the file of the plugin. A file's folder has
/// its settings either way: to name the file does not avoid them.
///
/// # Errors
/// It is missing or has a mistake, or the settings of its folder have.
pub fn load(path: &Path, plugin: &str) -> Result<Loaded, Failure> {
    if is_folder(path) {
        return folder::load(path, plugin);
    }
    let trail = Trail::default();
    let loaded = trust::read(path, &trail).map_err(|error| {
        let cure = error.cure("Name another with --whitelist or SECURE_EXEC_WHITELIST.");
        Failure::own(format!("the whitelist {error}\n{cure}"))
    })?;
    let shown = path.to_string_lossy();
    let whitelist = Whitelist::parse(&loaded.bytes, &shown).map_err(Failure::own)?;
    let floor = floor_of_file(path, &loaded.real)?;
    let file = Loaded {
        inline: inline(&whitelist),
        whitelist,
        trail,
        path: path.to_path_buf(),
        digest: digest::sha256(&loaded.bytes).to_string(),
        folder: folder_of(path).to_path_buf(),
        beside: folder_of(&loaded.real).to_path_buf(),
        findings: loaded.finding.into_iter().collect(),
        floor: None,
    };
    Ok(match floor {
        Some(floor) => file.within(floor),
        None => file,
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
    loaded: &Loaded,
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
    let state = settings.state_folder.as_deref();
    let mut files = vec![(&*loaded.path, demanded.serial)];
    let floor = loaded.floor.as_ref();
    files.extend(floor.map(|floor| (&*floor.path, floor.serial)));
    found.extend(state::check_serials(state, &files, trail)?);
    Ok(found)
}
