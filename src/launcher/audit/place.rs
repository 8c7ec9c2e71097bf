//! Where a log may not lie: among plugins. A log holds text of others' choice,
//! and must never be able to pass for a program.

use std::path::{Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_sys::log_folder;

use super::error::LogError;
use crate::listed::{Listed, folder_of};

/// Why the log may not lie there, as a phrase; `None` where it may.
pub(super) fn flaw(log: &Path, listed: &Listed) -> Option<String> {
    let Some((folder, _)) = log_folder::split(log) else {
        return Some(LogError::NoName.to_string());
    };
    let folder = really(folder);
    // An unlisted plugin's path is the caller's choice: it must not keep its
    // own refusal out of the log.
    let entry = listed.entry.as_ref()?;
    // A root that holds the whitelist as well is where paths begin, not a
    // folder for plugins.
    let root = really(&listed.plugin_root);
    let is_for_plugins = || !really(folder_of(&listed.whitelist_path)).starts_with(&root);
    let holder = if folder.starts_with(&root) && is_for_plugins() {
        root
    } else {
        let own = really(folder_of(&listed.plugin_root.join(&entry.path)));
        (own == folder).then_some(own)?
    };
    Some(format!(
        "it lies in the plugin folder '{}', where a log could pass for a program",
        Escaped(&holder.to_string_lossy())
    ))
}

/// Without links, as far as it exists.
fn really(path: &Path) -> PathBuf {
    std::fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}
