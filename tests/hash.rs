//! `plugin-hash`, against programs that are not ours.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::kit::{Outcome, run};

/// BLAKE3 of its test vectors' input: the bytes 0 to 250, over and over.
const BLAKE3: [(usize, &str); 4] = [
    (
        0,
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    ),
    (
        1,
        "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    ),
    (
        1023,
        "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11",
    ),
    (
        1024,
        "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
    ),
];

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn hash(folder: &Path, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-hash"));
    command.current_dir(folder).args(words);
    run(command, b"")
}

/// A mistake: status 125, one error, and nothing on standard output.
#[track_caller]
fn mistaken(outcome: Outcome, what: &str) {
    let outcome = outcome.refused(125).says(what);
    assert!(outcome.stderr.starts_with("ERROR: "), "{outcome:#?}");
    assert!(outcome.stderr.lines().count() <= 2, "{outcome:#?}");
    let clean = |c: char| c == '\n' || !c.is_control();
    assert!(outcome.stderr.chars().all(clean), "{outcome:#?}");
}

#[test]
fn the_sha_family_agrees_with_coreutils() {
    let folder = folder();
    for size in [0, 1, 63, 64, 65, 111, 112, 65_535, 65_536, 65_537, 1 << 20] {
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        std::fs::write(folder.path().join("f"), bytes).unwrap();
        for algorithm in ["sha256", "sha384", "sha512"] {
            let mut other = Command::new(format!("{algorithm}sum"));
            other.current_dir(folder.path()).arg("f");
            let other = run(other, b"").succeeded().stdout;
            let hex = other.split_whitespace().next().unwrap();
            hash(folder.path(), ["--file", "f", "--algorithm", algorithm])
                .succeeded()
                .prints(&format!("{algorithm}:{hex}\n"));
        }
    }
}

#[test]
fn blake3_agrees_with_its_test_vectors() {
    let folder = folder();
    for (size, hex) in BLAKE3 {
        let bytes: Vec<u8> = (0..=250).cycle().take(size).collect();
        std::fs::write(folder.path().join("f"), bytes).unwrap();
        let outcome = hash(folder.path(), ["--algorithm=blake3", "--file=f"]);
        outcome.succeeded().prints(&format!("blake3:{hex}\n"));
    }
}

#[test]
fn one_file_prints_its_digest_and_more_print_their_names() {
    let folder = folder();
    std::fs::write(folder.path().join("a"), "abc").unwrap();
    std::fs::write(folder.path().join("b"), "").unwrap();
    let a = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let b = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let prints = |words: &[&str], text: &str| {
        hash(folder.path(), words).succeeded().prints(text);
    };
    prints(&["--file", "a"], &format!("{a}\n"));
    prints(&["a"], &format!("{a}  a\n"));
    prints(&["a", "b"], &format!("{a}  a\n{b}  b\n"));
    prints(&["--file", "a", "b"], &format!("{a}  a\n{b}  b\n"));
    prints(&["--", "a"], &format!("{a}  a\n"));
}

#[test]
fn the_guides_loop_works_as_it_stands() {
    let folder = folder();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    for (name, mode) in [("auth", 0o755), ("pay ment", 0o755), ("README", 0o644)] {
        std::fs::write(plugins.join(name), name).unwrap();
        std::fs::set_permissions(plugins.join(name), PermissionsExt::from_mode(mode)).unwrap();
    }
    let script = r#"for plugin in ./plugins/*; do
            if [ -x "$plugin" ]; then
                hash=$(plugin-hash --file "$plugin" --algorithm sha256)
                echo "Updated hash for $(basename "$plugin"): $hash"
            fi
        done"#;
    let program = Path::new(env!("CARGO_BIN_EXE_plugin-hash"));
    let path = std::env::join_paths([
        program.parent().unwrap(),
        Path::new("/usr/bin"),
        Path::new("/bin"),
    ]);
    let mut command = Command::new("bash");
    command
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .args(["-c", script]);
    let digest = |name: &str| crate::kit::digest(&plugins.join(name));
    let expected = format!(
        "Updated hash for auth: {}\nUpdated hash for pay ment: {}\n",
        digest("auth"),
        digest("pay ment")
    );
    run(command, b"").succeeded().prints(&expected);
}

/// Files whose names are odd, in a folder.
fn odd(folder: &Path) -> Vec<OsString> {
    let names: [&[u8]; 12] = [
        b"plain",
        b"two  spaces",
        b"line\nfeed",
        b"carriage\rreturn",
        b"at the end\r",
        b"back\\slash",
        b"back\\nslash",
        b"\\",
        b"-v",
        b" ",
        b"\xff\xfe",
        b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  forged\nx: OK",
    ];
    names
        .iter()
        .map(|name| {
            let name = OsString::from_vec(name.to_vec());
            std::fs::write(folder.join(&name), name.as_bytes()).unwrap();
            name
        })
        .collect()
}

fn names_after(words: &[&str], names: &[OsString]) -> Vec<OsString> {
    words
        .iter()
        .map(OsString::from)
        .chain(names.iter().cloned())
        .collect()
}

#[test]
fn a_list_of_files_with_odd_names_verifies_and_has_a_line_a_file() {
    let folder = folder();
    let names = odd(folder.path());
    for algorithm in ["sha256", "sha384", "sha512", "blake3"] {
        let words = names_after(&["--algorithm", algorithm, "--"], &names);
        let listed = hash(folder.path(), words).succeeded().raw;
        let lines: Vec<&[u8]> = listed.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), names.len());
        assert!(lines[2].ends_with(b"  line\\nfeed\n"), "{:?}", lines[2]);
        assert!(lines[2].starts_with(format!("\\{algorithm}:").as_bytes()));
        std::fs::write(folder.path().join("list"), &listed).unwrap();
        let outcome = hash(folder.path(), ["--check", "list"]).succeeded();
        assert_eq!(outcome.stdout.lines().count(), names.len(), "{outcome:#?}");
        assert!(outcome.stdout.lines().all(|line| line.ends_with(": OK")));
        assert!(!outcome.stdout.contains("\nx: OK"), "{outcome:#?}");
    }
}

