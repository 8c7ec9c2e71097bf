//! What the plugin's process is: identity, privileges, limits, descriptors.

use crate::kit::{EVERYONE, Host, ORDINARY, Outcome, User, program, run};

/// Prints lines of its own `/proc/self/status`.
const STATUS: &str = r#"while read -r name rest; do
    case $name in
        Cap*|NoNewPrivs:|Seccomp:|Uid:|Gid:|Groups:) echo "$name" $rest;;
    esac
done < /proc/self/status"#;

/// Installs the shell script with a profile in its entry that may read its own
/// `/proc`.
fn entry(host: &mut Host, name: &str, body: &str, profile: &str) {
    host.install_sh(name, body);
    let profile = format!("profile:\n  filesystem: {{ read: [/proc/self] }}\n  {profile}");
    host.list(name, &[&profile]);
}

fn value<'a>(outcome: &'a Outcome, name: &str) -> &'a str {
    let line = outcome
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {outcome:#?}"))
        .trim()
}

fn sets(outcome: &Outcome) -> [u64; 5] {
    ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"]
        .map(|name| u64::from_str_radix(value(outcome, name), 16).unwrap())
}

#[test]
fn a_plugin_has_no_capabilities_no_new_privileges_and_a_filter() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        entry(&mut host, "p", STATUS, "umask: '077'");
        let bare = host.bare(host.path("plugins/p"), &[]);
        assert_eq!(value(&bare, "NoNewPrivs:"), "0");
        assert_eq!(sets(&bare)[2] != 0, user == User::Root);
        let outcome = host.launch("p").run().succeeded();
        let bounding = match user {
            User::Root => 0,
            // Nobody may reduce it without CAP_SETPCAP; no_new_privs makes it
            // matter no more.
            User::Ordinary => sets(&bare)[3],
        };
        assert_eq!(sets(&outcome), [0, 0, 0, bounding, 0]);
        assert_eq!(value(&outcome, "NoNewPrivs:"), "1");
        assert_eq!(value(&outcome, "Seccomp:"), "2");
        let told = &host.record("sandbox_applied")["sandbox"]["capabilities"];
        assert_eq!(told["bounding_set_dropped"], user == User::Root);
    }
}

#[test]
fn kept_capabilities_are_in_every_set_and_no_others() {
    let mut host = Host::new();
    // CAP_CHOWN is bit 0, CAP_NET_BIND_SERVICE bit 10.
    let keep = "capabilities: { keep: [CAP_CHOWN, CAP_NET_BIND_SERVICE] }";
    entry(&mut host, "p", STATUS, keep);
    let outcome = host.launch("p").run().succeeded();
    assert_eq!(sets(&outcome), [0x401; 5]);
    let mut host = Host::of(User::Ordinary);
    entry(&mut host, "p", STATUS, keep);
    host.launch("p").run().refused(125).says("is not held");
}

#[test]
fn root_launches_a_plugin_as_somebody_else() {
    for (name, keep, bits) in [
        ("nobody", "", 0),
        ("'65534'", "", 0),
        (
            "nobody",
            "\n  capabilities: { keep: [CAP_NET_BIND_SERVICE] }",
            0x400,
        ),
    ] {
        let mut host = Host::new();
        let profile = format!("user: {name}{keep}");
        entry(&mut host, "p", STATUS, &profile);
        let outcome = host.launch("p").run().succeeded();
        for ids in ["Uid:", "Gid:"] {
            assert_eq!(value(&outcome, ids), "65534 65534 65534 65534");
        }
        assert_eq!(value(&outcome, "Groups:"), "65534");
        assert_eq!(sets(&outcome), [bits; 5]);
    }
}

#[test]
fn another_user_has_the_runtime_folder_too() {
    crate::kit::namespace::private(|| {
        let mut host = Host::new();
        host.install_sh(
            "p",
            "umask; echo kept > \"$DIR/file\" && read -r x < \"$DIR/file\" && echo $x",
        );
        let profile = "profile:\n  user: nobody\n  filesystem: { write: ['{runtime_dir}'] }\n  \
             environment: { set: { DIR: '{runtime_dir}' } }";
        host.list("p", &[profile]);
        for _ in 0..2 {
            host.launch("p").run().succeeded().prints("0077\nkept\n");
        }
    });
}

