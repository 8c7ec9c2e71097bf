//! The pins of an entry's lock file, read and written anew.

use secure_exec::failure::Failure;
use secure_exec_core::digest;
use secure_exec_core::escape::Escaped;
use secure_exec_core::whitelist::{Entry, Pin, write_lock};

use super::file::Held;
use crate::yaml::sheet::{Place, Sheet};
use crate::yaml::write::Value;

/// The pins of an entry's lock file, to be brought up to date.
pub(super) fn locked(held: &Held, entry: &Entry) -> Result<Vec<Pin>, Failure> {
    held.locked(entry).map_err(|violation| {
        Failure::own(format!(
            "plugin '{0}': {1}\nMake it anew with 'secure-execctl whitelist lock {0}'.",
            Escaped(entry.name.as_str()),
            violation.reason()
        ))
    })
}

/// The lock file of these pins, whose digest the entry gets.
pub(super) fn relock(
    sheet: &mut Sheet<'_>,
    entry: &mut Entry,
    pins: &[Pin],
    held: &Held,
) -> Result<(String, String), Failure> {
    let text = write_lock(pins).map_err(Failure::own)?;
    let digest = digest::sha256(text.as_bytes());
    sheet
        .set(
            entry.name.as_str(),
            Place::Key("lock"),
            &Value::Text(digest.to_string()),
        )
        .map_err(|why| held.not_understood(&why))?;
    entry.lock = Some(digest);
    Ok((entry.name.to_string(), text))
}
