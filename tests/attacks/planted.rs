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
        launch("own").succeeded().prints("secret\n");
        launch("with").refused(125).says("lets the plugin write");
        // Another's folder is as bad as one's own.
        std::os::unix::fs::chown(&out, Some(ORDINARY + 1), None).unwrap();
        launch("own").refused(125).says("can be written by others");
    }
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
        TRY("remove", rmdir(a[2]));
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
