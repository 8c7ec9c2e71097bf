//! What a plugin leaves in its folders for its own next launch.

use std::os::unix::fs::symlink;
use std::path::Path;

use super::hostile;
use crate::kit::{EVERYONE, Host, ORDINARY, User};

#[test]
fn a_link_planted_in_a_granted_folder_grants_nothing_later() {
    for user in EVERYONE {
        for kind in ["read", "write", "execute"] {
            let host = nested(user, kind);
            let [inner, outside] = [host.path("out/inner"), host.path("outside")];
            // Planting it is the plugin's right; what it leads to is not.
            let plant = host.launch("p").profile("nested").arg("plant");
            let planted = plant.args([&inner, &outside]).run();
            planted.all_refused("EACCES", &[("remove", "ok"), ("plant", "ok")]);
            let words = ["read", inner.to_str().unwrap()];
            host.bare(host.path("plugins/p"), &words).all_work();
            let launch = || host.launch("p").profile("nested").args(words);
            let refused = launch().run().refused(125);
            refused.says("in a folder that the plugin may write");
            let dropped = launch().policy("permissive").run();
            let dropped = dropped.says("in a folder that the plugin may write");
            dropped.all_refused("EACCES", &[]);
        }
    }
}

#[test]
fn links_that_the_host_made_and_links_that_stay_are_followed() {
    for user in EVERYONE {
        let host = nested(user, "read");
        let [inner, outside] = [host.path("out/inner"), host.path("outside")];
        let link = |target: &Path, at: &str| {
            symlink(target, host.path(at)).unwrap();
            host.own(&host.path(at));
        };
        std::fs::remove_dir(&inner).unwrap();
        host.folder("out/other");
        host.write("out/other/secret", "own");
        link(Path::new("other"), "out/inner");
        let words = ["read", inner.to_str().unwrap()];
        let launch = host.launch("p").profile("nested").args(words);
        launch.run().all_work();

        link(&outside, "way");
        let [out, way] = [host.path("out"), host.path("way")];
        let files = format!("{{ write: [{out:?}], read: [{way:?}] }}");
        host.profile("nested", &format!("filesystem: {files}"));
        let launch = host.launch("p").profile("nested").arg("read");
        launch.arg(&way).run().all_work();
    }
}

#[test]
fn a_plugin_can_not_write_what_its_next_launch_goes_by() {
    for user in EVERYONE {
        let host = nested(user, "read");
        for (folder, kept, victim) in [
            ("state", "state/audit.log", "state/audit.log"),
            ("profiles.d", "profiles.d", "profiles.d/wide.yaml"),
            ("", "config.yaml", "config.yaml"),
        ] {
            let [folder, kept, victim] = [folder, kept, victim].map(|path| host.path(path));
            host.profile("wide", &format!("filesystem: {{ write: [{folder:?}] }}"));
            let words = ["remove", victim.to_str().unwrap()];
            let launch = || host.launch("p").profile("wide").args(words);
            let what = format!("lets the plugin write '{}'", kept.display());
            launch().run().refused(125).says(&what);
            // Overlooked, it is what the plugin can do.
            let overlooked = launch().policy("permissive").run();
            overlooked.says(&what).all_work();
            assert!(!victim.exists());
        }
    }
}

#[test]
fn a_plugin_can_not_choose_the_file_of_its_secret() {
    for user in EVERYONE {
        let host = nested(user, "read");
        let token = host.path("out/token");
        symlink(host.path("outside/secret"), &token).unwrap();
        host.own(&token);
        let secret = format!(
            "environment: {{ secrets: {{ TOKEN: \"file:{}\" }} }}",
            token.display()
        );
        let out = host.path("out");
        host.profile("own", &secret);
        host.profile(
            "with",
            &format!("filesystem: {{ write: [{out:?}] }}\n{secret}"),
        );
        let launch = |profile| host.launch("p").profile(profile).args(["tell", ""]).run();
        // The plugin of another profile may have put it there.
        launch("own").refused(125).says("plugins of profile");
        launch("with").refused(125).says("lets the plugin write");
        let (kept, secret) = (host.path("home/token"), host.path("outside/secret"));
        symlink(secret, &kept).unwrap();
        host.own(&kept);
        let profile = format!(
            "environment: {{ secrets: {{ TOKEN: \"file:{}\" }} }}",
            kept.display()
        );
        host.profile("kept", &profile);
        launch("kept").succeeded().prints("secret\n");
        // Another's folder is as bad as one's own.
        std::os::unix::fs::chown(&out, Some(ORDINARY + 1), None).unwrap();
        launch("own").refused(125).says("belongs to user");
    }
}

