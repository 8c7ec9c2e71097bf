//! Digests: their text, their comparison, their computation.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use crate::escape::Escaped;

/// A digest algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256 (FIPS 180-4).
    #[default]
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// BLAKE3 with 256 bits.
    Blake3,
    /// The kernel's fs-verity measurement with SHA-256.
    FsVeritySha256,
}

impl Algorithm {
    /// All algorithms.
    pub const ALL: [Self; 5] = [
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Blake3,
        Self::FsVeritySha256,
    ];

    /// The name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
            Self::FsVeritySha256 => "fs-verity-sha256",
        }
    }

    /// The algorithm of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Length in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 | Self::FsVeritySha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Algorithm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            de::Error::custom(format!(
                "unknown algorithm '{}'; known are {known}",
                Escaped(&name)
            ))
        })
    }
}

/// A digest with its algorithm. Compare with [`Digest::matches`] where the
/// other side is an attacker's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

impl Digest {
    /// A digest from its bytes; `None` where their number is wrong.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == algorithm.size()).then(|| Self {
            algorithm,
            bytes: bytes.to_vec(),
        })
    }

    /// Reads `sha256:<hex>` or bare hexadecimal digits of the given algorithm.
    ///
    /// # Errors
    /// An unknown algorithm, a wrong number of digits, a wrong digit.
    pub fn parse(text: &str, default: Algorithm) -> Result<Self, MalformedDigest> {
        let malformed = |why: String| MalformedDigest {
            text: text.to_string(),
            why,
        };
        let (algorithm, digits) = match text.split_once(':') {
            None => (default, text),
            Some((name, digits)) => match Algorithm::from_name(name) {
                Some(algorithm) => (algorithm, digits),
                None => {
                    return Err(malformed(format!(
                        "'{}' is not a known algorithm",
                        Escaped(name)
                    )));
                }
            },
        };
        if let Some(wrong) = digits.chars().find(|c| !c.is_ascii_hexdigit()) {
            let wrong = wrong.to_string();
            return Err(malformed(format!(
                "'{}' is no hexadecimal digit",
                Escaped(&wrong)
            )));
        }
        let needed = algorithm.size().saturating_mul(2);
        if digits.len() != needed {
            let count = digits.len();
            return Err(malformed(format!(
                "the hash has {count} hexadecimal digits, {algorithm} needs {needed}"
            )));
        }
        let value = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .and_then(|v| u8::try_from(v).ok())
        };
        let bytes = digits
            .as_bytes()
            .chunks_exact(2)
            .filter_map(|pair| match pair {
                [high, low] => Some(value(*high)? << 4 | value(*low)?),
                _ => None,
            })
            .collect();
        Ok(Self { algorithm, bytes })
    }

    /// The algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Compares in a time that does not tell where the difference is.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.algorithm == other.algorithm && bool::from(self.bytes.ct_eq(&other.bytes))
    }

    /// The hexadecimal digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        use fmt::Write as _;
        self.bytes.iter().fold(String::new(), |mut text, byte| {
            // Writing into a string has no way to fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

/// Text that should be a digest and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedDigest {
    text: String,
    why: String,
}

impl MalformedDigest {
    /// A digest that is refused for a reason outside of its text.
    #[must_use]
    pub fn new(text: &str, why: String) -> Self {
        Self {
            text: text.to_string(),
            why,
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl std::error::Error for MalformedDigest {}

impl fmt::Display for MalformedDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

/// A digest in the making.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(sha2::Sha256),
    Sha384(sha2::Sha384),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Starts. `None` for fs-verity, which the kernel alone measures.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Option<Self> {
        Some(Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => State::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
            Algorithm::FsVeritySha256 => return None,
        }))
    }

    /// Takes in more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha384(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    /// The digest of all that was taken in.
    #[must_use]
    pub fn finish(self) -> Digest {
        let (algorithm, bytes) = match self.0 {
            State::Sha256(state) => (Algorithm::Sha256, state.finalize().to_vec()),
            State::Sha384(state) => (Algorithm::Sha384, state.finalize().to_vec()),
            State::Sha512(state) => (Algorithm::Sha512, state.finalize().to_vec()),
            State::Blake3(state) => (Algorithm::Blake3, state.finalize().as_bytes().to_vec()),
        };
        Digest { algorithm, bytes }
    }
}

/// The SHA-256 of bytes, for what is named by its digest in records.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest {
        algorithm: Algorithm::Sha256,
        bytes: sha2::Sha256::digest(bytes).to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Digests of "abc": FIPS 180-4 examples, BLAKE3 test vectors' generator.
    const ABC: &[(&str, &str)] = &[
        (
            "sha256",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            "sha384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
        (
            "blake3",
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ),
    ];

    #[test]
    fn known_digests() {
        for (name, hex) in ABC {
            let mut hasher = Hasher::new(Algorithm::from_name(name).unwrap()).unwrap();
            hasher.update(b"a");
            hasher.update(b"bc");
            let digest = hasher.finish();
            assert_eq!(digest.hex(), *hex);
            let text = format!("{name}:{}", hex.to_uppercase());
            assert!(
                Digest::parse(&text, Algorithm::Sha256)
                    .unwrap()
                    .matches(&digest)
            );
        }
    }

    #[test]
    fn malformed_digests_say_why() {
        let why = |text: &str| {
            Digest::parse(text, Algorithm::Sha256)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            why(&"a".repeat(62)),
            "the hash has 62 hexadecimal digits, sha256 needs 64"
        );
        assert_eq!(
            why(&format!("sha512:{}", "a".repeat(65))),
            "the hash has 65 hexadecimal digits, sha512 needs 128"
        );
        assert_eq!(why("md5:00"), "'md5' is not a known algorithm");
        assert_eq!(why("sha256:\x1b"), "'\\u{1b}' is no hexadecimal digit");
    }

    #[test]
    fn algorithms_do_not_match_each_other() {
        let one = Digest::from_bytes(Algorithm::Sha256, &[1; 32]).unwrap();
        let other = Digest::from_bytes(Algorithm::Blake3, &[1; 32]).unwrap();
        assert!(!one.matches(&other));
    }
}
