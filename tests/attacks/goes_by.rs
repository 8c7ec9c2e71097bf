//! What launches go by, in a folder that a plugin may write: under whatever
//! name it reaches it, and also where there is nothing yet.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::hostile;
use crate::kit::namespace::private;
use crate::kit::{EVERYONE, Host, Launch, User, run};

/// Writes files, making the folders above them, and says which.
const PROGRAM: &str = r#"
int main(int n, char **a) {
    for (int i = 1; i < n; i++) {
        char folder[4096];
        strcpy(folder, a[i]);
        for (char *slash = folder + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
            *slash = 0;
            mkdir(folder, 0755);
        }
        TRY("plant", open(a[i], O_WRONLY | O_CREAT | O_TRUNC, 0600));
    }
}
"#;

const ISOLATIONS: [&str; 2] = ["process", "namespaces"];

/// A host with a plugin that plants files; nothing of it lies in `out`.
fn host(user: User) -> Host {
    let mut host = Host::of(user);
    host.folder("out");
    host.install_copy("p", hostile(PROGRAM));
    host.list("p", &[]);
    host
}

fn writing(folder: &Path, isolation: &str) -> String {
    format!("isolation: {isolation}\nfilesystem: {{ write: [{folder:?}] }}")
}

/// The plugin plants `file` bare; launched so, it is refused under strict. What
/// is said of it without is what it can do.
#[track_caller]
fn is_refused(host: &Host, file: &Path, kept: &Path, launch: impl Fn() -> Command) {
    let words = [file.to_str().unwrap()];
    host.bare(host.path("plugins/p"), &words).all_work();
    std::fs::remove_file(file).unwrap();
    let refused = run(launch(), b"").refused(125);
    refused.says(&format!("lets the plugin write '{}'", kept.display()));
    assert!(!file.exists());
}

fn mount(words: &[&str], what: &Path, place: &Path) {
    let mut command = Command::new("mount");
    run_well(command.args(words).arg(what).arg(place));
}

fn run_well(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}");
}

fn planting<'a>(host: &'a Host, profile: &str, file: &Path) -> Launch<'a> {
    host.launch("p").profile(profile).arg(file)
}

#[test]
fn a_profile_that_is_named_by_its_path() {
    for user in EVERYONE {
        let host = host(user);
        for isolation in ISOLATIONS {
            let own = host.path("out/own.yaml");
            let text = format!(
                "version: 1\nname: own\n{}\n",
                writing(&host.path("out"), isolation)
            );
            let make = || {
                host.write("out/own.yaml", &text);
            };
            make();
            let by_option = || planting(&host, own.to_str().unwrap(), &own).command();
            let by_variable = || {
                let launch = host.launch("p").env("SECURE_EXEC_PROFILE", &own);
                launch.arg(&own).command()
            };
            for launch in [&by_option as &dyn Fn() -> Command, &by_variable] {
                host.bare(host.path("plugins/p"), &[own.to_str().unwrap()])
                    .all_work();
                make();
                let refused = run(launch(), b"").refused(125);
                refused.says(&format!("lets the plugin write '{}'", own.display()));
                assert_eq!(std::fs::read_to_string(&own).unwrap(), text);
            }
        }
    }
}

#[test]
fn what_does_not_exist_yet() {
    for user in EVERYONE {
        let host = host(user);
        let folder = host.path("out/profiles.d");
        let file = folder.join("default.yaml");
        for isolation in ISOLATIONS {
            host.profile("wide", &writing(&host.path("out"), isolation));
            // The caller names a folder of profiles that is not there.
            let config = format!("profile_dir: {folder:?}\n");
            let wide = host.path("profiles.d/wide.yaml");
            is_refused(&host, &file, &folder, || {
                std::fs::remove_dir_all(&folder).unwrap_or_default();
                let config = host.write("other.yaml", &config);
                let launch = planting(&host, wide.to_str().unwrap(), &file);
                launch.option("--config").option(config).command()
            });
        }
    }
}

/// A folder of files, one of which lies elsewhere or belongs to the plugin's
/// user, although this launch did not open it.
#[test]
fn a_file_of_a_folder_that_another_launch_goes_by() {
    for user in EVERYONE {
        let host = host(user);
        let whitelist = host.folder("wl");
        let file = host.path("out/other.yaml");
        let text = std::fs::read_to_string(host.whitelist()).unwrap();
        let text = text.replace("./plugins/p", host.path("plugins/p").to_str().unwrap());
        host.write("wl/p.yaml", &text);
        let link = whitelist.join("other.yaml");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for isolation in ISOLATIONS {
            host.profile("wide", &writing(&host.path("out"), isolation));
            is_refused(&host, &file, &whitelist, || {
                planting(&host, "wide", &file)
                    .whitelist(&whitelist)
                    .command()
            });
        }
        // The same of profiles.
        std::fs::remove_file(&link).unwrap();
        let profiles = host.path("profiles.d");
        std::os::unix::fs::symlink(&file, profiles.join("other.yaml")).unwrap();
        for isolation in ISOLATIONS {
            host.profile("wide", &writing(&host.path("out"), isolation));
            is_refused(&host, &file, &profiles, || {
                planting(&host, "wide", &file).command()
            });
        }
    }
}

