//! `filesystem.private_tmp`: temporary files of the plugin's own.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{BOTH, Running, install};
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, ORDINARY, User, program, run};

/// Of each folder: names in it, and 0 or the error's number of making a file
/// there, of mapping it executable, of making a device node and of a folder.
/// The folder `$TMPDIR` comes first; its name is printed.
const USES: &str = r#"#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
int main(int n, char **a) {
    a[0] = getenv("TMPDIR");
    printf("%s\n", a[0] ? a[0] : "none");
    for (int i = !a[0]; i < n; i++) {
        int names = -2;
        DIR *folder = opendir(a[i]);
        while (folder && readdir(folder)) names++;
        if (chdir(a[i])) { printf("no folder\n"); continue; }
        int file = open("own", O_RDWR | O_CREAT | O_EXCL, 0700), made = file < 0 ? errno : 0;
        if (!made && write(file, "\xc3", 1) != 1) return 1;
        void *code = mmap(0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, file, 0);
        int mapped = code == MAP_FAILED ? errno : 0;
        int node = mknod("node", S_IFCHR | 0666, makedev(1, 3)) ? errno : 0;
        int inner = mkdir("inner", 0700) ? errno : 0;
        printf("%d %d %d %d %d\n", names, made, mapped, node, inner);
    }
    fflush(stdout);
    char byte;
    while (read(0, &byte, 1) > 0) {}
    return 0;
}"#;

/// Where the folders of launches without namespaces lie.
fn folders(host: &Host, runtime: &Path) -> PathBuf {
    match host.user() {
        User::Root => "/run/secure-exec-tmp".into(),
        User::Ordinary => runtime.join("secure-exec-tmp"),
    }
}

fn with_tmp(user: User) -> (Host, PathBuf) {
    let host = install(
        user,
        program::static_c(USES),
        "filesystem: { private_tmp: true }",
    );
    let runtime = host.folder("run");
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
    (host, runtime)
}

#[test]
fn it_is_empty_and_the_plugins_own_and_holds_no_code_in_namespaces() {
    for user in EVERYONE {
        let (host, _) = with_tmp(user);
        let left = tempfile::Builder::new().tempfile_in("/tmp").unwrap();
        let launch = host.launch("namespaces").args(["/tmp", "/var/tmp"]);
        let seen = launch.env("TMPDIR", host.path("")).run().succeeded().stdout;
        // The plugin lies in it, and nothing else.
        // EPERM: a device node takes a capability, and the filter refuses it.
        assert_eq!(seen, "/tmp\n1 0 1 1 0\n3 17 9 1 17\n0 0 1 1 0\n");
        assert!(left.path().exists());
        for folder in ["/tmp", "/var/tmp"] {
            assert!(!Path::new(folder).join("inner").exists());
        }
        let record = host.record("sandbox_applied");
        assert_eq!(record["sandbox"]["temporary"], "/tmp");
        let mounts = record["sandbox"]["mounts"].to_string();
        for folder in ["/tmp", "/var/tmp"] {
            let mount = format!("{folder} rw,nosuid,nodev,noexec,size=4294967296");
            assert!(mounts.contains(&mount), "{mounts}");
        }
    }
}

#[test]
fn without_namespaces_it_is_a_folder_of_the_launchs_own() {
    for user in EVERYONE {
        let (host, runtime) = with_tmp(user);
        let launch = || host.launch("process").env("XDG_RUNTIME_DIR", &runtime);
        let mut first = Running::start(launch().args(["/tmp", "/var/tmp"]));
        let own = first.line();
        assert!(
            Path::new(&own).starts_with(folders(&host, &runtime)),
            "{own}"
        );
        let told: Vec<String> = (0..3).map(|_| first.line()).collect();
        assert_eq!(told[0], "0 0 0 1 0");
        // The host's, of which it was granted nothing: EACCES.
        assert_eq!(told[1..], ["-2 13 9 1 13", "-2 13 9 1 13"]);
        // Nobody else's, the next launch's neither.
        let mut second = Running::start(launch().arg(&own));
        assert_ne!(second.line(), own);
        assert_eq!(second.line(), "0 0 0 1 0");
        assert_eq!(second.line(), "-2 17 9 1 17");
        // What a living plugin has stays.
        assert!(Path::new(&own).join("inner").exists());
        assert_eq!((first.finish(), second.finish()), (0, 0));
        assert!(Path::new(&own).exists());
        launch().run().succeeded();
        assert!(!Path::new(&own).exists());
    }
}

