//! The log and the plugin: written before it runs, out of its reach.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::kit::{EVERYONE, Host, program};

#[test]
fn the_records_are_there_while_the_plugin_still_runs() {
    for user in EVERYONE {
        for policy in ["strict", "permissive", "audit-only"] {
            let mut host = Host::of(user);
            host.install_sh("p", "echo started; read -r line; echo \"$line\"");
            host.list("p", &[]);
            let mut command = host.launch("p").policy(policy).command();
            command.stdin(Stdio::piped()).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            assert_eq!(lines.next().unwrap().unwrap(), "started");
            // The plugin waits for a line that it has not got.
            let records = host.records();
            assert_eq!(records.len(), 2, "{records:#?}");
            assert_eq!(records[0]["event_type"], "plugin_validation_success");
            assert!(records.iter().all(|record| record["pid"] == child.id()));
            child.stdin.take().unwrap().write_all(b"go on\n").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), "go on");
            assert!(child.wait().unwrap().success());
            assert_eq!(host.records().len(), 2);
        }
    }
}

/// Lists its descriptors above 2 and tries all it can on the path it is told.
const FORGER: &str = r#"#include <fcntl.h>
    #include <stdio.h>
    #include <sys/stat.h>
    #include <unistd.h>
    int main(int n, char **a) {
        int reached = 0;
        for (int fd = 3; fd < 1024; fd++) {
            struct stat s;
            if (fstat(fd, &s) == 0) printf("descriptor %d\n", fd);
        }
        int fd = open(a[1], O_WRONLY | O_APPEND);
        if (fd >= 0 && write(fd, "forged\n", 7) == 7) reached = 1;
        if (truncate(a[1], 0) == 0) reached = 1;
        if (rename(a[1], "elsewhere") == 0) reached = 1;
        if (unlink(a[1]) == 0) reached = 1;
        if (open(a[1], O_RDONLY) >= 0) reached = 1;
        puts(reached ? "reached" : "out of reach");
        return 0;
    }"#;

#[test]
fn the_log_is_out_of_the_plugins_reach() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(FORGER));
        host.list("p", &[]);
        let log = host.audit_log();
        // Without a sandbox it is within reach of the same program.
        let victim = host.write("victim", "");
        let plugin = host.path("plugins/p");
        let inheriting = ["-c", "exec 9>>victim; exec \"$0\" \"$@\""];
        let words = [plugin.to_str().unwrap(), victim.to_str().unwrap()];
        let bare = host.bare("sh", &[inheriting, words].concat()).succeeded();
        assert!(bare.stdout.contains("descriptor 9\n"), "{bare:#?}");
        assert!(bare.stdout.ends_with("\nreached\n"), "{bare:#?}");
        assert!(!victim.exists());
        let launch = host.launch("p").arg(&log).under(["sh"]).under(inheriting);
        launch.run().succeeded().prints("out of reach\n");
        assert_eq!(host.records().len(), 2, "and every line of it is a record");
    }
}

#[test]
fn not_even_without_a_sandbox_is_its_descriptor_inherited() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "ls -l /proc/self/fd/ 2>&1; true");
        host.list("p", &[]);
        let outcome = host.launch("p").policy("audit-only").run().succeeded();
        assert!(outcome.stdout.contains("/proc/"), "{outcome:#?}");
        assert!(!outcome.stdout.contains("audit.log"), "{outcome:#?}");
    }
}

/// Tries to lock the files it is told, and waits for the end of its input.
const LOCKER: &str = r#"#include <fcntl.h>
    #include <stdio.h>
    #include <unistd.h>
    int main(int n, char **a) {
        for (int i = 1; i < n; i++) {
            int fd = open(a[i], O_RDONLY);
            struct flock all = { .l_type = F_RDLCK };
            puts(fd < 0 ? "closed" : fcntl(fd, F_SETLK, &all) == 0 ? "locked" : "failed");
        }
        fflush(stdout);
        char c;
        while (read(0, &c, 1) > 0) {}
        return 0;
    }"#;

#[test]
fn one_that_may_read_the_logs_folder_keeps_nobody_from_writing() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("locker", program::c(LOCKER));
        host.install_sh("p", "echo ran");
        host.list("locker", &[]).list("p", &[]);
        let state = host.path("state");
        host.profile("reader", &format!("filesystem: {{ read: [{state:?}] }}"));
        host.launch("p").run().succeeded();
        let mut files: Vec<_> = std::fs::read_dir(&state)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        files.sort_by_key(std::fs::DirEntry::path);
        let launch = host.launch("locker").profile("reader");
        let launch = launch.args(files.iter().map(std::fs::DirEntry::path));
        let mut command = launch.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said: Vec<String> = lines.take(files.len()).map(Result::unwrap).collect();
        // The locks, the state, the log.
        assert_eq!(said, ["closed", "locked", "locked"]);
        host.launch("p").run().succeeded().prints("ran\n");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        assert_eq!(host.records().len(), 6);
    }
}

#[test]
fn a_file_of_locks_that_can_be_read_is_refused() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        host.launch("p").run().succeeded();
        let lock = host.path("state/.audit.log.lock");
        let mode = std::fs::metadata(&lock).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o200);
        std::fs::set_permissions(&lock, PermissionsExt::from_mode(0o600)).unwrap();
        host.launch("p")
            .run()
            .refused(125)
            .says("it can be read (mode 0600)");
    }
}
