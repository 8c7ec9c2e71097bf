//! Plugins that run where they lie because nobody but root could change them:
//! each thing that lets somebody else, and what root alone may do.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::naive_at;
use super::interloper::strike;
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, ORDINARY, User, digest, open_to_all, program, run};

/// A folder of root's with a plugin and an evil one beside it, in the sticky
/// one for temporary files.
struct Store(tempfile::TempDir);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Program,
    Script,
}

const KINDS: [Kind; 2] = [Kind::Program, Kind::Script];

impl Store {
    fn new(kind: Kind) -> Self {
        let store = Self(tempfile::tempdir().unwrap());
        std::fs::set_permissions(store.0.path(), Permissions::from_mode(0o755)).unwrap();
        std::fs::create_dir(store.path("in")).unwrap();
        store.fill("in/p", kind, "verified");
        store.fill("in/evil", kind, "evil");
        store
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn fill(&self, name: &str, kind: Kind, word: &str) {
        let path = self.path(name);
        match kind {
            Kind::Script => std::fs::write(&path, format!("#!/bin/sh\necho {word}\n")).unwrap(),
            Kind::Program => {
                let text =
                    format!("#include <stdio.h>\nint main(void) {{ return puts({word:?}) < 0; }}");
                std::fs::copy(program::static_c(&text), &path)
                    .map(drop)
                    .unwrap();
            }
        }
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    /// A host of the user's that lists the plugin by this path.
    fn host(&self, user: User, name: &str, more: &[&str]) -> Host {
        let mut host = Host::of(user);
        let path = self.path(name);
        host.list_path("p", path.to_str().unwrap(), &digest(&path), more);
        host
    }
}

/// A command of the ordinary user's, in a strike that runs as whoever launches.
fn as_ordinary(user: User, command: &str) -> String {
    match user {
        User::Ordinary => command.into(),
        User::Root => format!(
            "setpriv --reuid {ORDINARY} --regid {ORDINARY} --clear-groups sh -ec '{command}'"
        ),
    }
}

fn image(host: &Host) -> (String, String) {
    let mut records = host.records().into_iter().rev();
    let record = records.find(|record| record.get("image").is_some());
    let record = record.expect("a record of a launch");
    let text = |key: &str| record[key].as_str().unwrap_or_default().to_string();
    (text("image"), text("image_reason"))
}

/// The call by which the plugin is executed. The canary's comes before, and,
/// if no lease is to be had, the question whether somebody writes.
fn exec_of(host: &Host) -> (&'static str, u32) {
    let is_asked = host.user() == User::Ordinary && image(host).0 == "guarded";
    ("execveat", 2 + u32::from(is_asked))
}

#[test]
fn what_is_roots_alone_runs_where_it_lies_and_others_get_nowhere() {
    for (user, kind) in EVERYONE.into_iter().zip(KINDS.into_iter().cycle()) {
        for isolation in ["process", "namespaces"] {
            let store = Store::new(kind);
            let profile = format!("profile: {{ isolation: {isolation} }}");
            let host = store.host(user, "in/p", &[&profile]);
            host.launch("p").run().succeeded().prints("verified\n");
            assert_eq!(image(&host).0, "guarded", "{}", image(&host).1);
            let (evil, p) = (store.path("in/evil"), store.path("in/p"));
            let (evil, p) = (evil.display(), p.display());
            for command in [
                format!("mv {evil} {p}"),
                format!("cat {evil} > {p}"),
                format!("ln -f {evil} {p}"),
                format!("mount --bind {evil} {p}"),
                format!("unshare -rm mount --bind {evil} {p}"),
                format!("setfacl -m u:{ORDINARY}:rw {p}"),
            ] {
                let strike_at = exec_of(&host);
                let command = as_ordinary(user, &format!("{command} 2>/dev/null || true"));
                let outcome = strike(&host, strike_at, &command, &host.launch("p"));
                outcome.succeeded().prints("verified\n");
            }
        }
    }
}

/// What lets somebody else than root change a plugin, by what the record says
/// of it.
type Flaw = (&'static str, fn(&Store), &'static str);

const FLAWS: &[Flaw] = &[
    (
        "can be written by others",
        |store| open_to_all(&store.path("in")),
        "mv {evil} {p}",
    ),
    (
        "can be written by others",
        |store| open_to_all(store.0.path()),
        "mv {in} {in}.old; cp -r {in}.old {in}; cp {evil} {p}",
    ),
    (
        "belongs to user",
        |store| own(&store.path("in")),
        "mv {evil} {p}",
    ),
    (
        "belongs to user",
        |store| own(&store.path("in/p")),
        "cat {evil} > {p}",
    ),
    (
        "can be written by others",
        |store| acl(&store.path("in/p")),
        "cat {evil} > {p}",
    ),
    (
        "can be written by others",
        |store| acl(&store.path("in")),
        "mv {evil} {p}",
    ),
];

fn own(path: &Path) {
    chown(path, Some(ORDINARY), Some(ORDINARY)).unwrap();
}

fn acl(path: &Path) {
    let mut command = Command::new("setfacl");
    command.args(["-m", &format!("u:{ORDINARY}:rwx")]).arg(path);
    run(command, b"").succeeded();
}

#[test]
fn whatever_lets_others_change_it_makes_it_no_guarded_one() {
    for (number, (reason, flaw, command)) in FLAWS.iter().enumerate() {
        for user in EVERYONE {
            let kind = KINDS[number % 2];
            let made = || {
                let store = Store::new(kind);
                flaw(&store);
                let text = |name: &str| store.path(name).display().to_string();
                let command = command
                    .replace("{evil}", &text("in/evil"))
                    .replace("{p}", &text("in/p"))
                    .replace("{in}", &text("in"));
                let command = as_ordinary(user, &command);
                (store, command)
            };
            let (store, command) = made();
            let host = Host::of(user);
            naive_at(&host, &store.path("in/p"), &command).prints("evil\n");

            let (store, command) = made();
            let host = store.host(user, "in/p", &["image: auto"]);
            host.launch("p").run().succeeded().prints("verified\n");
            let (strength, why) = image(&host);
            assert_ne!(strength, "guarded", "{reason}");
            assert!(why.contains(reason), "{why}");
            // A lease would only keep the writer waiting.
            let host = store.host(user, "in/p", &["image: sealed"]);
            let outcome = strike(&host, ("execveat", 2), &command, &host.launch("p"));
            outcome.succeeded().prints("verified\n");
        }
    }
}

#[test]
fn a_link_of_somebody_elses_is_not_what_a_script_is_called_by() {
    for user in EVERYONE {
        let store = Store::new(Kind::Script);
        let links = tempfile::tempdir().unwrap();
        std::fs::set_permissions(links.path(), Permissions::from_mode(0o1777)).unwrap();
        let link = links.path().join("link");
        symlink(store.path("in/p"), &link).unwrap();
        let mut host = Host::of(user);
        std::fs::write(store.path("in/p"), "#!/bin/sh\necho \"$0\"\n").unwrap();
        let text = link.to_str().unwrap();
        host.list_path("p", text, &digest(&link), &[]);
        // Root's own stays where it is, in a sticky folder of root's.
        host.launch("p")
            .run()
            .succeeded()
            .prints(&format!("{text}\n"));
        std::os::unix::fs::lchown(&link, Some(ORDINARY), Some(ORDINARY)).unwrap();
        let real = format!("{}\n", store.path("in/p").display());
        host.launch("p").run().succeeded().prints(&real);
        assert_eq!(image(&host).0, "guarded");
    }
}

#[test]
fn who_holds_it_open_for_writing_from_before_it_was_roots_is_seen() {
    for user in EVERYONE {
        for kind in KINDS {
            let store = Store::new(kind);
            let path = store.path("in/p");
            own(&path);
            let held = OpenOptions::new().append(true).open(&path).unwrap();
            chown(&path, Some(0), Some(0)).unwrap();
            let host = store.host(user, "in/p", &[]);
            host.launch("p").run().succeeded().prints("verified\n");
            let (strength, why) = image(&host);
            assert_eq!(strength, "sealed");
            assert!(why.contains("somebody has it open for writing"), "{why}");
            drop(held);
            host.launch("p").run().succeeded().prints("verified\n");
            assert_eq!(image(&host).0, "guarded");
        }
    }
}

#[test]
fn in_a_user_namespace_user_0_may_be_anybody() {
    for user in EVERYONE {
        // The ordinary user's own files are user 0's in it.
        let mut host = Host::of(user);
        let text = "#include <stdio.h>\nint main(void) { return puts(\"verified\") < 0; }";
        host.install_copy("p", program::static_c(text));
        host.list("p", &[]);
        let launch = host
            .launch("p")
            .under(["unshare", "--user", "--map-root-user"]);
        // Folders of the real root's are nobody's there.
        let policy = if user.is_root() {
            "strict"
        } else {
            "permissive"
        };
        let outcome = launch.policy(policy).run().succeeded();
        outcome.prints("verified\n");
        let (strength, why) = image(&host);
        assert_ne!(strength, "guarded");
        assert!(why.contains("does not map every user id"), "{why}");
    }
}

#[test]
fn what_root_mounts_over_a_script_is_not_read() {
    for isolation in ["process", "namespaces"] {
        private(|| {
            for kind in KINDS {
                let store = Store::new(kind);
                let (evil, p) = (store.path("in/evil"), store.path("in/p"));
                let mount = format!("mount --bind {} {}", evil.display(), p.display());
                naive_at(&Host::new(), &p, &mount).prints("evil\n");
                let unmount = || {
                    let mut command = Command::new("umount");
                    command.arg(&p);
                    run(command, b"").succeeded();
                };
                unmount();
                let profile = format!("profile: {{ isolation: {isolation} }}");
                let host = store.host(User::Root, "in/p", &[&profile]);
                let outcome = strike(&host, ("execveat", 2), &mount, &host.launch("p"));
                unmount();
                assert_eq!(image(&host).0, "guarded");
                if kind == Kind::Program || isolation == "namespaces" {
                    outcome.succeeded().prints("verified\n");
                } else {
                    assert_eq!(outcome.stdout, "", "{outcome:#?}");
                    outcome.says("cannot open").says("Permission denied");
                }
            }
        });
    }
}

#[test]
fn a_plugin_that_root_runs_does_not_get_at_what_is_guarded() {
    let store = Store::new(Kind::Script);
    let p = store.path("in/p");
    let replace = format!("echo '#!/bin/sh' > {}", p.display());
    let make = |policy: &str, grant: &Path| {
        let mut host = Host::new();
        host.install_sh("writer", &replace);
        let profile = format!("profile: {{ filesystem: {{ write: [{grant:?}] }} }}");
        host.list("writer", &[&profile]);
        host.list_path("p", p.to_str().unwrap(), &digest(&p), &[]);
        let outcome = host.launch("writer").policy(policy).run();
        (host, outcome)
    };
    let alias = tempfile::tempdir().unwrap();
    let link = alias.path().join("link");
    symlink(store.path("in"), &link).unwrap();
    for grant in [store.0.path(), &store.path("in"), &p, &link] {
        let (_, outcome) = make("strict", grant);
        let what = format!("lets the plugin write '{}'", p.display());
        outcome.refused(125).says(&what);
    }
    // That it would get there.
    let (host, outcome) = make("permissive", &store.path("in"));
    outcome.succeeded().says("WARNING: ");
    host.launch("p").run().refused(126).says("hash mismatch");
}

/// A folder of somebody else's on the way, though `..` leads out of it again.
#[test]
fn a_way_through_a_strangers_folder_is_not_guarded() {
    let store = Store::new(Kind::Script);
    let home = store.path("home");
    std::fs::create_dir_all(home.join("d")).unwrap();
    own(&home);
    let link = store.path("link");
    symlink("home/d/../../in/p", &link).unwrap();
    let text = "#!/bin/sh\necho \"$0\"\n";
    std::fs::write(store.path("in/p"), text).unwrap();
    for user in EVERYONE {
        let mut host = Host::of(user);
        let path = link.to_str().unwrap();
        host.list_path("p", path, &digest(&link), &[]);
        // It is called by its own path, which nobody else can lead elsewhere.
        let real = format!("{}\n", store.path("in/p").display());
        host.launch("p").run().succeeded().prints(&real);
        own(&home.join("d"));
        host.launch("p").run().succeeded().prints(&real);
    }
}

/// The kernel does not count who has pages of a file without having it open.
#[test]
fn a_file_of_another_users_is_copied_and_not_leased() {
    let store = Store::new(Kind::Program);
    own(&store.path("in/p"));
    let host = store.host(User::Root, "in/p", &[]);
    host.launch("p").run().succeeded().prints("verified\n");
    let (strength, why) = image(&host);
    assert_eq!(strength, "sealed");
    assert!(why.contains("not leased: it belongs to user"), "{why}");
    let host = store.host(User::Root, "in/p", &["image: in-place"]);
    host.launch("p")
        .run()
        .refused(126)
        .says("it belongs to user");
    let host = store.host(User::Ordinary, "in/p", &[]);
    host.launch("p").run().succeeded().prints("verified\n");
    assert_eq!(image(&host).0, "leased");
}

#[test]
fn pins_of_files_beside_the_whitelist_are_kept_too() {
    let store = Store::new(Kind::Script);
    let (p, folder) = (store.path("in/p"), store.path("wl"));
    std::fs::create_dir(&folder).unwrap();
    let entry = |name: &str, path: &Path, more: &str| {
        let text = format!(
            "version: \"1.0\"\nplugins:\n  - name: {name}\n    path: {path:?}\n    hash: {}\n{more}",
            digest(path)
        );
        std::fs::write(folder.join(format!("{name}.yaml")), text).unwrap();
    };
    entry("p", &p, "");
    let writer = store.path("writer");
    std::fs::write(
        &writer,
        format!("#!/bin/sh\necho '#!/bin/sh' > {}\n", p.display()),
    )
    .unwrap();
    std::fs::set_permissions(&writer, Permissions::from_mode(0o755)).unwrap();
    let more = format!(
        "    profile: {{ filesystem: {{ write: [{:?}] }} }}\n",
        store.path("in")
    );
    entry("writer", &writer, &more);
    let host = Host::new();
    for whitelist in [folder.clone(), folder.join("writer.yaml")] {
        let launch = host.launch("writer").whitelist(&whitelist);
        launch.run().refused(125).says("lets the plugin write");
    }
    let launch = host.launch("writer").whitelist(folder.join("writer.yaml"));
    launch.policy("permissive").run().succeeded();
    let launch = host.launch("p").whitelist(folder.join("p.yaml"));
    launch.run().refused(126).says("hash mismatch");
}

/// Those are loaded from where they lie, also for users who are not root.
#[test]
fn a_pinned_library_is_kept_from_other_plugins_of_its_user() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.folder("lib");
        let library = host.write("lib/code", "genuine");
        host.install_sh("a", &format!("echo evil > {}", library.display()));
        host.install_sh("b", "echo ran");
        let write = format!(
            "profile: {{ filesystem: {{ write: [{:?}] }} }}",
            host.path("lib")
        );
        host.list("a", &[&write]);
        let pin = format!(
            "libraries: [{{ path: {library:?}, hash: {:?} }}]",
            digest(&library)
        );
        host.list("b", &[&pin]);
        host.launch("a")
            .run()
            .refused(125)
            .says("lets the plugin write");
    }
}