#[test]
fn names_are_escaped_as_sha256sum_escapes_them() {
    let folder = folder();
    let names = odd(folder.path());
    let mut command = Command::new("sha256sum");
    command
        .current_dir(folder.path())
        .args(names_after(&["--"], &names));
    let other = run(command, b"").succeeded().raw;
    let ours = hash(folder.path(), names_after(&["--"], &names))
        .succeeded()
        .raw;
    let bare: Vec<u8> = String::from_utf8_lossy(&ours)
        .replace("sha256:", "")
        .into_bytes();
    assert_eq!(
        String::from_utf8_lossy(&other),
        String::from_utf8_lossy(&bare)
    );
    // And its lists are read.
    std::fs::write(folder.path().join("list"), other).unwrap();
    let outcome = hash(folder.path(), ["--check", "list"]).succeeded();
    assert!(outcome.stdout.lines().all(|line| line.ends_with(": OK")));
    // Those of another algorithm when it is named.
    let mut command = Command::new("sha512sum");
    command.current_dir(folder.path()).arg("plain");
    std::fs::write(folder.path().join("list"), run(command, b"").raw).unwrap();
    let outcome = hash(folder.path(), ["--algorithm", "sha512", "--check", "list"]);
    outcome.succeeded().prints("plain: OK\n");
    mistaken(
        hash(folder.path(), ["--check", "list"]),
        "list:1: the hash has 128",
    );
}

#[test]
fn what_does_not_match_is_status_one() {
    let folder = folder();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("good", "good");
    file("bad", "bad");
    let listed = hash(folder.path(), ["good", "bad"]).succeeded().stdout;
    file("bad", "worse");
    let gone = listed
        .lines()
        .last()
        .unwrap()
        .replace("  bad", "  gone\x1b[2J");
    file("list", &format!("{listed}{gone}\n"));
    let outcome = hash(folder.path(), ["--check", "list"]);
    assert_eq!((outcome.status, &*outcome.stderr), (1, ""));
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[..2], ["good: OK", "bad: FAILED"]);
    assert!(
        lines[2].starts_with("gone\\u{1b}[2J: FAILED ('gone\\u{1b}[2J': open: "),
        "{lines:?}"
    );
    // Another algorithm's digest of the same length is no match.
    let swapped = listed.lines().next().unwrap().replace("sha256:", "blake3:");
    file("list", &format!("{swapped}\r\n"));
    assert_eq!(hash(folder.path(), ["--check", "list"]).status, 1);
    let verity = swapped.replace("blake3:", "fs-verity-sha256:");
    file("list", &verity);
    let outcome = hash(folder.path(), ["--check", "list"]);
    assert_eq!(outcome.status, 1);
    outcome.prints("good: FAILED ('good': fs-verity-sha256 is the kernel's to measure)\n");
}

