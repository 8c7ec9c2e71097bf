//! Profiles in entries and files: variables, arguments, paths, chains.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, User, digest, program};

const ENVIRONMENT: &str = r#"#include <stdio.h>
extern char **environ;
int main(void) { for (char **e = environ; *e; e++) puts(*e); return 0; }"#;

#[test]
fn the_environment_is_what_the_profile_passes_and_sets_and_nothing_else() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(ENVIRONMENT));
        host.list(
            "p",
            &[
                "profile:\n  environment:\n    pass: [GIVEN, 'APP_*', ABSENT]\n    \
               set: { FIXED: 'a b=c', LANG: C, WHERE: '{plugin_dir}/x' }",
            ],
        );
        let outcome = host
            .launch("p")
            .env("GIVEN", "1")
            .env("APP_ONE", "ä")
            .env("OTHER", "2")
            .env("LANG", "de_DE.UTF-8")
            .env("LC_TIME", "C")
            .env("FIXED", "theirs")
            .env("LD_PRELOAD", "/nonexistent.so")
            .env("TERM", "dumb")
            .run()
            .succeeded();
        let folder = host.path("plugins");
        outcome.prints(&format!(
            "APP_ONE=ä\nFIXED=a b=c\nGIVEN=1\nLANG=C\nLC_TIME=C\n\
             PATH=/usr/local/bin:/usr/bin:/bin\nSECURE_EXEC_PLUGIN_PATH={0}/p\n\
             TERM=dumb\nWHERE={0}/x\n",
            folder.display()
        ));
    }
}

#[test]
fn secrets_reach_the_plugin_and_no_record_or_message() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", program::c(ENVIRONMENT));
        let file = host.write("token", "s3cret-file\n");
        let secrets = format!("KEY: 'env:CALLERS', TOKEN: 'file:{}'", file.display());
        host.list(
            "p",
            &[&format!(
                "profile: {{ environment: {{ secrets: {{ {secrets} }} }} }}"
            )],
        );
        let launch = || host.launch("p").env("CALLERS", "s3cret-env").option("-v");
        let outcome = launch().run().succeeded();
        assert!(outcome.stdout.contains("KEY=s3cret-env\n"), "{outcome:#?}");
        assert!(
            outcome.stdout.contains("TOKEN=s3cret-file\n"),
            "{outcome:#?}"
        );
        assert!(!outcome.stdout.contains("CALLERS"), "{outcome:#?}");
        let dry = launch()
            .option("--dry-run")
            .option("--json")
            .run()
            .succeeded();
        let log = std::fs::read_to_string(host.audit_log()).unwrap();
        for text in [&outcome.stderr, &dry.stdout, &dry.stderr, &log] {
            assert!(!text.contains("s3cret"), "{text}");
        }
        host.launch("p")
            .run()
            .refused(125)
            .says("secret 'KEY': the variable 'CALLERS' is not set");
        std::fs::set_permissions(&file, Permissions::from_mode(0o666)).unwrap();
        let outcome = launch().run().refused(125);
        outcome
            .says("secret 'TOKEN'")
            .says("can be written by others");
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&file, Some(58_299), None).unwrap();
        let outcome = launch().run().refused(125).says("secret 'TOKEN'");
        outcome.says("belongs to user 58299");
        let outcome = launch().policy("permissive").run().succeeded();
        outcome.says("WARNING: secret 'TOKEN'");
        std::fs::remove_file(file).unwrap();
        launch().run().refused(125).says("secret 'TOKEN'");
    }
}

#[test]
fn the_entrys_arguments_come_before_the_callers() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "printf '<%s>' \"$@\"");
        host.list("p", &["args: [serve, '--name=a b', '']"]);
        let outcome = host.launch("p").args(["x", "--policy"]).run().succeeded();
        outcome.prints("<serve><--name=a b><><x><--policy>");
    }
}

/// Says of each path whether it can be read.
const READ: &str =
    "for path; do { read -r line < \"$path\"; } 2>/dev/null && echo \"$line\" || echo no; done";

fn folders(host: &Host) -> [String; 3] {
    ["one", "two", "three"].map(|name| {
        host.folder(name);
        host.write(format!("{name}/file"), &format!("{name}\n"));
        host.path(name).display().to_string()
    })
}

/// What a plugin with this profile reads of three folders.
fn reads(host: &mut Host, profile: &str, variables: &[(&str, &str)]) -> String {
    let name = format!("p{}", host.records().len());
    host.install_sh(&name, READ);
    host.list(&name, &[profile]);
    let files = ["one", "two", "three"].map(|name| host.path(name).join("file"));
    let mut launch = host.launch(&name).args(&files);
    for (name, value) in variables {
        launch = launch.env(name, value);
    }
    launch.run().succeeded().stdout
}

