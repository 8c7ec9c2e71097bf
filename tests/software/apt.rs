//! apt-get over its methods, with folders and a repository of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::shims::{FOLDERS, Shims};
use crate::kit::namespace::private;
use crate::kit::{User, digest, run};
use crate::profiles::network::started;

/// A repository with one package, and its folder.
fn repository(host: &Shims) -> PathBuf {
    let folder = host.host.folder("repository");
    let tree = host.host.path("tree");
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    let control = "Package: plugin-x\nVersion: 1\nArchitecture: all\n\
        Maintainer: A <a@example.org>\nDescription: nothing\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    let file = folder.join("plugin-x_1_all.deb");
    let mut build = Command::new("dpkg-deb");
    build.arg("--build").arg(&tree).arg(&file);
    run(build, b"").succeeded();
    let facts = |path: &Path| {
        let sum = digest(path).replace("sha256:", "");
        (sum, path.metadata().unwrap().len())
    };
    let (sum, size) = facts(&file);
    let index = format!("{control}Filename: ./plugin-x_1_all.deb\nSize: {size}\nSHA256: {sum}\n");
    let packages = folder.join("Packages");
    fs::write(&packages, index).unwrap();
    let mut pack = Command::new("xz");
    pack.arg("--keep").arg(&packages);
    run(pack, b"").succeeded();
    let mut release = "Date: Thu, 26 Nov 2026 00:00:00 +0000\nSHA256:\n".to_string();
    for name in ["Packages", "Packages.xz"] {
        let (sum, size) = facts(&folder.join(name));
        release += &format!(" {sum} {size} {name}\n");
    }
    fs::write(folder.join("Release"), release).unwrap();
    for entry in fs::read_dir(&folder).unwrap() {
        host.host.own(&entry.unwrap().path());
    }
    folder
}

/// apt-get's folders below each of the two.
fn folders(host: &Shims, source: &str) {
    for folder in FOLDERS {
        let root = host.folder(folder).join("root");
        if root.exists() {
            fs::remove_dir_all(&root).unwrap();
        }
        for name in [
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/sources.list.d",
            "etc/apt/trusted.gpg.d",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/lib/dpkg",
        ] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        let sources = format!("deb [trusted=yes] {source} ./\n");
        fs::write(root.join("etc/apt/sources.list"), sources).unwrap();
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        if host.host.user() == User::Ordinary {
            let mut own = Command::new("chown");
            let user = crate::kit::ORDINARY.to_string();
            own.args(["-R", &user]).arg(&root);
            run(own, b"").succeeded();
        }
    }
}

fn without_speed(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("Fetched"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn fetched(user: User) {
    let mut host = Shims::new(user);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(host.host.path(""), open).unwrap();
    let repository = repository(&host);
    // Root's methods become _apt; other users' stay what they are, to whom what
    // launches go by may belong.
    let user = if user == User::Root {
        ""
    } else {
        ", user: null, isolation: auto"
    };
    let profile = format!(
        "{{ extends: apt-method, filesystem: {{ read: [{repository:?}, -WORK/root], \
         write: [-WORK/root/var/lib/apt/lists/partial, \
         -WORK/root/var/cache/apt/archives/partial] }}{user} }}"
    );
    for name in ["copy", "file", "http", "store"] {
        host = host.plugin(name, Path::new("/usr/lib/apt/methods").join(name), &profile);
    }
    let mut server = Command::new("/usr/bin/python3");
    server.args(["-u", "-m", "http.server", "80", "--bind", "127.0.0.1"]);
    server.current_dir(&repository);
    let _server = started(server, "Serving HTTP");
    for source in [
        "http://127.0.0.1/".to_string(),
        format!("file:{}", repository.display()),
        format!("copy:{}", repository.display()),
    ] {
        folders(&host, &source);
        let apt = "apt-get -q -o Dir=HERE/root -o Dir::State::status=HERE/root/var/lib/dpkg/status \
            -o Dir::Bin::Methods=HERE -o Acquire::http::Proxy=false -o Dir::Etc::Main=/nonexistent";
        let find = "cd root/var && find . -type f -name '[_1p]*' -exec sha256sum {} + | sort";
        let script = format!("{apt} update && {apt} install -y -d plugin-x && {find}");
        let told = host.alike(&script, without_speed).succeeded();
        assert!(told.stdout.contains("Download complete"), "{told:#?}");
        let list = "_._Packages";
        assert!(told.stdout.contains(list), "{told:#?}");
        let kept = told.stdout.contains("archives/plugin-x_1_all.deb");
        assert_eq!(kept, !source.starts_with("file:"), "{told:#?}");
        let absent = host.alike(&format!("{apt} install -y -d plugin-y"), without_speed);
        assert_eq!(absent.status, 100, "{absent:#?}");
        // The package is another than the list says.
        let package = repository.join("plugin-x_1_all.deb");
        let bytes = fs::read(&package).unwrap();
        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        fs::write(&package, other).unwrap();
        let clean = "rm -f root/var/cache/apt/archives/*.deb";
        let wrong = host.alike(
            &format!("{clean}; {apt} install -y -d plugin-x"),
            without_speed,
        );
        assert_eq!(wrong.status, 100, "{wrong:#?}");
        fs::write(&package, bytes).unwrap();
    }
    host.all_ran();
}

#[test]
fn apt_get_over_its_methods_as_root() {
    private(|| fetched(User::Root));
}

#[test]
fn apt_get_over_its_methods_as_a_user() {
    private(|| fetched(User::Ordinary));
}
