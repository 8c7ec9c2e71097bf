//! The lock file of an entry: the pins of a plugin with many modules, one a
//! line, where a list in the whitelist would bury the entry.
//!
//! ```text
//! secure-exec-lock 1
//! sha256:<64 hex>  /usr/lib/python3/dist-packages/yaml/__init__.py
//! ```
//!
//! There is one way to write a list of pins: sorted by path, each path once,
//! each line ended by a line feed. So nothing in it can be read in two ways.

use std::fmt;

use super::Pin;
use crate::digest::{Algorithm, Digest};
use crate::escape::{Escaped, is_unsafe};
use crate::located::{LocatedError, located};

/// The largest lock file that is read, in bytes: a hundred thousand pins.
pub const LARGEST_LOCK: usize = 16 << 20;

const FIRST_LINE: &str = "secure-exec-lock 1";
/// Between digest and path.
const GAP: &str = "  ";

/// A pin that a lock file can't hold: the reason, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfitPin(String);

impl std::error::Error for UnfitPin {}

impl fmt::Display for UnfitPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a lock file can hold a path: one line, that every terminal shows as
/// it is.
#[must_use]
pub fn is_fit(path: &str) -> bool {
    why_unfit(path).is_none()
}

fn why_unfit(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        Some("the path must be absolute")
    } else if path.split('/').any(|part| part == "..") {
        Some("the path contains '..'")
    } else if path.chars().any(is_unsafe) {
        Some("the path contains a control character")
    } else {
        None
    }
}

