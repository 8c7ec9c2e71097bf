//! Clients and servers, in network namespaces with nothing but loopback.

use std::fs;
use std::process::Command;

use super::Software;
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, Outcome, run};
use crate::profiles::network::{Running, serve_page, serve_tls, started};

#[test]
fn wget() {
    let profile = "extends: network-client\nfilesystem: { read: [/etc/wgetrc], write: [WORK] }";
    private(|| {
        serve_page(80);
        let host = Host::new();
        let _tls = serve_tls(&host);
        for user in EVERYONE {
            let software = Software::new(user, "/usr/bin/wget", profile)
                .file("cert.pem", fs::read(host.path("cert.pem")).unwrap());
            software
                .alike(&["-q", "-O", "page", "http://127.0.0.1/a"], "")
                .succeeded();
            assert_eq!(software.read("page"), b"page\n");
            let url = "https://127.0.0.1/";
            let tls = ["-q", "-O", "-", "--no-check-certificate", url];
            for outcome in software.both(&tls, "").map(Outcome::succeeded) {
                assert!(outcome.stdout.contains("TLSv1.3"), "{outcome:#?}");
            }
            // A wrong name, and a port that nobody serves.
            assert_eq!(
                software
                    .alike(&["-q", "--ca-certificate=cert.pem", url], "")
                    .status,
                5
            );
            assert_eq!(
                software
                    .alike(&["-q", "-t1", "http://127.0.0.1:53/"], "")
                    .status,
                4
            );
        }
    });
}

#[test]
fn openssl_s_client() {
    private(|| {
        let host = Host::new();
        let _tls = serve_tls(&host);
        for user in EVERYONE {
            let software = Software::new(user, "/usr/bin/openssl", "network-client");
            let words = "s_client -connect 127.0.0.1:443 -quiet -no_ign_eof -ign_eof";
            let words: Vec<&str> = words.split(' ').collect();
            for outcome in software.both(&words, "GET / HTTP/1.0\r\n\r\n") {
                assert!(outcome.stdout.contains("TLSv1.3"), "{outcome:#?}");
                assert!(outcome.stderr.contains("CN = plugin.test"), "{outcome:#?}");
            }
        }
    });
}

#[test]
fn openssl_s_server() {
    // The key is for the service alone, and so is its port.
    let profile = "extends: network-service\n\
        filesystem: { read: [WORK] }\n\
        network: { tcp: { bind: [443] } }";
    private(|| {
        let keys = Host::new();
        drop(serve_tls(&keys));
        for user in EVERYONE {
            // Everyone may serve every port here.
            fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").unwrap();
            let mut software = Software::new(user, "/usr/bin/openssl", profile);
            for name in ["key.pem", "cert.pem"] {
                software = software.file(name, fs::read(keys.path(name)).unwrap());
            }
            let words = "s_server -accept 127.0.0.1:443 -www -key key.pem -cert cert.pem";
            let words: Vec<&str> = words.split(' ').collect();
            for command in software.commands(&words) {
                let (_server, _output) = started(command, "ACCEPT");
                let page = software
                    .host
                    .bare("/usr/bin/curl", &["-sSk", "https://127.0.0.1/"]);
                assert!(page.succeeded().stdout.contains("TLSv1.3"));
            }
        }
    });
}

/// PostgreSQL on its usual port, with its files in the namespace's `/run`. Its
/// processes and shared memory end with it.
fn serve_postgres() -> Running {
    let versions = fs::read_dir("/usr/lib/postgresql").unwrap();
    let folder = versions
        .map(|version| version.unwrap().path().join("bin"))
        .max()
        .unwrap();
    let server = |name: &str| {
        let mut command = Command::new("unshare");
        command.args(["--ipc", "--pid", "--fork", "--kill-child", "setpriv"]);
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command
            .args(["sh", "-c", "exec \"$@\" 2>&1", "sh"])
            .arg(folder.join(name));
        command.args(["-D", "/run/postgres/data"]).current_dir("/");
        command
    };
    run(
        {
            let mut install = Command::new("install");
            install.args(["-d", "-o", "postgres", "/run/postgres"]);
            install
        },
        b"",
    )
    .succeeded();
    let mut make = server("initdb");
    make.args([
        "--no-sync",
        "--auth=trust",
        "--username=plugin",
        "--no-locale",
        "--encoding=UTF8",
    ]);
    run(make, b"").succeeded();
    let mut serve = server("postgres");
    serve.args(["-k", "/run/postgres", "-h", "127.0.0.1", "-F"]);
    started(serve, "ready to accept connections").0
}

#[test]
fn psql() {
    let profile = "extends: default\n\
        network: { tcp: { connect: [5432] } }\n\
        environment: { set: { HOME: /nonexistent } }";
    let script = "create table t (name text, n int);
copy t from stdin;
pear\t3
apple\t10
\\.
select name, sum(n) over (order by name) from t;
\\copy t to stdout csv
\\d t
select no_such;
drop table t;
";
    private(|| {
        let _server = serve_postgres();
        let program = {
            let versions = fs::read_dir("/usr/lib/postgresql").unwrap();
            versions
                .map(|version| version.unwrap().path().join("bin/psql"))
                .max()
                .unwrap()
        };
        for user in EVERYONE {
            let software = Software::new(user, &program, profile).set("HOME", "/nonexistent");
            let address = "host=127.0.0.1 user=plugin dbname=postgres";
            let outcome = software.alike(&["-X", address], script).succeeded();
            assert!(
                outcome.stdout.contains("apple|") || outcome.stdout.contains(" apple |"),
                "{outcome:#?}"
            );
            assert!(outcome.stderr.contains("column \"no_such\" does not exist"));
        }
    });
}
