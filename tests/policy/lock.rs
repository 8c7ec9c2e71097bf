//! The lock file of an entry: its digest stands in the entry, its pins count
//! as the entry's own.

use std::fmt::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use secure_exec_core::digest::sha256;

use crate::kit::{EVERYONE, Host, User, digest};

const SHELL: &str = "/bin/dash";
const SYSTEM: [&str; 2] = [
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/ld-linux-x86-64.so.2",
];

fn lock_of(paths: &[&Path]) -> String {
    let mut paths = paths.to_vec();
    paths.sort_unstable();
    let mut text = String::from("secure-exec-lock 1\n");
    for path in paths {
        writeln!(text, "{}  {}", digest(path), path.display()).unwrap();
    }
    text
}

/// A host with a script "p" that reads the files that it is given, of which
/// `plugins/lib/known` is in its lock file. Returns that file's path, too.
fn host(user: User) -> (Host, PathBuf) {
    let mut host = Host::of(user);
    let body = "for name in \"$@\"; do { . \"$name\"; } 2>&- || echo refused; done";
    host.install("p", format!("#!{SHELL}\n{body}\n"));
    host.folder("plugins/lib");
    let known = host.write("plugins/lib/known", "echo known\n");
    host.write("plugins/lib/added", "echo added\n");
    let text = lock_of(&[Path::new(SYSTEM[0]), Path::new(SYSTEM[1]), &known]);
    let lock = host.write("p.lock", &text);
    let code = format!(
        "profile: {{ filesystem: {{ code: [{:?}] }} }}",
        host.path("plugins/lib")
    );
    let pinned = format!("lock: {:?}", sha256(text.as_bytes()).to_string());
    host.list("p", &[&code, &pinned]);
    (host, lock)
}

fn known(host: &Host) -> PathBuf {
    host.path("plugins/lib/known")
}

#[test]
fn the_files_of_a_lock_file_are_pinned_and_no_others_are_read() {
    for user in EVERYONE {
        let (host, lock) = host(user);
        let outcome = host.launch("p").arg(known(&host)).run().succeeded();
        outcome.prints("known\n");
        let record = host.record("sandbox_applied");
        assert_eq!(record["sandbox"]["pinned_libraries"], 3);
        // What was added beside it is not readable.
        let outcome = host.launch("p").arg(host.path("plugins/lib/added")).run();
        assert!(!outcome.stdout.contains("added"), "{outcome:#?}");
        let bare = host.bare(SHELL, &[host.path("plugins/lib/added").to_str().unwrap()]);
        bare.succeeded().prints("added\n");
        // Nor is another file in a pinned one's place.
        std::fs::rename(host.path("plugins/lib/added"), known(&host)).unwrap();
        let outcome = host.launch("p").arg(known(&host)).run().refused(126);
        outcome.says("library_mismatch").says("plugins/lib/known");
        drop(lock);
    }
}

#[test]
fn a_lock_file_that_is_not_the_pinned_one_is_refused() {
    for user in EVERYONE {
        let (host, lock) = host(user);
        let text = std::fs::read_to_string(&lock).unwrap();
        let added = host.path("plugins/lib/added");
        let more = lock_of(&[
            Path::new(SYSTEM[0]),
            Path::new(SYSTEM[1]),
            &known(&host),
            &added,
        ]);
        let less = lock_of(&[]);
        for other in [
            &*more,
            &*less,
            "",
            &text[..text.len() - 1],
            &format!("{text}\n"),
        ] {
            std::fs::write(&lock, other).unwrap();
            let outcome = host.launch("p").arg(&added).run().refused(126);
            outcome
                .says("library_mismatch")
                .says("the lock file")
                .says("p.lock");
        }
        std::fs::remove_file(&lock).unwrap();
        host.launch("p")
            .run()
            .refused(126)
            .says("the lock file")
            .says("p.lock");
        std::fs::create_dir(&lock).unwrap();
        host.launch("p").run().refused(126).says("it is a folder");
        std::fs::remove_dir(&lock).unwrap();
        nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
        host.own(&lock);
        host.launch("p").run().refused(126).says("it is a FIFO");
        std::fs::remove_file(&lock).unwrap();
        let large = std::fs::File::create(&lock).unwrap();
        large.set_len((16 << 20) + 1).unwrap();
        host.own(&lock);
        host.launch("p")
            .run()
            .refused(126)
            .says("larger than 16 MiB");
        large.set_len(1 << 40).unwrap();
        host.launch("p")
            .run()
            .refused(126)
            .says("larger than 64 MiB");
    }
}

