//! The test kit: a plugin host in a temporary folder, launches, and the
//! programs that are launched. It knows nothing of single tests.

pub(crate) mod namespace;
pub(crate) mod outer;
pub(crate) mod privileges;
pub(crate) mod program;
pub(crate) mod record;

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// Whom a launch runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// Root. The tests run as root.
    Root,
    /// Somebody without privileges, whom nothing else belongs to.
    Ordinary,
}

impl User {
    /// Whether it is root.
    pub(crate) fn is_root(self) -> bool {
        self == Self::Root
    }
}

/// Both.
pub(crate) const EVERYONE: [User; 2] = [User::Root, User::Ordinary];

/// The ordinary user's id: no account needs to exist.
pub(crate) const ORDINARY: u32 = 58_231;

/// A plugin host: a folder with plugins, whitelist and audit log, which all
/// belong to one user.
pub(crate) struct Host {
    folder: tempfile::TempDir,
    user: User,
    settings: String,
    entries: String,
}

impl Host {
    /// A host of root's.
    pub(crate) fn new() -> Self {
        Self::of(User::Root)
    }

    /// A host of the user's.
    pub(crate) fn of(user: User) -> Self {
        assert!(
            nix::unistd::geteuid().is_root(),
            "the tests run as root: half of them act as an ordinary user"
        );
        let folder = tempfile::tempdir().unwrap();
        let host = Self {
            folder,
            user,
            settings: String::new(),
            entries: String::new(),
        };
        for name in ["plugins", "state", "home", "profiles.d", "bin"] {
            std::fs::create_dir(host.path(name)).unwrap();
        }
        // The build folder may be root's alone.
        let launcher = host.launcher();
        let built = built_launcher();
        std::fs::copy(&built, launcher)
            .unwrap_or_else(|error| panic!("{} is needed: {error}", built.display()));
        host.write(
            "config.yaml",
            &format!("profile_dir: {:?}\n", host.path("profiles.d")),
        );
        host.own(host.folder.path());
        for name in ["plugins", "state", "home", "profiles.d", "bin"] {
            host.own(&host.path(name));
        }
        host
    }

    /// The user that the host's files belong to.
    pub(crate) fn user(&self) -> User {
        self.user
    }

    /// A path in the host's folder.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The launcher's program.
    pub(crate) fn launcher(&self) -> PathBuf {
        self.path("bin/secure-exec")
    }

    /// The whitelist's path.
    pub(crate) fn whitelist(&self) -> PathBuf {
        self.path("plugins.whitelist")
    }

