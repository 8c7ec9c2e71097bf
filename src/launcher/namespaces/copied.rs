//! Scripts that had to be copied, at their paths: in a root folder of the
//! plugin's own nobody can exchange what lies there, so their interpreter may
//! open the copy by that path, and finds beside it what is granted.

use std::os::fd::AsFd as _;
use std::path::{Component, Path, PathBuf};

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::{NamespacePlan, is_in_proc};
use secure_exec_core::profile::TEMPORARY;
use secure_exec_sys::{Error, mount};

use super::root::Root;
use crate::guarded::plain;
use crate::image::Image;
use crate::sight::Sight;

/// The root folder's own file system is small.
const LARGEST: u64 = 256 << 10;

/// Where the copy of a script can be, which was named by this path and really
/// lies at another: where nothing of the host's will be. A folder of the
/// host's brings its names along, and who may exchange them there could put
/// another script in the place of the copy.
///
/// # Errors
/// A path can't be examined.
pub(crate) fn place(
    plan: &NamespacePlan,
    image: &Image,
    named: &Path,
    real: &Path,
    sight: &Sight,
) -> Result<Option<PathBuf>, Error> {
    if image.has_path() || image.length() > LARGEST {
        return Ok(None);
    }
    let own = TEMPORARY.iter().filter(|_| plan.temporary.is_some());
    let mut folders: Vec<PathBuf> = own.map(PathBuf::from).collect();
    for mount in &plan.mounts {
        let path = Path::new(&mount.path);
        folders.push(sight.follow(path)?.end);
        folders.push(path.into());
    }
    let named = plain(named)?;
    let is_plain = |path: &Path| {
        let mut parts = path.components();
        parts.all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    };
    let is_free = |path: &Path| {
        path.to_str().is_some_and(|text| !is_in_proc(text))
            && is_plain(path)
            && !path.starts_with("/dev")
            && !folders.iter().any(|folder| path.starts_with(folder))
    };
    let has_links = sight.follow(&named)?.links().next().is_some();
    let mut places = [named.as_path(), real]
        .into_iter()
        .skip(usize::from(has_links));
    Ok(places.find(|path| is_free(path)).map(PathBuf::from))
}

/// Writes a copy to its place in the root folder.
///
/// # Errors
/// A sentence: why it can't be there.
pub(super) fn put(root: &Root, image: &Image) -> Result<Option<String>, String> {
    let Some(place) = image.place() else {
        return Ok(None);
    };
    let shown = place.to_string_lossy();
    let failed = |why: &dyn std::fmt::Display| format!("the script '{}': {why}", Escaped(&shown));
    let (Some(folder), Some(name)) = (place.parent(), place.file_name()) else {
        return Err(failed(&"it has no folder"));
    };
    let folder = root.folder(&folder.to_string_lossy());
    let folder = folder.map_err(|error| failed(&error))?;
    if !root.is_lasting(&folder).map_err(|error| failed(&error))? {
        return Err(failed(&"a folder of the host's is there"));
    }
    let bytes = image.content().map_err(|error| failed(&error))?;
    let bytes = bytes.ok_or_else(|| failed(&"it is too large"))?;
    let written = mount::write_file(folder.as_fd(), Path::new(name), &bytes);
    written.map_err(|error| failed(&error))?;
    Ok(Some(format!("{shown} ro,nosuid,nodev,noexec,copy")))
}