#[test]
fn a_lock_file_is_trusted_as_the_whitelist_is() {
    for user in EVERYONE {
        let (host, lock) = host(user);
        for mode in [0o666, 0o664] {
            std::fs::set_permissions(&lock, PermissionsExt::from_mode(mode)).unwrap();
            let outcome = host.launch("p").run().refused(126);
            outcome.says("insecure_permissions").says("p.lock");
        }
        std::fs::set_permissions(&lock, PermissionsExt::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&lock, Some(1), None).unwrap();
        host.launch("p")
            .run()
            .refused(126)
            .says("belongs to user 1");

        // A link to the same text: to a file of the same owner, to another's.
        let text = std::fs::read(&lock).unwrap();
        std::fs::remove_file(&lock).unwrap();
        let elsewhere = host.write("elsewhere", std::str::from_utf8(&text).unwrap());
        symlink(&elsewhere, &lock).unwrap();
        host.launch("p")
            .arg(known(&host))
            .run()
            .succeeded()
            .prints("known\n");
        std::os::unix::fs::chown(&elsewhere, Some(1), None).unwrap();
        host.launch("p")
            .run()
            .refused(126)
            .says("insecure_permissions");
        std::fs::remove_file(&elsewhere).unwrap();
        host.launch("p").run().refused(126).says("library_mismatch");
    }
}

#[test]
fn a_mistake_in_a_lock_file_has_a_place() {
    for (text, says) in [
        ("secure-exec-lock 2\n".to_string(), "p.lock:1:1"),
        (
            format!("secure-exec-lock 1\n{}  relative\n", sha256(b"")),
            "p.lock:2:74",
        ),
    ] {
        let mut host = Host::new();
        host.install_sh("p", "echo ran");
        host.write("p.lock", &text);
        host.list(
            "p",
            &[&format!("lock: {:?}", sha256(text.as_bytes()).to_string())],
        );
        host.launch("p")
            .run()
            .refused(126)
            .says("library_mismatch")
            .says(says);
    }
}

#[test]
fn the_lock_file_lies_beside_the_whitelists_own_file() {
    for user in EVERYONE {
        // As a volume shows files: links into a folder that is exchanged.
        let (host, lock) = host(user);
        let data = host.folder("data");
        for file in [host.whitelist(), lock.clone()] {
            let name = file.file_name().unwrap();
            std::fs::rename(&file, data.join(name)).unwrap();
        }
        symlink("data/plugins.whitelist", host.whitelist()).unwrap();
        host.launch("p")
            .arg(known(&host))
            .run()
            .succeeded()
            .prints("known\n");
        symlink("data/p.lock", &lock).unwrap();
        host.launch("p")
            .arg(known(&host))
            .run()
            .succeeded()
            .prints("known\n");
        // In a whitelist folder the same.
        let folder = host.folder("folder");
        let whitelist = std::fs::read_to_string(host.whitelist()).unwrap();
        let root = format!("settings: {{ plugin_root: {:?} }}\n", host.path(""));
        host.write(
            "folder/p.yaml",
            &whitelist.replace("plugins:\n", &format!("{root}plugins:\n")),
        );
        let launch = || host.launch("p").whitelist(&folder).arg(known(&host));
        launch().run().refused(126).says("folder/p.lock");
        std::fs::copy(data.join("p.lock"), folder.join("p.lock")).unwrap();
        host.own(&folder.join("p.lock"));
        launch().run().succeeded().prints("known\n");
    }
}

#[test]
fn a_plugin_may_not_write_its_lock_file() {
    for user in EVERYONE {
        let (mut host, lock) = host(user);
        let text = std::fs::read(&lock).unwrap();
        let write = format!("profile: {{ filesystem: {{ write: [{lock:?}] }} }}");
        host.install_sh("q", "echo ran");
        std::fs::write(host.path("q.lock"), &text).unwrap();
        host.own(&host.path("q.lock"));
        let write = write.replace("p.lock", "q.lock");
        let pinned = format!("lock: {:?}", sha256(&text).to_string());
        host.list("q", &[&write, &pinned]);
        host.launch("q").run().refused(125).says("q.lock");
    }
}
