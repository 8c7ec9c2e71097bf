//! What a plugin sees.

use std::collections::BTreeSet;
use std::path::Path;

use super::{BOTH, Running, STATS, WAITS, install, tool};
use crate::kit::{EVERYONE, program};

#[test]
fn a_path_that_is_not_granted_does_not_exist() {
    for user in EVERYONE {
        let host = install(user, program::static_c(STATS), "");
        let paths = [
            "/etc/passwd",
            "/root",
            "/home",
            "/usr/bin",
            "/sys",
            "/lib64",
        ];
        let seen = BOTH.map(|plugin| host.launch(plugin).args(paths).run().succeeded().stdout);
        assert_eq!(seen, ["0 0 0 0 0 0 ", "2 2 2 2 2 0 "]);
    }
}

#[test]
fn the_root_folder_holds_what_is_granted_and_nothing_else() {
    for user in EVERYONE {
        let host = install(user, program::static_c(WAITS), "");
        host.folder("in");
        host.write("in/file", "x");
        host.write("beside", "x");
        let granted = host.path("in");
        host.profile(
            "namespaces",
            &format!(
                "isolation: namespaces\nfilesystem: {{ read: [{granted:?}], devices: [\"null\"] }}"
            ),
        );
        let mut running = Running::start(host.launch("namespaces"));
        assert_eq!(running.line(), "ready");
        let [.., plugin] = running.processes();
        let root = format!("/proc/{plugin}/root");
        let mut found = BTreeSet::new();
        collect(Path::new(&root), Path::new(&root), &mut found);
        let above: BTreeSet<String> = granted
            .ancestors()
            .skip(1)
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        let known = [
            "/dev/null",
            "/dev/shm",
            "/etc/ld.so.cache",
            "/etc/localtime",
            "/proc",
            "/usr/share/zoneinfo",
            "/usr/lib/locale",
        ];
        let libraries = ["/lib", "/usr/lib", "/usr/local/lib"];
        for path in &found {
            // The plugin lies where it is, and nothing beside it.
            let expected = known.contains(&path.as_str())
                || host.path("plugins/namespaces").starts_with(path)
                || Path::new(path).starts_with(&granted)
                || above.contains(path)
                || ["/dev", "/etc", "/usr", "/usr/share", "/usr/local"].contains(&path.as_str())
                || libraries.iter().any(|folder| path.starts_with(folder))
                || path.starts_with("/dev/") && is_default_device(path)
                || path == "/etc/ld-musl-x86_64.path";
            assert!(expected, "{path} in {found:#?}");
        }
        assert!(found.contains(&granted.join("file").to_string_lossy().into_owned()));
        assert!(!found.contains(&host.path("beside").to_string_lossy().into_owned()));
        assert_eq!(running.finish(), 7);
    }
}

fn is_default_device(path: &str) -> bool {
    let devices = ["null", "zero", "full", "random", "urandom"];
    let descriptors = ["fd", "stdin", "stdout", "stderr"];
    let mut names = devices.iter().chain(&descriptors);
    names.any(|name| path == format!("/dev/{name}"))
}

/// Everything below a folder, but for what lies in the system's own folders
/// and in `/proc`.
fn collect(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = Path::new("/").join(entry.path().strip_prefix(root).unwrap());
        let shown = path.to_string_lossy().into_owned();
        found.insert(shown.clone());
        let is_system = shown == "/proc"
            || shown.ends_with("linux-gnu")
            || shown.starts_with("/lib64")
            || shown.starts_with("/usr/lib64")
            || shown == "/usr/share/zoneinfo"
            || shown == "/usr/lib/locale";
        if entry.file_type().unwrap().is_dir() && !is_system {
            collect(root, &entry.path(), found);
        }
    }
}

/// The numbers in `/proc`, and whether `/proc/1` can be looked into.
const PROCESSES: &str = r#"#include <stdio.h>
#include <dirent.h>
#include <unistd.h>
int main(void) {
    DIR *folder = opendir("/proc");
    struct dirent *entry;
    int count = 0, other = 0;
    while (folder && (entry = readdir(folder))) {
        int number;
        if (sscanf(entry->d_name, "%d", &number) == 1) {
            count++;
            other += number != getpid();
        }
    }
    printf("%d %d %d\n", count > 1, other > 0, access("/proc/1/status", F_OK) == 0);
    return 0;
}"#;

#[test]
fn no_other_process_is_to_be_seen() {
    for user in EVERYONE {
        let grants = "filesystem: { read: [/proc] }";
        let host = install(user, program::static_c(PROCESSES), grants);
        let seen = BOTH.map(|plugin| host.launch(plugin).run().succeeded().stdout);
        assert_eq!(seen, ["1 1 1\n", "0 0 0\n"]);
    }
}

#[test]
fn process_id_and_host_name_are_the_plugins_own() {
    let source = r#"#include <stdio.h>
    #include <unistd.h>
    #include <sys/utsname.h>
    int main(void) {
        struct utsname names;
        uname(&names);
        printf("%d %d %s", getpid(), getppid(), names.nodename);
        return 0;
    }"#;
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        let outcome = host.launch("process").run().succeeded();
        assert!(outcome.stdout.ends_with(&*nix_host_name()), "{outcome:?}");
        host.launch("namespaces")
            .run()
            .succeeded()
            .prints("2 1 plugin");
        // In the host's network the name is the host's, too.
        host.profile(
            "namespaces",
            "isolation: namespaces\nnetwork: { udp: true }",
        );
        let outcome = host.launch("namespaces").run().succeeded();
        outcome.prints(&format!("2 1{}", nix_host_name()));
    }
}