#[test]
fn a_link_that_one_plugin_plants_does_not_lead_another_ones_grant() {
    for user in EVERYONE {
        for isolation in ["process", "namespaces"] {
            for kind in ["read", "write", "execute"] {
                let (host, link) = neighbours(user, isolation, kind);
                let words = ["read", link.to_str().unwrap()];
                // The first plugin's right, by which the second one reads.
                let plant = host.launch("p").profile("first").arg("plant");
                let planted = plant.args([&link, &host.path("outside")]).run();
                planted.all_refused("EACCES", &[("plant", "ok")]);
                host.bare(host.path("plugins/p"), &words).all_work();
                let launch = || host.launch("p").profile("second").args(words);
                let refused = launch().run().refused(125);
                refused.says("lies in a folder that plugins of profile 'first' may write");
                let refused = if isolation == "process" {
                    "EACCES"
                } else {
                    "ENOENT"
                };
                // A launch whose log is there is no better witness.
                let log = host.path("shared/log/audit.log");
                let elsewhere = launch().option("--audit-log").option(&log).run();
                elsewhere
                    .refused(125)
                    .says("lies in a folder that plugins of profile 'first' may write");
                let dropped = launch().policy("permissive").run();
                dropped
                    .says("plugins of profile 'first' may write")
                    .all_refused(refused, &[]);
                // The cure that the message names.
                let outside = host.path("outside");
                host.profile("second", &grants(isolation, kind, &outside));
                let cured = host.launch("p").profile("second").arg("read");
                cured.arg(&outside).run().all_work();
            }
        }
    }
}

#[test]
fn nor_one_that_the_profile_stands_for_in_the_whitelist_alone() {
    for user in EVERYONE {
        let (mut host, link) = neighbours(user, "process", "read");
        symlink(host.path("outside"), &link).unwrap();
        host.own(&link);
        let words = ["read", link.to_str().unwrap()];
        let launch = |host: &Host| host.launch("p").profile("second").args(words).run();
        std::fs::remove_file(host.path("profiles.d/first.yaml")).unwrap();
        launch(&host).all_work();
        let shared = host.path("shared");
        host.install_copy("q", hostile(PROGRAM));
        let inline = format!("profile: {{ filesystem: {{ write: [{shared:?}] }} }}");
        host.list("q", &[&inline]);
        launch(&host)
            .refused(125)
            .says("plugins of profile 'q' may write");
        // A profile that can't be read could grant anything.
        let host = neighbours(user, "process", "read").0;
        let link = host.path("shared/link");
        symlink(host.path("outside"), &link).unwrap();
        host.own(&link);
        host.profile("first", "filesystem: { wriet: [] }");
        let launch = host.launch("p").profile("second").arg("read").arg(&link);
        launch
            .run()
            .refused(125)
            .says("for all that is known")
            .says("first.yaml");
    }
}

#[test]
fn a_link_of_another_user_leads_no_grant() {
    for user in EVERYONE {
        let (host, link) = neighbours(user, "process", "read");
        host.profile("first", "umask: \"077\"");
        symlink(host.path("outside"), &link).unwrap();
        let words = ["read", link.to_str().unwrap()];
        let launch = || host.launch("p").profile("second").args(words).run();
        host.own(&link);
        launch().all_work();
        std::os::unix::fs::lchown(&link, Some(ORDINARY + 1), None).unwrap();
        launch().refused(125).says("belongs to another user");
        host.own(&link);
        let chown = |owner| std::os::unix::fs::lchown(&link, Some(owner), None).unwrap();
        chown(0);
        launch().all_work();
        let shared = host.path("shared");
        let may = |mode| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
            std::fs::set_permissions(&shared, mode).unwrap();
        };
        may(0o777);
        launch().refused(125).says("which others can write");
        // Others' links stay where they are.
        may(0o1777);
        launch().all_work();
    }
}

/// The profile `second`, whose grant leads through a folder that plugins of the
/// profile `first` may write, and the path of the link in it.
fn neighbours(user: User, isolation: &str, kind: &str) -> (Host, std::path::PathBuf) {
    let mut host = Host::of(user);
    for folder in ["shared", "outside"] {
        host.folder(folder);
    }
    host.write("outside/secret", "secret");
    let link = host.path("shared/link");
    host.profile("first", &grants("process", "write", &host.path("shared")));
    host.profile("second", &grants(isolation, kind, &link));
    host.install_copy("p", hostile(PROGRAM));
    host.list("p", &[]);
    (host, link)
}

fn grants(isolation: &str, kind: &str, path: &Path) -> String {
    format!("isolation: {isolation}\nfilesystem: {{ {kind}: [{path:?}] }}")
}

/// A folder to write, and in it one with a grant of its own.
fn nested(user: User, kind: &str) -> Host {
    let mut host = Host::of(user);
    for folder in ["out", "out/inner", "outside"] {
        host.folder(folder);
    }
    host.write("outside/secret", "secret");
    let [out, inner] = [host.path("out"), host.path("out/inner")];
    let files = match kind {
        "write" => format!("{{ write: [{out:?}, {inner:?}] }}"),
        other => format!("{{ write: [{out:?}], {other}: [{inner:?}] }}"),
    };
    host.profile("nested", &format!("filesystem: {files}"));
    host.install_copy("p", hostile(PROGRAM));
    host.list("p", &[]);
    host
}

const PROGRAM: &str = r##"
int main(int n, char **a) {
    if (!strcmp(a[1], "plant")) {
        if (!access(a[2], F_OK)) TRY("remove", rmdir(a[2]));
        TRY("plant", symlink(a[3], a[2]));
    }
    if (!strcmp(a[1], "tell")) return puts(getenv("TOKEN")) < 0;
    if (!strcmp(a[1], "remove")) {
        char away[4096];
        sprintf(away, "%s.removed", a[2]);
        TRY("remove", rename(a[2], away));
        return 0;
    }
    char path[4096];
    sprintf(path, "%s/secret", a[2]);
    TRY("read", open(path, O_RDONLY));
}
"##;