/// Reads a lock file.
///
/// # Errors
/// The first mistake, with its place.
pub fn parse_lock(bytes: &[u8], file: &str) -> Result<Vec<Pin>, LocatedError> {
    let nowhere = |why: &str| located("", file, 0, 0, why.to_string());
    if bytes.len() > LARGEST_LOCK {
        return Err(nowhere("the lock file is larger than 16 MiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| nowhere("the lock file is not UTF-8"))?;
    let at = |line: usize, column: usize, why: String| {
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        located(text, file, narrow(line), narrow(column), why)
    };
    let mut rest = text
        .strip_prefix(FIRST_LINE)
        .and_then(|rest| rest.strip_prefix('\n'))
        .ok_or_else(|| at(1, 1, format!("the first line must be '{FIRST_LINE}'")))?;
    let mut pins: Vec<Pin> = Vec::new();
    let mut number: usize = 1;
    while !rest.is_empty() {
        number = number.saturating_add(1);
        let (line, after) = rest.split_once('\n').ok_or_else(|| {
            at(
                number,
                1,
                "the last line has no end: the file is cut off".into(),
            )
        })?;
        rest = after;
        let (digest, path) = line.split_once(GAP).ok_or_else(|| {
            let why = "expected a digest, two blanks and a path".to_string();
            at(number, 1, why)
        })?;
        let hash = read_digest(digest).map_err(|why| at(number, 1, why))?;
        let column = digest.len().saturating_add(GAP.len()).saturating_add(1);
        if let Some(why) = why_unfit(path) {
            return Err(at(number, column, why.into()));
        }
        if let Some(before) = pins.last()
            && before.path.as_str() >= path
        {
            let why = format!(
                "the paths must be sorted, each once: '{}' stands before '{}'",
                Escaped(&before.path),
                Escaped(path)
            );
            return Err(at(number, column, why));
        }
        pins.push(Pin {
            path: path.to_string(),
            hash: Some(hash),
        });
    }
    Ok(pins)
}

/// One spelling alone: with its algorithm, in small letters.
fn read_digest(text: &str) -> Result<Digest, String> {
    let digest = Digest::parse(text, Algorithm::Sha256).map_err(|why| why.to_string())?;
    if digest.algorithm() == Algorithm::FsVeritySha256 {
        return Err("fs-verity digests are for plugins alone".into());
    }
    if digest.to_string() != text {
        return Err("expected the algorithm, ':' and hexadecimal digits in small letters".into());
    }
    Ok(digest)
}

/// Writes a lock file.
///
/// # Errors
/// A pin has no digest, or a path that a lock file can't hold.
pub fn write_lock(pins: &[Pin]) -> Result<String, UnfitPin> {
    let mut sorted: Vec<&Pin> = pins.iter().collect();
    sorted.sort_by(|one, other| one.path.cmp(&other.path));
    sorted.dedup_by(|one, other| one.path == other.path);
    let mut text = format!("{FIRST_LINE}\n");
    for pin in sorted {
        let unfit = |why: &str| UnfitPin(format!("'{}': {why}", Escaped(&pin.path)));
        if let Some(why) = why_unfit(&pin.path) {
            return Err(unfit(why));
        }
        let hash = pin.hash.as_ref().ok_or_else(|| unfit("it has no hash"))?;
        text.push_str(&hash.to_string());
        text.push_str(GAP);
        text.push_str(&pin.path);
        text.push('\n');
    }
    if text.len() > LARGEST_LOCK {
        return Err(UnfitPin("the lock file would grow beyond 16 MiB".into()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(64))
    }

    fn pins() -> Vec<Pin> {
        let pin = |path: &str, digit| Pin {
            path: path.into(),
            hash: Some(Digest::parse(&digest(digit), Algorithm::Sha256).unwrap()),
        };
        vec![pin("/a  b", '1'), pin("/a/ü", '2'), pin("/b", '3')]
    }

    #[test]
    fn what_is_written_is_read() {
        let mut shuffled = pins();
        shuffled.reverse();
        let text = write_lock(&shuffled).unwrap();
        assert_eq!(parse_lock(text.as_bytes(), "l").unwrap(), pins());
        let none = parse_lock(write_lock(&[]).unwrap().as_bytes(), "l");
        assert_eq!(none.unwrap(), []);
    }

    #[test]
    fn mistakes_have_a_place() {
        let (one, two) = (digest('1'), digest('2'));
        let behind = u32::try_from(one.len()).unwrap() + 3;
        for (lines, line, column) in [
            (String::new(), 1, 1),
            ("secure-exec-lock 2\n".into(), 1, 1),
            ("secure-exec-lock 1".into(), 1, 1),
            ("secure-exec-lock 1\r\n".into(), 1, 1),
            ("\u{feff}secure-exec-lock 1\n".into(), 1, 1),
            (format!("{FIRST_LINE}\n\n"), 2, 1),
            (format!("{FIRST_LINE}\n# no\n"), 2, 1),
            (format!("{FIRST_LINE}\n{one} /a\n"), 2, 1),
            (format!("{FIRST_LINE}\n{one}  /a"), 2, 1),
            (format!("{FIRST_LINE}\n{one}  /a\r\n"), 2, behind),
            (format!("{FIRST_LINE}\n{one}  a\n"), 2, behind),
            (format!("{FIRST_LINE}\n{one}  \n"), 2, behind),
            (format!("{FIRST_LINE}\n{one}  /a/../b\n"), 2, behind),
            (format!("{FIRST_LINE}\n{one}  /a\0\n"), 2, behind),
            (format!("{FIRST_LINE}\n{one}  /\u{202e}\n"), 2, behind),
            (format!("{FIRST_LINE}\n{one}  /b\n{two}  /a\n"), 3, behind),
            (format!("{FIRST_LINE}\n{one}  /a\n{two}  /a\n"), 3, behind),
            (format!("{FIRST_LINE}\n{}  /a\n", "1".repeat(64)), 2, 1),
            (format!("{FIRST_LINE}\n{}  /a\n", digest('A')), 2, 1),
            (format!("{FIRST_LINE}\nfs-verity-{one}  /a\n"), 2, 1),
            (format!("{FIRST_LINE}\n{}  /a\n", &one[..70]), 2, 1),
        ] {
            let error = parse_lock(lines.as_bytes(), "l").unwrap_err();
            assert_eq!(
                (error.line, error.column),
                (line, column),
                "{lines:?}: {error}"
            );
            let shown = error.to_string();
            assert!(
                !shown.chars().any(|c| c != '\n' && is_unsafe(c)),
                "{shown:?}"
            );
        }
        assert!(parse_lock(b"secure-exec-lock 1\n\xff", "l").is_err());
    }

    #[test]
    fn size_is_bounded_before_it_is_looked_at() {
        let large = vec![b'\n'; LARGEST_LOCK + 1];
        let error = parse_lock(&large, "l").unwrap_err();
        assert!(error.message.contains("16 MiB"), "{error}");
    }

    #[test]
    fn what_can_not_be_read_back_is_not_written() {
        for path in ["a", "/a\nb", "/../a", "/\u{202e}"] {
            let pin = Pin {
                path: path.into(),
                hash: pins()[0].hash.clone(),
            };
            assert!(write_lock(&[pin]).is_err(), "{path:?}");
        }
        let bare = Pin {
            path: "/a".into(),
            hash: None,
        };
        assert!(write_lock(&[bare]).is_err());
    }
}
