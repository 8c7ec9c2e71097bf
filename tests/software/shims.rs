//! Hosts that find their plugins in a folder: once the plugins themselves lie
//! there, once links to the launcher in their places.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{Host, Outcome, User, digest, run};

/// The same plugins in two folders, `bare` and `confined`.
pub(super) struct Shims {
    pub(super) host: Host,
    names: Vec<String>,
}

pub(super) const FOLDERS: [&str; 2] = ["bare", "confined"];

/// The user that hosts of root's start plugins as.
pub(super) const NOBODY: u32 = 65_534;

impl Shims {
    pub(super) fn new(user: User) -> Self {
        let host = Host::of(user);
        for folder in FOLDERS {
            host.folder(folder);
        }
        let names = Vec::new();
        Self { host, names }
    }

    /// A host of root's that starts its plugins as nobody, to whom the log
    /// belongs then.
    pub(super) fn for_nobody() -> Self {
        let shims = Self::new(User::Root);
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(shims.host.path(""), open).unwrap();
        chown(shims.host.path("state"), Some(NOBODY), Some(NOBODY)).unwrap();
        shims
    }

    /// A plugin by the name that the host knows.
    pub(super) fn plugin(mut self, name: &str, program: impl AsRef<Path>, profile: &str) -> Self {
        let program = program.as_ref();
        let path = program.to_str().unwrap();
        let profile = format!(
            "profile: {}",
            profile.replace("WORK", &self.work("confined"))
        );
        self.host
            .list_path(name, path, &digest(program), &[&profile]);
        symlink(program, self.host.path("bare").join(name)).unwrap();
        symlink("../bin/secure-exec", self.host.path("confined").join(name)).unwrap();
        self.names.push(name.into());
        self
    }

    /// The folder of one of the two.
    pub(super) fn folder(&self, folder: &str) -> PathBuf {
        self.host.path(folder)
    }

    pub(super) fn work(&self, folder: &str) -> String {
        self.folder(folder).display().to_string()
    }

    /// A command of the host's, which finds out about secure-exec by variables.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.host.command(program);
        command.envs(self.host.shim_variables());
        command.env("LC_ALL", "C.UTF-8");
        command
    }

    /// What a shell says, writes and returns in both folders, where `HERE` in
    /// the script is the folder.
    pub(super) fn shell(&self, script: &str) -> [Outcome; 2] {
        FOLDERS.map(|folder| {
            let work = self.work(folder);
            let mut shell = self.command("/bin/sh");
            shell.arg("-c").arg(script.replace("HERE", &work));
            shell.current_dir(&work);
            let mut outcome = run(shell, b"");
            outcome.stdout = outcome.stdout.replace(&work, "HERE");
            outcome.stderr = outcome.stderr.replace(&work, "HERE");
            outcome
        })
    }

    /// The same, which is alike; what the bare one did. `same` takes away what
    /// differs from one run to the next.
    #[track_caller]
    pub(super) fn alike(&self, script: &str, same: impl Fn(&str) -> String) -> Outcome {
        let [bare, confined] = self.shell(script);
        let told = |outcome: &Outcome| {
            let [stdout, stderr] = [&outcome.stdout, &outcome.stderr].map(|text| same(text));
            (outcome.status, stdout, stderr)
        };
        assert_eq!(told(&confined), told(&bare), "{script}");
        bare
    }

    /// Every plugin was called, and ran in a sandbox.
    #[track_caller]
    pub(super) fn all_ran(&self) {
        let records = self.host.records();
        for name in &self.names {
            let applied = records.iter().find(|record| {
                record["event_type"] == "sandbox_applied" && record["plugin_name"] == **name
            });
            let applied = applied.unwrap_or_else(|| panic!("{name} was never called"));
            assert_eq!(applied["sandbox"]["enforcement"], "full", "{name}");
        }
        let refused = records.iter().find(|record| record["result"] == "blocked");
        assert_eq!(refused, None);
    }
}

/// As it is.
pub(super) fn exactly(text: &str) -> String {
    text.into()
}

/// Numbers with a decimal point, which are times, as `N`.
pub(super) fn but_for_times(text: &str) -> String {
    but_for(text, |number| {
        number.contains('.') && number.matches('.').count() == 1
    })
}

/// All numbers as `N`.
pub(super) fn but_for_numbers(text: &str) -> String {
    but_for(text, |_| true)
}

fn but_for(text: &str, is_left_out: impl Fn(&str) -> bool) -> String {
    let mut kept = String::new();
    let mut rest = text;
    let is_digit = |c: char| c.is_ascii_digit();
    while let Some(start) = rest.find(is_digit) {
        kept.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .find(|c: char| !is_digit(c) && c != '.')
            .unwrap_or(rest.len());
        let number = &rest[..end];
        kept.push_str(if is_left_out(number) { "N" } else { number });
        rest = &rest[end..];
    }
    kept + rest
}
