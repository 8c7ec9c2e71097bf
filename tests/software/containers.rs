//! A container's entry point, run by real container engines: with their default
//! capabilities and filters, a root folder that can't be written, users without
//! an account, and nothing in the root folder but what is needed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::kit::{Host, Outcome, program, run};

/// What Docker and podman leave to a container's root.
const CAPABILITIES: [&str; 11] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

const PLUGIN: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(void) { printf("user %d of group %d\n", getuid(), getgid()); return 7; }
"#;

/// A root folder with launcher and plugin, and a folder for the log outside.
struct Image {
    host: Host,
    root: PathBuf,
    log: PathBuf,
}

impl Image {
    fn new(profile: &str, user: u32) -> Self {
        let mut host = Host::new();
        let plugin = host.install_copy("p", program::static_c(PLUGIN));
        let root = host.folder("root");
        for name in [
            "bin",
            "dev",
            "etc",
            "etc/secure-exec",
            "opt",
            "proc",
            "sys",
            "tmp",
            "var",
            "var/log",
            "var/log/secure-exec",
        ] {
            std::fs::create_dir(root.join(name)).unwrap();
        }
        // Engines may run as whom the folder above is closed to.
        std::fs::set_permissions(host.path(""), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::copy(plugin, root.join("opt/p")).unwrap();
        std::fs::copy(host.launcher(), root.join("bin/secure-exec")).unwrap();
        for library in libraries(&host.launcher()) {
            let place = root.join(library.strip_prefix("/").unwrap());
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::copy(&library, place).unwrap();
        }
        let digest = crate::kit::digest(&root.join("opt/p"));
        host.list_path("p", "/opt/p", &digest, &[&format!("profile: {profile}")]);
        std::fs::copy(
            host.whitelist(),
            root.join("etc/secure-exec/plugins.whitelist"),
        )
        .unwrap();
        let log = host.folder("log");
        std::os::unix::fs::chown(&log, Some(user), Some(user)).unwrap();
        Self { host, root, log }
    }

    /// The words that the container begins with.
    const ENTRY: [&'static str; 4] = [
        "/bin/secure-exec",
        "--audit-log",
        "/var/log/secure-exec/audit.log",
        "p",
    ];

    /// The record of what was enforced.
    fn applied(&self) -> Value {
        let text = std::fs::read_to_string(self.log.join("audit.log")).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains("\"sandbox_applied\""));
        serde_json::from_str(line.unwrap_or_else(|| panic!("{text}"))).unwrap()
    }

