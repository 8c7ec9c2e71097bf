//! `plugin-hash`: digests of files, and checking them.

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use secure_exec_core::digest::{Algorithm, Digest, Hasher};
use secure_exec_core::escape::{Escaped, Whole};
use secure_exec_sys::open::{self, Kind};

use crate::image::digest_file;
use crate::trail::Trail;
use crate::trust;

const HELP: &str = "\
Usage: plugin-hash --file PATH [--algorithm ALGORITHM]
       plugin-hash [--algorithm ALGORITHM] PATH...
       plugin-hash --check FILE

Prints the digest of a plugin, as a whitelist has it. With paths as operands,
prints '<digest>  <path>' lines; --check verifies such lines, and sha256sum's.

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
    let mut output = Vec::new();
    let status = run(std::env::args_os().skip(1), &mut output);
    let printed = std::io::stdout().write_all(&output);
    let message = match (status, printed) {
        (Ok(status), Ok(())) => return status,
        (Err(message), _) => message,
        (Ok(_), Err(error)) => format!("standard output: {error}"),
    };
    let _closed = writeln!(std::io::stderr(), "ERROR: {message}");
    ExitCode::from(125)
}

fn run(words: impl Iterator<Item = OsString>, output: &mut Vec<u8>) -> Result<ExitCode, String> {
    let Some(arguments) = parse(words, output)? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(list) = &arguments.check {
        return check(list, arguments.algorithm, output);
    }
    if let Some(file) = &arguments.file {
        let digest = digest(file, arguments.algorithm)?;
        output.extend(format!("{digest}\n").bytes());
        return Ok(ExitCode::SUCCESS);
    }
    for file in &arguments.operands {
        let digest = digest(file, arguments.algorithm)?;
        output.extend(line(&digest, file));
    }
    Ok(ExitCode::SUCCESS)
}

fn parse(
    words: impl Iterator<Item = OsString>,
    output: &mut Vec<u8>,
) -> Result<Option<Arguments>, String> {
    use lexopt::Arg::{Long, Short, Value};
    let usage = |error: lexopt::Error| {
        let error = error.to_string();
        format!("{}\nTry 'plugin-hash --help'.", Escaped(&error))
    };
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
                output.extend(HELP.bytes());
                return Ok(None);
            }
            Short('V') | Long("version") => {
                output.extend(concat!("plugin-hash ", env!("CARGO_PKG_VERSION"), "\n").bytes());
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

/// The digest of a regular file.
///
/// # Errors
/// A sentence that names the file.
pub fn digest(path: &Path, algorithm: Algorithm) -> Result<Digest, String> {
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

/// A line that names one file, whatever its name is: as coreutils do, a line
/// with a line feed, carriage return or backslash in the name begins with a
/// backslash and has them as `\n`, `\r` and `\\`.
fn line(digest: &Digest, path: &Path) -> Vec<u8> {
    let name = path.as_os_str().as_bytes();
    let mut line = Vec::with_capacity(name.len().saturating_add(160));
    if name.iter().any(|byte| b"\n\r\\".contains(byte)) {
        line.push(b'\\');
    }
    line.extend(format!("{digest}  ").bytes());
    for byte in name {
        match byte {
            b'\n' => line.extend(br"\n"),
            b'\r' => line.extend(br"\r"),
            b'\\' => line.extend(br"\\"),
            other => line.push(*other),
        }
    }
    line.push(b'\n');
    line
}

/// What [`line`] wrote: the digest and the path.
fn read_line(line: &[u8]) -> Option<(&str, PathBuf)> {
    let (line, is_escaped) = match line.strip_prefix(br"\") {
        Some(rest) => (rest, true),
        None => (line, false),
    };
    let at = line.windows(2).position(|pair| pair == b"  ")?;
    let (digest, name) = (line.get(..at)?, line.get(at.checked_add(2)?..)?);
    if name.is_empty() {
        return None;
    }
    let name = if is_escaped {
        unescape(name)?
    } else {
        name.to_vec()
    };
    let digest = std::str::from_utf8(digest).ok()?;
    Some((digest, PathBuf::from(OsString::from_vec(name))))
}

fn unescape(name: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            },
            other => *other,
        });
    }
    Some(plain)
}

/// Verifies lines of `<digest>  <path>`.
fn check(list: &Path, algorithm: Algorithm, output: &mut Vec<u8>) -> Result<ExitCode, String> {
    let loaded = trust::read(list, &Trail::default()).map_err(|error| error.to_string())?;
    let list = list.to_string_lossy();
    let list = Escaped(&list);
    let mut failed = false;
    let lines = loaded.bytes.strip_suffix(b"\n").unwrap_or(&loaded.bytes);
    if lines.is_empty() {
        return Err(format!(
            "{list}: the list is empty, so nothing was verified"
        ));
    }
    for (number, line) in (1_usize..).zip(lines.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (expected, path) =
            read_line(line).ok_or_else(|| format!("{list}:{number}: write '<digest>  <path>'"))?;
        let expected =
            Digest::parse(expected, algorithm).map_err(|why| format!("{list}:{number}: {why}"))?;
        let verdict = match digest(&path, expected.algorithm()) {
            Ok(actual) if actual.matches(&expected) => "OK".to_string(),
            Ok(_) => "FAILED".to_string(),
            Err(why) => format!("FAILED ({why})"),
        };
        failed |= verdict != "OK";
        let path = path.to_string_lossy();
        output.extend(format!("{}: {verdict}\n", Whole(&path)).bytes());
    }
    Ok(ExitCode::from(u8::from(failed)))
}
