//! Files that are replaced while a launch looks at them: by a rename, as package
//! managers and editors do it, or by a link to another folder, as kubelet does
//! it. One of the two files is there at any moment, so no launch fails.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::kit::{EVERYONE, Host};

/// So many launches there are at least, and so many replacements.
const ROUNDS: usize = 150;

/// Launches again and again while a thread replaces files. Neither is waited
/// for: a machine that is slow at one of them does more of the other.
fn meanwhile(replace: impl Fn() + Sync, launch: impl Fn() -> crate::kit::Outcome) {
    let is_over = AtomicBool::new(false);
    let replaced = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let replacing = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                replace();
                replaced.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut outcomes = Vec::new();
        while !replacing.is_finished()
            && (outcomes.len() < ROUNDS || replaced.load(Ordering::Relaxed) < ROUNDS)
        {
            outcomes.push(launch());
        }
        is_over.store(true, Ordering::Relaxed);
        replacing.join().unwrap();
        for outcome in outcomes {
            outcome.succeeded().prints("ran\n");
        }
    });
}

/// By a file beside it.
fn renew(host: &Host, path: &Path) {
    let beside = path.with_extension("new");
    std::fs::copy(path, &beside).unwrap();
    host.own(&beside);
    std::fs::rename(beside, path).unwrap();
}

#[test]
fn by_a_rename() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        let plugin = host.install_sh("p", "echo ran");
        host.profile("own", "description: replaced");
        // A guarded script is opened once more, by its interpreter.
        host.list("p", &["profile: own", "image: sealed"]);
        let files = [
            plugin,
            host.whitelist(),
            host.path("profiles.d/own.yaml"),
            host.path("config.yaml"),
        ];
        let replace = || files.iter().for_each(|file| renew(&host, file));
        meanwhile(replace, || host.launch("p").run());
    }
}

#[test]
fn by_a_link_to_another_folder() {
    for user in EVERYONE {
        let mut host = Host::of(user);
        host.install_sh("p", "echo ran");
        host.list("p", &[]);
        let text = std::fs::read(host.whitelist()).unwrap();
        let text = String::from_utf8(text).unwrap();
        let plugin = host.path("plugins/p");
        let text = text.replace("./plugins/p", plugin.to_str().unwrap());
        let volume = host.folder("volume");
        let fill = |name: &str| {
            let folder = host.folder(Path::new("volume").join(name));
            let file = folder.join("plugins.whitelist");
            std::fs::write(&file, &text).unwrap();
            host.own(&file);
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        fill("..one");
        symlink("..one", volume.join("..data")).unwrap();
        symlink("..data/plugins.whitelist", volume.join("plugins.whitelist")).unwrap();
        let link = |name: &str, old: &str| {
            fill(name);
            let new = volume.join("..data_tmp");
            symlink(name, &new).unwrap();
            std::fs::rename(new, volume.join("..data")).unwrap();
            std::fs::remove_dir_all(volume.join(old)).unwrap();
        };
        let replace = || {
            link("..two", "..one");
            link("..one", "..two");
        };
        let whitelist = volume.join("plugins.whitelist");
        meanwhile(replace, || host.launch("p").whitelist(&whitelist).run());
    }
}

#[test]
fn one_that_is_gone_for_good_is_looked_for_no_longer_than_a_while() {
    let mut host = Host::new();
    host.install_sh("p", "echo ran");
    host.list("p", &[]);
    std::fs::remove_file(host.path("plugins/p")).unwrap();
    host.launch("p")
        .run()
        .refused(127)
        .says("does not exist at");
    let link = host.path("dangling");
    symlink("nowhere", &link).unwrap();
    let launch = host.launch("p").whitelist(&link).run();
    launch
        .refused(125)
        .says("can't be read: open: No such file");
}
