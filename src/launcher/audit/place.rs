//! Where a log may not lie: among plugins. A log holds text of others' choice,
//! and must never be able to pass for a program.

use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_sys::{Error, log_folder};

use super::error::LogError;
use crate::listed::{Listed, folder_of};
use crate::reach::Reach;
use crate::sight::Sight;

/// Why the log may not lie there, as a phrase; `None` where it may.
pub(super) fn flaw(log: &Path, listed: &Listed) -> Option<String> {
    let Some((folder, _)) = log_folder::split(log) else {
        return Some(LogError::NoName.to_string());
    };
    match holder(folder, listed) {
        Ok(None) => None,
        Ok(Some(holder)) => Some(format!(
            "it lies in the plugin folder '{}', where a log could pass for a program",
            Escaped(&holder)
        )),
        Err(error) => Some(format!(
            "its folder can't be compared with the plugin's: {error}"
        )),
    }
}

/// The plugin folder that the log's folder is, or lies in.
fn holder(folder: &Path, listed: &Listed) -> Result<Option<String>, Error> {
    // An unlisted plugin's path is the caller's choice: it must not keep its
    // own refusal out of the log.
    let Some(entry) = &listed.entry else {
        return Ok(None);
    };
    let sight = Sight::default();
    let log = sight.follow(folder)?.end;
    // A root that holds the whitelist as well is where paths begin, not a
    // folder for plugins.
    let whitelist = folder_of(&listed.whitelist_path);
    if listed.plugin_root != whitelist {
        let mut root = Reach::new(&sight);
        root.add_path(&listed.plugin_root)?;
        let whitelist = sight.follow(whitelist)?.end;
        if !root.covers(&whitelist)? && root.covers(&log)? {
            return Ok(Some(listed.plugin_root.to_string_lossy().into_owned()));
        }
    }
    // The folder where the plugin really is, and the one where the entry says
    // that it is.
    let written = listed.plugin_root.join(&entry.path);
    let way = sight.follow(&written)?;
    let mut folders = vec![folder_of(&way.end).to_path_buf()];
    if way.links().next().is_some() {
        folders.push(sight.follow(folder_of(&written))?.end);
    }
    for folder in folders {
        if sight.is_same(&folder, &log)? {
            return Ok(Some(folder.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
