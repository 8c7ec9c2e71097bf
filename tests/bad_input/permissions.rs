//! Whitelist, configuration and profile that others than root and the launch's
//! user own or can write.

use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use crate::kit::{EVERYONE, Host, Launch, User};

/// The files that a launch goes by, each in a folder of its own.
const FILES: [&str; 3] = ["whitelist", "config", "profile"];
/// Somebody else than the host's user.
const STRANGER: u32 = 58_299;

struct Case {
    host: Host,
    file: &'static str,
}

impl Case {
    fn of(user: User, file: &'static str) -> Self {
        let mut host = Host::of(user);
        let plugin = host.install_sh("p", "echo ran");
        host.list_path(
            "p",
            plugin.to_str().unwrap(),
            &crate::kit::digest(&plugin),
            &[],
        );
        host.folder("conf");
        let text = match file {
            "whitelist" => std::fs::read_to_string(host.whitelist()).unwrap(),
            "config" => "version: 1\n".into(),
            _ => "version: 1\nname: own\n".into(),
        };
        host.write("conf/file.yaml", &text);
        Self { host, file }
    }

    fn folder(&self) -> PathBuf {
        self.host.path("conf")
    }

    fn path(&self) -> PathBuf {
        self.host.path("conf/file.yaml")
    }

    fn launch(&self, path: &Path) -> Launch<'_> {
        let launch = self.host.launch("p");
        match self.file {
            "whitelist" => launch.whitelist(path),
            "config" => launch.option("--config").option(path),
            _ => launch.profile(path),
        }
    }

    #[track_caller]
    fn sound(&self, path: &Path) {
        let outcome = self.launch(path).run().succeeded().prints("ran\n");
        assert_eq!(outcome.stderr, "", "{}", self.file);
    }

    /// Strict refuses it and names what can be written; permissive warns, and
    /// both record it.
    #[track_caller]
    fn insecure(&self, path: &Path, named: &Path) {
        self.refused(path, named, "can be written by others");
    }

    /// The same of a file or folder that is a stranger's.
    #[track_caller]
    fn strange(&self, path: &Path, named: &Path) {
        self.refused(path, named, &format!("belongs to user {STRANGER}, who is"));
    }

    #[track_caller]
    fn refused(&self, path: &Path, named: &Path, why: &str) {
        let what = format!("'{}' {why}", named.display());
        self.launch(path)
            .run()
            .refused(126)
            .says("ERROR: Plugin 'p' refused (insecure_permissions): ")
            .says(&what)
            .says("chmod");
        let record = self.host.record("security_violation");
        assert_eq!(record["violation_type"], "insecure_permissions");
        assert_eq!(record["result"], "blocked");
        let warned = self.launch(path).policy("permissive").run();
        let warned = warned
            .succeeded()
            .prints("ran\n")
            .says("WARNING: ")
            .says(&what);
        assert!(!warned.stderr.contains("ERROR"), "{warned:#?}");
        let record = self.host.record("security_violation");
        assert_eq!(record["violation_type"], "insecure_permissions");
        assert_eq!(record["action_taken"], "plugin_execution_allowed");
        let silent = self.launch(path).policy("audit-only").run();
        assert_eq!(silent.succeeded().stderr, "");
        let record = self.host.record("security_violation");
        assert_eq!(record["result"], "observed");
    }
}