#[test]
fn another_user_is_given_no_folder_that_holds_something_of_roots() {
    crate::kit::namespace::private(|| {
        let mut host = Host::new();
        host.install_sh("p", "echo \"$DIR\"");
        let profile = "profile:\n  user: nobody\n  filesystem: { write: ['{runtime_dir}'] }\n  \
             environment: { set: { DIR: '{runtime_dir}' } }";
        host.list("p", &[profile]);
        let folder = host.launch("p").run().succeeded().stdout;
        let folder = std::path::Path::new(folder.trim_end());
        // As if it had been put there between the making and the giving.
        let owner = || std::os::unix::fs::MetadataExt::uid(&folder.metadata().unwrap());
        std::os::unix::fs::chown(folder, Some(0), Some(0)).unwrap();
        std::fs::write(folder.join("file"), "x").unwrap();
        host.launch("p").run().refused(125).says("remove it");
        assert_eq!(owner(), 0);
        std::fs::remove_file(folder.join("file")).unwrap();
        host.launch("p").run().succeeded();
        assert_eq!(owner(), 65534);
    });
}

#[test]
fn nobody_but_root_becomes_somebody_else() {
    let mut host = Host::of(User::Ordinary);
    entry(&mut host, "p", STATUS, "user: nobody");
    host.launch("p").run().refused(125).says("change the user");
    let mut host = Host::new();
    entry(&mut host, "p", STATUS, "user: no-such-user");
    let outcome = host.launch("p").run().refused(125);
    outcome.says("user 'no-such-user' of the profile");
}

#[test]
fn the_umask_is_the_profiles() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        entry(&mut host, "own", "umask", "umask: '027'");
        host.install_sh("default", "umask");
        host.list("default", &[]);
        host.launch("own").run().prints("0027\n");
        host.launch("default").run().prints("0077\n");
    }
}

const LIMITS: &str = "for kind in n f c d; do ulimit -S$kind; ulimit -H$kind; done";

#[test]
fn limits_are_lowered_and_never_raised() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let profile = "limits: { open_files: 64, file_size: 1MiB, memory: 1GiB, core: 0 }";
        entry(&mut host, "p", LIMITS, profile);
        // The shell counts files in blocks of 512 bytes, memory in KiB.
        let outcome = host.launch("p").run().succeeded();
        outcome.prints("64\n64\n2048\n2048\n0\n0\n1048576\n1048576\n");
        let told = &host.record("sandbox_applied")["sandbox"]["limits"];
        assert_eq!(told["open_files"], 64);
        let mut lowered = host.command("/bin/sh");
        let launch = host.launch("p").command();
        lowered.args(["-c", "ulimit -n 32; exec \"$@\"", "sh"]);
        lowered.arg(launch.get_program()).args(launch.get_args());
        let outcome = run(lowered, b"").succeeded();
        assert!(outcome.stdout.starts_with("32\n32\n2048\n"), "{outcome:#?}");
    }
}

/// Runs into one limit: `memory`, `file`, `files`, `fork`.
const GREEDY: &str = r#"#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
int main(int n, char **a) {
    if (!strcmp(a[1], "memory")) { char *m = malloc(256 << 20); if (!m) return perror("malloc"), 3; memset(m, 1, 256 << 20); }
    if (!strcmp(a[1], "files")) for (int i = 0; i < 50; i++) if (dup(0) < 0) return perror("dup"), 3;
    if (!strcmp(a[1], "fork")) { pid_t p = fork(); if (p < 0) return perror("fork"), 3; if (!p) _exit(0); wait(0); }
    if (!strcmp(a[1], "file")) { FILE *f = fopen(a[2], "w"); for (int i = 0; i < 300000; i++) fputs("0123456789", f); if (fclose(f)) return 3; }
    if (!strcmp(a[1], "time")) for (volatile long i = 0;; i++) ;
    return 0;
}"#;

