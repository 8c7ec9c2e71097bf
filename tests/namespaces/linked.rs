//! Symbolic links on the way to what is granted: the plugin sees what it would
//! see outside, and no more than is granted.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use super::{BOTH, Running, install};
use crate::kit::{EVERYONE, Host, User, program};

/// For each argument: where it leads as a link, whether it can be read and
/// whether it can be written.
const LOOKS: &str = r#"#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
int main(int n, char **a) {
    for (int i = 1; i < n; i++) {
        char target[4096] = "-";
        ssize_t length = readlink(a[i], target, sizeof target - 1);
        if (length >= 0) target[length] = 0;
        printf("%s %d %d\n", target, open(a[i], O_RDONLY) >= 0, open(a[i], O_WRONLY) >= 0);
    }
    return 0;
}"#;

#[test]
fn the_links_to_what_is_granted_are_there_and_no_others() {
    for user in EVERYONE {
        let host = install(user, program::static_c(LOOKS), "");
        host.folder("real");
        host.folder("links");
        let (file, other) = (host.write("real/file", "x"), host.write("real/other", "x"));
        let link = |target: &str, name: &str| {
            let path = host.path(name);
            symlink(target, &path).unwrap();
            host.own(&path);
            path
        };
        let first = link("second", "links/first");
        let second = link("../real/file", "links/second");
        let beside = link("../real/file", "links/beside");
        for isolation in BOTH {
            let grants = format!("isolation: {isolation}\nfilesystem: {{ read: [{first:?}] }}");
            host.profile(isolation, &grants);
        }
        let seen = BOTH.map(|plugin| {
            let launch = host.launch(plugin);
            let launch = launch.args([&first, &second, &file, &beside, &other]);
            launch.run().succeeded().stdout
        });
        let granted = "second 1 0\n../real/file 1 0\n- 1 0\n";
        assert_eq!(seen[0], format!("{granted}../real/file 1 0\n- 0 0\n"));
        assert_eq!(seen[1], format!("{granted}- 0 0\n- 0 0\n"));
    }
}

#[test]
fn what_is_granted_by_a_link_adds_up_with_what_is_granted_by_its_path() {
    for user in EVERYONE {
        let host = install(user, program::static_c(LOOKS), "");
        let (real, inner) = (host.folder("real"), host.folder("real/inner"));
        let file = host.write("real/inner/file", "x");
        let link = host.path("link");
        symlink("real", &link).unwrap();
        host.own(&link);
        let (linked, by_link) = (link.join("inner"), link.join("inner/file"));
        for (write, read) in [
            (&real, &linked),
            (&link, &inner),
            (&inner, &link),
            (&linked, &real),
            (&linked, &inner),
            (&real, &link),
        ] {
            let grants = format!(
                "isolation: namespaces\nfilesystem: {{ write: [{write:?}], read: [{read:?}] }}"
            );
            host.profile("namespaces", &grants);
            let launch = host.launch("namespaces").args([&file, &by_link]);
            // A link is there where a grant leads by it.
            let seen = launch.run().succeeded().stdout;
            assert_eq!(seen, "- 1 1\n- 1 1\n", "{write:?} {read:?}");
        }
        // Of what is only read nothing is written, by either name.
        let grants = format!("isolation: namespaces\nfilesystem: {{ read: [{real:?}, {link:?}] }}");
        host.profile("namespaces", &grants);
        let launch = host.launch("namespaces").args([&file, &by_link]);
        launch.run().succeeded().prints("- 1 0\n- 1 0\n");
    }
}

#[test]
fn a_file_that_is_replaced_in_a_granted_folder_is_seen_by_its_link() {
    let source = r#"#include <stdio.h>
    #include <fcntl.h>
    #include <unistd.h>
    int main(int n, char **a) {
        for (int i = 0; i < 2; i++) {
            char text[8] = "";
            int file = open(a[1], O_RDONLY);
            if (file < 0 || read(file, text, 3) != 3) return 1;
            close(file);
            puts(text);
            fflush(stdout);
            if (!i && read(0, text, 1) != 1) return 2;
        }
        return 0;
    }"#;
    for user in EVERYONE {
        let host = install(user, program::static_c(source), "");
        let folder = host.folder("run");
        let link = host.path("resolv.conf");
        symlink("run/stub.conf", &link).unwrap();
        host.own(&link);
        for isolation in BOTH {
            let grants =
                format!("isolation: {isolation}\nfilesystem: {{ read: [{link:?}, {folder:?}] }}");
            host.profile(isolation, &grants);
            host.write("run/stub.conf", "old");
            let mut running = Running::start(host.launch(isolation).arg(&link));
            assert_eq!(running.line(), "old");
            host.write("run/new", "new");
            std::fs::rename(host.path("run/new"), host.path("run/stub.conf")).unwrap();
            running.write(b"x");
            assert_eq!(running.line(), "new");
            assert_eq!(running.finish(), 0);
        }
    }
}

