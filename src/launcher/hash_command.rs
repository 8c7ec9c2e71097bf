//! `plugin-hash`: digests of files, and checking them.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secure_exec_core::digest::{Algorithm, Digest, Hasher};
use secure_exec_core::escape::Escaped;
use secure_exec_sys::open::{self, Kind};

use crate::image::digest_file;
use crate::trust;

const HELP: &str = "\
Usage: plugin-hash --file PATH [--algorithm ALGORITHM]
       plugin-hash [--algorithm ALGORITHM] PATH...
       plugin-hash --check FILE

Prints the digest of a plugin, as a whitelist has it. With paths as operands,
prints '<digest>  <path>' lines; --check verifies such lines.

Options:
  --file PATH             one file: prints '<algorithm>:<hex>'
  --algorithm ALGORITHM   sha256 (default), sha384, sha512, blake3
  --check FILE            verify the digests that FILE lists
  -h, --help              this text
  -V, --version           the version

Exit status: 0; 1 a digest did not match; 125 a mistake or an unreadable file.
";

/// Files are hashed up to this size.
const LIMIT: u64 = 1 << 40;

#[derive(Default)]
struct Arguments {
    file: Option<PathBuf>,
    algorithm: Algorithm,
    check: Option<PathBuf>,
    operands: Vec<PathBuf>,
}

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    let mut output = String::new();
    let status = run(std::env::args_os().skip(1), &mut output);
    let printed = std::io::stdout().write_all(output.as_bytes());
    let message = match (status, printed) {
        (Ok(status), Ok(())) => return status,
        (Err(message), _) => message,
        (Ok(_), Err(error)) => format!("standard output: {error}"),
    };
    let _closed = writeln!(std::io::stderr(), "ERROR: {message}");
    ExitCode::from(125)
}

fn run(words: impl Iterator<Item = OsString>, output: &mut String) -> Result<ExitCode, String> {
    let Some(arguments) = parse(words, output)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(list) = &arguments.check {
        return check(list, output);
    }
    if let Some(file) = &arguments.file {
        let digest = digest(file, arguments.algorithm)?;
        output.push_str(&format!("{digest}\n"));
        return Ok(ExitCode::SUCCESS);
    }
    for file in &arguments.operands {
        let digest = digest(file, arguments.algorithm)?;
        output.push_str(&format!("{digest}  {}\n", file.to_string_lossy()));
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(
    words: impl Iterator<Item = OsString>,
    output: &mut String,
) -> Result<Option<Arguments>, String> {
    use lexopt::Arg::{Long, Short, Value};
    let usage = |error: lexopt::Error| format!("{error}\nTry 'plugin-hash --help'.");
    let mut parser = lexopt::Parser::from_args(words);
    let mut typed = Arguments::default();
    while let Some(argument) = parser.next().map_err(usage)? {
        match argument {
            Long("file") => typed.file = Some(parser.value().map_err(usage)?.into()),
            Long("check") => typed.check = Some(parser.value().map_err(usage)?.into()),
            Long("algorithm") => {
                let name = parser.value().map_err(usage)?;
                let name = name.to_string_lossy();
                typed.algorithm = Algorithm::from_name(&name)
                    .filter(|algorithm| Hasher::new(*algorithm).is_some())
                    .ok_or_else(|| {
                        format!(
                            "--algorithm: '{}' is not one of sha256, sha384, sha512, blake3",
                            Escaped(&name)
                        )
                    })?;
            }
            Short('h') | Long("help") => {
                output.push_str(HELP);
                return Ok(None);
            }
            Short('V') | Long("version") => {
                output.push_str(concat!("plugin-hash ", env!("CARGO_PKG_VERSION"), "\n"));
                return Ok(None);
            }
            Value(path) => typed.operands.push(path.into()),
            unknown @ (Long(_) | Short(_)) => return Err(usage(unknown.unexpected())),
        }
    }
    if let Some(file) = typed.file.take() {
        if typed.operands.is_empty() {
            typed.file = Some(file);
        } else {
            typed.operands.insert(0, file);
        }
    }
    match (&typed.file, &typed.check, typed.operands.is_empty()) {
        (None, None, true) => Err("no file given\nTry 'plugin-hash --help'.".into()),
        (_, Some(_), false) | (Some(_), Some(_), _) => Err("--check takes no other files".into()),
        _ => Ok(Some(typed)),
    }
}

fn digest(path: &Path, algorithm: Algorithm) -> Result<Digest, String> {
    let shown = path.to_string_lossy();
    let failed = |why: String| format!("'{}': {why}", Escaped(&shown));
    let file = open::open_file(path).map_err(|error| failed(error.to_string()))?;
    let stat = open::stat(file.as_fd()).map_err(|error| failed(error.to_string()))?;
    if stat.kind != Kind::Regular {
        return Err(failed(format!("it is {}, not a regular file", stat.kind)));
    }
    let hasher = Hasher::new(algorithm)
        .ok_or_else(|| failed(format!("{algorithm} is the kernel's to measure")))?;
    digest_file(file.as_fd(), hasher, LIMIT)
        .map_err(|error| failed(error.to_string()))?
        .ok_or_else(|| failed("it is too large".into()))
}

/// Verifies lines of `<digest>  <path>`.
fn check(list: &Path, output: &mut String) -> Result<ExitCode, String> {
    let loaded = trust::read(list).map_err(|error| error.to_string())?;
    let text = String::from_utf8(loaded.bytes)
        .map_err(|_| format!("'{}' is not UTF-8", list.to_string_lossy()))?;
    let mut failed = 0_usize;
    for (number, line) in (1_usize..).zip(text.lines()) {
        let place = || format!("{}:{number}", list.to_string_lossy());
        let (expected, path) = line
            .split_once("  ")
            .ok_or_else(|| format!("{}: write '<digest>  <path>'", place()))?;
        let expected = Digest::parse(expected, Algorithm::Sha256)
            .map_err(|why| format!("{}: {why}", place()))?;
        let verdict = match digest(Path::new(path), expected.algorithm()) {
            Ok(actual) if actual.matches(&expected) => "OK".to_string(),
            Ok(_) => "FAILED".to_string(),
            Err(why) => format!("FAILED ({why})"),
        };
        failed = failed.saturating_add(usize::from(verdict != "OK"));
        output.push_str(&format!("{}: {verdict}\n", Escaped(path)));
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}
