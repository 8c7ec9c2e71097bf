//! Where namespaces can't be made, or would not hold.

use super::{WAITS, install};
use crate::kit::{EVERYONE, Host, Launch, Outcome, User, program};

/// Runs its arguments as an ordinary user in a user namespace in which no
/// further one can be made. Ids are what they are outside.
const WITHOUT_USER_NAMESPACES: &str = r#"#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
static int put(const char *path, const char *text) {
    int file = open(path, O_WRONLY), length = strlen(text);
    int wrong = file < 0 || write(file, text, length) != length;
    close(file);
    return wrong;
}
int main(int n, char **a) {
    int made[2], mapped[2], status;
    char path[64], byte;
    if (pipe(made) || pipe(mapped)) return 90;
    int child = fork();
    if (!child) {
        if (unshare(CLONE_NEWUSER)) return 91;
        write(made[1], "x", 1);
        if (read(mapped[0], &byte, 1) != 1) return 92;
        if (put("/proc/sys/user/max_user_namespaces", "0")) return 93;
        int user = atoi(a[1]);
        if (setgroups(0, 0) || setresgid(user, user, user) || setresuid(user, user, user)) return 94;
        close(made[0]), close(made[1]), close(mapped[0]), close(mapped[1]);
        execvp(a[2], a + 2);
        return 95;
    }
    if (read(made[0], &byte, 1) != 1) return 96;
    sprintf(path, "/proc/%d/uid_map", child);
    if (put(path, "0 0 100000\n")) return 97;
    sprintf(path, "/proc/%d/gid_map", child);
    if (put(path, "0 0 100000\n")) return 98;
    write(mapped[1], "x", 1);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}"#;

fn without_user_namespaces(host: &Host, launch: Launch<'_>) -> Outcome {
    let outer = host.path("bin/without");
    std::fs::copy(program::static_c(WITHOUT_USER_NAMESPACES), &outer).unwrap();
    let id = crate::kit::ORDINARY.to_string();
    let mut command = launch.under([outer.as_os_str(), id.as_ref()]).command();
    std::os::unix::process::CommandExt::uid(&mut command, 0);
    std::os::unix::process::CommandExt::gid(&mut command, 0);
    crate::kit::run(command, b"")
}

#[test]
fn where_user_namespaces_are_forbidden_strict_refuses_and_says_what_is_missing() {
    let host = install(User::Ordinary, program::c(WAITS), "");
    let outcome = without_user_namespaces(&host, host.launch("process"));
    assert_eq!(
        (outcome.status, &*outcome.stdout),
        (7, "ready\n"),
        "{outcome:?}"
    );
    without_user_namespaces(&host, host.launch("namespaces"))
        .refused(126)
        .says("(sandbox_unavailable): this system lacks room for new namespaces")
        .says("user.max_user_namespaces");
    let record = host.record("security_violation");
    assert_eq!(record["violation_type"], "sandbox_unavailable");
    assert_eq!(record["result"], "blocked");
}

#[test]
fn where_user_namespaces_are_forbidden_permissive_runs_and_records_what_is_missing() {
    let host = install(User::Ordinary, program::c(WAITS), "");
    let outcome = without_user_namespaces(&host, host.launch("namespaces").policy("permissive"));
    assert_eq!(
        (outcome.status, &*outcome.stdout),
        (7, "ready\n"),
        "{outcome:?}"
    );
    assert!(
        outcome.stderr.contains("WARNING: sandbox_unavailable"),
        "{outcome:?}"
    );
    let sandbox = host.record("sandbox_degraded")["sandbox"].clone();
    assert_eq!(sandbox["enforcement"], "partial");
    let missing = sandbox["missing"].to_string();
    assert!(missing.contains("room for new namespaces"), "{sandbox}");
    assert_eq!(sandbox["namespaces"], serde_json::Value::Null);
    assert_ne!(sandbox["landlock"], serde_json::Value::Null);
    assert_ne!(sandbox["seccomp"], serde_json::Value::Null);
}