/// Python's own environments, of which the interpreter is a chain of links.
#[test]
fn a_script_of_a_virtual_environment_finds_it() {
    let python = Path::new("/usr/bin/python3");
    assert!(python.exists(), "python3 and its module venv are needed");
    for user in EVERYONE {
        let host = Host::of(user);
        let venv = host.path("venv");
        let venv_text = venv.to_str().unwrap();
        let made = host.bare(python, &["-m", "venv", "--without-pip", venv_text]);
        made.succeeded();
        let modules = std::fs::read_dir(venv.join("lib")).unwrap();
        let modules = modules.map(|entry| entry.unwrap().path());
        let modules = modules.last().unwrap().join("site-packages");
        std::fs::write(modules.join("own.py"), "found = 'found'\n").unwrap();
        host.own(&modules.join("own.py"));
        let interpreter = venv.join("bin/python");
        let mut host = host;
        host.install(
            "p",
            format!(
                "#!{}\nimport own, sys\nprint(own.found, sys.prefix, sys.executable)\n",
                interpreter.display()
            ),
        );
        let hash = crate::kit::digest(&interpreter);
        let pin = format!("interpreter: {{ path: {interpreter:?}, hash: {hash:?} }}");
        for isolation in BOTH {
            host.profile(
                isolation,
                &format!(
                    "extends: python\nisolation: {isolation}\nfilesystem: {{ read: [{venv:?}] }}"
                ),
            );
        }
        host.list("p", &[&pin]);
        let bare = host.bare(host.path("plugins/p"), &[]).succeeded().stdout;
        assert_eq!(
            bare,
            format!("found {venv_text} {}\n", interpreter.display())
        );
        for isolation in BOTH {
            let launch = host.launch("p").profile(isolation);
            launch.run().succeeded().prints(&bare);
        }
    }
}

/// As Debian's alternatives lead to programs.
#[test]
fn an_interpreter_behind_links_of_roots_is_run() {
    let path = std::fs::canonicalize("/usr/bin/awk").expect("awk is needed");
    assert!(path != Path::new("/usr/bin/awk"), "awk is no link here");
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install("p", "#!/usr/bin/awk -f\nBEGIN { print \"ran\" }\n");
        for isolation in BOTH {
            host.profile(isolation, &format!("isolation: {isolation}"));
        }
        host.list("p", &[]);
        for isolation in BOTH {
            let launch = host.launch("p").profile(isolation);
            launch.run().succeeded().prints("ran\n");
        }
    }
}

#[test]
fn what_is_apart_is_so_by_its_link_as_well() {
    for user in EVERYONE {
        let host = install(user, program::static_c(LOOKS), "");
        let (real, link) = (host.folder("real"), host.path("link"));
        let file = host.write("real/file", "x");
        symlink("real", &link).unwrap();
        host.own(&link);
        let by_link = link.join("file");
        for (apart, read) in [(&real, &link), (&link, &real)] {
            let grants = format!(
                "isolation: namespaces\nfilesystem: {{ apart: [{apart:?}], read: [{read:?}] }}"
            );
            host.profile("namespaces", &grants);
            let launch = host.launch("namespaces").args([&file, &by_link]);
            launch.run().succeeded().prints("- 1 0\n- 1 0\n");
            // Both are the one mount.
            let record = host.record("sandbox_applied");
            let mounts = record["sandbox"]["mounts"].as_array().unwrap();
            let of = |path: &Path| {
                let path = format!("{} ", path.display());
                let mut mounts = mounts.iter().map(|mount| mount.as_str().unwrap());
                mounts
                    .find(|mount| mount.starts_with(&path))
                    .map(String::from)
            };
            assert!(of(apart).is_some_and(|mount| mount.contains("overlay")));
            assert_eq!(of(read), None);
        }
        let grants = format!(
            "isolation: namespaces\nfilesystem: {{ apart: [{real:?}], write: [{link:?}] }}"
        );
        host.profile("namespaces", &grants);
        let launch = host.launch("namespaces");
        launch.run().refused(125).says("lead to the same folder");
    }
}

#[test]
fn a_mode_that_keeps_a_user_out_does_so_behind_a_link() {
    let host = install(User::Ordinary, program::static_c(LOOKS), "");
    let secret = host.path("secret");
    std::fs::write(&secret, "x").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let link = host.path("link");
    symlink("secret", &link).unwrap();
    host.own(&link);
    let grants = format!("isolation: namespaces\nfilesystem: {{ read: [{link:?}] }}");
    host.profile("namespaces", &grants);
    let launch = host.launch("namespaces").arg(&link);
    launch.run().succeeded().prints("secret 0 0\n");
}
