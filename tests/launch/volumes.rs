//! Volumes as kubelet mounts them: directories that everybody may write by
//! their modes, on a read-only mount.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::kit::namespace::private;
use crate::kit::{Host, ORDINARY, Outcome, User, digest, run};

const MODES: [u32; 3] = [0o777, 0o1777, 0o2777];

/// A file system of its own, on which a whitelist lies as kubelet lays out a
/// ConfigMap.
struct Volume {
    host: Host,
    at: PathBuf,
}

impl Volume {
    fn new(user: User, mode: u32, file_mode: u32) -> Self {
        let mut host = Host::of(user);
        let plugin = host.install_sh("p", "echo ran");
        host.list_path("p", plugin.to_str().unwrap(), &digest(&plugin), &[]);
        let at = host.folder("volume");
        chown(host.path(""), Some(0), Some(0)).unwrap();
        chmod(&host.path(""), 0o755);
        mount(&["-t", "tmpfs", "none"], &at);
        let config = at.join("config");
        let data = config.join("..2026_11_26_10_00_00.1");
        std::fs::create_dir_all(&data).unwrap();
        std::fs::copy(host.whitelist(), data.join("w.yaml")).unwrap();
        chmod(&data.join("w.yaml"), file_mode);
        symlink("..2026_11_26_10_00_00.1", config.join("..data")).unwrap();
        symlink("..data/w.yaml", config.join("w.yaml")).unwrap();
        chown(&config, Some(0), Some(2000)).unwrap();
        chmod(&config, mode);
        let volume = Self { host, at };
        std::fs::create_dir(volume.host.path("etc")).unwrap();
        volume
    }

    /// Mounts what kubelet made in the container, and takes the rest away.
    fn show(&self, options: &str) {
        let etc = self.host.path("etc");
        mount(&["--bind", self.at.join("config").to_str().unwrap()], &etc);
        mount(&["-o", options], &etc);
    }

    fn hide(&self) {
        mount(&["-t", "tmpfs", "none"], &self.at);
    }

    fn launch(&self) -> Outcome {
        let launch = self
            .host
            .launch("p")
            .whitelist(self.host.path("etc/w.yaml"));
        launch.under(self.words()).run()
    }

