//! Small programs, built when a test first asks for them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds a dynamic C program.
pub(crate) fn c(source: &str) -> PathBuf {
    built("c", source, |text, out| {
        let mut command = Command::new("gcc");
        command.args(["-O1", "-Wall", "-Wno-unused-result", "-pthread", "-o"]);
        command.arg(out).arg(text);
        command
    })
}

/// Builds a dynamic C program of all the C files in a folder.
pub(crate) fn c_folder(folder: &Path) -> PathBuf {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    let is = |file: &PathBuf, extension: &str| file.extension().is_some_and(|e| e == extension);
    files.retain(|file| is(file, "c") || is(file, "h"));
    files.sort();
    let texts = files
        .iter()
        .map(|file| std::fs::read_to_string(file).unwrap());
    let texts: String = texts.collect();
    built("c", &texts, |_, out| {
        let mut command = Command::new("gcc");
        command.args(["-O1", "-Wall", "-Wno-unused-result", "-pthread", "-o"]);
        command.arg(out);
        command.args(files.iter().filter(|file| is(file, "c")));
        command
    })
}

/// Builds a static C program.
pub(crate) fn static_c(source: &str) -> PathBuf {
    built("c", source, |text, out| {
        let mut command = Command::new("musl-gcc");
        command.args(["-O1", "-static", "-o"]).arg(out).arg(text);
        command
    })
}

/// Builds a shared C library.
pub(crate) fn shared_c(source: &str) -> PathBuf {
    built("c", source, |text, out| {
        let mut command = Command::new("gcc");
        command.args(["-O1", "-Wall", "-fPIC", "-shared", "-o"]);
        command.arg(out).arg(text);
        command
    })
}

/// Builds a Go program.
pub(crate) fn go(source: &str) -> PathBuf {
    built("go", source, |text, out| {
        let mut command = Command::new("go");
        command.env("CGO_ENABLED", "0").env("GOFLAGS", "-mod=mod");
        command.env("GO111MODULE", "off");
        command.env("GOCACHE", concat!(env!("CARGO_TARGET_TMPDIR"), "/go"));
        command.args(["build", "-o"]).arg(out).arg(text);
        command
    })
}

/// Builds with a compiler, once for each source and compiler; tests that run
/// at the same time may both build it, and the last rename wins.
fn built(
    extension: &str,
    source: &str,
    compiler: impl Fn(&PathBuf, &PathBuf) -> Command,
) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let nothing = PathBuf::new();
    let mut hasher = DefaultHasher::new();
    (source, format!("{:?}", compiler(&nothing, &nothing))).hash(&mut hasher);
    let program = folder.join(format!("program-{:016x}", hasher.finish()));
    if program.exists() {
        return program;
    }
    let own = tempfile::tempdir_in(&folder).unwrap();
    let text = own.path().join(format!("program.{extension}"));
    let out = own.path().join("program");
    std::fs::write(&text, source).unwrap();
    let mut command = compiler(&text, &out);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{:?} is needed: {error}", command.get_program()));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::rename(out, &program).unwrap();
    program
}