#[test]
fn auto_is_refused_where_the_profile_needs_them_and_does_without_where_it_can() {
    let host = install(User::Ordinary, program::c(WAITS), "");
    let runtime = host.folder("run");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&runtime, mode).unwrap();
    let needs = "network: { unix: { connect: [-/none] }, tcp: { connect: [443] } }";
    let likes = "filesystem: { private_tmp: true }";
    let launch = |grants: &str| {
        host.profile("process", &format!("isolation: auto\n{grants}"));
        let launch = host.launch("process");
        launch.env("XDG_RUNTIME_DIR", &runtime)
    };
    without_user_namespaces(&host, launch(needs))
        .refused(126)
        .says("this system lacks")
        .says("user.max_user_namespaces");
    let outcome = without_user_namespaces(&host, launch(likes));
    assert_eq!(outcome.status, 7, "{outcome:?}");
    let sandbox = host.record("sandbox_applied")["sandbox"].clone();
    assert_eq!(sandbox["isolation"], "process");
    let because = sandbox["isolation_because"].as_str().unwrap();
    assert!(because.contains("user.max_user_namespaces"), "{because}");
    let temporary = sandbox["temporary"].as_str().unwrap();
    assert!(
        std::path::Path::new(temporary).starts_with(&runtime),
        "{temporary}"
    );
    // Where they can be made, they are.
    launch(likes).run();
    let sandbox = host.record("sandbox_applied")["sandbox"].clone();
    assert_eq!(sandbox["isolation"], "namespaces");
}

/// Changes into a root folder that is no mount of its own, with all folders
/// of the old one in it.
const CHROOT: &str = r#"
mount --make-rprivate / || exit 99
root=$1
shift
for path in /*; do
    if [ -L "$path" ]; then cp -P "$path" "$root$path"
    elif [ -d "$path" ]; then mkdir "$root$path" && mount --rbind "$path" "$root$path"
    fi || exit 98
done
exec chroot "$root" "$@""#;

#[test]
fn a_root_that_can_not_be_exchanged_is_named() {
    let host = install(User::Root, program::static_c(WAITS), "");
    let root = host.folder("root");
    let root = root.to_string_lossy();
    let words = ["unshare", "-m", "sh", "-c", CHROOT, "sh", &root];
    let outcome = host.launch("process").under(words).run();
    assert_eq!(
        (outcome.status, &*outcome.stdout),
        (7, "ready\n"),
        "{outcome:?}"
    );
    std::fs::remove_dir_all(host.path("root")).unwrap();
    host.folder("root");
    host.launch("namespaces")
        .under(words)
        .run()
        .refused(126)
        .says("(sandbox_unavailable): this system lacks a root folder that can be exchanged");
}

#[test]
fn a_standard_stream_that_is_a_folder_is_refused() {
    for user in EVERYONE {
        let source = r#"#define _GNU_SOURCE
        #include <fcntl.h>
        int main(void) { return openat(0, "..", O_PATH) < 0; }"#;
        let host = install(user, program::static_c(source), "");
        let launch = |plugin: &str| {
            let mut command = host.launch(plugin).command();
            command.stdin(std::fs::File::open(host.path("plugins")).unwrap());
            command.output().unwrap()
        };
        // There it leads out of the folder.
        assert_eq!(launch("process").status.code(), Some(0));
        let refused = launch("namespaces");
        assert_eq!(refused.status.code(), Some(125));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("standard input is a folder"), "{said}");
    }
}

#[test]
fn a_user_namespace_keeps_no_capability_and_becomes_no_other_user() {
    for (grant, key) in [
        ("capabilities: { keep: [CAP_NET_RAW] }", "capabilities.keep"),
        ("user: nobody", "user"),
    ] {
        let host = install(User::Ordinary, program::static_c(WAITS), grant);
        host.launch("namespaces").run().refused(125).says(&format!(
            "'{key}' with 'isolation: namespaces' needs a launcher with CAP_SYS_ADMIN"
        ));
    }
}

#[test]
fn audit_only_makes_no_namespaces() {
    let host = install(User::Ordinary, program::static_c(WAITS), "");
    let outcome = without_user_namespaces(&host, host.launch("namespaces").policy("audit-only"));
    assert_eq!((outcome.status, &*outcome.stderr), (7, ""), "{outcome:?}");
}