#[test]
fn a_plugin_that_runs_into_a_limit_is_stopped_there() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let written = host.path("home/written");
        host.install_copy("free", program::c(GREEDY));
        host.install_copy("p", program::c(GREEDY));
        let rest = format!(
            "\n  filesystem: {{ write: [{:?}] }}\n  processes: {{ fork: true }}",
            host.path("home")
        );
        host.list("free", &[&format!("profile:{rest}")]);
        let limits =
            "{ memory: 128MiB, open_files: 16, file_size: 1MiB, processes: 1, cpu_seconds: 1 }";
        host.list("p", &[&format!("profile:\n  limits: {limits}{rest}")]);
        let attempt = |name: &str, what: &str| host.launch(name).arg(what).arg(&written).run();
        for (what, status, message) in [
            ("memory", 3, "malloc: Cannot allocate memory"),
            ("files", 3, "dup: Too many open files"),
            // SIGXFSZ.
            ("file", 128 + 25, ""),
        ] {
            attempt("free", what).succeeded();
            let outcome = attempt("p", what);
            assert_eq!(outcome.status, status, "{outcome:#?}");
            outcome.says(message);
        }
        assert_eq!(std::fs::metadata(&written).unwrap().len(), 1 << 20);
        // Root's processes are not counted.
        attempt("free", "fork").succeeded();
        let outcome = attempt("p", "fork");
        assert_eq!(outcome.status == 0, user == User::Root, "{outcome:#?}");
        let told = &host.record("sandbox_applied")["sandbox"]["limits_not_enforced"];
        assert_eq!(told.as_array().unwrap().is_empty(), user == User::Ordinary);
        // The hard limit of processor time is SIGKILL's.
        assert_eq!(attempt("p", "time").status, 128 + 9);
    }
}

#[test]
fn a_limit_on_files_is_the_plugins_and_not_the_audit_logs() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let written = host.path("home/written");
        host.install_copy("p", program::c(GREEDY));
        let profile = format!(
            "profile:\n  limits: {{ file_size: 4KiB }}\n  filesystem: {{ write: [{:?}] }}",
            host.path("home")
        );
        host.list("p", &[&profile]);
        host.install_copy("denied", program::c(GREEDY));
        let denied = format!("{profile}\n  syscalls: {{ deny: [prlimit64, setrlimit] }}");
        host.list("denied", &[&denied]);
        let attempt = |name: &str| host.launch(name).arg("file").arg(&written).run();
        // Where its own filter forbids the launcher to wait with it, too.
        assert_eq!(attempt("denied").status, 128 + 25);
        for _ in 0..4 {
            // SIGXFSZ.
            let outcome = attempt("p");
            assert_eq!(outcome.status, 128 + 25, "{outcome:#?}");
            assert_eq!(std::fs::metadata(&written).unwrap().len(), 4 << 10);
        }
        assert!(std::fs::metadata(host.audit_log()).unwrap().len() > 8 << 10);
        let told = &host.record("sandbox_applied")["sandbox"]["limits"];
        assert_eq!(told["file_size"], 4 << 10);
    }
}

#[test]
fn a_sandbox_is_proven_also_where_the_plugin_may_open_nothing_more() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let source = "#include <unistd.h>\nint main(void) { return dup(0) >= 0; }";
        for (name, profile) in [
            ("p", "limits: { open_files: 3 }"),
            // The launcher may not wait with the limit: nothing to prove with.
            (
                "denied",
                "limits: { open_files: 3 }, syscalls: { deny: [prlimit64] }",
            ),
        ] {
            host.install_copy(name, program::static_c(source));
            host.list(name, &[&format!("profile: {{ {profile} }}")]);
        }
        assert_eq!(host.bare(host.path("plugins/p"), &[]).status, 1);
        host.launch("p").run().succeeded();
        let sandbox = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(sandbox["limits"]["open_files"], 3);
        assert_eq!(sandbox["proven"][0], "files");
        host.launch("denied")
            .run()
            .refused(125)
            .says("could not be tried");
    }
}

