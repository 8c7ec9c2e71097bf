//! One violation of a path or file a test, under each policy.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::table::each;
use crate::kit::namespace::private;
use crate::kit::{digest, program};

#[test]
fn a_path_with_dots() {
    each(|case| {
        let hash = digest(&case.host.path("plugins/p"));
        case.host
            .list_path("p", "./plugins/../plugins/p", &hash, &[]);
        case.waivable("path_traversal");
    });
}

#[test]
fn a_link_that_leaves_the_plugin_root() {
    each(|case| {
        let hash = digest(&case.host.path("plugins/p"));
        let root = case.host.folder("root");
        symlink("../plugins/p", root.join("p")).unwrap();
        symlink(case.host.path("plugins"), root.join("away")).unwrap();
        case.host.set("plugin_root: root");
        case.host.list_path("p", "p", &hash, &[]);
        case.waivable("path_traversal");
        case.host.list_path("q", "away/p", &hash, &[]);
        case.plugin = "q".into();
        case.waivable("path_traversal");
    });
}

#[test]
fn a_forbidden_path() {
    each(|case| {
        let real = case.host.path("plugins").canonicalize().unwrap();
        case.host
            .set(&format!("forbidden_paths: [{real:?}]"))
            .list("p", &[]);
        case.waivable("path_traversal");
    });
}

#[test]
fn a_forbidden_path_by_another_name() {
    each(|case| {
        // The forbidden path is a link, or ends with a slash.
        symlink("plugins", case.host.path("way")).unwrap();
        let way = format!("{}/", case.host.path("way").display());
        case.host
            .set(&format!("forbidden_paths: [{way:?}]"))
            .list("p", &[]);
        case.waivable("path_traversal");
    });
    each(|case| {
        // A link to the plugin lies there.
        let folder = case.host.folder("incoming");
        symlink("../plugins/p", folder.join("p")).unwrap();
        let hash = digest(&case.host.path("plugins/p"));
        case.host
            .set(&format!("forbidden_paths: [{folder:?}]"))
            .list_path("p", "./incoming/p", &hash, &[]);
        case.waivable("path_traversal");
    });
    each(|case| {
        // The plugin's file has another name, and nobody knows where.
        let folder = case.host.folder("incoming");
        std::fs::hard_link(case.host.path("plugins/p"), folder.join("p")).unwrap();
        case.host
            .set(&format!("forbidden_paths: [{folder:?}]"))
            .list("p", &[]);
        case.waivable("path_traversal");
    });
    each(|case| {
        // What does not exist forbids nothing, nor does what is another user's,
        // where the plugin is not.
        let absent = case.host.path("absent");
        let closed = case.host.folder("closed");
        std::os::unix::fs::chown(&closed, Some(0), Some(0)).unwrap();
        std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o700)).unwrap();
        let closed = closed.join("inner");
        std::fs::create_dir(&closed).unwrap();
        case.host
            .set(&format!("forbidden_paths: [{absent:?}, {closed:?}]"))
            .list("p", &[]);
        case.launch("strict").run().succeeded();
    });
}

#[test]
fn a_forbidden_path_that_is_mounted_elsewhere() {
    let mount = |what: &Path, place: &Path| {
        let mut command = std::process::Command::new("mount");
        command.arg("--bind").arg(what).arg(place);
        assert!(command.status().unwrap().success());
    };
    private(|| {
        each(|case| {
            let alias = case.host.folder("alias");
            mount(&case.host.path("plugins"), &alias);
            case.host
                .set(&format!("forbidden_paths: [{alias:?}]"))
                .list("p", &[]);
            case.waivable("path_traversal");
        });
        each(|case| {
            // Only a part of it is mounted where the plugin is.
            case.host.folder("incoming");
            let part = case.host.folder("incoming/part");
            std::fs::copy(case.host.path("plugins/p"), part.join("p")).unwrap();
            mount(&part, &case.host.path("plugins"));
            let folder = case.host.path("incoming");
            case.host
                .set(&format!("forbidden_paths: [{folder:?}]"))
                .list("p", &[]);
            case.waivable("path_traversal");
        });
    });
}