#[test]
fn grants_add_up_along_a_chain_and_the_nearest_value_counts() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let [one, two, _] = folders(&host);
        host.profile(
            "base",
            &format!("filesystem: {{ read: [{one:?}] }}\numask: '007'"),
        );
        host.profile(
            "middle",
            &format!("extends: base\nfilesystem: {{ read: [{two:?}] }}"),
        );
        host.profile("top", "extends: middle\numask: '022'");
        assert_eq!(reads(&mut host, "profile: base", &[]), "one\nno\nno\n");
        assert_eq!(reads(&mut host, "profile: top", &[]), "one\ntwo\nno\n");
        let inline = "profile: { extends: middle, description: in place }";
        assert_eq!(reads(&mut host, inline, &[]), "one\ntwo\nno\n");
        host.install_sh("mask", "umask");
        host.list("mask", &["profile: top"]);
        host.launch("mask").run().prints("0022\n");
        host.install_sh("mask", "umask");
        let chain = host.launch("mask").option("--dry-run").run().stdout;
        assert!(chain.contains("default < base < middle < top"), "{chain}");
    }
}

#[test]
fn a_chain_that_ends_nowhere_is_refused() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.profile("egg", "extends: hen");
        host.profile("hen", "extends: egg");
        host.profile("lost", "extends: nowhere");
        for (profile, message) in [
            ("egg", "goes in a circle"),
            ("lost", "there is no profile 'nowhere'"),
        ] {
            host.install_sh(profile, "echo ran");
            host.list(profile, &[&format!("profile: {profile}")]);
            host.launch(profile).run().refused(125).says(message);
        }
    }
}

#[test]
fn a_mistake_in_a_profile_is_one_place_or_the_way_to_it() {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    let said = |profile: &str| host.launch("p").profile(profile).run().refused(125).stderr;
    host.profile("broken", "filesystm: {}");
    host.profile("over", "extends: broken");
    host.profile("port", "network: { tcp: { connect: [99999] } }");
    host.profile("relative", "filesystem: { read: [data] }");
    let place = host.path("profiles.d/broken.yaml");
    for profile in ["broken", "over"] {
        let start = format!("ERROR: {}:3:1: unknown field", place.display());
        assert!(said(profile).starts_with(&start), "{}", said(profile));
    }
    assert!(said("port").contains("port.yaml:3:29: expected a whole number up to 65535"));
    assert!(said("relative").contains("'secure-execctl profile check relative' shows where"));
}

#[test]
fn variables_expand_in_paths_and_unset_ones_are_errors() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let [one, _, _] = folders(&host);
        let profile = "profile: { filesystem: { read: ['${DATA}/'] } }";
        let found = reads(&mut host, profile, &[("DATA", &one)]);
        assert_eq!(found, "one\nno\nno\n");
        host.install_sh("unset", READ);
        host.list("unset", &[profile]);
        host.launch("unset")
            .run()
            .refused(125)
            .says("names the variable 'DATA', which is not set\nSet it, or write '-${DATA}/'");
        let above = host.launch("unset").env("DATA", format!("{one}/.."));
        above.run().refused(125).says("without '..'");
        let relative = host.launch("unset").env("DATA", "one");
        relative.run().refused(125).says("must be absolute");
    }
}

#[test]
fn the_plugins_own_folder_and_runtime_folder_have_names() {
    for user in EVERYONE {
        private(|| {
            let mut host = Host::of(user);
            host.write("plugins/beside", "beside\n");
            let body = "read -r line < \"$1\"; echo \"$line\"; echo kept >> \"$DIR/file\"; \
                        while read -r line; do echo \"$line\"; done < \"$DIR/file\"; echo \"$DIR\"";
            host.install_sh("p", body);
            host.list(
                "p",
                &["profile:\n  filesystem: { read: ['{plugin_dir}'], write: ['{runtime_dir}'] }\n  \
                   environment: { set: { DIR: '{runtime_dir}' } }"],
            );
            let runtime = match user {
                User::Root => "/run/secure-exec/p".into(),
                User::Ordinary => host.path("home/secure-exec/p"),
            };
            for kept in ["kept\n", "kept\nkept\n"] {
                let launch = host.launch("p").arg(host.path("plugins/beside"));
                let outcome = launch.env("XDG_RUNTIME_DIR", host.path("home")).run();
                let said = format!("beside\n{kept}{}\n", runtime.display());
                outcome.succeeded().prints(&said);
            }
            let mode =
                |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&runtime), 0o700);
            assert_eq!(mode(runtime.parent().unwrap()), 0o700);
        });
    }
}