    #[track_caller]
    fn ran(&self, outcome: &Outcome, user: u32, proven: &str) {
        let text = format!("user {user} of group {user}\n");
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (7, &*text),
            "{outcome:#?}"
        );
        let record = self.applied();
        assert_eq!(record["sandbox"]["enforcement"], "full");
        let list = record["sandbox"]["proven"].as_array().unwrap();
        assert!(list.contains(&proven.into()), "{list:?}");
    }

    fn runc(&self, user: u32, capabilities: &[&str], is_masked: bool) -> Outcome {
        let bundle = self.host.folder("bundle");
        let mount = |place: &str, kind: &str, options: &[&str]| json!({ "destination": place, "type": kind, "source": kind, "options": options });
        let mut log = mount(
            "/var/log/secure-exec",
            "bind",
            &["bind", "rw", "nosuid", "nodev"],
        );
        log["source"] = json!(self.log);
        let held = if user == 0 { capabilities } else { &[] };
        let masked = [
            "/proc/acpi",
            "/proc/kcore",
            "/proc/keys",
            "/proc/timer_list",
            "/sys/firmware",
        ];
        let read_only = [
            "/proc/bus",
            "/proc/fs",
            "/proc/irq",
            "/proc/sys",
            "/proc/sysrq-trigger",
        ];
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": user, "gid": user },
                "args": Self::ENTRY,
                "env": ["PATH=/bin"],
                "cwd": "/",
                "capabilities": {
                    "bounding": capabilities, "effective": held, "permitted": held,
                },
                "noNewPrivileges": false,
            },
            "root": { "path": self.root, "readonly": true },
            "mounts": [
                mount("/proc", "proc", &[]),
                mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
                log,
            ],
            "linux": {
                "namespaces": [{ "type": "pid" }, { "type": "ipc" }, { "type": "uts" },
                    { "type": "mount" }, { "type": "network" }],
                "maskedPaths": if is_masked { &masked[..] } else { &[] },
                "readonlyPaths": if is_masked { &read_only[..] } else { &[] },
            },
        });
        std::fs::write(bundle.join("config.json"), config.to_string()).unwrap();
        let mut command = Command::new("runc");
        command.arg("--root").arg(self.host.path("state/runc"));
        command.arg("run").arg("--bundle").arg(&bundle);
        command.arg(format!(
            "secure-exec-test-{}-{user}-{is_masked}",
            std::process::id()
        ));
        run(command, b"")
    }

    fn podman(&self, options: &[&str]) -> Outcome {
        let settings = "[containers]\ndefault_ulimits=[\"nofile=1024:1024\",\"nproc=4096:4096\"]\n\
            [engine]\nruntime=\"runc\"\ncgroup_manager=\"cgroupfs\"\nevents_logger=\"none\"\nlock_type=\"file\"\n";
        let settings = self.host.write("containers.conf", settings);
        let mut command = Command::new("podman");
        command.env("CONTAINERS_CONF", settings);
        command.args(["--storage-driver", "vfs"]);
        for (option, folder) in [
            ("--root", "podman"),
            ("--runroot", "podman-run"),
            ("--tmpdir", "podman-tmp"),
        ] {
            command.arg(option).arg(self.host.path(folder));
        }
        command.args(["run", "--rm", "--network", "none", "--read-only"]);
        command.arg("--volume");
        command.arg(format!("{}:/var/log/secure-exec", self.log.display()));
        command
            .args(options)
            .arg("--rootfs")
            .arg(&self.root)
            .args(Self::ENTRY);
        run(command, b"")
    }
}

/// The libraries that a program needs, and its loader.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let mut command = Command::new("ldd");
    command.arg(program);
    let listed = run(command, b"").succeeded().stdout;
    let words = listed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    words.map(PathBuf::from).collect()
}

#[test]
fn runc_as_root_and_as_a_user_without_account() {
    for user in [0, 65_532] {
        let image = Image::new("default", user);
        let outcome = image.runc(user, &CAPABILITIES, true);
        image.ran(&outcome, user, "signals");
    }
    let image = Image::new("{ extends: default, user: 65532 }", 0);
    let outcome = image.runc(0, &CAPABILITIES, true);
    image.ran(&outcome, 65_532, "signals");
}

#[test]
fn runc_with_namespaces_of_the_plugins_own() {
    let profile = "{ extends: default, isolation: namespaces }";
    let administrator = [&CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat();
    let image = Image::new(profile, 0);
    image.ran(&image.runc(0, &administrator, false), 0, "namespaces");
    // Without leave to mount, or a /proc that is whole, that is said.
    let image = Image::new(profile, 65_532);
    let masked = image.runc(65_532, &[], true);
    assert_eq!(masked.status, 126, "{masked:#?}");
    masked.says("(sandbox_unavailable): this system lacks a fresh /proc");
}

#[test]
fn podman_with_its_default_filter() {
    for user in [0, 65_532] {
        let image = Image::new("default", user);
        let outcome = image.podman(&["--user", &user.to_string()]);
        // A number that is named alone is in the group root.
        let text = format!("user {user} of group 0\n");
        assert_eq!(
            (outcome.status, &*outcome.stdout),
            (7, &*text),
            "{outcome:#?}"
        );
        let proven = image.applied()["sandbox"]["proven"].clone();
        assert!(
            proven.as_array().unwrap().contains(&"signals".into()),
            "{proven}"
        );
    }
    let image = Image::new("{ extends: default, isolation: namespaces }", 0);
    let refused = image.podman(&[]);
    assert_eq!(refused.status, 126, "{refused:#?}");
    refused
        .says("lacks power to mount within a user namespace")
        .says("a container's seccomp profile");
}