#[test]
fn what_a_plugin_left_is_removed_whatever_it_is() {
    for user in EVERYONE {
        let (host, runtime) = with_tmp(user);
        let launch = || host.launch("process").env("XDG_RUNTIME_DIR", &runtime);
        let seen = launch().run().succeeded().stdout;
        let own = PathBuf::from(seen.lines().next().unwrap());
        let victim = host.folder("victim");
        let kept = host.write("victim/kept", "x");
        // What a program could leave: links out of it, and folders that are
        // deep, closed, or named as the removal would name them.
        let mut deep = own.clone();
        for number in 0..200 {
            deep = deep.join(if number % 2 == 0 { "d" } else { ".1" });
            std::fs::create_dir(&deep).unwrap();
            symlink(&victim, deep.join("link")).unwrap();
            std::fs::write(deep.join("file"), "x").unwrap();
            std::fs::set_permissions(deep.join("file"), PermissionsExt::from_mode(0o000)).unwrap();
            host.own(&deep);
            host.own(&deep.join("file"));
        }
        std::fs::write(own.join(".2"), "x").unwrap();
        let closed = own.join("closed");
        std::fs::create_dir_all(closed.join("in/side")).unwrap();
        for path in ["in/side", "in", ""] {
            let path = closed.join(path);
            host.own(&path);
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
        }
        launch().run().succeeded().says("");
        assert!(!own.exists());
        assert!(kept.exists());
    }
}

#[test]
fn one_launch_removes_no_more_than_a_bounded_part() {
    let (host, runtime) = with_tmp(User::Ordinary);
    let launch = || host.launch("process").env("XDG_RUNTIME_DIR", &runtime);
    let seen = launch().run().succeeded().stdout;
    let own = PathBuf::from(seen.lines().next().unwrap());
    for number in 0..5000 {
        let file = own.join(number.to_string());
        std::fs::write(&file, "").unwrap();
    }
    let outcome = launch().run().succeeded();
    assert_eq!(outcome.stderr, "");
    let left = std::fs::read_dir(&own).unwrap().count();
    assert!((1..5000).contains(&left), "{left}");
    launch().run().succeeded();
    assert!(!own.exists());
}

#[test]
fn names_that_no_launch_gave_are_left_alone() {
    let (host, runtime) = with_tmp(User::Ordinary);
    let launch = || host.launch("process").env("XDG_RUNTIME_DIR", &runtime);
    launch().run().succeeded();
    let folders = folders(&host, &runtime);
    // Of another PID namespace, of nobody, and a link in a launch's place.
    let victim = host.folder("victim");
    let kept = host.write("victim/kept", "x");
    let own = std::fs::read_dir(&folders)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    let own = own.into_string().unwrap();
    let (namespace, rest) = own.split_once('-').unwrap();
    let foreign = folders.join(format!("1-{rest}"));
    let nobodys = folders.join("mine");
    for folder in [&foreign, &nobodys] {
        std::fs::create_dir(folder).unwrap();
        host.own(folder);
    }
    let dead = folders.join(format!("{namespace}-4194304-1-0000000000000001"));
    symlink(&victim, &dead).unwrap();
    host.own(&dead);
    let outcome = launch().run().succeeded();
    assert!(outcome.stderr.contains("can't be removed"), "{outcome:?}");
    assert!(foreign.exists() && nobodys.exists() && kept.exists());
}

#[test]
fn somebody_elses_folder_is_not_taken() {
    let host = install(
        User::Ordinary,
        program::static_c(USES),
        "filesystem: { private_tmp: true }",
    );
    let runtime = host.folder("run");
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
    let folders = runtime.join("secure-exec-tmp");
    std::fs::create_dir(&folders).unwrap();
    // Root's, and one that others can write.
    for (owner, mode) in [(0, 0o755), (ORDINARY, 0o777)] {
        std::os::unix::fs::chown(&folders, Some(owner), None).unwrap();
        std::fs::set_permissions(&folders, PermissionsExt::from_mode(mode)).unwrap();
        let launch = host.launch("process").env("XDG_RUNTIME_DIR", &runtime);
        launch.run().refused(125);
    }
}

