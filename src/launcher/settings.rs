//! What the command line, the environment and the configuration file mean
//! together.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use secure_exec_core::config::{AuditConfig, Config, KeyPlace, SinkConfig, SinkKind};
use secure_exec_core::digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::name::PluginName;
use secure_exec_core::policy::Policy;

use crate::cli::{self, Arguments};
use crate::failure::Failure;
use crate::listed::folder_of;
use crate::owner::Finding;
use crate::trail::Trail;
use crate::trust;

/// The whitelist, where nothing names another.
pub(crate) const DEFAULT_WHITELIST: &str = "/etc/secure-exec/plugins.whitelist";
/// The configuration file, where nothing names another. It may be absent.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/secure-exec/config.yaml";
/// Profiles that add to the built-in ones and override them.
pub(crate) const DEFAULT_PROFILES: &str = "/etc/secure-exec/profiles.d";
/// Root's audit log and state, where nothing names others.
pub(crate) const ROOT_AUDIT_LOG: &str = "/var/log/secure-exec/audit.log";
pub(crate) const ROOT_STATE: &str = "/var/lib/secure-exec";
/// Another user's audit log, in his state folder.
pub(crate) const AUDIT_LOG: &str = "audit.log";

/// In the path of the audit log, the name of the launch's user.
pub const USER: &str = "{user}";

/// The settings of one launch.
#[derive(Debug)]
pub struct Settings {
    /// Whitelist file or folder.
    pub whitelist: PathBuf,
    /// The policy asked for; the whitelist's floor is not yet in it.
    pub policy: Policy,
    /// The profile that the caller asks for.
    pub profile: Option<String>,
    /// The machine's profile for plugins that nobody names one for.
    pub default_profile: Option<String>,
    /// Folder of profiles.
    pub profile_folder: PathBuf,
    /// It is named by a configuration that the caller chose.
    pub profiles_by_caller: bool,
    /// The audit log; `None` where no place for it is known.
    pub audit_log: Option<PathBuf>,
    /// The same as it was named, with [`USER`] in it, of all users.
    pub audit_pattern: Option<PathBuf>,
    /// How the log is written and kept.
    pub audit: AuditConfig,
    /// Where relative plugin paths begin, if not where the whitelist says.
    pub plugin_root: Option<PathBuf>,
    /// Where the launcher keeps what it must remember between launches;
    /// `None` where no place for it is known.
    pub state_folder: Option<PathBuf>,
    /// What launches go by: what was read so far, and the places that were
    /// named.
    pub trail: Trail,
    /// Others than root and the caller could have written the configuration.
    pub insecure: Vec<Finding>,
}

impl Settings {
    /// Merges: command line, `SECURE_EXEC_*`, configuration file, defaults.
    ///
    /// # Errors
    /// A configuration file that can't be read or has a mistake; an unknown
    /// policy name.
    pub fn merge(typed: &Arguments) -> Result<Self, Failure> {
        let mut insecure = Vec::new();
        let trail = Trail::default();
        let named = typed
            .config
            .clone()
            .or_else(|| environment("SECURE_EXEC_CONFIG").map(PathBuf::from));
        let config = load_config(named.as_deref(), &mut insecure, &trail)?;
        let path = |given: &Option<PathBuf>, variable: &str, configured: &Option<String>| {
            given
                .clone()
                .or_else(|| environment(variable).map(PathBuf::from))
                .or_else(|| configured.as_ref().map(PathBuf::from))
        };
        let policy = match (&typed.policy, environment("SECURE_EXEC_POLICY")) {
            (Some(policy), _) => *policy,
            (None, Some(name)) => cli::policy("SECURE_EXEC_POLICY", &name)?,
            (None, None) => config.policy.unwrap_or_default(),
        };
        let profile = match (&typed.profile, environment("SECURE_EXEC_PROFILE")) {
            (None, Some(name)) => Some(cli::text("SECURE_EXEC_PROFILE", name)?),
            (typed, _) => typed.clone(),
        };
        let configured_log = config.audit.log_file.clone();
        if let Some(log) = &configured_log {
            check_pattern(Path::new(log))?;
        }
        let state_folder = state_folder();
        let audit_log = path(&typed.audit_log, "SECURE_EXEC_AUDIT_LOG", &configured_log);
        let mut audit = config.audit;
        // A file that is named is written, whatever else there is.
        if audit_log.is_some() && !audit.sinks.is_empty() {
            let is_file = |sink: &SinkConfig| sink.kind == SinkKind::File;
            if !audit.sinks.iter().any(is_file) {
                audit.sinks.insert(0, SinkConfig::FILE);
            }
        }
        if let Some(key) = audit.without_effect().first() {
            return Err(Failure::own(format!(
                "'audit.{key}' of the configuration has no effect: it is about the log's file, and no sink is that file\n\
                 Add '- type: file' to 'audit.sinks', or leave '{key}' out."
            )));
        }
        let audit_pattern = audit_log.or_else(default_audit_log);
        let audit_log = audit_pattern.as_deref().map(of_user).transpose()?;
        let whitelist = path(&typed.whitelist, "SECURE_EXEC_WHITELIST", &config.whitelist)
            .unwrap_or_else(|| DEFAULT_WHITELIST.into());
        trail.file(&whitelist);
        trail.folder(config.profile_dir.as_deref().unwrap_or(DEFAULT_PROFILES));
        // Named by path, whether this launch takes them or another does.
        for named in [&config.profile, &profile].into_iter().flatten() {
            if named.contains('/') {
                trail.file(named);
            }
        }
        audit_log.iter().for_each(|log| trail.file(log));
        Ok(Self {
            whitelist,
            policy,
            profile,
            default_profile: config.profile.clone(),
            profile_folder: config
                .profile_dir
                .clone()
                .unwrap_or_else(|| DEFAULT_PROFILES.into())
                .into(),
            profiles_by_caller: named.is_some() && config.profile_dir.is_some(),
            audit_log,
            audit_pattern,
            audit,
            plugin_root: path(
                &typed.plugin_root,
                "SECURE_EXEC_PLUGIN_ROOT",
                &config.plugin_root,
            ),
            state_folder,
            trail,
            insecure,
        })
    }
}

