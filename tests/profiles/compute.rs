//! `default` and `unconfined`: the least and the most.

use crate::kit::{EVERYONE, Host, ORDINARY, Outcome, User, program, run};

/// The program without secure-exec and as a plugin, with the same input.
fn both(host: &Host, name: &str, arguments: &[&str], stdin: &str) -> [Outcome; 2] {
    let mut bare = host.command(host.path("plugins").join(name));
    bare.args(arguments).env("LC_ALL", "C.UTF-8");
    let launch = host.launch(name).args(arguments).env("LC_ALL", "C.UTF-8");
    [run(bare, stdin.as_bytes()), launch.stdin(stdin).run()]
}

fn numbers() -> String {
    // A generator with full period: the same numbers each time, unsorted.
    let mut number = 1_u32;
    let line = |_| {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        format!("{} ä{}\n", number % 1000, number >> 16)
    };
    (0..50_000).map(line).collect()
}

#[test]
fn default_lets_sort_and_awk_compute_on_their_streams() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("sort", "/usr/bin/sort");
        host.install_copy("awk", "/usr/bin/mawk");
        host.list("sort", &[]).list("awk", &["profile: default"]);
        let awk = "{ s[$1] += length($2) } END { for (k in s) print k, s[k], sqrt(k) }";
        for (name, arguments) in [("sort", ["-k1,1n", "-u"].as_slice()), ("awk", &[awk])] {
            let [bare, confined] = both(&host, name, arguments, &numbers());
            assert!(bare.stdout.lines().count() >= 1000, "{bare:#?}");
            let confined = confined.succeeded();
            assert!(confined.raw == bare.raw, "{name} computed something else");
            assert_eq!(confined.stderr, "");
        }
    }
}

#[test]
fn default_gives_awk_no_file_no_process_and_no_network() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("awk", "/usr/bin/mawk");
        host.list("awk", &[]);
        let written = host.path("home/written");
        let write = format!("BEGIN {{ print 1 > {written:?} }}");
        for (attempt, works) in [
            ("BEGIN { print (getline x < \"/etc/passwd\") }", "1\n"),
            ("BEGIN { print system(\"exit 7\") }", "7\n"),
            (&*write, ""),
        ] {
            let [bare, confined] = both(&host, "awk", &[attempt], "");
            assert_eq!((bare.status, &*bare.stdout), (0, works), "{bare:#?}");
            assert!(written.exists() == (attempt == write), "{attempt}");
            let _ = std::fs::remove_file(&written);
            let refused = confined.status != 0 || confined.stdout != works;
            assert!(refused, "{attempt}: {confined:#?}");
            assert!(!written.exists());
        }
    }
}

#[test]
fn default_gives_a_c_program_libraries_locale_and_random_bytes_alone() {
    let source = r#"#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>
static void tell(const char *what, int answer) {
    printf("%s: %s\n", what, answer < 0 ? strerror(errno) : "works");
}
static int child(void) {
    int process = fork();
    if (!process) _exit(0);
    return process;
}
int main(void) {
    char *end;
    time_t zero = 0;
    char day[64], random[16];
    setlocale(LC_ALL, "");
    strftime(day, sizeof day, "%F %H:%M %Z", localtime(&zero));
    printf("%.6f %s %d\n", strtod("1.5", &end), day, (int)mbstowcs(0, "\xc3\xa4", 0));
    tell("getrandom", getrandom(random, 16, 0));
    tell("urandom", read(open("/dev/urandom", O_RDONLY), random, 16));
    tell("null", open("/dev/null", O_RDWR));
    tell("file", open("/etc/passwd", O_RDONLY));
    tell("socket", socket(AF_INET, SOCK_STREAM, 0));
    tell("process", child());
    return 0;
}"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(source));
        host.list("p", &[]);
        let mut bare = host.command(host.path("plugins/p"));
        bare.envs([("LC_ALL", "C.UTF-8"), ("TZ", "Asia/Kolkata")]);
        let computed = "1.500000 1970-01-01 05:30 IST 1\n";
        let given = format!("{computed}getrandom: works\nurandom: works\nnull: works\n");
        let all = format!("{given}file: works\nsocket: works\nprocess: works\n");
        run(bare, b"").succeeded().prints(&all);
        let launch = host.launch("p").env("LC_ALL", "C.UTF-8");
        let outcome = launch.env("TZ", "Asia/Kolkata").run().succeeded();
        outcome.prints(&format!(
            "{given}file: Permission denied\nsocket: Operation not permitted\n\
             process: Operation not permitted\n"
        ));
    }
}

#[test]
fn filesystem_metadata_covers_owners_unless_the_profile_denies_them() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let file = host.write("file", "").display().to_string();
        let metadata = format!(
            "profile:\n  isolation: auto\n  filesystem: {{ write: [{file:?}], metadata: true }}"
        );
        let denied = format!("{metadata}\n  syscalls: {{ deny: ['@chown'] }}");
        for (name, profile, status) in [
            ("changes", &*metadata, 0),
            ("denied", &*denied, 1),
            ("neither", "profile: default", 1),
        ] {
            host.install_copy(name, "/usr/bin/chgrp");
            host.list(name, &[profile]);
            let own = if user == User::Root { 0 } else { ORDINARY };
            let outcome = host.launch(name).args([&*own.to_string(), &file]).run();
            assert_eq!(outcome.status, status, "{name}: {outcome:#?}");
            let bare = host.bare("/usr/bin/chgrp", &[&own.to_string(), &file]);
            bare.succeeded();
        }
    }
}

