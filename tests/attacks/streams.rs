//! Standard streams that would be a way around the sandbox: files that can be
//! written and mapped executable, sockets that send to anybody.

use std::fs::{File, Permissions};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use nix::sys::memfd::MFdFlags;

use super::{ended, hostile};
use crate::kit::{EVERYONE, Host, ORDINARY, Outcome, User, run};

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

/// Runs `sh -c SCRIPT` with the command as its arguments, in the host's folder.
fn redirected(host: &Host, script: &str, command: &Command) -> Outcome {
    let script = format!("cd '{}' && {script}", host.path("").display());
    run(
        super::behind(host, "/bin/sh", &["-c", &script, "sh"], command),
        b"",
    )
}

/// A host with the plugin `p`, and a profile for each isolation.
fn host(user: User, more: &str) -> Host {
    let mut host = Host::of(user);
    host.install_copy("p", hostile(CODE));
    host.list("p", &[]);
    host.folder("files");
    host.write("files/code", "");
    for isolation in ISOLATIONS {
        host.profile(isolation, &format!("isolation: {isolation}\n{more}"));
    }
    host
}

#[test]
fn a_file_that_is_read_and_written_is_not_handed_over() {
    for user in EVERYONE {
        let host = host(user, "");
        for (script, case) in [
            ("exec \"$@\" 1<>files/code", "1 1"),
            ("exec \"$@\" 0<>files/code", "0 0"),
            ("exec \"$@\" <files/code >files/code", "1 0"),
            ("exec \"$@\" <files/code 1<>files/code", "1 0"),
            ("exec \"$@\" 2<>files/code >&2", "2 1"),
        ] {
            let words: Vec<&str> = case.split(' ').collect();
            let mut bare = host.command(host.path("plugins/p"));
            bare.args(&words);
            let bare = redirected(&host, script, &bare);
            assert_eq!(bare.status, 0, "{user:?} {script} {bare:#?}");
            for isolation in ISOLATIONS {
                let launch = host.launch("p").profile(isolation).args(&words);
                let refused = redirected(&host, script, &launch.command());
                assert_eq!(refused.status, 126, "{script} {refused:#?}");
                let record = host.record("security_violation");
                assert_eq!(record["violation_type"], "sandbox_unavailable");
                let reason = record["reason"].as_str().unwrap();
                assert!(reason.starts_with("standard "), "{reason}");
            }
        }
    }
}

#[test]
fn weaker_policies_say_so_and_profiles_that_grant_it_do_not() {
    for user in EVERYONE {
        let host = host(user, "");
        let script = "exec \"$@\" 0<>files/code";
        for isolation in ISOLATIONS {
            let launch = host.launch("p").profile(isolation).args(["0", "0"]);
            let weaker = launch.policy("permissive");
            let outcome = redirected(&host, script, &weaker.command());
            assert_eq!(outcome.status, 0, "{outcome:#?}");
            assert!(
                outcome
                    .stderr
                    .contains("sandbox_unavailable: standard input"),
                "{outcome:#?}"
            );
            let record = host.record("security_violation");
            assert_eq!(record["action_taken"], "plugin_execution_allowed");
            let granted = format!("isolation: {isolation}\nmemory: {{ write_execute: true }}");
            host.profile("granted", &granted);
            let launch = host.launch("p").profile("granted").args(["0", "0"]);
            let outcome = redirected(&host, script, &launch.command());
            assert_eq!(outcome.status, 0, "{outcome:#?}");
            assert!(!outcome.stderr.contains("WARNING"), "{outcome:#?}");
        }
    }
}

#[test]
fn a_dry_run_foresees_it() {
    for user in EVERYONE {
        let host = host(user, "");
        let files = host.path("files");
        let grant = format!("isolation: namespaces\nfilesystem: {{ read: [{files:?}] }}");
        host.profile("reads", &grant);
        for (profile, script, status) in [
            ("process", "exec \"$@\" 0<>files/code", 126),
            ("namespaces", "exec \"$@\" 0<>files/code", 126),
            ("reads", "exec \"$@\" >files/code", 125),
            ("reads", "exec \"$@\" >other", 0),
        ] {
            let launch = host.launch("p").profile(profile).option("--dry-run");
            let outcome = redirected(&host, script, &launch.command());
            assert_eq!(outcome.status, status, "{profile} {script} {outcome:#?}");
        }
    }
}

#[test]
fn honest_redirections_go_on() {
    for user in EVERYONE {
        let host = host(user, "");
        for script in [
            "exec \"$@\" >files/code",
            "exec \"$@\" >>files/code 2>&1",
            "exec \"$@\" <files/code >files/other",
            "exec \"$@\" <plugins.whitelist",
            "exec \"$@\" <&- >&-",
            "\"$@\" | cat",
        ] {
            for isolation in ISOLATIONS {
                let launch = host.launch("p").profile(isolation).arg("nothing");
                let outcome = redirected(&host, script, &launch.command());
                assert_eq!(outcome.status, 0, "{isolation} {script} {outcome:#?}");
            }
        }
    }
}

