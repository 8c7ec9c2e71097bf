//! How a launch ends without a plugin: exit status, message, and what the
//! ready descriptor is told.

use std::borrow::Cow;
use std::fmt;
use std::os::fd::{OwnedFd, RawFd};

use secure_exec_core::escape::{self, Escaped, Whole};
use secure_exec_core::violation::Violation;

/// Why the plugin does not run.
#[derive(Debug)]
pub enum Failure {
    /// secure-exec itself failed: 125.
    Own {
        /// What, where and what to do.
        message: String,
    },
    /// The plugin was refused: 126.
    Refused {
        /// PLUGIN as it was named.
        plugin: String,
        /// Why.
        violation: Violation,
    },
    /// The plugin could not be executed: 126.
    NotExecuted {
        /// PLUGIN as it was named.
        plugin: String,
        /// What, and what to do.
        message: String,
    },
    /// There is no such plugin: 127.
    NoSuchPlugin {
        /// PLUGIN as it was named.
        plugin: String,
        /// Where it was looked for; an unlisted name without `/` is not.
        path: Option<String>,
        /// The whitelist says where.
        is_listed: bool,
    },
}

impl Failure {
    /// A mistake on the command line.
    #[must_use]
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::Own {
            message: format!("{message}\nTry 'secure-exec --help'."),
        }
    }

    /// A failure of secure-exec itself.
    #[must_use]
    pub fn own(message: impl fmt::Display) -> Self {
        Self::Own {
            message: message.to_string(),
        }
    }

    /// The message without the mark of an error, for where another stands
    /// before it.
    #[must_use]
    pub fn unmarked(&self) -> String {
        let text = self.to_string();
        text.strip_prefix(MARK).unwrap_or(&text).to_string()
    }

    /// The exit status of the contract.
    #[must_use]
    pub const fn status(&self) -> u8 {
        match self {
            Self::Own { .. } => 125,
            Self::Refused { .. } | Self::NotExecuted { .. } => 126,
            Self::NoSuchPlugin { .. } => 127,
        }
    }

    /// The first sentence of the message: what is wrong.
    #[must_use]
    pub fn reason(&self) -> String {
        let text = self.to_string();
        let first = text.lines().next().unwrap_or_default();
        first.strip_prefix(MARK).unwrap_or(first).to_string()
    }

    /// What to do, where the message says it after the first line.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let text = self.to_string();
        text.split_once('\n').map(|(_, cure)| cure.to_string())
    }

    /// The line for the ready descriptor.
    #[must_use]
    pub fn ready_line(&self) -> String {
        let violation = match self {
            Self::Refused { violation, .. } => Some(violation.code()),
            _ => None,
        };
        let mut line = serde_json::json!({
            "result": "blocked",
            "exit_status": self.status(),
            "violation_type": violation,
            "message": self.to_string(),
        })
        .to_string();
        line = escape::json(&line);
        line.push('\n');
        line
    }
}

/// What every message begins with.
const MARK: &str = "ERROR: ";

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MARK)?;
        match self {
            Self::Own { message } => f.write_str(message),
            Self::Refused { plugin, violation } => refused(f, plugin, violation),
            Self::NotExecuted { plugin, message } => {
                write!(
                    f,
                    "Plugin '{}' could not be executed: {message}",
                    Escaped(plugin)
                )
            }
            Self::NoSuchPlugin {
                plugin,
                path: Some(path),
                is_listed,
            } => write!(
                f,
                "Plugin '{}' does not exist at '{}'\nPut the plugin there, or {}.",
                Escaped(plugin),
                Escaped(path),
                if *is_listed {
                    "correct 'path' in the whitelist"
                } else {
                    "name it as the whitelist does"
                }
            ),
            Self::NoSuchPlugin { plugin, .. } => write!(
                f,
                "Plugin '{}' does not exist: it is no name of the whitelist's, and no path\n\
                 Name it as the whitelist does, or by a path with a '/'.",
                Escaped(plugin)
            ),
        }
    }
}

fn refused(f: &mut fmt::Formatter<'_>, name: &str, violation: &Violation) -> fmt::Result {
    let plugin = Escaped(name);
    match violation {
        Violation::HashMismatch { expected, actual } => write!(
            f,
            "Plugin hash mismatch for '{plugin}'\nExpected: {expected}\nActual:   {actual}\n"
        )?,
        Violation::NotWhitelisted => writeln!(f, "Plugin '{plugin}' not found in whitelist")?,
        other => writeln!(
            f,
            "Plugin '{plugin}' refused ({}): {}",
            other.code(),
            Whole(&other.reason())
        )?,
    }
    f.write_str(&cure(violation, name))
}

