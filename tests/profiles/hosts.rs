//! The profiles for plugins of well-known hosts grant what these need, and
//! nothing else. `software` runs the hosts themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, User, program, run};

/// Tries one thing after the other, and names what works.
const TRIES: &str = r#"
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
static struct sockaddr_in at(int port) {
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(port)};
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return there;
}
static void told(const char *name, int works) { if (works) printf("%s ", name); }
static int connects(int port) {
    struct sockaddr_in there = at(port);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return s >= 0 && (!connect(s, (void *)&there, sizeof there) || errno == ECONNREFUSED);
}
static int listens(void) {
    struct sockaddr_in here = at(0);
    int s = socket(AF_INET, SOCK_STREAM, 0);
    return s >= 0 && !bind(s, (void *)&here, sizeof here) && !listen(s, 1);
}
static int datagram(void) {
    struct sockaddr_in there = at(9);
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    return s >= 0 && sendto(s, "x", 1, 0, (void *)&there, sizeof there) == 1;
}
static int unix_connects(void) {
    struct sockaddr_un there = {.sun_family = AF_UNIX, .sun_path = "/run/none"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    return s >= 0 && connect(s, (void *)&there, sizeof there) && errno == ENOENT;
}
static int runs(const char *program) {
    pid_t child = fork();
    if (child < 0) return 0;
    if (!child) { execl(program, program, (char *)0); _exit(99); }
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) != 99;
}
int main(int count, char **words) {
    told("passwd", open("/etc/passwd", O_RDONLY) >= 0);
    told("folder", open(words[1], O_RDONLY | O_DIRECTORY) >= 0);
    told("processes", open("/proc/1/status", O_RDONLY) >= 0);
    told("figures", open("/proc/loadavg", O_RDONLY) >= 0);
    chdir(words[1]);
    told("write", open("planted", O_WRONLY | O_CREAT, 0600) >= 0);
    told("mode", !chmod("served", 0700));
    told("port", connects(7777));
    told("http", connects(80));
    told("listen", listens());
    told("udp", datagram());
    told("unix", unix_connects());
    told("netlink", socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE) >= 0);
    told("raw", socket(AF_INET, SOCK_RAW, 1) >= 0);
    told("true", runs("/bin/true"));
    told("uptime", runs("/usr/bin/uptime"));
    told("cat", runs("/usr/bin/cat"));
    return 0;
}
"#;

/// In order, and without what programs print that were run.
fn words(told: &str) -> Vec<&str> {
    let known = |word: &&str| word.chars().all(char::is_alphabetic);
    let others = ["up", "user", "users", "min", "load", "average"];
    let mut words: Vec<&str> = told.split_whitespace().filter(known).collect();
    words.retain(|word| !others.contains(word));
    words.sort_unstable();
    words
}

#[test]
fn what_hosts_plugins_may_do_is_what_they_need() {
    // Bare, and as an ordinary user: not what root alone may.
    let all = "passwd folder processes figures write mode port http listen udp unix netlink \
        raw true uptime cat ";
    private(|| {
        for user in EVERYONE {
            let mut host = Host::of(user);
            host.install_copy("p", program::c(TRIES));
            host.list("p", &[]);
            let folder = host.folder("folder");
            host.profile(
                "repository",
                &format!("extends: git-helper\nfilesystem: {{ write: [{folder:?}] }}"),
            );
            host.write("folder/served", "");
            let mut bare = host.command(host.path("plugins/p"));
            bare.arg(&folder);
            let bare = run(bare, b"").succeeded().stdout;
            let all = match user {
                User::Root => all.to_string(),
                User::Ordinary => all.replace("raw ", ""),
            };
            assert_eq!(words(&bare), words(&all));
            for (profile, may) in [
                ("monitoring", "figures port http udp uptime"),
                ("munin", "processes figures cat uptime"),
                // No mode but those of granted files.
                ("git-helper", "http udp "),
                ("repository", "http udp mode folder write"),
                ("apt-method", "http udp "),
                ("cups-filter", ""),
            ] {
                if profile == "apt-method" && user == User::Ordinary {
                    // It becomes another user.
                    continue;
                }
                let told = host.launch("p").profile(profile).arg(&folder).run();
                let told = told.succeeded().stdout;
                assert_eq!(words(&told), words(may), "{profile} {user:?}");
            }
        }
    });
}

/// In the server's spool lie the documents of all users, which the group of all
/// filters may read.
#[test]
fn a_filter_reads_nobodys_job() {
    private(|| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none", "/var/spool"]);
        run(mount, b"").succeeded();
        for folder in ["/var/spool/cups", "/var/spool/cups/tmp"] {
            fs::create_dir(folder).unwrap();
            fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
        }
        for file in ["/var/spool/cups/d00007-001", "/var/spool/cups/tmp/other"] {
            fs::write(file, "job\n").unwrap();
        }
        let script =
            "read -r one < /var/spool/cups/d00007-001; read -r two < /var/spool/cups/tmp/other
            echo \"$one $two\"; echo x > /var/spool/cups/tmp/planted && echo planted\n";
        for user in EVERYONE {
            let mut host = Host::of(user);
            let script = host.install_sh("p", script);
            host.list("p", &[]);
            let bare = run(host.command(script), b"");
            bare.succeeded().prints("job job\nplanted\n");
            fs::remove_file("/var/spool/cups/tmp/planted").unwrap();
            for isolation in ["process", "namespaces"] {
                host.profile(
                    "filter",
                    &format!("extends: cups-filter\nisolation: {isolation}"),
                );
                let told = host.launch("p").profile("filter").run();
                assert_eq!(told.stdout, " \n", "{told:#?}");
                // What a profile grants on top is there.
                host.profile(
                    "job",
                    "extends: filter\nfilesystem: { read: [/var/spool/cups/d00007-001] }",
                );
                let told = host.launch("p").profile("job").run();
                assert_eq!(told.stdout, "job \n", "{told:#?}");
            }
            assert!(!Path::new("/var/spool/cups/tmp/planted").exists());
        }
    });
}
