//! The settings of a whitelist folder are the floor of every file in it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::kit::{EVERYONE, Host, Launch, User, digest};

/// A host with a whitelist folder that lists `p`.
struct Folder {
    host: Host,
    hash: String,
}

impl Folder {
    fn of(user: User) -> Self {
        let host = Host::of(user);
        let plugin = host.install_sh("p", "echo ran");
        host.folder("list.d");
        let hash = format!("hash: {}", digest(&plugin));
        Self { host, hash }
    }

    /// Writes the plugin's own file.
    fn own(&self, settings: &str, entry: &str) -> PathBuf {
        let text = format!(
            "version: 1\nsettings: {{ {settings} }}\nplugins:\n  - name: p\n    path: {:?}\n    {entry}\n",
            self.host.path("plugins/p"),
        );
        self.host.write("list.d/p.yaml", &text)
    }

    /// Writes the folder's settings.
    fn floor(&self, settings: &str) -> PathBuf {
        let text = format!("version: 1\nsettings: {{ {settings} }}\n");
        self.host.write("list.d/.settings.yaml", &text)
    }

    fn launch(&self) -> Launch<'_> {
        let launch = self.host.launch("p");
        launch.whitelist(self.host.path("list.d"))
    }
}

#[test]
fn no_entry_is_below_the_folders_policy() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        for own in ["", "policy: permissive", "policy: audit-only"] {
            folder.own(own, "enabled: false");
            let _ = std::fs::remove_file(folder.host.path("list.d/.settings.yaml"));
            folder.launch().policy("audit-only").run().succeeded();
            folder.floor("policy: strict");
            for weaker in ["permissive", "audit-only"] {
                let refused = folder.launch().policy(weaker).run().refused(126);
                refused.says("plugin_disabled");
            }
            let record = folder.host.record("security_violation");
            assert_eq!(record["policy"], "strict");
        }
    }
}

/// What the folder says, what the entry's own file says, and of what the
/// launch is refused for it.
const DEMANDS: &[(&str, &str, &str)] = &[
    ("enforce_signatures: true", "", "signature_missing"),
    (
        "enforce_signatures: true",
        "enforce_signatures: false",
        "signature_missing",
    ),
    ("forbidden_paths: [{PLUGINS}]", "", "forbidden path"),
    (
        "forbidden_paths: [{PLUGINS}]",
        "forbidden_paths: [/srv]",
        "forbidden path",
    ),
    (
        "max_file_size: 5",
        "max_file_size: 5MiB",
        "file_size_exceeded",
    ),
    ("image_minimum: verity", "image_minimum: leased", "verity"),
    (
        "expires_at: 2020-01-01T00:00:00Z",
        "expires_at: 2037-01-01T00:00:00Z",
        "whitelist_expired",
    ),
];

#[test]
fn what_the_folder_demands_is_demanded_of_each_entry() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        let plugins = folder.host.path("plugins");
        for (floor, own, what) in DEMANDS {
            let floor = floor.replace("{PLUGINS}", plugins.to_str().unwrap());
            folder.floor("");
            folder.own(own, &folder.hash);
            folder.launch().run().succeeded().prints("ran\n");
            folder.floor(&floor);
            folder.launch().run().refused(126).says(what);
            // Where it is the other way round.
            folder.floor("");
            folder.own(&floor, &folder.hash);
            folder.launch().run().refused(126).says(what);
        }
    }
}

#[test]
fn what_the_folder_does_not_allow_no_entry_allows() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        let entry = format!("{}\n    profile: unconfined", folder.hash);
        folder.own("allow_unconfined: true", &entry);
        folder.launch().run().succeeded();
        folder.floor("policy: permissive");
        let refused = folder.launch().run().refused(125);
        refused
            .says("'allow_unconfined: true'")
            .says(".settings.yaml");
        folder.floor("allow_unconfined: true");
        folder.launch().run().succeeded().prints("ran\n");
        folder.own("", &entry);
        folder.launch().run().refused(125);
    }
}

#[test]
fn an_entry_that_would_loosen_the_folders_settings_is_told_so() {
    let folder = Folder::of(User::Root);
    folder.floor("policy: permissive");
    folder.own("policy: audit-only, allow_dev_plugins: true", &folder.hash);
    let outcome = folder.launch().run().succeeded();
    for key in ["policy", "allow_dev_plugins"] {
        let what = format!("p.yaml: 'settings.{key}' has no effect");
        assert!(outcome.stderr.contains(&what), "{outcome:#?}");
    }
}

