//! Names of the files that belong to one log. All lie in its folder.

/// Digits of a rotation's number, so that names sort as they were made.
const DIGITS: usize = 6;

/// The name of the file that the log became at its `number`th rotation:
/// `audit.log.000007`. Numbers are never used again, and a file never changes
/// its name but for `.gz`.
#[must_use]
pub fn rotated(log: &str, number: u64) -> String {
    format!("{log}.{number:0DIGITS$}")
}

/// A file of a log's past.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotated {
    /// Number of the rotation, from 1.
    pub number: u64,
    /// It is compressed (RFC 1952).
    pub is_compressed: bool,
    /// Name in the log's folder.
    pub name: String,
}

impl Rotated {
    /// What a file of that name is to the log; `None` where it is nothing.
    #[must_use]
    pub fn of(log: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(log)?.strip_prefix('.')?;
        let (digits, is_compressed) = match rest.strip_suffix(".gz") {
            Some(digits) => (digits, true),
            None => (rest, false),
        };
        if digits.len() < DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let number = digits.parse().ok().filter(|number| *number > 0)?;
        // A number has one name, or two files could be the same rotation's.
        (rotated(log, number).len() == log.len() + 1 + digits.len()).then(|| Self {
            number,
            is_compressed,
            name: name.to_string(),
        })
    }
}

/// The file with the state of a log's writers. Hidden, so that what tails
/// `audit.log*` does not read it.
#[must_use]
pub fn state(log: &str) -> String {
    format!(".{log}.state")
}

/// The file with their locks. It is empty.
#[must_use]
pub fn lock(log: &str) -> String {
    format!(".{log}.lock")
}

/// The file with the signed head.
#[must_use]
pub fn head(log: &str) -> String {
    format!("{log}.head")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_has_one_name() {
        for number in [1, 999_999, 1_000_000] {
            let name = rotated("audit.log", number);
            let found = Rotated::of("audit.log", &name).unwrap();
            assert_eq!((found.number, found.is_compressed), (number, false));
            assert!(
                Rotated::of("audit.log", &format!("{name}.gz"))
                    .unwrap()
                    .is_compressed
            );
        }
        for other in [
            "audit.log",
            "audit.log.1",
            "audit.log.0000001",
            "audit.log.000000",
            "audit.log.000001.tmp",
            "audit.log.head",
            "audit.log.00000x",
            "other.log.000001",
        ] {
            assert_eq!(Rotated::of("audit.log", other), None, "{other}");
        }
    }
}