#[test]
fn the_default_profile_although_the_plugin_has_its_own() {
    for user in EVERYONE {
        let host = host(user);
        let file = host.path("out/default.yaml");
        let folder = host.path("profiles.d");
        let config = format!("profile_dir: {folder:?}\nprofile: {file:?}\n");
        let config = host.write("other.yaml", &config);
        for isolation in ISOLATIONS {
            host.profile("wide", &writing(&host.path("out"), isolation));
            let wide = host.path("profiles.d/wide.yaml");
            is_refused(&host, &file, &file, || {
                let launch = planting(&host, wide.to_str().unwrap(), &file);
                launch.option("--config").option(&config).command()
            });
        }
    }
}

/// Whoever exchanges it has the host start another program.
#[test]
fn the_link_by_which_the_launcher_is_called() {
    for user in EVERYONE {
        let host = host(user);
        let shims = host.folder("out/bin");
        let shim = shims.join("p");
        let file = shims.join("q");
        std::os::unix::fs::symlink(host.launcher(), &shim).unwrap();
        for isolation in ISOLATIONS {
            host.profile("wide", &writing(&host.path("out"), isolation));
            is_refused(&host, &file, &shim, || {
                let mut command = host.command(&shim);
                command.envs(host.shim_variables());
                command.env("SECURE_EXEC_PROFILE", host.path("profiles.d/wide.yaml"));
                command.arg(&file);
                command
            });
        }
    }
}

#[test]
fn the_default_places_although_others_are_named() {
    for user in EVERYONE {
        let host = host(user);
        private(|| {
            // An empty /etc of the plugin's user.
            mount(&["-t", "tmpfs"], Path::new("none"), Path::new("/etc"));
            host.own(Path::new("/etc"));
            for isolation in ISOLATIONS {
                host.profile("wide", &writing(Path::new("/etc"), isolation));
                // Profiles are looked for there first.
                let kept = Path::new("/etc/secure-exec/profiles.d/wide.yaml");
                for file in ["config.yaml", "profiles.d/default.yaml"] {
                    let file = Path::new("/etc/secure-exec").join(file);
                    is_refused(&host, &file, kept, || {
                        std::fs::remove_dir_all("/etc/secure-exec").unwrap_or_default();
                        planting(&host, "wide", &file).command()
                    });
                }
            }
        });
        if user == User::Root {
            continue;
        }
        // A user's own state.
        let state = host.folder("elsewhere");
        for isolation in ISOLATIONS {
            host.profile("wide", &writing(&state, isolation));
            let serial = state.join("secure-exec/serials/0");
            is_refused(&host, &serial, &state.join("secure-exec/serials"), || {
                std::fs::remove_dir_all(state.join("secure-exec")).unwrap_or_default();
                let launch = planting(&host, "wide", &serial);
                launch.env("XDG_STATE_HOME", &state).command()
            });
        }
    }
}

#[test]
fn the_same_folder_at_a_second_place() {
    for user in EVERYONE {
        let host = host(user);
        let profiles = host.path("profiles.d");
        let places = ["alias", "out/in", "conf", "conf/machine"].map(|name| host.folder(name));
        let [alias, inner, conf, machine] = &places;
        host.folder("out/machine");
        private(|| {
            mount(&["--bind"], &profiles, alias);
            mount(&["--bind"], &profiles, inner);
            // Here what launches go by shows a part of what is written.
            mount(&["--bind"], &host.path("out/machine"), machine);
            for isolation in ISOLATIONS {
                let wide = host.path("wide.yaml");
                let of = |folder: &Path| {
                    let text = writing(folder, isolation);
                    host.write("wide.yaml", &format!("version: 1\nname: wide\n{text}\n"));
                };
                let refused = |folder: &Path, file: PathBuf, kept: &Path| {
                    of(folder);
                    is_refused(&host, &file, kept, || {
                        planting(&host, wide.to_str().unwrap(), &file).command()
                    });
                };
                refused(alias, alias.join("default.yaml"), &profiles);
                refused(&host.path("out"), inner.join("default.yaml"), &profiles);
                of(&host.path("out"));
                let config = format!("profile_dir: {machine:?}\n");
                let config = host.write("other.yaml", &config);
                let file = host.path("out/machine/default.yaml");
                // What is mounted in `out` would be found first.
                run_well(Command::new("umount").arg(inner));
                is_refused(&host, &file, machine, || {
                    let launch = planting(&host, wide.to_str().unwrap(), &file);
                    launch.option("--config").option(&config).command()
                });
                mount(&["--bind"], &profiles, inner);
            }
            assert!(conf.exists());
        });
    }
}

