//! Launches within other sandboxes: filters, domains, user namespaces and
//! limits around the launcher, and another secure-exec.

use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;

use crate::kit::{EVERYONE, Host, ORDINARY, User, digest, outer, program};

const REFUSALS: [Errno; 2] = [Errno::ENOSYS, Errno::EPERM];

fn host(user: User) -> Host {
    let mut host = Host::of(user);
    host.install_copy(
        "p",
        program::c("#include <stdio.h>\nint main(void) { puts(\"ran\"); }"),
    );
    host.list("p", &[]);
    host.profile("apart", "isolation: namespaces");
    host
}

#[test]
fn calls_that_there_is_a_way_around_may_be_refused() {
    for user in EVERYONE {
        let host = host(user);
        for error in REFUSALS {
            for call in [
                libc::SYS_openat2,
                libc::SYS_faccessat2,
                libc::SYS_close_range,
                libc::SYS_statx,
                libc::SYS_clone3,
            ] {
                let door = outer::filter(&host, error, &[call]);
                let launch = host.launch("p").under(&door).run();
                launch.succeeded().prints("ran\n");
            }
            let calls = [libc::SYS_openat2, libc::SYS_faccessat2];
            let door = outer::filter(&host, error, &calls);
            let launch = host.launch("p").profile("apart").under(&door).run();
            launch.succeeded().prints("ran\n");
        }
    }
}

#[test]
fn what_a_filter_around_refuses_is_not_called_an_old_kernel() {
    for user in EVERYONE {
        let host = host(user);
        let admit = "Admit landlock_*(2) in the container's seccomp profile";
        let lacks = "(sandbox_unavailable): this system lacks";
        for error in REFUSALS {
            for (call, status, texts) in [
                (
                    libc::SYS_landlock_create_ruleset,
                    126,
                    [
                        lacks,
                        "Landlock file rules (needs landlock_*(2) admitted by the filter around the launcher",
                    ],
                ),
                (
                    libc::SYS_seccomp,
                    126,
                    [
                        lacks,
                        "seccomp filters (needs seccomp(2) admitted by the filter around",
                    ],
                ),
                (
                    libc::SYS_landlock_add_rule,
                    125,
                    [
                        "a filter around the launcher refuses Landlock's calls",
                        admit,
                    ],
                ),
                (
                    libc::SYS_landlock_restrict_self,
                    125,
                    [
                        "the sandbox can't be entered: a filter around the launcher refuses landlock_restrict_self(2)",
                        admit,
                    ],
                ),
            ] {
                let door = outer::filter(&host, error, &[call]);
                let launch = host.launch("p").under(&door).run().refused(status);
                let launch = texts.iter().fold(launch, |launch, text| launch.says(text));
                assert!(!launch.stderr.contains("Linux 5.13"), "{launch:#?}");
            }
        }
        host.launch("p").run().succeeded().prints("ran\n");
    }
}

/// No group may prove a filter that another one stands before.
#[test]
fn where_no_socket_can_be_made_the_network_is_not_said_to_be_proven() {
    for user in EVERYONE {
        let host = host(user);
        let proven = || host.record("sandbox_applied")["sandbox"]["controls"].clone();
        host.launch("p").run().succeeded();
        assert_eq!(proven()["network"]["proven"], true);
        let door = outer::filter(&host, Errno::EPERM, &[libc::SYS_socket]);
        host.launch("p")
            .under(&door)
            .run()
            .succeeded()
            .prints("ran\n");
        assert_eq!(proven()["network"]["proven"], false);
        assert_eq!(proven()["network"]["achieved"], true);
        assert_eq!(proven()["exec"]["proven"], true);
    }
}

#[test]
fn sixteen_domains_are_enough() {
    for user in EVERYONE {
        let host = host(user);
        let within = |count| host.launch("p").under(outer::domains(&host, count)).run();
        within(15).succeeded().prints("ran\n");
        within(16)
            .refused(125)
            .says(
                "this process is within 16 Landlock domains, and the kernel nests no more (E2BIG)",
            )
            .says("Nothing was run.");
        assert_eq!(host.record("security_violation")["result"], "blocked");
    }
}

#[test]
fn a_user_with_too_many_processes_is_told_so() {
    const CROWDED: u32 = 58_240;
    let host = host(User::Root);
    host.profile(
        "few",
        &format!("user: {CROWDED}\nlimits: {{ processes: 1 }}"),
    );
    host.launch("p")
        .profile("few")
        .run()
        .succeeded()
        .prints("ran\n");
    let mut other = Command::new("setpriv");
    let id = CROWDED.to_string();
    other.args(["--reuid", &id, "--regid", &id, "--clear-groups", "cat"]);
    let mut other = other
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is that user's once it answers.
    let (mut to, mut from) = (other.stdin.take().unwrap(), other.stdout.take().unwrap());
    std::io::Write::write_all(&mut to, b"x").unwrap();
    std::io::Read::read_exact(&mut from, &mut [0]).unwrap();
    host.launch("p")
        .profile("few")
        .run()
        .refused(126)
        .says("its user has more processes than the limit allows (EAGAIN)")
        .says("Raise 'limits.processes'");
    drop(to);
    other.wait().unwrap();
}

#[test]
fn a_user_namespace_without_root_is_named() {
    let host = host(User::Ordinary);
    host.launch("p").run().succeeded();
    let id = format!("--map-user={ORDINARY}");
    let launch = host.launch("p").under(["unshare", "--user", &id]).run();
    launch.refused(126).says(
        "belongs to user 65534, which stands for every owner that has no id in this user namespace",
    );
}

/// No profile grants both exec and files in memory, of which a program could
/// be made that nobody verified.
#[test]
fn a_launcher_within_another_says_what_it_lacks() {
    for user in EVERYONE {
        let mut host = host(user);
        let plugin = host.path("plugins/p");
        let path = plugin.to_str().unwrap();
        host.list_path("inner", path, &digest(&plugin), &["image: sealed"]);
        let whitelist = host.path("inner.whitelist");
        std::fs::copy(host.whitelist(), &whitelist).unwrap();
        host.own(&whitelist);
        let log = host.folder("inner");
        host.install_copy("secure-exec", host.launcher());
        host.list("secure-exec", &[]);
        let config = host.path("config.yaml");
        let profiles = host.path("profiles.d");
        let files = format!(
            "read: [{whitelist:?}, {config:?}, {profiles:?}, /proc], write: [{log:?}], execute: [{plugin:?}]"
        );
        host.profile("bare", &format!("filesystem: {{ {files} }}"));
        let calls = "allow: [\"@system-service\", capset, memfd_create]";
        host.profile(
            "nested",
            &format!("filesystem: {{ {files} }}\nsyscalls: {{ {calls} }}\nmemory: {{ write_execute: true }}"),
        );
        for profile in ["bare", "nested"] {
            let launch = host.launch("secure-exec").profile(profile);
            let launch = launch.arg("--config").arg(&config);
            let launch = launch.arg("--audit-log").arg(log.join("audit.log"));
            let launch = launch.arg("--whitelist").arg(&whitelist);
            let refused = launch.arg("inner").run();
            assert!([125, 126].contains(&refused.status), "{refused:#?}");
            assert!(refused.stderr.starts_with("ERROR: "), "{refused:#?}");
            if profile == "nested" {
                refused.says("create a memory file: Function not implemented (ENOSYS)");
            }
        }
    }
}
