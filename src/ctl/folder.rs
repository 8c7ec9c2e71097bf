//! Folders with one `NAME.yaml` file for each name.

use std::path::Path;

use secure_exec_core::name::PluginName;

/// The names, sorted; other files are none.
///
/// # Errors
/// The folder can't be read.
pub(crate) fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".yaml"));
        let stem = stem.filter(|stem| PluginName::new(stem).is_ok());
        names.extend(stem.map(String::from));
    }
    names.sort_unstable();
    Ok(names)
}