#[test]
fn a_folder_that_is_not_utf8_is_not_granted_under_a_name_that_looks_alike() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let folder = host.folder(OsStr::from_bytes(b"plugins/\xff"));
        let link = host.path("plugins/link");
        std::os::unix::fs::symlink(OsStr::from_bytes(b"\xff"), link).unwrap();
        let plugin = host.install_sh("p", "echo ran");
        std::fs::rename(plugin, folder.join("p")).unwrap();
        host.folder("plugins/\u{fffd}");
        let hash = digest(&folder.join("p"));
        host.list_path("p", "./plugins/link/p", &hash, &[]);
        host.launch("p").run().succeeded().prints("ran\n");
        host.profile("beside", "filesystem: { read: ['{plugin_dir}'] }");
        let outcome = host.launch("p").profile("beside").run().refused(125);
        outcome.says("the folder {plugin_dir} is not UTF-8");
    }
}

#[test]
fn an_unlisted_plugin_has_a_runtime_folder_that_is_no_listed_ones() {
    for user in EVERYONE {
        private(|| {
            let mut host = Host::of(user);
            host.set("policy: permissive");
            host.profile(
                "keeps",
                "filesystem: { write: ['{runtime_dir}'] }\n\
                 environment: { set: { DIR: '{runtime_dir}' } }",
            );
            let path = host.install_sh("p", "echo kept > \"$DIR/file\" && echo \"${DIR##*/}\"");
            let launch = host.launch(&path).policy("permissive").profile("keeps");
            let outcome = launch.env("XDG_RUNTIME_DIR", host.path("home")).run();
            let name = outcome.succeeded().stdout;
            // The digest of the path.
            assert_eq!(name.trim().len(), 64, "{name}");
        });
    }
}

#[test]
fn a_runtime_folder_that_others_could_replace_is_refused() {
    let mut host = Host::of(User::Ordinary);
    host.install_sh("p", "echo ran");
    host.list("p", &["profile: go-plugin"]);
    let launch = || host.launch("p").env("XDG_RUNTIME_DIR", host.path("home"));
    launch().run().succeeded().prints("ran\n");
    for (folder, mode) in [("home/secure-exec", 0o777), ("home/secure-exec/p", 0o755)] {
        let path = host.path(folder);
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        launch().run().refused(125).says("the runtime folder '");
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        launch().run().succeeded();
    }
    // Somebody else's.
    std::os::unix::fs::chown(host.path("home/secure-exec"), Some(0), None).unwrap();
    std::fs::set_permissions(host.path("home/secure-exec"), Permissions::from_mode(0o755)).unwrap();
    launch().run().refused(125).says("the runtime folder '");
}

#[test]
fn no_runtime_folder_is_made_through_a_link() {
    for user in EVERYONE {
        private(|| {
            let mut host = Host::of(user);
            host.install_sh("p", "echo ran");
            host.list("p", &["profile: go-plugin"]);
            let elsewhere = host.folder("elsewhere");
            let link = match user {
                User::Root => "/run/secure-exec".into(),
                User::Ordinary => host.path("home/secure-exec"),
            };
            let launch = || host.launch("p").env("XDG_RUNTIME_DIR", host.path("home"));
            // To a folder, and to none.
            for target in [elsewhere.clone(), elsewhere.join("none")] {
                let _ = std::fs::remove_file(&link);
                std::os::unix::fs::symlink(target, &link).unwrap();
                host.own(&link);
                launch().run().refused(125).says("the runtime folder '");
                assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), 0);
            }
            std::fs::remove_file(&link).unwrap();
            launch().run().succeeded().prints("ran\n");
        });
    }
}

#[test]
fn paths_that_do_not_exist_are_errors_unless_they_may_be_missing() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let [one, _, _] = folders(&host);
        let nowhere = host.path("nowhere").display().to_string();
        let optional = format!("profile: {{ filesystem: {{ read: [-{nowhere}, {one:?}] }} }}");
        assert_eq!(reads(&mut host, &optional, &[]), "one\nno\nno\n");
        assert_eq!(host.record("sandbox_applied")["result"], "allowed");
        host.install_sh("p", "echo ran");
        let missing = format!("profile: {{ filesystem: {{ read: [{nowhere}] }} }}");
        host.list("p", &[&missing]);
        host.launch("p")
            .run()
            .refused(125)
            .says(&format!("the path '{nowhere}' of the profile (read)"))
            .says(&format!("write '-{nowhere}' if it may be missing"));
        host.launch("p")
            .policy("permissive")
            .run()
            .succeeded()
            .says(&format!("WARNING: the path '{nowhere}'"))
            .prints("ran\n");
        let record = host.record("sandbox_degraded");
        assert_eq!(record["sandbox"]["absent_paths"][0], *nowhere);
    }
}