fn each(test: impl Fn(&Case)) {
    for user in EVERYONE {
        for file in FILES {
            let case = Case::of(user, file);
            case.sound(&case.path());
            test(&case);
        }
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_others_can_write_is_not_to_be_trusted() {
    each(|case| {
        for mode in [0o666, 0o664, 0o646, 0o602] {
            chmod(&case.path(), mode);
            case.insecure(&case.path(), &case.path());
        }
        chmod(&case.path(), 0o600);
        case.sound(&case.path());
    });
}

#[test]
fn nor_one_in_a_folder_that_they_can_write() {
    each(|case| {
        for mode in [0o777, 0o775, 0o757, 0o1777] {
            chmod(&case.folder(), mode);
            case.insecure(&case.path(), &case.folder());
        }
        chmod(&case.folder(), 0o755);
        // A folder above counts as much.
        let above = case.host.path("");
        let above = above.ancestors().next().unwrap().to_path_buf();
        chmod(&above, 0o777);
        let named = case.host.path("conf").parent().unwrap().to_path_buf();
        case.insecure(&case.path(), &named);
        chmod(&above, 0o755);
        case.sound(&case.path());
    });
}

#[test]
fn nor_one_in_a_folder_that_belongs_to_a_stranger() {
    each(|case| {
        chown(case.folder(), Some(STRANGER), None).unwrap();
        case.strange(&case.path(), &case.folder());
    });
}

#[test]
fn nor_one_that_is_named_by_a_link_in_such_a_folder() {
    each(|case| {
        let open = case.host.folder("open");
        let link = open.join("file.yaml");
        symlink(case.path(), &link).unwrap();
        case.host.own(&link);
        case.sound(&link);
        chmod(&open, 0o777);
        case.insecure(&link, &open);
        // Relative, and through a link to a folder.
        let around = case.host.path("around");
        symlink("open", &around).unwrap();
        case.host.own(&around);
        case.insecure(Path::new("around/../open/file.yaml"), &open);
        // Where nobody can rename the link, its owner still can replace it.
        chmod(&open, 0o1777);
        lchown(&link, Some(STRANGER), None).unwrap();
        case.insecure(&link, &open);
        chmod(&open, 0o755);
        chown(&open, Some(STRANGER), None).unwrap();
        case.strange(&link, &open);
        chown(&open, Some(0), None).unwrap();
        chmod(&open, 0o755);
        case.sound(&link);
    });
}

#[test]
fn nor_is_a_strangers_own_file_in_his_own_folder() {
    each(|case| {
        chown(case.path(), Some(STRANGER), None).unwrap();
        for mode in [0o644, 0o444] {
            chmod(&case.path(), mode);
            case.strange(&case.path(), &case.path());
        }
        // All of it his, and nobody else's to write.
        chown(case.folder(), Some(STRANGER), None).unwrap();
        case.strange(&case.path(), &case.path());
    });
}

#[test]
fn an_ordinary_users_own_files_need_not_be_roots() {
    for file in FILES {
        let case = Case::of(User::Ordinary, file);
        chown(case.path(), Some(0), Some(0)).unwrap();
        case.sound(&case.path());
        chown(case.folder(), Some(0), Some(0)).unwrap();
        case.sound(&case.path());
    }
}

#[test]
fn a_profile_or_entry_that_is_not_used_need_not_be_sound() {
    let case = Case::of(User::Root, "whitelist");
    let unused = case.host.write("profiles.d/unused.yaml", "[");
    chmod(&unused, 0o666);
    case.sound(&case.path());
    // The one that is extended is used.
    case.host.profile("base", "description: x");
    case.host.profile("top", "extends: base");
    chmod(&case.host.path("profiles.d/base.yaml"), 0o666);
    case.host
        .launch("p")
        .profile("top")
        .run()
        .refused(126)
        .says("base.yaml' can be written");
}

/// The launch under words that change who its user and others are is refused
/// for this by strict.
#[track_caller]
fn unclear(case: &Case, words: &[&str], named: &Path, why: &str) {
    let what = format!("'{}' belongs to user 65534, {why}", named.display());
    let launch = case.launch(&case.path()).under(words);
    let refused = launch.run().refused(126);
    refused.says("insecure_permissions").says(&what);
}

const UNMAPPED: &str =
    "which stands for every owner that has no id in this user namespace: map the owner";

#[test]
fn an_owner_whom_a_user_namespace_does_not_map_is_nobody() {
    for file in FILES {
        let case = Case::of(User::Root, file);
        // Root alone has an id there.
        let words = ["unshare", "--map-root-user"];
        let launch = || case.launch(&case.path()).under(words);
        launch().run().succeeded().prints("ran\n");
        chown(case.path(), Some(STRANGER), None).unwrap();
        unclear(&case, &words, &case.path(), UNMAPPED);
        let warned = launch().policy("permissive").run().succeeded();
        warned.prints("ran\n").says("WARNING: ").says(UNMAPPED);
        chown(case.path(), Some(0), None).unwrap();
        chown(case.folder(), Some(STRANGER), None).unwrap();
        unclear(&case, &words, &case.folder(), UNMAPPED);
    }
}

#[test]
fn where_root_has_no_id_the_way_is_nobodys() {
    for file in FILES {
        let case = Case::of(User::Ordinary, file);
        // His own files are root's there, and the folder above them nobody's.
        let words = ["unshare", "--map-root-user"];
        unclear(&case, &words, &std::env::temp_dir(), UNMAPPED);
    }
}

#[test]
fn nor_is_a_launch_somebody_that_has_no_id() {
    let why = "as this launch does";
    for file in FILES {
        let case = Case::of(User::Ordinary, file);
        let first = match file {
            "config" => case.path(),
            _ => case.host.path("config.yaml"),
        };
        unclear(&case, &["unshare", "--user"], &first, why);
        // The user of that id, with files of his own.
        let case = Case::of(User::Root, file);
        let nobody = [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
        ];
        chmod(&case.host.path(""), 0o755);
        for path in [case.path(), case.folder(), case.host.path("state")] {
            chown(path, Some(65534), None).unwrap();
        }
        unclear(&case, &nobody, &case.path(), why);
        // Root's are as good for him as for others.
        for path in [case.path(), case.folder()] {
            chown(path, Some(0), None).unwrap();
        }
        let launch = case.launch(&case.path()).under(nobody);
        launch.run().succeeded().prints("ran\n");
    }
}