    /// The audit log's path.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.path("state/audit.log")
    }

    /// Gives a path to the host's user.
    pub(crate) fn own(&self, path: &Path) {
        if self.user == User::Ordinary {
            std::os::unix::fs::lchown(path, Some(ORDINARY), Some(ORDINARY)).unwrap();
        }
    }

    /// Writes a file of the user's, mode 0644.
    pub(crate) fn write(&self, name: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        self.own(&path);
        path
    }

    /// Makes a folder of the user's.
    pub(crate) fn folder(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir(&path).unwrap();
        self.own(&path);
        path
    }

    /// Installs a plugin's bytes as `plugins/NAME`, mode 0755.
    pub(crate) fn install(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("plugins").join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self.own(&path);
        path
    }

    /// Installs a copy of a program.
    pub(crate) fn install_copy(&self, name: &str, program: impl AsRef<Path>) -> PathBuf {
        let program = program.as_ref();
        let bytes = std::fs::read(program)
            .unwrap_or_else(|error| panic!("{} is needed: {error}", program.display()));
        self.install(name, bytes)
    }

    /// Installs a shell script.
    pub(crate) fn install_sh(&self, name: &str, body: &str) -> PathBuf {
        self.install(name, format!("#!/bin/sh\n{body}\n"))
    }

    /// Adds lines to the whitelist's `settings`.
    pub(crate) fn set(&mut self, line: &str) -> &mut Self {
        writeln!(self.settings, "  {line}").unwrap();
        self.write_whitelist();
        self
    }

    /// Lists `plugins/NAME` with the digest that it has now, and more lines
    /// of YAML ("profile: python").
    pub(crate) fn list(&mut self, name: &str, more: &[&str]) -> &mut Self {
        let path = self.path("plugins").join(name);
        self.list_path(name, &format!("./plugins/{name}"), &digest(&path), more)
    }

    /// Lists a plugin by path and digest as they are.
    pub(crate) fn list_path(
        &mut self,
        name: &str,
        path: &str,
        hash: &str,
        more: &[&str],
    ) -> &mut Self {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        writeln!(
            self.entries,
            "  - name: {}\n    path: {}\n    hash: {}",
            quoted(name),
            quoted(path),
            quoted(hash)
        )
        .unwrap();
        for line in more.iter().flat_map(|lines| lines.lines()) {
            writeln!(self.entries, "    {line}").unwrap();
        }
        self.write_whitelist();
        self
    }

    /// Writes a profile into the machine's profile folder. `body` is YAML
    /// without `version` and `name`.
    pub(crate) fn profile(&self, name: &str, body: &str) {
        self.write(
            format!("profiles.d/{name}.yaml"),
            &format!("version: 1\nname: {name}\n{body}\n"),
        );
    }

    /// Writes the configuration, with this as the audit log's part.
    pub(crate) fn audit(&self, options: &str) {
        let folder = self.path("profiles.d");
        self.write(
            "config.yaml",
            &format!("profile_dir: {folder:?}\naudit: {options}\n"),
        );
    }

    fn write_whitelist(&self) {
        let mut text = String::from("version: \"1.0\"\n");
        if !self.settings.is_empty() {
            write!(text, "settings:\n{}", self.settings).unwrap();
        }
        if !self.entries.is_empty() {
            write!(text, "plugins:\n{}", self.entries).unwrap();
        }
        self.write("plugins.whitelist", &text);
    }

    /// A launch of the plugin, under strict with this host's whitelist and
    /// audit log. More options and arguments may be added before it is run.
    pub(crate) fn launch(&self, plugin: impl AsRef<OsStr>) -> Launch<'_> {
        Launch {
            host: self,
            options: Vec::new(),
            plugin: plugin.as_ref().to_owned(),
            arguments: Vec::new(),
            variables: Vec::new(),
            stdin: Vec::new(),
            whitelist: Some(self.whitelist()),
            under: Vec::new(),
        }
    }

    /// A symbolic link to the launcher, by which a host finds the plugin.
    pub(crate) fn shim(&self, name: &str) -> PathBuf {
        let path = self.path("bin").join(name);
        std::os::unix::fs::symlink("secure-exec", &path).unwrap();
        self.own(&path);
        path
    }

    /// Variables that tell a shim what options tell the launcher.
    pub(crate) fn shim_variables(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("SECURE_EXEC_CONFIG", self.path("config.yaml")),
            ("SECURE_EXEC_WHITELIST", self.whitelist()),
            ("SECURE_EXEC_AUDIT_LOG", self.audit_log()),
        ]
    }

    /// A command that runs as the host's user in a clean environment.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("state"))
            .current_dir(self.folder.path());
        // What a mutated build is to leave out (see ci/mutation).
        if let Some(control) = std::env::var_os("SECURE_EXEC_MUTATION") {
            command.env("SECURE_EXEC_MUTATION", control);
        }
        if self.user == User::Ordinary {
            // Also drops root's supplementary groups.
            command.uid(ORDINARY).gid(ORDINARY);
        }
        command
    }

    /// Runs a program without secure-exec, as the host's user.
    pub(crate) fn bare(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Outcome {
        let mut command = self.command(program);
        command.args(arguments);
        run(command, b"")
    }

    /// Takes the lock that a writer of the audit log takes for a record: the
    /// first byte of the writers' file of locks.
    pub(crate) fn lock_audit_log(&self) -> std::fs::File {
        let path = self.audit_log().with_file_name(".audit.log.lock");
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o200)).unwrap();
        self.own(&path);
        let region = nix::libc::flock {
            l_type: i16::try_from(nix::libc::F_WRLCK).unwrap(),
            l_whence: 0,
            l_start: 0,
            l_len: 1,
            l_pid: 0,
        };
        nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_OFD_SETLK(&region)).unwrap();
        file
    }

    /// The audit log's records.
    pub(crate) fn records(&self) -> Vec<Value> {
        let Ok(text) = std::fs::read_to_string(self.audit_log()) else {
            return Vec::new();
        };
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The last record of a kind.
    pub(crate) fn record(&self, event: &str) -> Value {
        let records = self.records();
        let found = records.iter().rev().find(|r| r["event_type"] == event);
        found
            .unwrap_or_else(|| panic!("no {event} in {records:#?}"))
            .clone()
    }
}

/// The launcher; in the tests of another package, beside that one's program.
fn built_launcher() -> PathBuf {
    let own = option_env!("CARGO_BIN_EXE_secure-exec").map(PathBuf::from);
    let other = option_env!("CARGO_BIN_EXE_secure-execctl").map(Path::new);
    own.or_else(|| Some(other?.with_file_name("secure-exec")))
        .unwrap()
}