#[test]
fn a_magic_link_is_never_followed() {
    each(|case| {
        let hash = digest(&case.host.path("plugins/p"));
        let exe = case.host.path("plugins/p");
        let link = format!("/proc/self/root{}", exe.display());
        case.host.list_path("p", &link, &hash, &[]);
        assert!(Path::new(&link).exists());
        case.never("path_traversal");
    });
}

#[test]
fn bytes_that_can_not_be_fixed_as_asked() {
    // Nobody made the files of a temporary folder fs-verity's.
    for line in ["image: verity", "image_minimum: verity"] {
        each(|case| {
            let source =
                "#include <unistd.h>\nint main(void) { write(1, \"ran\\n\", 4); return 0; }";
            case.host.install_copy("p", program::static_c(source));
            if line.starts_with("image:") {
                case.host.list("p", &[line]);
            } else {
                case.host.set(line).list("p", &[]);
            }
            case.waivable("sandbox_unavailable");
        });
    }
    each(|case| {
        let hash = format!("fs-verity-sha256:{}", "0".repeat(64));
        case.host.list_path("p", "./plugins/p", &hash, &[]);
        case.waivable("sandbox_unavailable");
        // Nobody takes one algorithm's digest for another's.
        let records = case.host.records();
        assert!(
            records
                .iter()
                .all(|r| r["violation_type"] != "hash_mismatch")
        );
    });
}

#[test]
fn a_plugin_that_everyone_can_write_or_that_changes_the_user() {
    each(|case| {
        case.host.list("p", &[]);
        let path = case.host.path("plugins/p");
        for mode in [0o757, 0o4755, 0o2755] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            case.waivable("insecure_permissions");
        }
    });
}

#[test]
fn what_is_no_file_never_runs() {
    each(|case| {
        let hash = format!("sha256:{}", "0".repeat(64));
        case.host.folder("plugins/folder");
        let fifo = case.host.path("plugins/fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        case.host.own(&fifo);
        let socket = case.host.path("plugins/socket");
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        case.host.own(&socket);
        for name in ["folder", "fifo", "socket"] {
            case.host
                .list_path(name, &format!("plugins/{name}"), &hash, &[]);
            case.plugin = name.into();
            case.never("not_a_regular_file");
            case.plugin = format!("./plugins/{name}");
            for policy in ["permissive", "audit-only"] {
                case.refused(policy, "not_a_regular_file");
            }
        }
        case.host.list_path("null", "/dev/null", &hash, &[]);
        case.plugin = "null".into();
        case.never("not_a_regular_file");
    });
}

#[test]
fn what_is_too_large_never_runs() {
    each(|case| {
        case.host.list("p", &["max_file_size: 10"]);
        case.never("file_size_exceeded");
        case.host.set("max_file_size: 5");
        let launch = case.launch("permissive").run();
        launch.refused(126).says("over the limit of 5 bytes");
    });
    each(|case| {
        // The limit that nobody wrote: half a GiB, of which nothing is read.
        let path = case.host.path("plugins/p");
        std::fs::OpenOptions::new()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len((512 << 20) + 1)
            .unwrap();
        let hash = format!("sha256:{}", "0".repeat(64));
        case.host.list_path("p", "plugins/p", &hash, &[]);
        case.never("file_size_exceeded");
    });
}

#[test]
fn what_can_not_be_executed_never_runs() {
    each(|case| {
        case.host.list("p", &[]);
        let path = case.host.path("plugins/p");
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o644)).unwrap();
        case.never("insecure_permissions");
    });
}

#[test]
fn what_is_not_there_is_not_found_under_every_policy() {
    each(|case| {
        case.host.list("p", &[]);
        std::fs::remove_file(case.host.path("plugins/p")).unwrap();
        for policy in ["strict", "permissive", "audit-only"] {
            let outcome = case.launch(policy).run().refused(127);
            outcome
                .says("ERROR: Plugin 'p' does not exist at '")
                .says("correct 'path'");
            let record = case.host.record("plugin_exited");
            assert_eq!(
                (&record["result"], &record["policy"]),
                (&"blocked".into(), &policy.into())
            );
        }
    });
}