/// The attack: by path a plugin changes the mode of what launches go by.
#[test]
fn metadata_does_not_reach_what_launches_go_by() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        for name in ["process", "namespaces", "auto"] {
            host.install_copy(name, "/usr/bin/chmod");
        }
        let whitelist = host.whitelist().display().to_string();
        let words = ["0600", &*whitelist];
        let profile = |isolation: &str| {
            format!("profile: {{ isolation: {isolation}, filesystem: {{ metadata: true }} }}")
        };
        host.list("process", &[&profile("process")]);
        host.bare("/usr/bin/chmod", &words).succeeded();
        let refused = host.launch("process").args(words).run().refused(125);
        refused
            .says("change modes and owners")
            .says("'isolation: namespaces'");
        let foreseen = host.launch("process").option("--dry-run").run();
        foreseen.says("change modes and owners");
        for isolation in ["namespaces", "auto"] {
            host.list(isolation, &[&profile(isolation)]);
            let outcome = host.launch(isolation).args(words).run();
            assert_eq!(outcome.status, 1, "{outcome:#?}");
            outcome.says("No such file or directory");
        }
    }
    // Somebody whom nothing of it belongs to may do what he may.
    let mut host = Host::new();
    host.install_copy("p", "/usr/bin/true");
    host.list(
        "p",
        &["profile: { user: nobody, filesystem: { metadata: true } }"],
    );
    host.launch("p").run().succeeded();
}

const LOOK: &str = "cat /etc/passwd >/dev/null && echo read
grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status
chown 1 \"$1\" 2>/dev/null || echo no capability";

#[test]
fn a_profile_may_take_every_way_to_open_a_file_from_a_static_program() {
    let says =
        program::static_c("#include <stdio.h>\nint main(void) { return puts(\"ran\") < 0; }");
    let opens = program::static_c(
        "#include <fcntl.h>\nint main(void) { return open(\"/dev/null\", O_RDONLY) < 0; }",
    );
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("says", &says);
        host.install_copy("opens", &opens);
        host.profile(
            "closed",
            "syscalls: { deny: [open, openat, openat2, creat], on_violation: kill }",
        );
        host.list("says", &["profile: closed"]);
        host.list("opens", &["profile: closed"]);
        host.launch("says").run().succeeded().prints("ran\n");
        let sandbox = &host.record("sandbox_applied")["sandbox"];
        assert_eq!(sandbox["proven"][0], "files", "{sandbox}");
        host.bare(&opens, &[]).succeeded();
        // SIGSYS, as a shell reports it.
        assert_eq!(host.launch("opens").run().status, 128 + 31);
    }
}

#[test]
fn a_profile_that_denies_what_the_launch_itself_needs_is_named() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", "/bin/true");
        host.list("p", &[]);
        host.launch("p").run().succeeded();
        for call in [
            "flock",
            "nanosleep",
            "lseek",
            "pread64",
            "write",
            "pwrite64",
            "ftruncate",
            "fcntl",
            "rt_sigaction",
        ] {
            let body = format!("syscalls: {{ deny: [{call}], on_violation: kill }}");
            host.profile("short", &body);
            let outcome = host.launch("p").profile("short").run().refused(125);
            outcome.says(&format!("'short' does not admit '{call}'"));
        }
        // It needs this one only where it brings its record to the disk.
        host.profile("short", "syscalls: { deny: [fdatasync] }");
        host.launch("p").profile("short").run().succeeded();
        host.audit("{ sync: always }");
        let outcome = host.launch("p").profile("short").run().refused(125);
        outcome.says("'short' does not admit 'fdatasync'");
    }
}

#[test]
fn unconfined_runs_without_a_sandbox_where_the_whitelist_allows_it() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", LOOK);
        host.list("p", &["profile: unconfined"]);
        host.set("allow_unconfined: true");
        let home = host.path("home");
        let outcome = host
            .launch("p")
            .arg(&home)
            .env("ANY", "x")
            .run()
            .succeeded();
        assert_eq!(outcome.stderr, "");
        let said = outcome.stdout.replace('\t', " ");
        let zero = "0".repeat(16);
        assert!(said.starts_with("read\n"), "{said}");
        assert!(said.contains(&format!("CapEff: {zero}\n")), "{said}");
        assert!(said.contains("NoNewPrivs: 1\nSeccomp: 0\n"), "{said}");
        assert!(said.ends_with("no capability\n"), "{said}");
        if user == User::Root {
            assert!(said.contains(&format!("CapBnd: {zero}\n")), "{said}");
            let bare = host.bare(host.path("plugins/p"), &[home.to_str().unwrap()]);
            assert!(!bare.stdout.ends_with("no capability\n"), "{bare:#?}");
        }
        let sandbox = &host.record("sandbox_degraded")["sandbox"];
        assert_eq!(sandbox["enforcement"], "none");
        assert_eq!(sandbox["landlock"], serde_json::Value::Null);
    }
}

#[test]
fn unconfined_is_refused_where_the_whitelist_does_not_allow_it() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &["profile: unconfined"]);
        for policy in ["strict", "permissive", "audit-only"] {
            host.launch("p")
                .policy(policy)
                .run()
                .refused(125)
                .says("allow_unconfined: true");
        }
        host.install_sh("q", "echo ran");
        host.list("q", &[]);
        host.launch("q").profile("unconfined").run().refused(125);
        host.launch("q").run().prints("ran\n");
    }
}

#[test]
fn unconfined_plugins_are_still_verified() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &["profile: unconfined"]);
        host.set("allow_unconfined: true");
        host.launch("p").run().prints("ran\n");
        host.install_sh("p", "echo other");
        host.launch("p").run().refused(126).says("hash mismatch");
    }
}
