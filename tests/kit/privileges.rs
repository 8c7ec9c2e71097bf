//! Programs with more rights than their caller, in the ways that exec(2) knows.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use super::{Host, User, run};

/// How a file gives rights to whoever executes it.
const WAYS: [fn(&Path); 3] = [
    |file| set_id(file, 0o4755),
    |file| set_id(file, 0o2755),
    |file| {
        set_id(file, 0o755);
        let set = Command::new("setcap")
            .arg("cap_dac_read_search+ep")
            .arg(file)
            .status();
        assert!(set.expect("setcap is needed").success());
    },
];

fn set_id(file: &Path, mode: u32) {
    // chown(2) takes bits and capabilities away.
    chown(file, Some(0), Some(0)).unwrap();
    std::fs::set_permissions(file, PermissionsExt::from_mode(mode)).unwrap();
}

const SECRET: &str = "the-root-of-all-secrets: 1";

/// A program with more rights than its caller takes no orders, whatever they
/// are: `{SECRET}` in them stands for a file that the caller can't read, and
/// which a program with these rights does read.
#[track_caller]
pub(crate) fn take_no_orders(program: &Path, orders: &[&[&str]]) {
    let host = Host::of(User::Ordinary);
    let secret = host.path("secret.yaml");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o640)).unwrap();
    chown(&secret, Some(0), Some(0)).unwrap();
    let secret = secret.to_str().unwrap();
    let reader = host.install_copy("cat", "/usr/bin/cat");
    let name = program.file_name().unwrap();
    let copy = host.path("bin").join(name);
    std::fs::copy(program, &copy).unwrap();
    host.bare(&copy, &["--version"]).succeeded();
    assert_ne!(host.bare(&reader, &[secret]).status, 0);
    for give in WAYS {
        give(&reader);
        give(&copy);
        host.bare(&reader, &[secret]).succeeded().prints(SECRET);
        for words in orders
            .iter()
            .chain([&["--version"][..], &["--help"], &[]].iter())
        {
            let words: Vec<String> = words
                .iter()
                .map(|word| word.replace("{SECRET}", secret))
                .collect();
            let mut command = host.command(&copy);
            command.args(&words);
            let refused = run(command, b"").refused(125);
            refused.says("rights that its caller lacks");
        }
    }
}
