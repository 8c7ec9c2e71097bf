//! Programs of Debian, PyPI and npm, unmodified, doing real work as plugins:
//! what they print, write and answer is what they print, write and answer
//! without secure-exec. A profile that a program needs is written as its user
//! would write it, and no wider than it must be.
//!
//! | program | kind | profile, and what it needed beyond it | test |
//! |---|---|---|---|
//! | perl | interpreter | `default`; its library | `interpreters::perl` |
//! | ruby | interpreter | `default`; its library | `interpreters::ruby` |
//! | lua | interpreter | `default` | `interpreters::lua` |
//! | php | interpreter, compiles | `default`; configuration, modules, `write_execute` | `interpreters::php` |
//! | bash | shell | `default`; `fork` | `interpreters::bash` |
//! | dash | shell | `default` | `launch::scripts` |
//! | tclsh | interpreter | `default`; its library | `interpreters::tcl` |
//! | gawk, mawk | interpreter | `default` | `interpreters::gawk`, `profiles::compute` |
//! | python3 | interpreter | `python` | `profiles::interpreters` |
//! | node | compiles | `node` | `profiles::interpreters` |
//! | java | compiles | `jvm` | `profiles::jvm` |
//! | luajit | compiles | `default`; `write_execute` | `interpreters::luajit` |
//! | pypy3 | compiles | `python`; its library, `write_execute` | `interpreters::pypy` |
//! | jq, sed, grep | filter | `default` | `data` |
//! | sort | filter | `default` | `profiles::compute` |
//! | busybox | static | `default` | `data::busybox` |
//! | gzip, bzip2, xz, zstd | filter, threads | `default` | `data` |
//! | tar | archive | `default`; a folder, `metadata` | `data::tar` |
//! | sqlite3 | database | `default`; a folder, `HOME` | `data::sqlite` |
//! | openssl | keys, TLS | `default`, `network-client`, `network-service`; its files and port | `data::openssl`, `network` |
//! | gpgv | signatures | `default`; the keys | `data::gpgv` |
//! | convert | pictures | `default`; configuration, a folder | `documents::imagemagick` |
//! | pdftotext, qpdf | documents | `default`; a folder | `documents` |
//! | gcc | compiler | `default`; headers, a folder, `metadata`, `fork`, `execute` | `build::gcc` |
//! | tcc | compiler | `default`; headers, a folder, `metadata`, `write_execute` | `build::tcc` |
//! | make | starts others | `default`; a folder, `fork`, `execute`, two calls | `build::make` |
//! | rg, fd | Rust | `default`; a folder | `files` |
//! | bat | Rust | `default`; a folder, `HOME` | `files::bat` |
//! | gron | Go | `default` | `files::gron` |
//! | restic | Go | `default`; a folder, `metadata`, its variables | `files::restic` |
//! | rsync | copies | `default`; a folder, `metadata`, `fork` | `files::rsync` |
//! | git | starts others | `default`; a folder, `metadata`, `fork`, `execute`, its variables | `files::git` |
//! | curl | client | `network-client` | `profiles::network` |
//! | wget | client | `network-client`; configuration, a folder | `network::wget` |
//! | psql | client | `default`; its port, `HOME` | `network::psql` |
//! | mcp-server-time (PyPI) | MCP | `mcp-stdio`; its packages | `servers::mcp_server_time` |
//! | server-filesystem, -memory, -everything (npm) | MCP | `mcp-stdio`; its packages, a folder | `servers` |
//! | python-lsp-server (PyPI) | LSP | `python`; its packages, a folder, `execute` | `servers::python_lsp_server` |
//! | bash-language-server (npm) | LSP | `node`; its packages, a folder | `servers::bash_language_server` |
//! | typescript (npm) | compiler | `node`; its packages, a folder | `servers::typescript` |
//! | protoc, grpc_cpp_plugin | plugin | `default`; folders | `launch::hosts` |
//! | runc, podman | start it | the launcher is the entry point | `containers` |
//! | host-local, loopback (CNI) | Go | `cni`; a folder | `launch::cni` |
//! | check_* of monitoring-plugins | plugins | `monitoring`; some: `/proc`, `execute` | `monitoring` |
//! | munin-run and 22 plugins | host | `munin` | `monitoring` |
//! | apt-get: http, file, copy, store | host | `apt-method`; its folders, the repository | `apt` |
//! | cupsfilter: texttopdf, pdftopdf, gstoraster | host | `cups-filter`; the job | `filters::cups` |
//! | pandoc | host | `python`; its variables | `filters::pandoc` |
//! | nbdkit sh | host | `default`; a folder, `fork`, `execute`, its variable | `filters::nbdkit` |
//! | git: git-remote-http, git-lfs | host | `git-helper`; the repository, `HOME` | `helpers` |
//! | crowdsec: notification-dummy | host | `go-plugin`; a folder | `notifiers` |
//! | mcp's client with five servers | host | `mcp-stdio`; their packages, a folder | `clients` |

mod apt;
mod build;
mod clients;
mod containers;
mod data;
mod documents;
mod files;
mod filters;
mod helpers;
mod hosts;
mod interpreters;
mod monitoring;
mod network;
mod notifiers;
mod packages;
mod servers;
mod session;
mod shims;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::kit::{Host, Outcome, User, digest, run};

