//! The signed head of a log: its last number and hash under an Ed25519 key
//! (RFC 8032), so that whoever lacks the key can neither cut the end of the
//! log nor write it anew from some record on.
//!
//! A key signs one log: where two share one, they could be exchanged with
//! their heads.

use std::fmt::{self, Write as _};

use ed25519_compact::{KeyPair, PublicKey, Seed, Signature};
use serde::{Deserialize, Serialize};

use super::chain::{Hash, Link, hash};
use super::fixed::Fixed;

/// Bytes of the file: one JSON object, filled up with spaces, so that a new
/// head covers the old one in a single write.
pub const SIZE: usize = 512;

/// A key that signs heads.
pub struct SigningKey(KeyPair);

impl SigningKey {
    /// Reads a private key as `openssl genpkey -algorithm ed25519` writes it
    /// (PKCS #8 in PEM).
    ///
    /// # Errors
    /// It is something else.
    pub fn from_pem(pem: &str) -> Result<Self, NotAKey> {
        KeyPair::from_pem(pem)
            .map(Self)
            .map_err(|_| NotAKey::Private)
    }

    /// A key from 32 random bytes.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(KeyPair::from_seed(Seed::new(seed)))
    }

    /// The private key as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.sk.to_pem()
    }

    /// What others verify with.
    #[must_use]
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.pk)
    }
}

// A private key is not shown.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey")
            .field(&self.verifying_key())
            .finish()
    }
}

/// A key that verifies heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyingKey(PublicKey);

impl VerifyingKey {
    /// Reads a public key as `openssl pkey -pubout` writes it (PEM).
    ///
    /// # Errors
    /// It is something else.
    pub fn from_pem(pem: &str) -> Result<Self, NotAKey> {
        let key = PublicKey::from_pem(pem).map_err(|_| NotAKey::Public)?;
        key.validate().map_err(|_| NotAKey::Public)?;
        Ok(Self(key))
    }

    /// The key as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.0.to_pem()
    }

    /// The first 16 hexadecimal digits of the key's SHA-256, by which people
    /// and heads call it.
    #[must_use]
    pub fn name(&self) -> String {
        hash(self.0.as_ref()).to_string().chars().take(16).collect()
    }
}

/// What a file with a key holds instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAKey {
    /// No private key.
    Private,
    /// No public key.
    Public,
}

impl fmt::Display for NotAKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => {
                "it is no Ed25519 private key in PEM; make one with 'openssl genpkey -algorithm ed25519'"
            }
            Self::Public => {
                "it is no Ed25519 public key in PEM; get it with 'openssl pkey -in KEY -pubout'"
            }
        })
    }
}

impl std::error::Error for NotAKey {}

/// A head as it stands in its file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Version of the format: 1.
    pub version: u32,
    /// Number of the last record.
    pub seq: u64,
    /// Its hash, 64 hexadecimal digits.
    pub record_hash: String,
    /// When it was signed: RFC 3339, UTC.
    pub timestamp: String,
    /// Name of the key.
    pub key: String,
    /// Ed25519 signature, 128 hexadecimal digits.
    pub signature: String,
}

/// Why a head proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The file is no head.
    Malformed(String),
    /// It is signed with another key, of this name.
    OtherKey(String),
    /// The signature is not the key's.
    Forged,
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "it is no signed head: {why}"),
            Self::OtherKey(name) => write!(f, "it is signed with another key ({name})"),
            Self::Forged => f.write_str("its signature is wrong"),
        }
    }
}

impl std::error::Error for HeadError {}

/// What is signed.
fn message(link: Link, timestamp: &str) -> Fixed<256> {
    let mut text = Fixed::new();
    // 25 + 20 + 64 bytes, and a timestamp of 27: they fit.
    let _fits = write!(
        text,
        "secure-exec audit head 1\n{}\n{}\n{timestamp}\n",
        link.seq, link.hash
    );
    text
}

