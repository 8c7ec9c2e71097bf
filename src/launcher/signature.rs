//! Signatures of plugins, in minisign's format (Ed25519 over BLAKE2b or over
//! the bytes themselves).

use minisign_verify::{PublicKey, Signature};
use secure_exec_core::escape::Escaped;
use secure_exec_core::violation::Violation;
use secure_exec_core::whitelist::{Entry, Settings};

use crate::image::Image;
use crate::trail::Trail;
use crate::trust;

/// Checks an entry's signature against the whitelist's trusted keys. `None`
/// where it is good, or none is there and none is demanded.
pub fn check(
    entry: &Entry,
    settings: &Settings,
    image: &Image,
    trail: &Trail,
) -> Option<Violation> {
    let Some(text) = &entry.signature else {
        return settings
            .enforce_signatures
            .then_some(Violation::SignatureMissing);
    };
    let signature = match Signature::decode(text) {
        Ok(signature) => signature,
        Err(error) => {
            return Some(Violation::SignatureInvalid(format!(
                "the signature can't be read: {error}"
            )));
        }
    };
    let keys: Result<Vec<PublicKey>, String> = settings
        .trusted_keys
        .iter()
        .map(|key| read_key(key, trail))
        .collect();
    let keys = match keys {
        Ok(keys) => keys,
        Err(why) => return Some(Violation::SignatureUntrusted(why)),
    };
    if keys.is_empty() {
        return Some(Violation::SignatureUntrusted(
            "the whitelist trusts no key".into(),
        ));
    }
    let unread = |why: &dyn std::fmt::Display| {
        let why = format!("the plugin's bytes can't be read: {why}");
        Some(Violation::SignatureInvalid(why))
    };
    let bytes = match image.content() {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return unread(&"they are too many"),
        Err(error) => return unread(&error),
    };
    let mut worst = Violation::SignatureUntrusted("no trusted key made the signature".into());
    for key in keys {
        match key.verify(&bytes, &signature, true) {
            Ok(()) => return None,
            Err(minisign_verify::Error::UnexpectedKeyId) => {}
            Err(error) => worst = Violation::SignatureInvalid(error.to_string()),
        }
    }
    Some(worst)
}

/// A key is written out, or the absolute path of a file that others can't
/// write.
fn read_key(key: &str, trail: &Trail) -> Result<PublicKey, String> {
    if !key.starts_with('/') {
        return PublicKey::from_base64(key.trim())
            .map_err(|error| format!("a trusted key can't be read: {error}"));
    }
    let loaded = trust::read(std::path::Path::new(key), trail)
        .map_err(|error| format!("the key {error}"))?;
    if let Some(finding) = loaded.finding {
        return Err(format!("the key {finding}"));
    }
    let text = String::from_utf8_lossy(&loaded.bytes);
    PublicKey::decode(text.trim())
        .map_err(|error| format!("the key '{}' can't be read: {error}", Escaped(key)))
}