#[test]
fn a_mount_whose_name_is_no_text_refuses_no_launch() {
    private(|| {
        use std::os::unix::ffi::OsStrExt as _;
        let store = Store::new(Kind::Program);
        let point = store.0.path().join(std::ffi::OsStr::from_bytes(b"\xff"));
        std::fs::create_dir(&point).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "none"]).arg(&point);
        run(mount, b"").succeeded();
        for user in EVERYONE {
            let host = store.host(user, "in/p", &[]);
            host.launch("p").run().succeeded().prints("verified\n");
            assert_ne!(image(&host).0, "guarded");
        }
        let mut unmount = Command::new("umount");
        unmount.arg(&point);
        run(unmount, b"").succeeded();
    });
}

#[test]
fn a_minimum_above_it_makes_it_a_lease_or_a_copy() {
    for user in EVERYONE {
        for kind in KINDS {
            let store = Store::new(kind);
            let mut host = store.host(user, "in/p", &[]);
            host.set("image_minimum: leased");
            host.launch("p").run().succeeded().prints("verified\n");
            let (strength, why) = image(&host);
            let leased = user.is_root() && kind == Kind::Program;
            assert_eq!(strength, if leased { "leased" } else { "sealed" });
            assert!(
                why.contains("not guarded: the whitelist demands more"),
                "{why}"
            );
            host.set("image_minimum: guarded");
        }
    }
}

