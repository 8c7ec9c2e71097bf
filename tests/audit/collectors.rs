//! The programs that collect a machine's records: systemd's journal, rsyslog,
//! syslog-ng, and the syslogd of busybox. All of them the real ones, each with
//! sockets and files of its own.

use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::kit::{Host, package, run};

/// A program that runs until this is dropped.
pub(super) struct Daemon(Child);

impl Daemon {
    /// Starts a program, and waits until it takes connections.
    fn start(command: &mut Command, socket: &Path) -> Self {
        command.stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} is needed: {error}", command.get_program()));
        let mut daemon = Self(child);
        while UnixDatagram::unbound().unwrap().connect(socket).is_err()
            && UnixStream::connect(socket).is_err()
        {
            daemon.is_running();
            std::thread::yield_now();
        }
        daemon
    }

    #[track_caller]
    fn is_running(&mut self) {
        let ended = self.0.try_wait().unwrap();
        assert_eq!(ended, None, "the program ended");
    }

    /// What it has written by the time that there are so many lines.
    #[track_caller]
    fn lines(&mut self, file: &Path, count: usize) -> Vec<String> {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.matches('\n').count() >= count {
                return text.lines().map(String::from).collect();
            }
            self.is_running();
            std::thread::yield_now();
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// systemd's journal in the `/run` of [`crate::kit::namespace::private`], at
/// its usual socket. Nothing is written outside of that.
pub(super) struct Journal(Daemon);

impl Journal {
    pub(super) fn start() -> Self {
        let settings = "/run/systemd/journald.conf.d";
        for folder in [settings, "/run/systemd/journal", "/run/log/journal"] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let quiet = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\n\
            ForwardToSyslog=no\nForwardToWall=no\nRateLimitBurst=0\n";
        std::fs::write(Path::new(settings).join("tests.conf"), quiet).unwrap();
        let mut command = Command::new("/lib/systemd/systemd-journald");
        let socket = Path::new("/run/systemd/journal/socket");
        Self(Daemon::start(&mut command, socket))
    }

    /// All entries of secure-exec.
    pub(super) fn entries(&mut self) -> Vec<Value> {
        self.0.is_running();
        let journalctl = |arguments: &[&str]| {
            let mut command = Command::new("journalctl");
            command.args(arguments);
            run(command, b"").succeeded().stdout
        };
        journalctl(&["--sync"]);
        let of = "SYSLOG_IDENTIFIER=secure-exec";
        let from = "--directory=/run/log/journal";
        let entries = journalctl(&[from, "--output=json", "--all", of]);
        let parse = |line| serde_json::from_str(line).unwrap();
        entries.lines().map(parse).collect()
    }
}

/// A syslog daemon that takes messages of RFC 5424.
pub(super) struct Syslog {
    daemon: Daemon,
    file: PathBuf,
    /// Where it listens.
    pub(super) socket: PathBuf,
}

/// A message as a daemon understood it.
#[derive(Debug)]
pub(super) struct Message {
    /// Header, structured data and text, by the daemon's own names.
    pub(super) fields: Value,
    /// The text.
    pub(super) text: String,
}

impl Syslog {
    pub(super) fn rsyslog(host: &Host) -> Self {
        let folder = package("rsyslog");
        let modules = multiarch(&folder).join("rsyslog");
        let (socket, file) = (host.path("log"), host.path("rsyslog.out"));
        let property =
            |name: &str| format!("property(outname={name:?} name={name:?} format=\"jsonf\")");
        let names = [
            "pri",
            "timereported",
            "hostname",
            "app-name",
            "procid",
            "msgid",
        ];
        let names = names.iter().chain(&["structured-data", "msg"]);
        let properties: Vec<String> = names.map(|name| property(name)).collect();
        let settings = host.write(
            "rsyslog.conf",
            &format!(
                "module(load=\"imuxsock\" SysSock.Use=\"off\")\n\
                 input(type=\"imuxsock\" Socket={socket:?} UseSpecialParser=\"off\" UseSysTimeStamp=\"off\")\n\
                 template(name=\"all\" type=\"list\" option.jsonf=\"on\") {{ {} }}\n\
                 action(type=\"omfile\" file={file:?} template=\"all\")\n",
                properties.join(" ").replace(
                    "name=\"timereported\"",
                    "name=\"timereported\" dateFormat=\"rfc3339\""
                )
            ),
        );
        let mut command = Command::new(folder.join("usr/sbin/rsyslogd"));
        command.env("LD_LIBRARY_PATH", multiarch(&folder));
        command.arg("-n").arg("-f").arg(settings);
        command.arg("-M").arg(modules);
        command.arg("-i").arg(host.path("rsyslog.pid"));
        let daemon = Daemon::start(&mut command, &socket);
        Self {
            daemon,
            file,
            socket,
        }
    }

    /// `source` is `unix-dgram` or `unix-stream`.
    pub(super) fn syslog_ng(host: &Host, source: &str) -> Self {
        let folder = package("syslog-ng-core");
        let own = folder.join("usr/lib/syslog-ng");
        let version = std::fs::read_dir(&own)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let version = version.filter(|path| path.is_dir()).max().unwrap();
        let name = version.file_name().unwrap().to_str().unwrap();
        let (socket, file) = (host.path("log"), host.path("syslog-ng.out"));
        let settings = host.write(
            "syslog-ng.conf",
            &format!(
                "@version: {name}\n@define autoload-compiled-modules 1\n\
                 source s {{ {source}({socket:?} flags(syslog-protocol)); }};\n\
                 destination d {{ file({file:?} template(\"$(format-json \
                 pri=int($PRI) timereported=$ISODATE hostname=$HOST app-name=$PROGRAM \
                 procid=$PID msgid=$MSGID msg=$MESSAGE --key .SDATA.*)\\n\")); }};\n\
                 log {{ source(s); destination(d); }};\n"
            ),
        );
        let libraries = [
            &own,
            &multiarch(&folder),
            &folder.join("lib/x86_64-linux-gnu"),
        ];
        let libraries = std::env::join_paths(libraries).unwrap();
        let mut command = Command::new(folder.join("usr/sbin/syslog-ng"));
        command.env("LD_LIBRARY_PATH", libraries);
        command
            .args(["--foreground", "--no-caps", "--cfgfile"])
            .arg(settings);
        command.arg("--module-path").arg(version);
        command
            .arg("--persist-file")
            .arg(host.path("syslog-ng.persist"));
        command.arg("--control").arg(host.path("syslog-ng.ctl"));
        command.arg("--pidfile").arg(host.path("syslog-ng.pid"));
        let daemon = Daemon::start(&mut command, &socket);
        Self {
            daemon,
            file,
            socket,
        }
    }

    /// So many messages.
    #[track_caller]
    pub(super) fn messages(&mut self, count: usize) -> Vec<Message> {
        let lines = self.daemon.lines(&self.file, count);
        let message = |line: &String| {
            let fields: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            let text = fields["msg"].as_str().unwrap().to_string();
            Message { fields, text }
        };
        lines.iter().map(message).collect()
    }
}

/// The syslogd of busybox, which listens on `/dev/log`: in a mount namespace
/// with a `/dev` of its own. It knows nothing of RFC 5424 and keeps messages
/// as they come, but only the beginning of long ones.
pub(super) struct Busybox {
    daemon: Daemon,
    file: PathBuf,
}

impl Busybox {
    pub(super) fn start(host: &Host) -> Self {
        let script = "mount -t tmpfs -o mode=755 none /mnt || exit
            for name in null zero full random urandom; do
                touch /mnt/$name && mount --bind /dev/$name /mnt/$name || exit
            done
            mount --move /mnt /dev";
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(command, b"").succeeded();
        let file = host.path("busybox.out");
        let mut command = Command::new("busybox");
        command.args(["syslogd", "-n", "-O"]).arg(&file);
        let daemon = Daemon::start(&mut command, Path::new("/dev/log"));
        Self { daemon, file }
    }

    /// So many lines of its file, after the one that says that it started.
    pub(super) fn lines(&mut self, count: usize) -> Vec<String> {
        self.daemon.lines(&self.file, 1 + count).split_off(1)
    }
}

fn multiarch(folder: &Path) -> PathBuf {
    let libraries = std::fs::read_dir(folder.join("usr/lib")).unwrap();
    let mut libraries = libraries.map(|entry| entry.unwrap().path());
    let is_multiarch = |path: &PathBuf| path.to_str().unwrap().ends_with("-linux-gnu");
    libraries.find(is_multiarch).unwrap()
}
