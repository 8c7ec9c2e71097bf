//! The log and the plugin: written before it runs, out of its reach.

use std::io::{BufRead as _, BufReader, Write as _};
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