#[test]
fn a_profile_that_changes_the_user_reaches_what_all_may_read() {
    for kind in KINDS {
        let store = Store::new(kind);
        let profile = format!("profile: {{ user: {ORDINARY} }}");
        let host = store.host(User::Root, "in/p", &[&profile, "image: auto"]);
        host.launch("p").run().succeeded().prints("verified\n");
        assert_eq!(image(&host).0, "guarded");
        std::fs::set_permissions(store.path("in"), Permissions::from_mode(0o700)).unwrap();
        host.launch("p").run().succeeded().prints("verified\n");
        let (strength, why) = image(&host);
        assert_ne!(strength, "guarded");
        assert!(why.contains("may not get at"), "{why}");
    }
}

#[test]
fn an_update_in_the_moment_of_the_launch_is_never_run_unverified() {
    let store = Store::new(Kind::Script);
    let (evil, p) = (store.path("in/evil"), store.path("in/p"));
    let replace = format!("mv {} {}", evil.display(), p.display());
    let host = store.host(User::Root, "in/p", &[]);
    let outcome = strike(&host, ("execveat", 2), &replace, &host.launch("p"));
    assert_eq!(outcome.stdout, "", "{outcome:#?}");
    outcome.says("cannot open");
    // Before it is hashed, another file is another digest.
    let held = File::open(&p).unwrap();
    drop(held);
    host.launch("p").run().refused(126).says("hash mismatch");
}

