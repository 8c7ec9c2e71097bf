//! Container network plugins, unmodified, in a plugin folder of links to the
//! launcher.

use std::fs::read_dir;
use std::path::Path;
use std::process::Command;

use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, Outcome, User, run};

/// What `host-local` is asked, and where it keeps its leases.
fn address_request(data: &Path) -> String {
    serde_json::json!({
        "cniVersion": "1.0.0",
        "name": "net",
        "type": "bridge",
        "ipam": {
            "type": "host-local",
            "subnet": "10.1.2.0/24",
            "dataDir": data,
        },
    })
    .to_string()
}

const LOOPBACK_REQUEST: &str = r#"{"cniVersion":"1.0.0","name":"lo","type":"loopback"}"#;

fn request(mut plugin: Command, command: &str, namespace: &str, json: &str) -> Outcome {
    plugin.env("CNI_COMMAND", command);
    plugin.env("CNI_CONTAINERID", "c1").env("CNI_IFNAME", "lo");
    plugin
        .env("CNI_NETNS", namespace)
        .env("CNI_PATH", "/usr/lib/cni");
    run(plugin, json.as_bytes())
}

/// The same plugin without and with secure-exec.
fn pair(host: &Host, name: &str) -> [Command; 2] {
    let mut shim = host.command(host.path("bin").join(name));
    shim.envs(host.shim_variables());
    [host.command(Path::new("/usr/lib/cni").join(name)), shim]
}

fn leases(data: &Path) -> Vec<String> {
    let folder = read_dir(data.join("net"));
    let mut found: Vec<String> = folder
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    found.sort();
    found
}

/// Lists `host-local` so that it may write its leases. As root it has the
/// capabilities of the shipped profile, which somebody else can't give it.
fn list_host_local(host: &mut Host) -> [std::path::PathBuf; 2] {
    let folders = ["bare", "confined"].map(|name| host.folder(name));
    host.profile(
        "ipam",
        &format!(
            "extends: {}\nfilesystem: {{ write: [{:?}] }}\nenvironment: {{ pass: ['CNI_*', CNI_PATH] }}",
            match host.user() {
                User::Root => "cni",
                User::Ordinary => "default",
            },
            folders[1]
        ),
    );
    host.install_copy("host-local", "/usr/lib/cni/host-local");
    host.list("host-local", &["profile: ipam"]);
    host.shim("host-local");
    folders
}

#[test]
fn host_local_hands_out_checks_and_takes_back_addresses_as_without() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let folders = list_host_local(&mut host);
        for command in ["VERSION", "ADD", "ADD", "CHECK", "DEL", "DEL", "NONSENSE"] {
            let [bare, confined] = [0, 1].map(|which: usize| {
                let plugin = pair(&host, "host-local").into_iter().nth(which).unwrap();
                let json = address_request(&folders[which]);
                request(plugin, command, "/proc/self/ns/net", &json)
            });
            assert_eq!(bare.status, confined.status, "{command}: {confined:#?}");
            let text = |outcome: &Outcome, folder: &Path| {
                outcome.stdout.replace(folder.to_str().unwrap(), "DATA")
            };
            assert_eq!(text(&bare, &folders[0]), text(&confined, &folders[1]));
            assert_eq!(confined.stderr, bare.stderr);
            assert!(!confined.stdout.is_empty() || ["CHECK", "DEL"].contains(&command));
            assert_eq!(leases(&folders[0]), leases(&folders[1]), "{command}");
        }
        let record = host.record("sandbox_applied");
        assert_eq!(record["plugin_name"], "host-local");
    }
}

#[test]
fn host_local_writes_nowhere_but_in_the_folder_of_its_profile() {
    let mut host = Host::new();
    list_host_local(&mut host);
    let other = host.folder("other");
    let [bare, confined] = pair(&host, "host-local")
        .map(|plugin| request(plugin, "ADD", "/x", &address_request(&other)));
    bare.succeeded();
    assert_eq!(confined.status, 1, "{confined:#?}");
    assert!(
        confined.stdout.contains("permission denied"),
        "{confined:#?}"
    );
}

#[test]
fn loopback_configures_another_network_namespace_as_without() {
    private(|| {
        let mut host = Host::new();
        host.install_copy("loopback", "/usr/lib/cni/loopback");
        host.list("loopback", &["profile: cni"]);
        host.shim("loopback");
        let ip = |words: &str| host.bare("/usr/sbin/ip", &words.split(' ').collect::<Vec<_>>());
        for namespace in ["bare", "confined"] {
            ip(&format!("netns add {namespace}")).succeeded();
        }
        let state = |namespace: &str| {
            ip(&format!("-netns {namespace} link show lo"))
                .succeeded()
                .stdout
        };
        for (command, flag) in [
            ("VERSION", "<LOOPBACK>"),
            ("ADD", "<LOOPBACK,UP,"),
            ("CHECK", "<LOOPBACK,UP,"),
            ("DEL", "<LOOPBACK>"),
        ] {
            let [bare, confined] = [0, 1].map(|which: usize| {
                let plugin = pair(&host, "loopback").into_iter().nth(which).unwrap();
                let namespace = ["/run/netns/bare", "/run/netns/confined"][which];
                request(plugin, command, namespace, LOOPBACK_REQUEST)
            });
            assert_eq!(bare.status, 0, "{bare:#?}");
            assert_eq!(confined.status, 0, "{confined:#?}");
            let named = bare
                .stdout
                .replace("/run/netns/bare", "/run/netns/confined");
            assert_eq!(confined.stdout, named);
            for namespace in ["bare", "confined"] {
                assert!(
                    state(namespace).contains(flag),
                    "{command}: {}",
                    state(namespace)
                );
            }
        }
        let caller = host
            .bare("/usr/sbin/ip", &["link", "show", "lo"])
            .succeeded();
        assert!(caller.stdout.contains("<LOOPBACK,UP,"), "{caller:#?}");
    });
}

#[test]
fn the_profile_needs_capabilities_that_an_ordinary_user_can_t_give() {
    let mut host = Host::of(User::Ordinary);
    host.install_copy("loopback", "/usr/lib/cni/loopback");
    host.list("loopback", &["profile: cni"]);
    host.launch("loopback")
        .run()
        .refused(125)
        .says("is not held");
}

#[test]
fn neither_of_the_profiles_capabilities_is_enough_alone() {
    private(|| {
        let mut host = Host::new();
        let namespace = ["netns", "add", "other"];
        host.bare("/usr/sbin/ip", &namespace).succeeded();
        for (name, keep, status) in [
            ("both", "CAP_NET_ADMIN, CAP_SYS_ADMIN", 0),
            ("admin", "CAP_NET_ADMIN", 1),
            ("system", "CAP_SYS_ADMIN", 1),
        ] {
            host.install_copy(name, "/usr/lib/cni/loopback");
            host.list(
                name,
                &[&format!(
                    "profile:\n  filesystem: {{ read: [/run/netns, /proc/self] }}\n  \
                     network: {{ netlink: true }}\n  syscalls: {{ allow: [setns] }}\n  \
                     environment: {{ pass: ['CNI_*', CNI_PATH] }}\n  capabilities: {{ keep: [{keep}] }}"
                )],
            );
            let plugin = host.launch(name).command();
            let outcome = request(plugin, "ADD", "/run/netns/other", LOOPBACK_REQUEST);
            assert_eq!(outcome.status, status, "{keep}: {outcome:#?}");
        }
    });
}