/// Signs a head, and renders the file that holds it. Allocates nothing.
/// `timestamp` is RFC 3339, UTC; `key_name` the key's [`VerifyingKey::name`].
#[must_use]
pub fn sign(key: &SigningKey, key_name: &str, link: Link, timestamp: &str) -> [u8; SIZE] {
    let signature = key.0.sk.sign(message(link, timestamp).as_bytes(), None);
    let mut file = Fixed::<SIZE>::new();
    let (first, second) = signature.split_at(32);
    let half = |bytes: &[u8]| Hash(bytes.try_into().unwrap_or_default());
    // At most 390 bytes.
    let _fits = write!(
        file,
        "{{\"version\":1,\"seq\":{},\"record_hash\":\"{}\",\"timestamp\":\"{timestamp}\",\"key\":\"{key_name}\",\"signature\":\"{}{}\"}}",
        link.seq,
        link.hash,
        half(first),
        half(second),
    );
    file.filled()
}

impl Head {
    /// Reads a head and checks its signature. Returns it with the link that
    /// it vouches for.
    ///
    /// # Errors
    /// See [`HeadError`].
    pub fn verify(file: &[u8], key: &VerifyingKey) -> Result<(Self, Link), HeadError> {
        let head: Self = serde_json::from_slice(file)
            .map_err(|error| HeadError::Malformed(error.to_string()))?;
        let malformed = |what: &str| HeadError::Malformed(format!("its {what}"));
        if head.version != 1 {
            return Err(malformed("version is not 1"));
        }
        if head.key != key.name() {
            return Err(HeadError::OtherKey(head.key));
        }
        let link = Link {
            seq: head.seq,
            hash: Hash::parse(head.record_hash.as_bytes())
                .ok_or_else(|| malformed("record_hash has not 64 hexadecimal digits"))?,
        };
        let signature = head.signature.as_bytes();
        let halves = signature
            .split_at_checked(64)
            .and_then(|(first, second)| Some((Hash::parse(first)?, Hash::parse(second)?)));
        let (first, second) =
            halves.ok_or_else(|| malformed("signature has not 128 hexadecimal digits"))?;
        let signature =
            Signature::from_slice(&[first.0, second.0].concat()).map_err(|_| HeadError::Forged)?;
        key.0
            .verify(message(link, &head.timestamp).as_bytes(), &signature)
            .map_err(|_| HeadError::Forged)?;
        Ok((head, link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link {
        seq: u64::MAX,
        hash: Hash([0xab; 32]),
    };
    const TIME: &str = "2026-01-01T00:00:00.000000Z";

    fn key() -> SigningKey {
        SigningKey::from_seed([7; 32])
    }

    #[test]
    fn a_head_vouches_for_its_link_only() {
        let key = key();
        let public = key.verifying_key();
        let file = sign(&key, &public.name(), LINK, TIME);
        let (head, link) = Head::verify(&file, &public).unwrap();
        assert_eq!((link, head.timestamp.as_str()), (LINK, TIME));

        let text = String::from_utf8(file.to_vec()).unwrap();
        for (from, to) in [
            ("18446744073709551615", "18446744073709551614"),
            ("abab", "abac"),
            ("2026", "2027"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_eq!(
                Head::verify(changed.as_bytes(), &public),
                Err(HeadError::Forged),
                "{from}"
            );
        }
        let other = SigningKey::from_seed([8; 32]);
        assert!(matches!(
            Head::verify(&file, &other.verifying_key()),
            Err(HeadError::OtherKey(_))
        ));
        let renamed = sign(&other, &public.name(), LINK, TIME);
        assert_eq!(Head::verify(&renamed, &public), Err(HeadError::Forged));
        assert!(matches!(
            Head::verify(b"{}", &public),
            Err(HeadError::Malformed(_))
        ));
    }

    #[test]
    fn keys_go_through_pem() {
        let key = key();
        let again = SigningKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.verifying_key(), key.verifying_key());
        let public = key.verifying_key();
        assert_eq!(VerifyingKey::from_pem(&public.to_pem()), Ok(public));
        assert_eq!(VerifyingKey::from_pem(&key.to_pem()), Err(NotAKey::Public));
        assert!(SigningKey::from_pem("x").is_err());
    }

    #[test]
    fn keys_of_openssl_are_read() {
        // openssl genpkey -algorithm ed25519, and openssl pkey -pubout
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        let key = SigningKey::from_pem(private).unwrap();
        assert_eq!(VerifyingKey::from_pem(public), Ok(key.verifying_key()));
    }
}
