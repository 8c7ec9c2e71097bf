//! What a plugin writes, by other names: a folder that is mounted twice, or to
//! which a link leads, can't be mapped executable by either of its paths.

use std::path::{Path, PathBuf};

use secure_exec_core::mounts::{self, Mounted, Spot};
use secure_exec_core::plan::namespaces::{Attributes, Mount};
use secure_exec_sys::mount;
use secure_exec_sys::open::{self, Kind};

use super::linked::Link;
use super::places::Place;
use crate::failure::Failure;

/// Of the places that can be written, takes from all others that show something
/// of them the right to execute it: from the whole place if it lies within, or
/// by one more mount in the place, which stands before what lies below it.
///
/// Not from the plugin's own files, which are mounted one by one: what may run
/// is decided by their digests.
///
/// # Errors
/// The mounts can't be read, or do not say what they show.
pub(super) fn take_execution_away(places: &mut Vec<Place>) -> Result<(), Failure> {
    let writable = places
        .iter()
        .filter(|place| place.mount.attributes.writable);
    let written: Vec<PathBuf> = writable.map(|place| place.real.clone().into()).collect();
    if written.is_empty() {
        return Ok(());
    }
    let mounts = mounts::parse(&mount::table().map_err(Failure::own)?);
    for path in &written {
        let spots = mounts::beneath(&mounts, path).ok_or_else(untold)?;
        for spot in &spots {
            for shown in mounts::shown_at(&mounts, spot) {
                if is_visible(&mounts, &shown, spot)? {
                    take(places, &shown)?;
                }
            }
        }
    }
    Ok(())
}

/// Something else may be mounted on top.
fn is_visible(mounts: &[Mounted], path: &Path, spot: &Spot) -> Result<bool, Failure> {
    let spots = mounts::spots(mounts, path).ok_or_else(untold)?;
    Ok(spots.last().is_some_and(|there| spot.holds(there)))
}

fn untold() -> Failure {
    Failure::own(
        "the table of mounts does not say what is shown at a second place\n\
         Launch with a root folder that is a mount, or use 'isolation: process'.",
    )
}

fn take(places: &mut Vec<Place>, shown: &Path) -> Result<(), Failure> {
    let mut added = Vec::new();
    for place in places.iter_mut().filter(|place| only_executes(place)) {
        let real = Path::new(&place.real);
        if real.starts_with(shown) {
            place.mount.attributes.executable = false;
            // It is a mount of its own then, whatever there is above it.
            place.mount.covered = false;
        } else if let Ok(rest) = shown.strip_prefix(real) {
            let path = Path::new(place.path()).join(rest);
            added.push((path, place.mount.attributes, place.links.clone()));
        }
    }
    for (path, attributes, links) in added {
        let nearest = places.iter().filter(|place| path.starts_with(place.path()));
        let nearest = nearest.max_by_key(|place| place.path().len());
        if nearest.is_some_and(only_executes) {
            add(places, &path, shown, attributes, &links)?;
        }
    }
    Ok(())
}

/// What is granted to be written and executed by one path is so on purpose.
fn only_executes(place: &Place) -> bool {
    place.mount.attributes.executable && !place.mount.attributes.writable
}

/// One more mount of what is `shown`, which stands before those below it.
fn add(
    places: &mut Vec<Place>,
    path: &Path,
    shown: &Path,
    attributes: Attributes,
    links: &[Link],
) -> Result<(), Failure> {
    let stat = match open::stat_path(shown, false) {
        Err(error) if error.is_not_found() => return Ok(()),
        stat => stat.map_err(Failure::own)?,
    };
    let mount = Mount {
        path: path.to_string_lossy().into_owned(),
        optional: false,
        attributes: Attributes {
            executable: false,
            ..attributes
        },
        covered: false,
        apart: false,
        is_in_apart: false,
    };
    let below = places
        .iter()
        .position(|place| Path::new(place.path()).starts_with(path));
    let before = below.unwrap_or(places.len());
    places.insert(
        before,
        Place {
            real: shown.to_string_lossy().into_owned(),
            identity: (stat.dev, stat.ino),
            is_folder: stat.kind == Kind::Directory,
            mount,
            links: links.to_vec(),
            is_twin: false,
        },
    );
    Ok(())
}