#[test]
fn a_file_in_memory_is_handed_over_once_it_is_sealed() {
    for user in EVERYONE {
        let host = host(user, "");
        for isolation in ISOLATIONS {
            let launch = |file: OwnedFd, case: [&str; 2]| {
                let launch = host.launch("p").profile(isolation).args(case);
                ended(launch.command().stdin(file))
            };
            let (file, whole) = memory_file();
            let copy = file.try_clone().unwrap();
            let mut bare = host.command(host.path("plugins/p"));
            let bare = ended(bare.args(["reopened", "0"]).stdin(copy));
            assert_eq!(bare.status, 0, "{bare:#?}");
            let copy = file.try_clone().unwrap();
            launch(copy, ["reopened", "0"]).refused(126);
            seal(&whole);
            let outcome = launch(file, ["reopened", "0"]);
            assert_eq!(outcome.status, 3, "{outcome:#?}");
        }
    }
}

/// A file that is open for reading alone, but can be opened again through
/// /proc, and the same as whoever made it has it.
fn memory_file() -> (OwnedFd, OwnedFd) {
    let whole = nix::sys::memfd::memfd_create(c"code", MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let whole = File::from(whole);
    whole.set_len(4096).unwrap();
    let file = File::open(format!("/proc/self/fd/{}", whole.as_raw_fd())).unwrap();
    (file.into(), whole.into())
}

fn seal(file: &OwnedFd) {
    use nix::fcntl::{FcntlArg, SealFlag, fcntl};
    fcntl(file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_WRITE)).unwrap();
}

#[test]
fn in_namespaces_what_is_written_is_not_where_the_plugin_reads() {
    for user in EVERYONE {
        let host = host(user, "");
        let files = host.path("files");
        for kind in ["read", "apart"] {
            let grant = format!("isolation: namespaces\nfilesystem: {{ {kind}: [{files:?}] }}");
            host.profile(kind, &grant);
        }
        let code = files.join("code");
        let words = ["1", code.to_str().unwrap()];
        let script = "exec \"$@\" >files/code";
        let mut bare = host.command(host.path("plugins/p"));
        let bare = redirected(&host, script, bare.args(words));
        assert_eq!(bare.status, 0, "{bare:#?}");
        let launch = |profile: &str, policy: &str| {
            let launch = host.launch("p").profile(profile).policy(policy);
            redirected(&host, script, &launch.args(words).command())
        };
        let why = "standard output is a file in";
        let refused = launch("read", "strict").refused(125).says(why);
        assert!(refused.stderr.contains("Redirect it"), "{refused:#?}");
        let outcome = launch("read", "permissive").succeeded().says(why);
        assert!(outcome.stderr.starts_with("WARNING: "), "{outcome:#?}");
        // What is shown apart can't be mapped executable.
        assert_eq!(launch("apart", "strict").status, 4);
        let elsewhere = host.launch("p").profile("read").arg("nothing");
        redirected(&host, "exec \"$@\" >other", &elsewhere.command()).succeeded();
    }
}

#[test]
fn a_file_in_a_folder_that_the_user_can_not_enter_is_handed_over() {
    let host = host(User::Ordinary, "");
    let files = host.path("files");
    let grant = format!("isolation: namespaces\nfilesystem: {{ read: [{files:?}] }}");
    host.profile("reads", &grant);
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let inner = closed.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    let launch = |profile: &str, before: &str| {
        // Root opens it, and the launcher is the user's.
        let script = format!(
            "{before} exec \"$@\" >{0}/out 2>{0}/errors",
            inner.display()
        );
        let launch = host.launch("p").profile(profile).arg("nothing");
        let command = launch.command();
        let mut root = Command::new("unshare");
        root.args(["-m", "/bin/sh", "-c", &script, "sh"]);
        root.args(["setpriv", "--clear-groups"]);
        root.args([format!("--reuid={ORDINARY}"), format!("--regid={ORDINARY}")]);
        root.arg(command.get_program()).args(command.get_args());
        root.env_clear().env("PATH", "/usr/bin:/bin");
        for (name, value) in command.get_envs() {
            root.env(name, value.unwrap());
        }
        let status = root.current_dir(host.path("")).status().unwrap();
        let errors = std::fs::read_to_string(inner.join("errors")).unwrap();
        (status.code().unwrap(), errors)
    };
    for profile in ["namespaces", "reads"] {
        let (status, errors) = launch(profile, "");
        assert_eq!(status, 0, "{errors}");
    }
    // The same folder by another path, which the plugin may read.
    let bind = format!("mount --bind {} files;", inner.display());
    let (status, errors) = launch("reads", &bind);
    assert_eq!(status, 125, "{errors}");
    assert!(errors.contains("which the plugin may read"), "{errors}");
}

