//! Monitoring: checks as Nagios and Icinga call them, and munin's plugins under
//! munin-run.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use super::shims::{self, Shims};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, package, run};
use crate::profiles::network::serve_page;

const CHECKS: &str = "/usr/lib/nagios/plugins";

/// Answers every line with one, after a greeting.
fn serve_lines(port: u16, greeting: &'static str) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _gone = write!(stream, "{greeting}\r\n");
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            for _ in lines.map_while(Result::ok) {
                let _gone = write!(stream, "250 well\r\n");
            }
        }
    });
}

/// Sends each datagram back.
fn serve_echo(port: u16) {
    let socket = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    std::thread::spawn(move || {
        let mut text = [0; 100];
        while let Ok((length, from)) = socket.recv_from(&mut text) {
            socket.send_to(&text[..length], from).unwrap();
        }
    });
}

/// The plugin that a command line calls.
fn program(line: &str) -> &str {
    line.split(' ').next().unwrap()
}

#[test]
fn checks_of_services_under_their_links_names() {
    // Most are links to check_tcp, which looks at its name.
    let lines = [
        ("check_tcp -H 127.0.0.1 -p 143", 0),
        ("check_imap -H 127.0.0.1", 0),
        ("check_pop -H 127.0.0.1", 0),
        ("check_ftp -H localhost", 0),
        ("check_smtp -H 127.0.0.1", 0),
        ("check_ssh 127.0.0.1", 0),
        ("check_http -H 127.0.0.1", 0),
        ("check_http -H 127.0.0.1 -s nothing", 2),
        ("check_udp -H 127.0.0.1 -p 161 -s hello -e hello", 0),
        ("check_nntp -H 127.0.0.1", 2),
        ("check_dummy 1 hello", 1),
        ("check_cluster --service -d 0,0,1", 0),
        ("check_tcp --nonsense", 3),
    ];
    private(|| {
        serve_page(80);
        serve_echo(161);
        for (port, greeting) in [
            (143, "* OK ready"),
            (110, "+OK ready"),
            (21, "220 ready"),
            (25, "220 ready"),
            (22, "SSH-2.0-Server_1"),
        ] {
            serve_lines(port, greeting);
        }
        for user in EVERYONE {
            let mut host = Shims::new(user);
            for (line, _) in lines {
                let name = program(line);
                if !host.folder("bare").join(name).exists() {
                    host = host.plugin(name, Path::new(CHECKS).join(name), "monitoring");
                }
            }
            for (line, status) in lines {
                let told = host.alike(&format!("HERE/{line}"), shims::but_for_times);
                assert_eq!(told.status, status, "{told:#?}");
            }
            host.all_ran();
        }
    });
}

#[test]
fn checks_of_the_machine() {
    let processes =
        "{ extends: monitoring, filesystem: { read: [/proc], execute: [/usr/bin/ps] } }";
    let others = format!("{{ extends: monitoring, filesystem: {{ execute: [{CHECKS}] }} }}");
    let lines = [
        ("check_load -w 900,900,900 -c 999,999,999", "monitoring", 0),
        ("check_disk -w 0% -c 0% -p /", "monitoring", 0),
        ("check_users -w 500 -c 900", "monitoring", 0),
        ("check_swap -w 10% -c 5% -n ok", "monitoring", 0),
        ("check_procs -w 1:90000", processes, 0),
        ("check_procs -c 90000:99999 -a no-such-word", processes, 2),
        ("negate -o CRITICAL CHECKS/check_dummy 0 well", &others, 2),
        ("urlize http://there CHECKS/check_dummy 0 well", &others, 0),
    ];
    for user in EVERYONE {
        let mut host = Shims::new(user);
        for (line, profile, _) in lines {
            let name = program(line);
            if !host.folder("bare").join(name).exists() {
                host = host.plugin(name, Path::new(CHECKS).join(name), profile);
            }
        }
        for (line, _, status) in lines {
            let line = line.replace("CHECKS", CHECKS);
            let told = host.alike(&format!("HERE/{line}"), shims::but_for_numbers);
            assert_eq!(told.status, status, "{told:#?}");
        }
        host.all_ran();
    }
}

/// Munin's node, unpacked, with these plugins (name, script).
pub(super) fn munin(plugins: &[(&str, &str)]) -> Shims {
    let mut host = Shims::for_nobody();
    for (name, script) in plugins {
        let script = Path::new("/usr/share/munin/plugins").join(script);
        host = host.plugin(name, script, "munin");
    }
    let node = package("munin-node").join("etc/munin");
    for (from, to) in [
        ("munin-node.conf", "munin-node.conf"),
        ("plugin-conf.d/munin-node", "conf/munin-node"),
    ] {
        let to = host.host.path(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(node.join(from), to).unwrap();
    }
    host
}

/// Calls a plugin as munin-node does. Root's munin-run starts it as nobody.
pub(super) fn munin_run(host: &Shims, plugin: &str) {
    let modules = package("munin-node").join("usr/share/perl5");
    let program = package("munin-node").join("usr/sbin/munin-run");
    let top = host.host.path("").display().to_string();
    let call = format!(
        "PERL5LIB={} exec perl -T {} --config {top}/munin-node.conf --sconfdir {top}/conf \
         --servicedir HERE --ignore-systemd-properties {plugin}",
        modules.display(),
        program.display()
    );
    let told = host.alike(&call, shims::but_for_numbers).succeeded();
    assert_eq!(told.stderr, "", "{plugin}");
}

/// What plugins remember is the namespace's.
pub(super) fn with_munin_state(body: impl FnOnce() + Send) {
    private(|| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none", "/var/lib/munin-node"]);
        run(mount, b"").succeeded();
        fs::create_dir("/var/lib/munin-node/plugin-state").unwrap();
        body();
    });
}

#[test]
fn munin_run_over_its_plugins() {
    const NAMES: [&str; 22] = [
        "acpi",
        "buddyinfo",
        "cpu",
        "cpuspeed",
        "df",
        "df_inode",
        "entropy",
        "forks",
        "fw_packets",
        "interrupts",
        "load",
        "memory",
        "netstat",
        "open_files",
        "open_inodes",
        "proc_pri",
        "processes",
        "swap",
        "tcp",
        "threads",
        "uptime",
        "users",
    ];
    with_munin_state(|| {
        let host = munin(&NAMES.map(|name| (name, name)));
        // Two processors, two at a time.
        std::thread::scope(|scope| {
            for half in NAMES.chunks(NAMES.len().div_ceil(2)) {
                let host = &host;
                scope.spawn(move || half.iter().for_each(|name| munin_run(host, name)));
            }
        });
        munin_run(&host, "cpu config");
        munin_run(&host, "df config");
        host.all_ran();
        let records = host.host.records();
        assert!(records.iter().all(|record| record["uid"] == shims::NOBODY));
    });
}