#[test]
fn the_working_directory_is_the_profiles_or_the_callers() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let profile = "working_directory: /usr/lib/locale";
        entry(&mut host, "own", "pwd", profile);
        entry(&mut host, "callers", "pwd", "working_directory: null");
        let nowhere = host.path("nowhere").display().to_string();
        let profile = format!("working_directory: {nowhere}");
        entry(&mut host, "missing", "pwd", &profile);
        entry(
            &mut host,
            "plugins",
            "pwd",
            "working_directory: '{plugin_dir}'",
        );
        host.launch("own").run().prints("/usr/lib/locale\n");
        let shown = |path: std::path::PathBuf| format!("{}\n", path.display());
        let folder = host.path("x").parent().unwrap().to_path_buf();
        host.launch("callers").run().prints(&shown(folder));
        host.launch("plugins")
            .run()
            .prints(&shown(host.path("plugins")));
        host.launch("missing")
            .run()
            .refused(125)
            .says(&format!("the working directory '{nowhere}' of the profile"));
    }
}

#[test]
fn a_session_of_its_own_is_the_plugins_where_the_profile_says_so() {
    let source = "#include <stdio.h>\n#include <unistd.h>\n\
        int main(void) { printf(\"%d\\n\", getsid(0) == getpid()); return 0; }";
    for user in EVERYONE {
        let mut host = Host::of(user);
        for (name, profile) in [
            ("own", "profile: { processes: { new_session: true } }"),
            ("callers", "profile: default"),
        ] {
            host.install_copy(name, program::c(source));
            host.list(name, &[profile]);
        }
        host.launch("own").run().prints("1\n");
        host.launch("callers").run().prints("0\n");
    }
}

/// Writes to the file what the standard streams are, and lists all others.
const DESCRIPTORS: &str = r#"#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
int main(int n, char **a) {
    struct stat found, null;
    stat("/dev/null", &null);
    for (int i = 0; i < 1024; i++) {
        if (fstat(i, &found)) continue;
        int is_null = S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3);
        FILE *out = fopen(a[1], "a");
        fprintf(out, "%d %s %d\n", i, is_null ? "null" : "other", fcntl(i, F_GETFL) & O_ACCMODE);
        fclose(out);
    }
    return 0;
}"#;

#[test]
fn streams_that_are_closed_at_the_start_are_as_without_the_launcher() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(DESCRIPTORS));
        let profile = format!(
            "profile: {{ filesystem: {{ write: [{:?}] }} }}",
            host.path("home")
        );
        host.list("p", &[&profile]);
        for (redirections, expected) in [
            ("<&- >&- 2>&-", ""),
            ("<&-", "1 other 1\n2 other 1\n"),
            (">&-", "0 other 0\n2 other 1\n"),
            ("", "0 other 0\n1 other 1\n2 other 1\n"),
        ] {
            let told = host.path("home/told");
            let _ = std::fs::remove_file(&told);
            let launch = host.launch("p").arg(&told).command();
            let mut shell = host.command("/bin/sh");
            shell.args(["-c", &format!("exec \"$@\" {redirections}"), "sh"]);
            shell.arg(launch.get_program()).args(launch.get_args());
            run(shell, b"").succeeded();
            // Nothing is open, so nothing is written.
            let found = std::fs::read_to_string(&told).unwrap_or_default();
            assert_eq!(found, expected, "{redirections}");
        }
    }
}

#[test]
fn an_ordinary_users_plugin_is_the_ordinary_users() {
    let mut host = Host::of(User::Ordinary);
    entry(&mut host, "p", STATUS, "umask: '077'");
    let outcome = host.launch("p").run().succeeded();
    let id = ORDINARY.to_string();
    assert_eq!(value(&outcome, "Uid:"), [&*id; 4].join(" "));
}