/// A launch that is being put together.
pub(crate) struct Launch<'a> {
    host: &'a Host,
    options: Vec<std::ffi::OsString>,
    plugin: std::ffi::OsString,
    arguments: Vec<std::ffi::OsString>,
    variables: Vec<(String, std::ffi::OsString)>,
    stdin: Vec<u8>,
    whitelist: Option<PathBuf>,
    under: Vec<std::ffi::OsString>,
}

impl Launch<'_> {
    /// An option before PLUGIN.
    pub(crate) fn option(mut self, option: impl AsRef<OsStr>) -> Self {
        self.options.push(option.as_ref().to_owned());
        self
    }

    /// `--policy NAME`.
    pub(crate) fn policy(self, name: &str) -> Self {
        self.option("--policy").option(name)
    }

    /// `--profile NAME`.
    pub(crate) fn profile(self, name: impl AsRef<OsStr>) -> Self {
        self.option("--profile").option(name)
    }

    /// Another whitelist than the host's.
    pub(crate) fn whitelist(mut self, path: impl AsRef<Path>) -> Self {
        self.whitelist = Some(path.as_ref().to_owned());
        self
    }

    /// An argument of the plugin's.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Arguments of the plugin's.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter();
        self.arguments
            .extend(arguments.map(|a| a.as_ref().to_owned()));
        self
    }

    /// A variable of the launcher's environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// What the plugin reads from its standard input.
    pub(crate) fn stdin(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.stdin = bytes.as_ref().to_vec();
        self
    }

    /// The words of a program that starts the launcher, such as `prlimit`.
    pub(crate) fn under<A: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = A>) -> Self {
        self.under
            .extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The command, for tests that run it themselves.
    pub(crate) fn command(&self) -> Command {
        let launcher = self.host.launcher();
        let mut words = self
            .under
            .iter()
            .map(OsStr::new)
            .chain([launcher.as_os_str()]);
        let mut command = self.host.command(words.next().unwrap());
        command.args(words);
        command.arg("--config").arg(self.host.path("config.yaml"));
        command.arg("--audit-log").arg(self.host.audit_log());
        if let Some(whitelist) = &self.whitelist {
            command.arg("--whitelist").arg(whitelist);
        }
        command.args(&self.options);
        command.arg(&self.plugin).args(&self.arguments);
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Outcome {
        run(self.command(), &self.stdin)
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The exit status, or 128 and the signal's number.
    pub(crate) status: i32,
    /// Standard output, lossily.
    pub(crate) stdout: String,
    /// Standard output.
    pub(crate) raw: Vec<u8>,
    /// Standard error, lossily.
    pub(crate) stderr: String,
}

impl Outcome {
    /// It ended well; shows why where it did not.
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.status, 0, "{self:#?}");
        self
    }

    /// secure-exec ended it with this status: nothing stands on standard
    /// output, and one error on standard error.
    #[track_caller]
    pub(crate) fn refused(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.stdout, "", "{self:#?}");
        let errors = self.stderr.matches("ERROR: ").count();
        assert_eq!(errors, 1, "{self:#?}");
        self
    }

    /// Standard error has this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "no '{text}' in {self:#?}");
        self
    }

    /// Standard output is this text.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert_eq!(self.stdout, text, "{self:#?}");
        self
    }
}

/// Lets everyone make and exchange names in a folder.
pub(crate) fn open_to_all(folder: &Path) {
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder, mode).unwrap();
}

/// Runs a command to its end, with these bytes on its standard input.
pub(crate) fn run(mut command: Command, stdin: &[u8]) -> Outcome {
    use std::io::Write as _;
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{:?} is needed: {error}", command.get_program()));
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // A program need not read its input.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let status = output.status;
    Outcome {
        status: status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap()),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        raw: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The host's launch with descriptor 9 open for writing on a file.
pub(crate) fn with_ready(host: &Host, launch: &Command, ready: &Path) -> Command {
    let mut shell = host.command("/bin/sh");
    shell.args(["-c", "exec 9>\"$0\"; exec \"$@\""]).arg(ready);
    shell.arg(launch.get_program()).args(launch.get_args());
    let variables = launch
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    shell.env_clear().envs(variables);
    shell.current_dir(launch.get_current_dir().unwrap());
    shell
}

/// `sha256:…` of a file, by a program that is not ours.
pub(crate) fn digest(path: &Path) -> String {
    let mut command = Command::new("sha256sum");
    command.arg("--").arg(path);
    let hex = run(command, b"").succeeded().stdout;
    let hex = hex.trim_start_matches('\\');
    format!("sha256:{}", &hex[..64])
}

/// Where `ci/test` unpacks a Debian package that is not to be installed.
pub(crate) fn package(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("packages")
        .join(name);
    assert!(
        folder.exists(),
        "{} is needed: ci/test makes it",
        folder.display()
    );
    folder
}