#[test]
fn what_is_granted_in_tmp_is_there_and_no_more_than_is_granted() {
    for user in EVERYONE {
        // The host's own folder is in /tmp, so the plugin is as well.
        let host = install(user, program::static_c(USES), "");
        let (read, write) = (host.folder("read"), host.folder("write"));
        assert!(
            read.starts_with("/tmp"),
            "the tests' folders are to be in /tmp"
        );
        host.write("secret", "x");
        host.profile(
            "namespaces",
            &format!("isolation: namespaces\nfilesystem: {{ private_tmp: true, read: [{read:?}], write: [{write:?}] }}"),
        );
        let launch = host.launch("namespaces").args([&read, &write]);
        let seen = launch.arg(host.path("")).run().succeeded().stdout;
        let lines: Vec<&str> = seen.lines().collect();
        // EROFS.
        assert_eq!(lines[2], "0 30 9 1 30");
        assert_eq!(lines[3], "0 0 1 1 0");
        // Their folder is the plugin's own, and holds nothing else but the plugin.
        assert!(lines[4].starts_with("3 0 "), "{lines:?}");
        assert!(write.join("inner").exists() && !host.path("inner").exists());
    }
}

#[test]
fn a_value_of_the_profiles_own_stays() {
    let host = Host::new();
    let mut host = host;
    host.install_copy("p", program::static_c(USES));
    host.list("p", &[]);
    for isolation in BOTH {
        host.profile(
            isolation,
            &format!("isolation: {isolation}\nfilesystem: {{ private_tmp: true }}\nenvironment: {{ set: {{ TMPDIR: /elsewhere }} }}"),
        );
        let launch = host.launch("p").profile(isolation);
        launch.run().succeeded().prints("/elsewhere\nno folder\n");
    }
}

/// Names its folder and stays, and is hidden from others of its user where the
/// process table hides.
const HIDES: &str = r#"#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/prctl.h>
int main(void) {
    char byte;
    if (prctl(PR_SET_DUMPABLE, 0)) return 1;
    puts(getenv("TMPDIR"));
    fflush(stdout);
    while (read(0, &byte, 1) > 0) {}
    return 0;
}"#;

#[test]
fn those_of_a_living_plugin_stay_where_processes_are_hidden() {
    private(|| {
        let mut mount = Command::new("mount");
        mount.args(["-t", "proc", "-o", "hidepid=2", "proc", "/proc"]);
        run(mount, b"").succeeded();
        let grants = "filesystem: { private_tmp: true }";
        let host = install(User::Ordinary, program::static_c(HIDES), grants);
        let runtime = host.folder("run");
        std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
        let launch = || host.launch("process").env("XDG_RUNTIME_DIR", &runtime);
        let mut first = Running::start(launch());
        let own = PathBuf::from(first.line());
        // An ordinary user's look at the process table does not find it.
        let mut look = host.command("/bin/ls");
        look.arg(format!("/proc/{}", first.launcher.id()));
        assert_ne!(run(look, b"").status, 0);
        launch().run().succeeded();
        assert!(own.exists());
        assert_eq!(first.finish(), 0);
        launch().run().succeeded();
        assert!(!own.exists());
    });
}

#[test]
fn nobody_elses_are_within_reach_of_a_grant() {
    private(|| {
        for user in EVERYONE {
            let (mut host, runtime) = with_tmp(user);
            host.install_copy("near", program::static_c(USES));
            host.list("near", &[]);
            let folders = folders(&host, &runtime);
            let above = folders.parent().unwrap();
            let launch = |name: &str| {
                let launch = host.launch(name).env("XDG_RUNTIME_DIR", &runtime);
                match name {
                    "near" => launch.profile("near"),
                    _ => launch,
                }
            };
            // Also before there is one.
            for stage in ["absent", "there"] {
                for isolation in BOTH {
                    for (verb, own) in [("read", false), ("write", false), ("write", true)] {
                        let grants =
                            format!("filesystem: {{ {verb}: [{above:?}], private_tmp: {own} }}");
                        host.profile("near", &format!("isolation: {isolation}\n{grants}"));
                        let why = format!("lets the plugin {verb}");
                        if verb == "write" || isolation == "process" {
                            launch("near").run().refused(125).says(&why);
                        } else if stage == "there" {
                            launch("near").run().succeeded().says(&why);
                        }
                    }
                }
                assert_eq!(launch("process").run().succeeded().stderr, "");
            }
            // What is refused would work, and its like beside it does.
            let mut first = Running::start(launch("process"));
            let own = first.line();
            let grant = |path: &Path| {
                let grants = format!("filesystem: {{ write: [{path:?}] }}");
                host.profile("near", &format!("isolation: process\n{grants}"));
            };
            grant(above);
            let told = launch("near").policy("permissive").arg(&own).run();
            told.succeeded()
                .says("WARNING: ")
                .prints("none\n2 17 9 1 17\n");
            let beside = above.join("beside");
            std::fs::create_dir(&beside).unwrap();
            host.own(&beside);
            grant(&beside);
            assert_eq!(launch("near").run().succeeded().stderr, "");
            assert_eq!(first.finish(), 0);
        }
    });
}