#[test]
fn a_script_that_is_copied_has_its_path_in_a_root_folder_of_the_plugins_own() {
    let user = User::Ordinary;
    for by_hand in [false, true] {
        let made = |grants: &str| {
            let mut host = Host::of(user);
            let (p, evil) = (host.path("plugins/p"), host.path("plugins/evil"));
            host.install("evil", "#!/bin/sh\necho evil\n");
            host.install("p", "#!/bin/sh\necho verified \"$0\"\n");
            let profile = format!("profile: {{ isolation: namespaces, {grants} }}");
            if by_hand {
                let shell = Path::new("/bin/sh").canonicalize().unwrap();
                let script = format!("script: {{ path: {p:?}, hash: {:?} }}", digest(&p));
                let args = format!("args: [{p:?}]");
                let path = shell.to_str().unwrap();
                host.list_path("p", path, &digest(&shell), &[&profile, &args, &script]);
            } else {
                host.list("p", &[&profile]);
            }
            let (p, evil) = (p.display().to_string(), evil.display().to_string());
            (host, p, evil)
        };
        let (host, p, _) = made("");
        let told = format!("verified {p}\n");
        host.launch("p").run().succeeded().prints(&told);
        assert_eq!(image(&host).0, if by_hand { "guarded" } else { "sealed" });
        for strike_with in [
            "mv {evil} {p}",
            "cat {evil} > {p}",
            "rm {p}; ln -s {evil} {p}",
        ] {
            let (host, p, evil) = made("");
            let command = strike_with.replace("{evil}", &evil).replace("{p}", &p);
            let number = 2 + u32::from(by_hand);
            let outcome = strike(&host, ("execveat", number), &command, &host.launch("p"));
            outcome.succeeded().prints(&format!("verified {p}\n"));
        }
        // A granted folder is the host's: there another could take its place.
        let (host, p, _) = made("filesystem: { read: [\"{plugin_dir}\", -/nowhere] }");
        let told = if by_hand {
            format!("verified {p}\n")
        } else {
            "verified /proc/self/fd/".into()
        };
        let outcome = host.launch("p").run().succeeded();
        assert!(outcome.stdout.starts_with(&told), "{outcome:#?}");
    }
}
