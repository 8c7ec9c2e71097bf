//! Hosts whose plugins look at their own names, read what lies beside them, or
//! need several things at once.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::monitoring::{munin, munin_run, with_munin_state};
use super::notifiers::{ban, configure, plugins};
use super::shims::{self, FOLDERS, Shims};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, User};

const CHECKS: &str = "/usr/lib/nagios/plugins";

/// Scripts at their paths, by the names of links to them.
#[test]
fn munin_plugins_that_look_at_their_name() {
    const LINKS: [(&str, &str); 4] = [
        // Nobody's first: root may write in what is his, not the other way.
        ("if_err_lo", "if_err_"),
        ("if_lo", "if_"),
        ("port_22", "port_"),
        ("ps_sh", "ps_"),
    ];
    with_munin_state(|| {
        // Links of these names are what is listed.
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let links = LINKS.map(|(name, script)| {
            let link = place.path().join(name);
            symlink(Path::new("/usr/share/munin/plugins").join(script), &link).unwrap();
            (name, link.to_str().unwrap().to_string())
        });
        let host = munin(&links.each_ref().map(|(name, link)| (*name, &**link)));
        for (name, _) in LINKS {
            munin_run(&host, &format!("{name} config"));
            munin_run(&host, name);
        }
        host.all_ran();
    });
}

/// Scripts that read what lies beside them.
#[test]
fn checks_that_are_scripts() {
    let tools = "{ extends: monitoring, filesystem: { read: [/etc/services], execute: \
        [/usr/bin/basename, /usr/bin/sed] } }";
    let lines = [
        (
            "check_file_age -f /etc/services -w 1 -c 4000000000",
            "monitoring",
            1,
        ),
        ("check_ircd -H 127.0.0.1", "monitoring", 3),
        ("check_sensors", tools, 3),
    ];
    private(|| {
        for user in EVERYONE {
            let mut host = Shims::new(user);
            for (line, profile, _) in lines {
                let name = line.split(' ').next().unwrap();
                host = host.plugin(name, Path::new(CHECKS).join(name), profile);
            }
            // They lie beside the scripts, and beside no shim.
            for name in ["utils.pm", "utils.sh"] {
                let place = host.folder("bare").join(name);
                symlink(Path::new(CHECKS).join(name), place).unwrap();
            }
            for (line, _, status) in lines {
                let told = host.alike(&format!("HERE/{line}"), shims::but_for_numbers);
                assert_eq!(told.status, status, "{told:#?}");
            }
            host.all_ran();
        }
    });
}

#[test]
fn check_ping() {
    // The kernel does not execute a program whose file has capabilities that
    // root can't get any more.
    let profile = |user: User| {
        let keep = if user.is_root() { "CAP_NET_RAW" } else { "" };
        format!(
            "{{ extends: monitoring, capabilities: {{ keep: [{keep}] }}, \
             filesystem: {{ execute: [/usr/bin/ping] }} }}"
        )
    };
    private(|| {
        fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647").unwrap();
        for user in EVERYONE {
            let host = Shims::new(user).plugin(
                "check_ping",
                Path::new(CHECKS).join("check_ping"),
                &profile(user),
            );
            let line = "HERE/check_ping -H 127.0.0.1 -w 900,50% -c 999,90% -p 1";
            let told = host.alike(line, shims::but_for_numbers).succeeded();
            assert!(told.stdout.starts_with("PING OK"), "{told:#?}");
            host.all_ran();
        }
    });
}

/// Reads one request and answers that it is well.
fn posted(listener: &TcpListener) -> String {
    let mut stream: TcpStream = listener.accept().unwrap().0;
    let mut text = String::new();
    let mut byte = [0];
    while !text.ends_with("192.0.2.1 ban") {
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{text}");
        text.push(char::from(byte[0]));
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        .unwrap();
    text
}

/// UNIX sockets and TCP together, in namespaces.
#[test]
fn crowdsec_with_two_plugins() {
    let profile = "{ extends: go-plugin, isolation: namespaces, \
        filesystem: { write: [-WORK/crowdsec/told] }, network: { tcp: { connect: [8000] } } }";
    private(|| {
        let host = plugins(&["dummy", "http"], profile);
        let listener = TcpListener::bind("127.0.0.1:8000").unwrap();
        let heard = FOLDERS.map(|folder| {
            let top = configure(
                &host,
                folder,
                &[
                    ("dummy", "output_file: TOP/told/list"),
                    (
                        "http",
                        "url: http://127.0.0.1:8000/hook\nmethod: POST\nheaders: { X-Key: key }",
                    ),
                ],
            );
            let list = format!("{top}/told/list");
            let mut make = std::process::Command::new("mkfifo");
            make.args(["-m", "666", &list]);
            crate::kit::run(make, b"").succeeded();
            let mut heard = String::new();
            ban(&host, &top, || {
                heard = posted(&listener);
                let told = fs::read_to_string(&list).unwrap();
                assert_eq!(told.trim(), "192.0.2.1 ban", "{folder}");
            });
            heard
        });
        assert!(heard[0].starts_with("POST /hook HTTP/1.1\r\n"), "{heard:?}");
        assert!(heard[0].contains("X-Key: key\r\n"), "{heard:?}");
        assert_eq!(heard[1], heard[0]);
        host.all_ran();
    });
}
