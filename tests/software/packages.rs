//! Packages of PyPI and npm, installed when a test first asks for them and
//! kept in the build folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

use crate::kit::namespace::private;
use crate::kit::run;

/// Where packages lie for the tests: the build folder may be root's alone.
pub(super) const FOLDER: &str = "/run/packages";

/// The same for npm's beside those of PyPI.
pub(super) const NPM_FOLDER: &str = "/run/npm";

/// Calls `body` in private namespaces where the packages of PyPI lie in
/// [`FOLDER`].
pub(super) fn with_pypi(body: impl FnOnce() + Send) {
    within(&[(&pypi(), FOLDER)], body);
}

/// The same for the packages of npm.
pub(super) fn with_npm(body: impl FnOnce() + Send) {
    within(&[(&npm(), FOLDER)], body);
}

/// The same for both: those of npm lie in [`NPM_FOLDER`].
pub(super) fn with_both(body: impl FnOnce() + Send) {
    within(&[(&pypi(), FOLDER), (&npm(), NPM_FOLDER)], body);
}

fn pypi() -> PathBuf {
    installed("pypi", PYPI, |target| {
        let mut pip = Command::new("/usr/bin/python3");
        // Nothing of theirs runs while it is installed; see npm's below.
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps"]);
        pip.args(["--only-binary=:all:", "--target"]);
        pip.arg(target).args(PYPI.lines());
        pip
    })
}

fn npm() -> PathBuf {
    installed("npm", &NPM.join("\n"), |target| {
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--silent",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
        ]);
        // What they depend on is taken as it was on this day.
        npm.args(["--before", "2026-11-20", "--prefix"]);
        npm.arg(target).args(NPM);
        npm
    })
}

/// mcp-server-time, python-lsp-server, and all that they depend on.
const PYPI: &str = include_str!("pypi.txt");

const NPM: &[&str] = &[
    "@modelcontextprotocol/server-everything@2026.8.31",
    "@modelcontextprotocol/server-filesystem@2026.8.31",
    "@modelcontextprotocol/server-memory@2026.8.31",
    "@modelcontextprotocol/server-sequential-thinking@2026.8.31",
    "bash-language-server@5.6.0",
    "typescript@5.9.3",
];

/// Installs once for each list; tests that want it at the same time wait.
fn installed(name: &str, wanted: &str, install: impl Fn(&Path) -> Command) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let lock = File::create(folder.join(format!("{name}.lock"))).unwrap();
    let _held = Flock::lock(lock, FlockArg::LockExclusive).unwrap();
    let [target, list] = ["", ".list"].map(|end| folder.join(format!("{name}{end}")));
    if fs::read_to_string(&list).is_ok_and(|found| found == wanted) {
        return target;
    }
    if target.exists() {
        fs::remove_dir_all(&target).unwrap();
    }
    fs::create_dir(&target).unwrap();
    run(install(&target), b"").succeeded();
    fs::write(list, wanted).unwrap();
    target
}

fn within(folders: &[(&Path, &str)], body: impl FnOnce() + Send) {
    private(|| {
        for (folder, place) in folders {
            fs::create_dir(place).unwrap();
            let mut mount = Command::new("mount");
            mount.args(["--bind", "-o", "ro"]).arg(folder).arg(place);
            run(mount, b"").succeeded();
        }
        body();
    });
}