    /// Root of a container has no CAP_SYS_ADMIN.
    fn words(&self) -> Vec<&'static str> {
        match self.host.user() {
            User::Root => vec![
                "setpriv",
                "--bounding-set=-sys_admin",
                "--inh-caps=-sys_admin",
            ],
            User::Ordinary => Vec::new(),
        }
    }

    #[track_caller]
    fn is_refused(&self) {
        let refused = self.launch().refused(126);
        refused
            .says("insecure_permissions")
            .says("can be written by others");
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

fn mount(words: &[&str], at: &Path) {
    let mut command = std::process::Command::new("mount");
    command.args(words).arg(at);
    run(command, b"").succeeded();
}

const READ_ONLY: &str = "remount,bind,ro";

fn each(test: impl Fn(&Volume) + Sync) {
    for user in [User::Root, User::Ordinary] {
        for mode in MODES {
            private(|| test(&Volume::new(user, mode, 0o644)));
        }
    }
}

#[test]
fn a_whitelist_on_a_read_only_volume_is_trusted_whatever_its_modes_say() {
    each(|volume| {
        volume.show("remount,bind,rw");
        volume.hide();
        volume.is_refused();
        mount(&["-o", READ_ONLY], &volume.host.path("etc"));
        assert!(std::fs::write(volume.host.path("etc/new"), "").is_err());
        assert_eq!(volume.launch().succeeded().stdout, "ran\n");
    });
    // Its files, too; kubelet gives them any mode that the pod asks for.
    private(|| {
        let volume = Volume::new(User::Ordinary, 0o777, 0o666);
        volume.show(READ_ONLY);
        volume.hide();
        volume.launch().succeeded().prints("ran\n");
    });
}

#[test]
fn a_read_only_file_system_needs_no_second_look() {
    private(|| {
        let volume = Volume::new(User::Ordinary, 0o777, 0o644);
        volume.show(READ_ONLY);
        volume.is_refused();
        mount(&["-o", "remount,ro"], &volume.at);
        volume.launch().succeeded().prints("ran\n");
    });
}

/// The attack: write by the other mount what the first one shows.
#[test]
fn a_second_mount_that_is_writable_takes_the_trust_away() {
    each(|volume| {
        volume.show(READ_ONLY);
        let file = volume.at.join("config/w.yaml");
        let mut other = volume.host.command("sh");
        other.args([
            "-c",
            "mkdir \"$0\"/config/planted 2>/dev/null && echo written",
        ]);
        other.arg(&volume.at);
        assert_eq!(run(other, b"").stdout, "written\n", "{}", file.display());
        volume.is_refused();
        volume.hide();
        volume.launch().succeeded().prints("ran\n");
        // One of a folder above it, somewhere else.
        let other = volume.host.path("other");
        std::fs::create_dir(&other).unwrap();
        mount(
            &["--bind", volume.host.path("etc").to_str().unwrap()],
            &other,
        );
        volume.launch().succeeded().prints("ran\n");
        mount(&["-o", "remount,bind,rw"], &other);
        volume.is_refused();
    });
}

#[test]
fn an_overlay_that_writes_to_the_volume_takes_the_trust_away() {
    private(|| {
        let volume = Volume::new(User::Ordinary, 0o777, 0o644);
        let (work, over) = (volume.at.join("work"), volume.host.path("over"));
        for folder in [&work, &over] {
            std::fs::create_dir(folder).unwrap();
        }
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            volume.host.path("home").display(),
            volume.at.join("config").display(),
            work.display()
        );
        mount(&["-t", "overlay", "none", "-o", &options], &over);
        volume.show(READ_ONLY);
        volume.hide();
        std::fs::write(over.join("planted"), "").unwrap();
        assert!(volume.host.path("etc/planted").exists());
        volume.is_refused();
    });
}

/// The first process that is in sight is the host's, and others are there who
/// write the same folder where it always was.
#[test]
fn a_read_only_view_of_the_hosts_own_folder_is_not_trusted() {
    let host = Host::of(User::Ordinary);
    let open = host.folder("open");
    chmod(&open, 0o777);
    chown(&open, Some(0), Some(0)).unwrap();
    let mut host = host;
    let plugin = host.install_sh("p", "echo ran");
    host.list_path("p", plugin.to_str().unwrap(), &digest(&plugin), &[]);
    std::fs::copy(host.whitelist(), open.join("w.yaml")).unwrap();
    chown(open.join("w.yaml"), Some(0), Some(0)).unwrap();
    let host = &host;
    let open = &open;
    private(move || {
        mount(&["--bind", open.to_str().unwrap()], open);
        mount(&["-o", READ_ONLY], open);
        let launch = host.launch("p").whitelist(open.join("w.yaml")).run();
        launch.refused(126).says("can be written by others");
    });
}

#[test]
fn who_can_mount_it_writable_does_not_trust_it() {
    private(|| {
        let volume = Volume::new(User::Root, 0o777, 0o644);
        volume.show(READ_ONLY);
        volume.hide();
        let launch = |words: &[&str]| {
            let launch = volume
                .host
                .launch("p")
                .whitelist(volume.host.path("etc/w.yaml"));
            launch.under(words).run()
        };
        launch(&[]).refused(126).says("can be written by others");
        launch(&[
            "setpriv",
            "--bounding-set=-sys_admin",
            "--inh-caps=-sys_admin",
        ])
        .succeeded();
    });
}

/// Only modes are forgiven.
#[test]
fn a_strangers_file_on_it_is_a_strangers() {
    private(|| {
        let volume = Volume::new(User::Ordinary, 0o777, 0o644);
        let file = volume.at.join("config/..data/w.yaml");
        chown(&file, Some(ORDINARY + 1), None).unwrap();
        volume.show(READ_ONLY);
        volume.hide();
        volume.launch().refused(126).says("belongs to user");
    });
}
