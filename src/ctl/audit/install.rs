//! A file that is written as a whole, or not at all: whoever reads it meanwhile
//! reads the one before.

use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use secure_exec::failure::Failure;
use secure_exec::listed::folder_of;
use secure_exec_core::escape::Escaped;

/// Puts a text in a file's place, with that mode.
pub(crate) fn install(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let shown = path.to_string_lossy();
    let failed = |why: &dyn std::fmt::Display| {
        Failure::own(format!("'{}' can't be written: {why}", Escaped(&shown)))
    };
    let Some(name) = path.file_name() else {
        return Err(failed(&"it names no file"));
    };
    match path.symlink_metadata() {
        Ok(there) if there.is_symlink() => {
            return Err(failed(
                &"it is a symbolic link, which is not followed\nName the file itself.",
            ));
        }
        Ok(there) if !there.is_file() => return Err(failed(&"it is there, and no plain file")),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    let write = || {
        // A name that nobody takes for the finished file's.
        let mut new = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .tempfile_in(folder_of(path))?;
        new.write_all(text.as_bytes())?;
        new.as_file()
            .set_permissions(Permissions::from_mode(mode))?;
        new.as_file().sync_all()?;
        new.persist(path).map_err(|error| error.error)?;
        File::open(folder_of(path))?.sync_all()
    };
    write().map_err(|error| failed(&error))
}