fn nix_host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    format!(" {}", name.trim())
}

#[test]
fn without_a_network_grant_there_is_a_loopback_device_that_is_down() {
    for user in EVERYONE {
        let host = install(user, program::static_c(WAITS), "");
        let mut running = Running::start(host.launch("namespaces"));
        assert_eq!(running.line(), "ready");
        let [.., plugin] = running.processes();
        let space = format!("--net=/proc/{plugin}/ns/net");
        let links = tool(&["nsenter", &space, "ip", "-o", "link"]).succeeded();
        assert_eq!(links.stdout.lines().count(), 1, "{links:?}");
        assert!(links.stdout.starts_with("1: lo: <LOOPBACK> "), "{links:?}");
        assert_eq!(running.finish(), 7);
    }
}

#[test]
fn with_a_network_grant_the_network_is_the_hosts_and_the_record_says_so() {
    let source = r#"#include <stdlib.h>
    #include <sys/socket.h>
    #include <arpa/inet.h>
    int main(int n, char **a) {
        struct sockaddr_in to = { AF_INET, htons(atoi(a[1])), { htonl(0x7f000001) } };
        return connect(socket(AF_INET, SOCK_STREAM, 0), (void *)&to, sizeof to) ? 1 : 0;
    }"#;
    for user in EVERYONE {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port();
        let grants = format!("network: {{ tcp: {{ connect: [{port}] }} }}");
        let host = install(user, program::static_c(source), &grants);
        host.launch("namespaces")
            .arg(port.to_string())
            .run()
            .succeeded();
        let sandbox = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(sandbox["network"], "host");
        let kinds = sandbox["namespaces"].as_array().unwrap();
        assert!(!kinds.contains(&"network".into()), "{sandbox}");
    }
}

#[test]
fn shared_memory_of_outsiders_is_not_there() {
    let source = r#"#include <stdio.h>
    #include <stdlib.h>
    #include <errno.h>
    #include <sys/ipc.h>
    #include <sys/shm.h>
    int main(int n, char **a) {
        int id = shmget(strtol(a[1], 0, 0), 0, 0);
        printf("%d", id < 0 ? errno : 0);
        return 0;
    }"#;
    let made = tool(&["ipcmk", "--shmem", "4096", "--mode", "0666"]).succeeded();
    let id = made.stdout.rsplit(' ').next().unwrap().trim().to_string();
    let table = std::fs::read_to_string("/proc/sysvipc/shm").unwrap();
    let mut rows = table.lines().map(|row| row.split_whitespace());
    let key = rows
        .find_map(|mut row| {
            let key = row.next()?;
            (row.next()? == id).then(|| key.to_string())
        })
        .unwrap();
    let grants = "syscalls: { allow: [shmget] }";
    let seen = EVERYONE.map(|user| {
        let host = install(user, program::static_c(source), grants);
        BOTH.map(|plugin| host.launch(plugin).arg(&key).run().stdout)
    });
    tool(&["ipcrm", "--shmem-id", &id]).succeeded();
    for seen in seen {
        assert_eq!(seen, ["0", "2"]);
    }
}

#[test]
fn all_of_the_file_system_can_be_granted() {
    for user in EVERYONE {
        let grants = "filesystem: { read: [/] }";
        let host = install(user, program::static_c(STATS), grants);
        host.launch("namespaces")
            .args(["/etc/passwd", "/proc/self/status", "/proc/1/status"])
            .run()
            .succeeded()
            .prints("0 0 2 ");
    }
}

/// The program reads its arguments, and a child of its own does so too.
/// Prints for each of both 0 or the error's number.
const CHILD_READS: &str = r#"#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int n, char **a) {
    for (int child = 0; child < 2; child++) {
        if (child && fork()) { wait(0); break; }
        char byte;
        for (int i = 1; i < n; i++) {
            int file = open(a[i], O_RDONLY);
            printf("%d ", file < 0 || read(file, &byte, 1) < 0 ? errno : 0);
        }
        fflush(stdout);
    }
    return 0;
}"#;

#[test]
fn a_child_reads_its_own_process_as_its_parent_does_and_nobody_elses() {
    for user in EVERYONE {
        let host = install(user, program::static_c(CHILD_READS), "");
        let paths = ["/proc/self/status", "/proc/2/status", "/proc/1/status"];
        let grants = "processes: { fork: true }\nfilesystem: { read: [/proc/self] }";
        for isolation in BOTH {
            host.profile(isolation, &format!("isolation: {isolation}\n{grants}"));
        }
        let seen = BOTH.map(|plugin| host.launch(plugin).args(paths).run().succeeded().stdout);
        // EACCES: Landlock's rule is for the folder of one process. ENOENT: the
        // launcher's part in the namespaces is hidden.
        assert_eq!(seen, ["0 13 13 13 13 13 ", "0 0 2 0 0 2 "]);
        // Where the system's part of /proc is granted too, a rule for all of it
        // would be for that as well.
        let grants = "processes: { fork: true }\nfilesystem: { read: [/proc/self, /proc/meminfo] }";
        host.profile("namespaces", &format!("isolation: namespaces\n{grants}"));
        let launch = host.launch("namespaces");
        let launch = launch.args(["/proc/self/status", "/proc/meminfo", "/proc/stat"]);
        launch.run().succeeded().prints("0 0 13 13 0 13 ");
        host.profile(
            "process",
            &format!(
                "isolation: auto\n{}",
                "processes: { fork: true }\nfilesystem: { read: [/proc/self] }"
            ),
        );
        let launch = host.launch("process").arg("/proc/self/status");
        launch.run().succeeded().prints("0 0 ");
    }
}