#[test]
fn a_list_with_a_mistake_is_placed() {
    let folder = folder();
    std::fs::write(folder.path().join("f"), "").unwrap();
    let zeros = "0".repeat(64);
    for (text, what) in [
        (String::new(), "list: the list is empty"),
        ("\n".into(), "list: the list is empty"),
        ("sha256:00\n".into(), "list:1: write '<digest>  <path>'"),
        (format!("{zeros} f\n"), "list:1: write"),
        (format!("{zeros}  \n"), "list:1: write"),
        (format!("\\{zeros}  a\\tb\n"), "list:1: write"),
        (format!("\\{zeros}  a\\\n"), "list:1: write"),
        (
            "00  f\n".into(),
            "list:1: the hash has 2 hexadecimal digits",
        ),
        (
            format!("md5:{zeros}  f\n"),
            "list:1: 'md5' is not a known algorithm",
        ),
        (
            format!("{}\x1b  f\n", &zeros[1..]),
            "'\\u{1b}' is no hexadecimal digit",
        ),
        ("\0\0\0\n".into(), "list:1: write"),
    ] {
        std::fs::write(folder.path().join("list"), text).unwrap();
        mistaken(hash(folder.path(), ["--check", "list"]), what);
    }
    // What was verified before it is not lost.
    let first = hash(folder.path(), ["f"]).stdout;
    std::fs::write(folder.path().join("list"), format!("{first}\n{first}")).unwrap();
    let outcome = hash(folder.path(), ["--check", "list"]);
    assert_eq!((outcome.status, &*outcome.stdout), (125, "f: OK\n"));
    outcome.says("list:2: write");
}

#[test]
fn only_regular_files_are_read() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("folder")).unwrap();
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
    for (name, what) in [
        ("folder", "it is a folder, not a regular file"),
        ("fifo", "it is a FIFO"),
        ("/dev/zero", "it is a character device"),
        ("socket", "'socket': open: "),
        ("missing", "'missing': open: "),
        ("missing/\x1b[2J", "'missing/\\u{1b}[2J': open: "),
        ("", "'': open: "),
    ] {
        mistaken(hash(folder.path(), ["--file", name]), what);
        mistaken(hash(folder.path(), ["--", name]), what);
        if !["folder", ""].contains(&name) {
            mistaken(hash(folder.path(), ["--check", name]), "can't be read");
        }
    }
    let long = "x".repeat(5000);
    mistaken(hash(folder.path(), ["--file", &long]), "bytes)");
}

#[test]
fn mistakes_on_the_command_line() {
    let folder = folder();
    for (words, what) in [
        (&[][..], "no file given"),
        (&["--file"], "'--file'"),
        (&["--nonsense"], "'--nonsense'"),
        (&["-x\x1b"], "'-x'"),
        (&["--\x1b[2J"], "--\\u{1b}[2J"),
        (&["--algorithm", "md5", "f"], "md5"),
        (&["--algorithm", "SHA256", "f"], "SHA256"),
        (
            &["--algorithm", "fs-verity-sha256", "/bin/sh"],
            "is not one of",
        ),
        (&["--check", "a", "b"], "--check takes no other files"),
        (
            &["--check", "a", "--file", "b"],
            "--check takes no other files",
        ),
    ] {
        mistaken(hash(folder.path(), words), what);
    }
    for word in ["--help", "--version", "-h", "-V"] {
        let outcome = hash(folder.path(), [word]).succeeded();
        assert!(outcome.stdout.contains("plugin-hash") && outcome.stderr.is_empty());
    }
}

#[test]
fn streams_that_are_closed_or_full() {
    let folder = folder();
    std::fs::write(folder.path().join("f"), "abc").unwrap();
    let shell = |redirected: &str| {
        let mut command = Command::new("sh");
        let script = format!("exec \"$0\" --file f {redirected}");
        command.current_dir(folder.path()).args(["-c", &script]);
        command.arg(PathBuf::from(env!("CARGO_BIN_EXE_plugin-hash")));
        run(command, b"")
    };
    let digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n";
    shell("<&-").succeeded().prints(digest);
    shell("<&- 2>&-").succeeded().prints(digest);
    shell(">/dev/full").refused(125).says("standard output: ");
    // A reader that went away is an error, not a signal.
    let mut command = Command::new(env!("CARGO_BIN_EXE_plugin-hash"));
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    command
        .current_dir(folder.path())
        .args(["--file", "f"])
        .stdout(writer)
        .stderr(Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(125));
}
