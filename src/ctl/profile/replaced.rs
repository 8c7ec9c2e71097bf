//! Files that systems replace while programs run. A grant is for the file that
//! is there when the plugin is launched: what takes its place is not granted.

use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::profile::{Profile, RawProfile};

/// Each with who puts another file in its place.
const REPLACED: &[(&str, &str)] = &[
    ("/etc/group", "groupadd(8) and its like"),
    (
        "/etc/hosts",
        "cloud-init and other tools that configure a machine",
    ),
    ("/etc/ld.so.cache", "ldconfig(8), with every new library"),
    ("/etc/localtime", "timedatectl(1)"),
    ("/etc/machine-id", "systemd, on the first boot"),
    (
        "/etc/nsswitch.conf",
        "authselect(8) and packages of name services",
    ),
    ("/etc/passwd", "useradd(8) and its like"),
    (
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "update-ca-trust(8)",
    ),
    (
        "/etc/resolv.conf",
        "DHCP clients and resolvers, when the network changes",
    ),
    ("/etc/shadow", "passwd(1) and its like"),
    (
        "/etc/ssl/certs/ca-certificates.crt",
        "update-ca-certificates(8)",
    ),
    (
        "/run/NetworkManager/no-stub-resolv.conf",
        "NetworkManager, when the network changes",
    ),
    (
        "/run/NetworkManager/resolv.conf",
        "NetworkManager, when the network changes",
    ),
    (
        "/run/systemd/resolve/resolv.conf",
        "systemd-resolved, when the network changes",
    ),
    (
        "/run/systemd/resolve/stub-resolv.conf",
        "systemd-resolved, when the network changes",
    ),
];

/// A warning for each single file among a profile's own paths that is known to
/// be replaced, unless it lies in a folder that is granted as well.
pub(super) fn warnings(raw: &RawProfile, profile: &Profile) -> Vec<String> {
    let known = raw.reads().filter_map(|path| {
        let mut known = REPLACED.iter();
        known.find(|(file, _)| Path::new(file) == Path::new(path))
    });
    let in_folder = |file: &str| {
        let real = std::fs::canonicalize(file).unwrap_or_else(|_| file.into());
        let mut folders = profile.paths().map(Path::new);
        folders
            .any(|folder| real != folder && Path::new(file) != folder && real.starts_with(folder))
    };
    known
        .filter(|(file, _)| !in_folder(file))
        .map(|(file, by)| {
            let file = Escaped(file);
            format!(
                "the file '{file}' is replaced by {by}: a plugin that runs then sees the old one, or none; \
                 grant the folder that the new one is made in where it holds nothing else, or launch the plugin anew"
            )
        })
        .collect()
}
