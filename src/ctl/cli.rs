//! The command line: what was typed.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use secure_exec::cli::Arguments;
use secure_exec::failure::Failure;
use secure_exec::settings::Settings;
use secure_exec_core::digest::Algorithm;
use secure_exec_core::policy::Policy;

use crate::audit::Audit;

/// Administers secure-exec: whitelists, profiles, what they mean, and what was recorded.
#[derive(Debug, Parser)]
#[command(
    name = "secure-execctl",
    version,
    arg_required_else_help = true,
    after_help = "Exit status: 0; 1 what was checked is wrong; 125 a mistake in usage or files; \
                  of 'explain' as of secure-exec: 126 refused, 127 no such plugin."
)]
pub(crate) struct Typed {
    /// Options of every command.
    #[command(flatten)]
    pub(crate) common: Common,
    /// The command.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Whitelist file, or a folder of NAME.yaml files
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) whitelist: Option<PathBuf>,
    /// Configuration (/etc/secure-exec/config.yaml)
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Profiles that add to the built-in ones (/etc/secure-exec/profiles.d)
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) profile_dir: Option<PathBuf>,
    /// Where relative plugin paths begin
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plugin_root: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// What the options mean together with environment and configuration, by
    /// the launcher's own rules.
    pub(crate) fn settings(
        &self,
        policy: Option<Policy>,
        profile: Option<String>,
    ) -> Result<Settings, Failure> {
        let mut settings = Settings::merge(&Arguments {
            whitelist: self.whitelist.clone(),
            config: self.config.clone(),
            plugin_root: self.plugin_root.clone(),
            policy,
            profile,
            // Nothing is recorded here, so no place for it is needed either.
            audit_log: Some("/dev/null".into()),
            ..Arguments::default()
        })?;
        if let Some(folder) = &self.profile_dir {
            settings.profile_folder.clone_from(folder);
            settings.profiles_by_caller = false;
        }
        Ok(settings)
    }

    /// The audit log: the one that was typed, or that a launch would write.
    pub(crate) fn audit_log(&self, typed: Option<&Path>) -> Result<PathBuf, Failure> {
        self.audit_settings(typed)?.audit_log.ok_or_else(|| {
            Failure::own("no audit log is known, without HOME\nName it on the command line.")
        })
    }

    /// The same as it was named, which may be one for each user.
    pub(crate) fn audit_pattern(&self) -> Result<PathBuf, Failure> {
        self.audit_settings(None)?.audit_pattern.ok_or_else(|| {
            Failure::own("no audit log is known, without HOME\nName it on the command line.")
        })
    }

    /// How a launch would write the audit log that was typed, or its own.
    pub(crate) fn audit_settings(&self, typed: Option<&Path>) -> Result<Settings, Failure> {
        Settings::merge(&Arguments {
            config: self.config.clone(),
            audit_log: typed.map(Path::to_path_buf),
            // Not looked at, so a mistake in the environment is none here.
            policy: Some(Policy::Strict),
            profile: Some(String::new()),
            ..Arguments::default()
        })
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Change and check a whitelist
    #[command(subcommand)]
    Whitelist(Whitelist),
    /// Look at sandbox profiles
    #[command(subcommand)]
    Profile(Profile),
    /// Say what would be decided on a plugin, and what it could do
    Explain(Explain),
    /// Read the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

/// Commands on a whitelist.
#[derive(Debug, Subcommand)]
pub(crate) enum Whitelist {
    /// Add plugins with the digests that they have now
    Add(Add),
    /// Take over the digests that plugins, interpreters and libraries have now
    Update {
        /// The entries
        #[arg(required_unless_present = "all", value_name = "NAME")]
        names: Vec<String>,
        /// Every entry
        #[arg(long, conflicts_with = "names")]
        all: bool,
    },
    /// Pin everything that plugins are made of: interpreter, libraries, modules
    Lock(Lock),
    /// Take entries out
    Remove {
        /// The entries
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Let plugins run again
    Enable {
        /// The entries
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Keep plugins from running
    Disable {
        /// The entries
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Check plugins as a launch under strict would
    Verify {
        /// The entries; without any, all
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the entries
    List,
}

/// `whitelist add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The plugins' files
    #[arg(required = true, value_name = "PLUGIN-FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The entry's name, for one file (default: the file's name)
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// sha256, sha384, sha512, blake3 or fs-verity-sha256 (default: the whitelist's)
    #[arg(long, value_parser = algorithm)]
    pub(crate) algorithm: Option<Algorithm>,
    /// The sandbox profile
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The interpreter of a script, pinned by its digest
    #[arg(long, value_name = "PATH")]
    pub(crate) interpreter: Option<PathBuf>,
    /// The script that an interpreter is given, pinned by its digest; where
    /// --args does not name it, it becomes the last of them
    #[arg(long, value_name = "PATH")]
    pub(crate) script: Option<PathBuf>,
    /// A shared library, pinned by its digest; no others can be loaded then
    #[arg(long = "library", value_name = "PATH")]
    pub(crate) libraries: Vec<PathBuf>,
    /// Add it, but do not let it run yet
    #[arg(long)]
    pub(crate) disabled: bool,
    /// A note for the reader
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Arguments that come before the caller's; takes all that follows
    #[arg(long, value_name = "ARG", num_args = 1.., allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

/// `whitelist lock`.
#[derive(Debug, Args)]
pub(crate) struct Lock {
    /// The entries
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    /// Something that the plugin loads by itself; of a folder, every file
    #[arg(long, value_name = "PATH")]
    pub(crate) with: Vec<PathBuf>,
    /// Let go of pins that the plugin is not found to need
    #[arg(long)]
    pub(crate) prune: bool,
    /// Change nothing, and say what would change
    #[arg(long)]
    pub(crate) diff: bool,
}

/// Commands on profiles.
#[derive(Debug, Subcommand)]
pub(crate) enum Profile {
    /// List the profiles
    List,
    /// Print a profile
    Show {
        /// A name, or a file's path, which has a slash
        #[arg(value_name = "NAME|FILE")]
        name: String,
        /// Every key with the value in force
        #[arg(long)]
        resolved: bool,
    },
    /// Check profiles for mistakes
    Check {
        /// Names, or files' paths, which have a slash or end in .yaml
        #[arg(required = true, value_name = "NAME|FILE")]
        names: Vec<String>,
    },
}

/// `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The plugin, by the name of its entry, or a path
    pub(crate) plugin: String,
    /// strict, permissive or audit-only
    #[arg(long, value_parser = policy)]
    pub(crate) policy: Option<Policy>,
    /// A name, or a file's path, which has a slash
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) profile: Option<String>,
}

fn algorithm(name: &str) -> Result<Algorithm, String> {
    Algorithm::from_name(name).ok_or_else(|| {
        let known = Algorithm::ALL.map(Algorithm::name).join(", ");
        format!("known are {known}")
    })
}

fn policy(name: &str) -> Result<Policy, String> {
    Policy::from_name(name).ok_or_else(|| format!("use one of {}", Policy::NAMES.join(", ")))
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.into(), value.into())),
        _ => Err("write KEY=VALUE".into()),
    }
}