/// One line that says what to do about the plugin of this name.
#[must_use]
pub fn cure(violation: &Violation, plugin: &str) -> Cow<'static, str> {
    Cow::Borrowed(match violation {
        Violation::LockFile(_) => {
            return Cow::Owned(format!(
                "If you moved or changed it, make it anew with 'secure-execctl whitelist lock {}'; if not, treat it as tampered with.",
                Escaped(plugin)
            ));
        }
        Violation::HashMismatch { .. } => {
            "If you updated the plugin, hash it with 'plugin-hash --file' and update the whitelist; if not, treat the file as tampered with."
        }
        Violation::NotWhitelisted => {
            "Add it with 'secure-execctl whitelist add', or name it as the whitelist does."
        }
        Violation::Disabled => "Set 'enabled: true' in its whitelist entry to run it again.",
        Violation::MalformedHash(_) | Violation::MissingHash => {
            "Correct 'hash' in the whitelist entry; 'plugin-hash --file' prints it."
        }
        Violation::SignatureMissing | Violation::SignatureInvalid(_) => {
            "Sign the plugin with a key of 'settings.trusted_keys' and put the signature into its entry."
        }
        Violation::SignatureUntrusted(_) => {
            "Add the signer's public key to 'settings.trusted_keys', if you trust it."
        }
        Violation::PathTraversal(_) => {
            "Name a path below the plugin root and outside of 'forbidden_paths', without '..' and without links that leave it."
        }
        Violation::NotARegularFile(_) => "Correct 'path' in the whitelist entry.",
        Violation::FileSizeExceeded { .. } => {
            "Raise 'max_file_size' in the whitelist, if a plugin of this size is expected."
        }
        Violation::InsecurePermissions(_) => "Correct owner and mode with chown and chmod.",
        Violation::NotExecutable(_) => {
            "Use a program for this machine, or a script that begins with '#!', with execute permission, on a file system without 'noexec'."
        }
        Violation::InterpreterUntrusted(_) => {
            "Pin the interpreter ('interpreter: {path, hash}') in the whitelist entry, or install it owned and writable by root alone."
        }
        Violation::FirstLine(_) => {
            "Correct the script's first line: '#!', the absolute path of a program, at most one argument, and a plain line feed."
        }
        Violation::LibraryMismatch(_) => {
            "Correct the path or hash in the whitelist entry, if you moved or updated that file: 'secure-execctl whitelist update' takes over what is there now."
        }
        Violation::UnpinnedCode(_) => {
            "Run 'secure-execctl whitelist lock' for it, which pins the file with all that it loads; or add 'script: {path, hash}' to the entry, which pins it alone ('plugin-hash --file' prints the hash)."
        }
        Violation::WhitelistExpired(_) => "Install a current whitelist.",
        Violation::WhitelistRollback(_) => "Install the newest whitelist.",
        Violation::SandboxUnavailable(_) => {
            "Use a system that has it, or a profile that does without it."
        }
        Violation::StandardStream(_) => {
            "Hand over a pipe, a connected stream socket, or a file that is open for reading or for writing alone; of others the profile has to grant what they are."
        }
        Violation::ImageUnavailable(_) => {
            "Keep the file where that can be had, or ask for less: 'image' or 'hash' in its entry, 'image_minimum' in the settings."
        }
    })
}

/// The host's ready descriptor. Close-on-exec, so that a plugin that runs
/// closes it.
#[derive(Debug)]
pub(crate) struct Ready(OwnedFd);

impl Ready {
    pub(crate) fn adopt(number: RawFd) -> Result<Self, Failure> {
        secure_exec_sys::open::adopt(number)
            .map(Self)
            .ok_or_else(|| Failure::usage(format!("--ready-fd: descriptor {number} is not open")))
    }

    /// Tells the host why the plugin does not run. A host that has gone away
    /// is not an error.
    pub(crate) fn tell(self, failure: &Failure) {
        use std::io::Write as _;
        let mut pipe = std::fs::File::from(self.0);
        let _gone = pipe.write_all(failure.ready_line().as_bytes());
    }
}