/// Why standard error is no sink without which nothing runs: this is no
/// boundary, and SECURITY.md says so.
#[test]
fn what_others_wrote_to_a_pipe_can_be_taken_out_of_it() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md"));
    assert!(
        page.unwrap()
            .contains("A pipe can be opened\n  again the other way")
    );
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(DRAINS));
        host.list("p", &[]);
        host.audit("{ sinks: [{ type: file }, { type: stderr, on_failure: refuse }] }");
        let refused = host.launch("p").run().refused(125);
        refused.says("'on_failure: refuse' is not for the sink 'stderr'");
        host.audit("{}");
        for isolation in ISOLATIONS {
            host.profile(isolation, &format!("isolation: {isolation}"));
            // Its reader begins when the plugin has ended.
            let script = "rm -f gate && mkfifo gate && {
                { echo record >&2; \"$@\" >taken; : >gate; } 2>&1 |
                { read -r ended <gate; cat >left; }
            }";
            let launch = host.launch("p").profile(isolation).command();
            redirected(&host, script, &launch).succeeded();
            let read = |name: &str| std::fs::read_to_string(host.path(name)).unwrap();
            assert_eq!((&*read("taken"), &*read("left")), ("record\n", ""));
        }
    }
}

const DRAINS: &str = r##"
int main(void) {
    char bytes[64];
    int pipe = open("/proc/self/fd/2", O_RDONLY | O_NONBLOCK);
    ssize_t count = read(pipe, bytes, sizeof bytes);
    return count < 0 ? errno : write(1, bytes, count) != count;
}
"##;

#[test]
fn a_socket_of_a_kind_that_is_not_granted_is_not_handed_over() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(SENDS));
        host.list("p", &[]);
        let listener = UnixDatagram::bind(host.path("listener")).unwrap();
        host.own(&host.path("listener"));
        listener.set_nonblocking(true).unwrap();
        let name = host.path("listener");
        let name = name.to_str().unwrap();
        let arrived = || listener.recv(&mut [0; 8]).is_ok();
        let stream = || OwnedFd::from(UnixDatagram::unbound().unwrap());
        let mut bare = host.command(host.path("plugins/p"));
        ended(bare.arg(name).stdin(stream())).all_work();
        assert!(arrived());
        for isolation in ISOLATIONS {
            let more = format!("isolation: {isolation}");
            host.profile("client", &format!("extends: network-client\n{more}"));
            let launch = |profile: &str, stdin: Stdio| {
                let launch = host.launch("p").profile(profile).arg(name);
                ended(launch.command().stdin(stdin))
            };
            let refused = launch("client", stream().into()).refused(126);
            refused.says("standard input is a socket");
            assert!(!arrived());
            // One whose peer is known is no way to others.
            let (own, _other) = std::os::unix::net::UnixStream::pair().unwrap();
            let outcome = launch("client", OwnedFd::from(own).into());
            assert_eq!(outcome.status, 0, "{outcome:#?}");
            assert!(!arrived());
            // Without any socket the filter admits no address.
            host.profile("none", &more);
            let outcome = launch("none", stream().into());
            assert_eq!(outcome.status, 0, "{outcome:#?}");
            assert!(!arrived());
        }
    }
}

/// `p WRITE MAP`: writes code through one descriptor, maps it through the
/// other, a descriptor or a path, and changes it there. Ends with 0 if both
/// codes ran, with 3 if it could not write.
const CODE: &str = r##"
#include <sys/mman.h>
static unsigned char page[4096] = {0xb8, 42, 0, 0, 0, 0xc3};
int main(int n, char **a) {
    if (!strcmp(a[1], "nothing")) return 0;
    int write = !strcmp(a[1], "reopened") ? open("/proc/self/fd/0", O_RDWR) : atoi(a[1]);
    int map = a[2][0] == '/' ? open(a[2], O_RDONLY) : atoi(a[2]);
    if (pwrite(write, page, sizeof page, 0) < 0) return 3;
    int (*code)(void) = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, map, 0);
    if (code == MAP_FAILED) return 4;
    if (code() != 42) return 5;
    page[1] = 43;
    pwrite(write, page, sizeof page, 0);
    return code() == 43 ? 0 : 6;
}
"##;

const SENDS: &str = r##"
#include <sys/un.h>
int main(int n, char **a) {
    struct sockaddr_un to = {AF_UNIX};
    strcpy(to.sun_path, a[1]);
    TRY("sendto", sendto(0, "x", 1, 0, (void *)&to, sizeof to));
}
"##;