#[test]
fn a_folder_for_sockets() {
    for user in EVERYONE {
        let host = host(user);
        let sockets = host.folder("sockets");
        for isolation in ISOLATIONS {
            host.profile(
                "binds",
                &format!("isolation: {isolation}\nnetwork: {{ unix: {{ bind: [{sockets:?}] }} }}"),
            );
            host.launch("p").profile("binds").run().succeeded();
            let log = sockets.join("audit.log");
            let launch = || {
                let launch = host.launch("p").profile("binds");
                launch.option("--audit-log").option(&log)
            };
            let what = format!("lets the plugin write '{}'", log.display());
            launch().run().refused(125).says(&what);
            launch().policy("permissive").run().succeeded().says(&what);
        }
    }
}

#[test]
fn a_single_file_that_belongs_to_the_log() {
    for user in EVERYONE {
        let host = host(user);
        for (name, refused) in [
            ("audit.log.000001", true),
            (".audit.log.state", true),
            ("other", false),
        ] {
            let file = host.write(format!("state/{name}"), "");
            for isolation in ISOLATIONS {
                host.profile("wide", &writing(&file, isolation));
                host.bare(host.path("plugins/p"), &[file.to_str().unwrap()])
                    .all_work();
                let outcome = planting(&host, "wide", &file).run();
                if refused {
                    outcome
                        .refused(125)
                        .says("by which launches go or are recorded");
                } else {
                    outcome.all_work();
                }
            }
            std::fs::remove_file(&file).unwrap();
        }
    }
}

#[test]
fn nobody_holds_the_serials_who_may_only_read_them() {
    let source = r#"int main(int n, char **a) {
        TRY("folder", flock(open(a[1], O_RDONLY), LOCK_SH));
        TRY("locks", open(a[2], O_RDONLY));
        TRY("locks", open(a[2], O_WRONLY));
        fclose(stdout);
        return read(0, a[1], 1) != 0;
    }"#;
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_copy("p", hostile(&format!("#include <sys/file.h>\n{source}")));
        host.set("serial: 1").list("p", &[]);
        let state = host.path("state");
        for isolation in ISOLATIONS {
            let text = format!("isolation: {isolation}\nfilesystem: {{ read: [{state:?}] }}");
            host.profile(isolation, &text);
        }
        let state = if user == User::Root {
            PathBuf::from("/var/lib/secure-exec")
        } else {
            state.join("secure-exec")
        };
        let with = |serial: usize| {
            let text = std::fs::read_to_string(host.whitelist()).unwrap();
            let lines = text.lines().map(|line| match line.trim_start() {
                trimmed if trimmed.starts_with("serial:") => format!("  serial: {serial}\n"),
                _ => format!("{line}\n"),
            });
            host.write("plugins.whitelist", &lines.collect::<String>());
        };
        private(|| {
            // Root's state is the machine's.
            if user == User::Root {
                mount(&["-t", "tmpfs"], Path::new("none"), Path::new("/var/lib"));
                std::fs::create_dir(&state).unwrap();
                for isolation in ISOLATIONS {
                    let text =
                        format!("isolation: {isolation}\nfilesystem: {{ read: [{state:?}] }}");
                    host.profile(isolation, &text);
                }
            }
            let words = [state.join("serials"), state.join(".serials.lock")];
            for (isolation, serial) in ISOLATIONS.into_iter().zip([2, 4]) {
                with(serial);
                let launch = host.launch("p").profile(isolation).args(&words);
                let mut holder = Holder::start(launch.command());
                let refused = if isolation == "process" {
                    "EACCES"
                } else {
                    "EROFS"
                };
                let seen = format!("folder: ok\nlocks: EACCES\nlocks: {refused}\n");
                assert_eq!(holder.says(), seen);
                with(serial + 1);
                host.launch("p")
                    .profile(isolation)
                    .args(&words)
                    .run()
                    .succeeded();
                assert!(holder.end());
            }
        });
    }
}

#[test]
fn a_serial_is_remembered_by_whatever_link_the_whitelist_is_named() {
    let mut host = Host::of(User::Ordinary);
    host.install_copy("p", hostile(PROGRAM));
    host.set("serial: 7").list("p", &[]);
    let (file, link) = (host.whitelist(), host.path("link.whitelist"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    host.own(&link);
    host.launch("p").whitelist(&link).run().succeeded();
    let text = std::fs::read_to_string(&file).unwrap();
    host.write("plugins.whitelist", &text.replace("serial: 7", "serial: 6"));
    for path in [&file, &link] {
        let refused = host.launch("p").whitelist(path).run();
        refused.refused(126).says("whitelist_rollback");
    }
}

/// A launch whose plugin waits for the end of its input.
struct Holder(std::process::Child);

impl Holder {
    fn start(mut command: Command) -> Self {
        use std::process::Stdio;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// All that it prints.
    fn says(&mut self) -> String {
        let mut text = String::new();
        let stdout = self.0.stdout.as_mut().unwrap();
        std::io::Read::read_to_string(stdout, &mut text).unwrap();
        text
    }

    fn end(mut self) -> bool {
        drop(self.0.stdin.take());
        self.0.wait().unwrap().success()
    }
}