/// A program with and without secure-exec, each time in a folder of its own.
/// Both folders begin alike, and `WORK` in arguments, input and profile is
/// their path.
struct Software {
    host: Host,
    program: PathBuf,
    /// Variables of the bare run.
    variables: Vec<(String, String)>,
}

const NAME: &str = "program";

impl Software {
    /// A program of the system, listed with a shipped profile's name or the
    /// lines of a profile of its own.
    fn new(user: User, program: impl AsRef<Path>, profile: &str) -> Self {
        Self::listed(Host::of(user), program.as_ref(), profile)
    }

    /// The same for a script.
    fn script(user: User, text: &str, profile: &str) -> Self {
        let host = Host::of(user);
        let script = host.install("script", text);
        Self::listed(host, &script, profile)
    }

    fn listed(mut host: Host, program: &Path, profile: &str) -> Self {
        for name in ["bare", "confined"] {
            host.folder(name);
        }
        let program = fs::canonicalize(program)
            .unwrap_or_else(|error| panic!("{} is needed: {error}", program.display()));
        let profile = if profile.contains(':') {
            let work = host.path("confined").display().to_string();
            let lines = profile.replace("WORK", &work);
            let lines = lines.lines().map(|line| format!("\n  {line}"));
            format!("profile:{}", lines.collect::<String>())
        } else {
            format!("profile: {profile}")
        };
        let path = program.to_str().unwrap().to_string();
        host.list_path(NAME, &path, &digest(&program), &[&profile]);
        Self {
            host,
            program,
            variables: Vec::new(),
        }
    }

    /// A variable that the profile sets, for the run without secure-exec.
    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// A file in both folders.
    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        for folder in ["bare", "confined"] {
            let path = self.host.path(folder).join(name);
            let parent = path.parent().unwrap();
            if !parent.exists() {
                fs::create_dir(parent).unwrap();
                self.host.own(parent);
            }
            fs::write(&path, &content).unwrap();
            self.host.own(&path);
        }
        self
    }

    /// The two commands: bare, confined.
    fn commands(&self, arguments: &[&str]) -> [Command; 2] {
        let words = |folder: &str| {
            let work = self.work(folder);
            arguments
                .iter()
                .map(|word| word.replace("WORK", &work))
                .collect::<Vec<_>>()
        };
        let mut bare = self.host.command(&self.program);
        bare.args(words("bare"));
        for (name, value) in &self.variables {
            bare.env(name, value.replace("WORK", &self.work("bare")));
        }
        let launch = self.host.launch(NAME).args(words("confined"));
        let mut commands = [bare, launch.command()];
        for (command, folder) in commands.iter_mut().zip(["bare", "confined"]) {
            command.current_dir(self.host.path(folder));
            command.env("LC_ALL", "C.UTF-8");
        }
        commands
    }

    /// Runs both to their end; the sandbox was in force.
    fn both(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> [Outcome; 2] {
        let outcomes = self
            .commands(arguments)
            .map(|command| run(command, stdin.as_ref()));
        let applied = self.host.record("sandbox_applied");
        assert_eq!(applied["sandbox"]["enforcement"], "full");
        outcomes
    }

    /// Runs both, which say, write and return the same; what the bare one did.
    #[track_caller]
    fn alike(&self, arguments: &[&str], stdin: impl AsRef<[u8]>) -> Outcome {
        let [bare, confined] = self.both(arguments, stdin);
        assert_eq!(confined.status, bare.status, "{confined:#?}\n{bare:#?}");
        let without_path = |raw: &[u8], folder: &str| {
            let text: String = raw.iter().map(|byte| char::from(*byte)).collect();
            text.replace(&self.work(folder), "WORK")
        };
        for (confined, bare) in [
            (&*confined.raw, &*bare.raw),
            (confined.stderr.as_bytes(), bare.stderr.as_bytes()),
        ] {
            let [confined, bare] = [
                without_path(confined, "confined"),
                without_path(bare, "bare"),
            ];
            assert_eq!(confined, bare);
        }
        let [bare_files, confined_files] = ["bare", "confined"].map(|folder| self.files(folder));
        let names = |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&confined_files), names(&bare_files));
        for (name, content) in &bare_files {
            assert!(confined_files[name] == *content, "{}", name.display());
        }
        bare
    }

    /// A file of the bare run's.
    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.host.path("bare").join(name)).unwrap()
    }

    /// All beneath a folder: contents of files, targets of links.
    fn files(&self, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        let top = self.host.path(folder);
        let mut found = BTreeMap::new();
        let mut folders = vec![top.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&top).unwrap().to_owned();
                let kind = path.symlink_metadata().unwrap();
                let content = if kind.is_symlink() {
                    fs::read_link(&path)
                        .unwrap()
                        .as_os_str()
                        .as_bytes()
                        .to_vec()
                } else if kind.is_dir() {
                    folders.push(path);
                    Vec::new()
                } else {
                    fs::read(&path).unwrap()
                };
                found.insert(name, content);
            }
        }
        found
    }

    fn work(&self, folder: &str) -> String {
        self.host.path(folder).display().to_string()
    }
}