fn load_config(
    named: Option<&Path>,
    insecure: &mut Vec<Finding>,
    trail: &Trail,
) -> Result<Config, Failure> {
    let path = named.unwrap_or(Path::new(DEFAULT_CONFIG));
    let loaded = match trust::read(path, trail) {
        Ok(loaded) => loaded,
        Err(error) if named.is_none() && error.is_not_found() => {
            return Ok(Config::default());
        }
        Err(error) => {
            let cure = error.cure("Name another with --config or SECURE_EXEC_CONFIG.");
            return Err(Failure::own(format!("the configuration {error}\n{cure}")));
        }
    };
    insecure.extend(loaded.finding);
    let mut config = Config::parse(&loaded.bytes, &path.to_string_lossy()).map_err(Failure::own)?;
    begin_at(folder_of(path), &mut config);
    Ok(config)
}

/// Relative paths of a configuration begin at its folder.
fn begin_at(folder: &Path, config: &mut Config) {
    let begin = |path: &mut String| *path = folder.join(&*path).to_string_lossy().into_owned();
    let paths = [
        &mut config.whitelist,
        &mut config.profile_dir,
        &mut config.plugin_root,
        &mut config.audit.log_file,
    ];
    paths.into_iter().flatten().for_each(begin);
    // Without a slash it is a name.
    let profile = config.profile.as_mut();
    profile.filter(|name| name.contains('/')).map(begin);
    if let Some(KeyPlace::File(path)) = config.audit.sign.as_mut().map(|sign| &mut sign.key) {
        begin(path);
    }
}

/// A `SECURE_EXEC_*` variable; an empty one counts as unset.
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.as_bytes().is_empty())
}

/// This user's log of a path that has one for each user.
fn of_user(pattern: &Path) -> Result<PathBuf, Failure> {
    check_pattern(pattern)?;
    let Some(text) = pattern.to_str().filter(|text| text.contains(USER)) else {
        return Ok(pattern.to_path_buf());
    };
    let user = secure_exec_sys::process::plain_user()
        .map_err(|error| Failure::own(format!("'{USER}' in the path of the audit log: {error}")))?;
    Ok(text.replace(USER, &user).into())
}

/// A log with another name in braces is nobody's intention.
fn check_pattern(pattern: &Path) -> Result<(), Failure> {
    let text = pattern.to_string_lossy();
    let without = text.replace(USER, "");
    let name = without
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let Some((name, _)) = name else {
        return Ok(());
    };
    Err(Failure::own(format!(
        "the path of the audit log '{}': '{{{}}}' is not known\n\
         Write '{USER}' for the name of the launch's user, or a path without braces.",
        Escaped(&text),
        Escaped(name)
    )))
}

fn default_audit_log() -> Option<PathBuf> {
    if secure_exec_sys::process::effective_user() == 0 {
        return Some(ROOT_AUDIT_LOG.into());
    }
    user_state().map(|folder| folder.join(AUDIT_LOG))
}

fn state_folder() -> Option<PathBuf> {
    if secure_exec_sys::process::effective_user() == 0 {
        return Some(ROOT_STATE.into());
    }
    user_state()
}

/// The user's state folder of the XDG base directory specification.
pub(crate) fn user_state() -> Option<PathBuf> {
    let absolute = |name: &str| {
        environment(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("secure-exec"))
}

/// Where sockets and temporary files of a plugin may lie (`{runtime_dir}`). An
/// unlisted plugin is named by a path, which is no name of a folder; nor may it
/// meet the files of a listed one.
#[must_use]
pub fn runtime_folder(plugin: &str) -> PathBuf {
    let base = runtime_folders();
    match PluginName::new(plugin) {
        Ok(name) => base.join(name.as_str()),
        Err(_) => base.join(digest::sha256(plugin.as_bytes()).hex()),
    }
}

/// Where folders for the temporary files of launches lie: not where a plugin's
/// name could be the same.
pub(crate) fn temporary_folders() -> PathBuf {
    let mut beside = runtime_folders().into_os_string();
    beside.push("-tmp");
    beside.into()
}

/// Where those of all plugins of this user lie.
pub(crate) fn runtime_folders() -> PathBuf {
    let user = secure_exec_sys::process::effective_user();
    if user == 0 {
        PathBuf::from("/run/secure-exec")
    } else {
        environment("XDG_RUNTIME_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .map_or_else(
                || Path::new("/tmp").join(format!("secure-exec-{user}")),
                |path| path.join("secure-exec"),
            )
    }
}
