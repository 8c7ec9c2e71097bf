//! Where the suite's attacks are tried: a host with one plugin, the suite's
//! program, and the files that it may and may not reach. Each attempt finds
//! them as if it were the first. Serves the tests and the scoreboard.

use std::ffi::OsString;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{Host, ORDINARY, User, program, run};

/// One attack, or one piece of honest work.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) group: String,
    pub(crate) line: String,
    whom: u8,
}

impl Case {
    /// Whether it is one for this user.
    pub(crate) fn is_for(&self, user: User) -> bool {
        let bit = match user {
            User::Root => 1,
            User::Ordinary => 2,
        };
        self.whom & bit != 0
    }

    /// Whether it is no attack.
    pub(crate) fn is_honest(&self) -> bool {
        self.group.starts_with("honest")
    }

    /// Whether it only goes on where a plugin may fork.
    pub(crate) fn has_children(&self) -> bool {
        self.group == "honest work of children"
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Worked,
    /// With the name of an error.
    Refused(String),
}

/// The suite's program.
pub(crate) fn program() -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/attacks/suite");
    program::c_folder(Path::new(folder))
}

/// All cases, as the program lists them.
pub(crate) fn cases() -> Vec<Case> {
    let mut command = Command::new(program());
    command.arg("list");
    let listed = run(command, b"").succeeded().stdout;
    let mut cases: Vec<Case> = listed.lines().map(case).collect();
    cases.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    cases
}

fn case(line: &str) -> Case {
    let fields: Vec<&str> = line.split('\t').collect();
    Case {
        name: fields[0].into(),
        group: fields[1].into(),
        whom: fields[2].parse().unwrap(),
        line: fields[3].into(),
    }
}

/// A host of one user's with the plugin `suite`, its profiles `boxed` and
/// `children`, the same with namespaces and the folder to read shown apart
/// (`boxed-apart`, `children-apart`) or as it is (`boxed-read`), and folders that are laid out anew for each attempt.
pub(crate) struct Stage {
    pub(crate) host: Host,
    /// What a damaged file is restored from.
    originals: Vec<(PathBuf, PathBuf)>,
}

impl Stage {
    /// With this launcher, or the one of the tests.
    pub(crate) fn new(user: User, launcher: Option<&Path>) -> Self {
        let mut host = Host::of(user);
        if let Some(launcher) = launcher {
            std::fs::copy(launcher, host.launcher()).unwrap();
        }
        host.install_copy("suite", program());
        host.list("suite", &[]);
        host.write("trusted.pub", "no key\n");
        host.write("state/audit.log", "");
        let (read, write) = (host.path("in"), host.path("out"));
        let files = format!("filesystem: {{ read: [{read:?}], write: [{write:?}] }}");
        host.profile("boxed", &files);
        let fork = "processes: { fork: true }";
        host.profile("children", &format!("{files}\n{fork}"));
        host.profile("boxed-read", &format!("{files}\nisolation: namespaces"));
        let files = format!("filesystem: {{ apart: [{read:?}], write: [{write:?}] }}");
        let apart = format!("{files}\nisolation: namespaces");
        host.profile("boxed-apart", &apart);
        host.profile("children-apart", &format!("{apart}\n{fork}"));
        let kept = host.path("kept");
        std::fs::create_dir(&kept).unwrap();
        std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o700)).unwrap();
        let originals = [
            "bin/secure-exec",
            "plugins/suite",
            "plugins.whitelist",
            "profiles.d/boxed.yaml",
            "config.yaml",
            "trusted.pub",
            "state/audit.log",
        ];
        let originals = originals.map(|name| {
            let copy = kept.join(name.replace('/', "-"));
            std::fs::copy(host.path(name), &copy).unwrap();
            (host.path(name), copy)
        });
        Self {
            host,
            originals: originals.to_vec(),
        }
    }

    /// The words that run the plugin without a sandbox.
    pub(crate) fn bare(&self) -> Vec<OsString> {
        vec![self.plugin().into()]
    }

    /// The words that launch it under a profile.
    pub(crate) fn launched(&self, profile: &str) -> Vec<OsString> {
        let command = self.host.launch("suite").profile(profile).command();
        let words = [command.get_program()]
            .into_iter()
            .chain(command.get_args());
        words.map(OsString::from).collect()
    }

    /// The plugin's path.
    pub(crate) fn plugin(&self) -> PathBuf {
        self.host.path("plugins/suite")
    }

    /// Makes one attempt with the words that start the plugin; an error is
    /// neither a success nor a refusal.
    pub(crate) fn attempt(&self, case: &Case, words: &[OsString]) -> Result<Answer, String> {
        self.lay_out();
        let id = match self.host.user() {
            User::Root => 0,
            User::Ordinary => ORDINARY,
        };
        let base = self.host.path("");
        let base = base.to_str().unwrap().trim_end_matches('/');
        let mut command = Command::new(self.plugin());
        command.env_clear();
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command.env("HOME", self.host.path("home"));
        command.env("XDG_STATE_HOME", self.host.path("state"));
        command.env("SECRET", "secret");
        // As all commands of a host (see ci/mutation).
        if let Some(control) = std::env::var_os("SECURE_EXEC_MUTATION") {
            command.env("SECURE_EXEC_MUTATION", control);
        }
        command.args(["arena", &case.name, &id.to_string(), base]);
        command.args(words).args(["try", &case.name, base]);
        let outcome = run(command, b"");
        match outcome.stdout.trim_end() {
            "worked" => Ok(Answer::Worked),
            other => match other.strip_prefix("refused: ") {
                Some(error) if outcome.status == 0 => Ok(Answer::Refused(error.into())),
                // The launcher refuses to start the plugin so.
                _ if (other.starts_with("error: status 7d00,")
                    || other.starts_with("error: status 7e00,"))
                    && outcome.stderr.starts_with("ERROR: ")
                    && outcome.stderr.contains("standard input is a") =>
                {
                    Ok(Answer::Refused("the launch".into()))
                }
                _ => Err(format!("{}: {outcome:?}", case.name)),
            },
        }
    }

    /// Folders and files as they are before an attempt.
    pub(crate) fn lay_out(&self) {
        for name in ["in", "out", "outside"] {
            let folder = self.host.path(name);
            if folder.exists() {
                std::fs::remove_dir_all(&folder).unwrap();
            }
            self.host.folder(name);
        }
        for (path, original) in &self.originals {
            let of = |path: &Path| std::fs::symlink_metadata(path).ok();
            let (now, then) = (of(path), of(original).unwrap());
            let is_log = path == &self.host.audit_log();
            let is_whole = now.is_some_and(|now| {
                now.is_file() && now.mode() == then.mode() && (is_log || now.len() == then.len())
            });
            if !is_whole {
                // A program that still runs can't be written.
                let _absent = std::fs::remove_file(path);
                std::fs::copy(original, path).unwrap();
                self.host.own(path);
            }
        }
        for added in ["plugins/new", "profiles.d/new.yaml", "state/old"] {
            let _absent = std::fs::remove_file(self.host.path(added));
        }
    }
}