#[test]
fn a_record_names_both_files_by_their_digests() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        let own = folder.own("", &folder.hash);
        folder.launch().run().succeeded();
        let record = folder.host.record("sandbox_applied");
        assert_eq!(record["whitelist_digest"], digest(&own));
        assert!(record.get("whitelist_settings_digest").is_none());
        let floor = folder.floor("policy: strict");
        folder.launch().run().succeeded();
        let record = folder.host.record("sandbox_applied");
        assert_eq!(record["whitelist_digest"], digest(&own));
        assert_eq!(record["whitelist_settings_digest"], digest(&floor));
        // What no file lists goes by the folder's alone.
        let other = folder
            .host
            .launch("q")
            .whitelist(folder.host.path("list.d"));
        other.run().refused(126);
        let record = folder.host.record("security_violation");
        assert_eq!(record["whitelist_digest"], digest(&floor));
    }
}

#[test]
fn folder_settings_that_can_not_be_read_or_have_a_mistake_let_nothing_run() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        folder.own("", &folder.hash);
        let floor = folder.floor("policy: strict");
        folder.launch().run().succeeded();
        for text in ["version: 1\nsettings: { polcy: strict }\n", "", "["] {
            std::fs::write(&floor, text).unwrap();
            let refused = folder.launch().policy("audit-only").run().refused(125);
            refused.says(".settings.yaml");
        }
        std::fs::remove_file(&floor).unwrap();
        std::os::unix::fs::symlink("nowhere", &floor).unwrap();
        folder.launch().run().refused(125).says(".settings.yaml");
    }
}

#[test]
fn folder_settings_that_others_can_write_are_not_to_be_trusted() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        folder.own("", &folder.hash);
        let floor = folder.floor("policy: permissive");
        std::fs::set_permissions(&floor, PermissionsExt::from_mode(0o666)).unwrap();
        let refused = folder.launch().run().refused(126);
        refused.says("insecure_permissions").says(".settings.yaml");
        let warned = folder.launch().policy("audit-only").run().succeeded();
        warned.says("WARNING").says(".settings.yaml");
    }
}

#[test]
fn a_folders_settings_do_not_go_back_nor_away() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        let file = folder.own("serial: 1", &folder.hash);
        let floor = folder.floor("serial: 7, policy: strict");
        folder.launch().run().succeeded();
        for older in ["serial: 6", "policy: strict"] {
            folder.floor(older);
            folder
                .launch()
                .run()
                .refused(126)
                .says("whitelist_rollback");
        }
        std::fs::remove_file(&floor).unwrap();
        let refused = folder.launch().run().refused(126);
        refused.says("whitelist_rollback").says("7 was seen");
        let unlisted = folder
            .host
            .launch("q")
            .whitelist(folder.host.path("list.d"));
        assert_eq!(unlisted.run().status, 126);
        let named = folder.host.launch("p").whitelist(&file).run();
        named.refused(126).says("whitelist_rollback");
        folder.floor("serial: 8");
        folder.launch().run().succeeded();
    }
}

#[test]
fn folder_settings_under_another_name_are_not_taken_for_none() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        folder.own("", "enabled: false");
        let launch = || folder.launch().policy("audit-only").run();
        launch().succeeded();
        for name in [".settings.yml", ".Settings.yaml", ".Settings.yml"] {
            let text = "version: 1\nsettings: { policy: strict }\n";
            let path = folder.host.write(format!("list.d/{name}"), text);
            let refused = launch()
                .refused(125)
                .says(&format!("{name}' has no effect"));
            refused.says("Rename it to '.settings.yaml'");
            // Beside the right one it is some file.
            let floor = folder.floor("");
            launch().succeeded();
            std::fs::remove_file(floor).unwrap();
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn to_name_a_file_of_the_folder_does_not_avoid_its_settings() {
    for user in EVERYONE {
        let folder = Folder::of(user);
        let file = folder.own("policy: audit-only", "enabled: false");
        let link = folder.host.path("link.yaml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        folder.host.own(&link);
        let launch = |path: &PathBuf| {
            let launch = folder.host.launch("p").whitelist(path);
            launch.policy("audit-only").run()
        };
        for path in [&file, &link] {
            launch(path).succeeded();
        }
        let floor = folder.floor("policy: strict");
        for path in [&file, &link] {
            let refused = launch(path).refused(126).says("plugin_disabled");
            refused.says("'settings.policy' has no effect");
            let record = folder.host.record("security_violation");
            assert_eq!(record["whitelist_settings_digest"], digest(&floor));
        }
        let unlisted = folder.host.path("plugins/p");
        let unlisted = folder.host.launch(unlisted).whitelist(&file);
        unlisted.policy("audit-only").run().refused(126);
        // Settings beside the link are not those of the file.
        let text = "version: 1\nsettings: { policy: audit-only }\n";
        let other = folder.host.write(".settings.yaml", text);
        launch(&link).refused(125).says("Name the file itself");
        std::fs::write(&floor, "[").unwrap();
        launch(&file).refused(125).says("list.d/.settings.yaml");
        std::fs::remove_file(&floor).unwrap();
        launch(&link).succeeded();
        std::fs::remove_file(&other).unwrap();
    }
}
