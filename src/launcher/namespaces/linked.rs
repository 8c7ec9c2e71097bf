//! What symbolic links lead to is mounted where it really is, and the links are
//! made in the plugin's root folder too: a plugin that reads them, or goes by
//! where it really is, sees what it would see outside, and a file that is
//! replaced in a granted folder is seen by the link as well.

use std::path::Path;

use secure_exec_core::escape::Escaped;
use secure_exec_core::plan::namespaces::Attributes;
use secure_exec_sys::open;

use super::places::Place;
use crate::failure::Failure;
use crate::sight::Sight;

/// A symbolic link, by a path without links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) path: String,
    pub(super) target: String,
}

/// The links on the way from a path to where it really is; none where they are
/// not all there is to it.
pub(super) fn links(sight: &Sight, path: &str, real: &str) -> Result<Vec<Link>, Failure> {
    if Path::new(path) == Path::new(real) {
        return Ok(Vec::new());
    }
    let way = sight.follow(Path::new(path)).map_err(Failure::own)?;
    if way.unseen.is_some() || way.end != Path::new(real) {
        return Ok(Vec::new());
    }
    let mut links = Vec::new();
    for (path, _) in way.links() {
        let target = open::read_link(path).map_err(Failure::own)?;
        let (Some(path), Some(target)) = (path.to_str(), target.to_str()) else {
            return Ok(Vec::new());
        };
        links.push(Link {
            path: path.into(),
            target: target.into(),
        });
    }
    Ok(links)
}

/// Puts places in the order of where they are mounted, those above before those
/// below. What is granted by a link adds up with what is granted by its real
/// path, and is mounted once.
///
/// # Errors
/// A folder is to be apart, and to be written.
pub(super) fn add_up(places: &mut [Place]) -> Result<(), Failure> {
    if places.iter().all(|place| place.links.is_empty()) {
        return Ok(());
    }
    // At one place, what is apart is what the plugin sees.
    places.sort_by(|one, other| {
        let places = Path::new(one.at()).cmp(Path::new(other.at()));
        places.then(other.mount.apart.cmp(&one.mount.apart))
    });
    for number in 0..places.len() {
        let (above, rest) = places.split_at_mut(number);
        let Some((place, below)) = rest.split_first_mut() else {
            continue;
        };
        // Those at the same place may come after it.
        let others = above.iter().chain(below.iter());
        let others: Vec<&Place> = others
            .filter(|other| Path::new(place.at()).starts_with(other.at()))
            .collect();
        let mut same = others.iter().filter(|other| is_same(other, place));
        if let Some(apart) = same.find(|other| other.mount.apart) {
            refuse_more(place, apart)?;
            place.is_twin = true;
            place.mount.is_in_apart = true;
            continue;
        }
        if place.mount.apart {
            continue;
        }
        let nearest = above.iter().rev();
        let mut nearest =
            nearest.filter(|other| !other.is_twin && Path::new(place.at()).starts_with(other.at()));
        let nearest = nearest.next();
        let sum = sum(place, &others);
        let is_as_above =
            nearest.is_some_and(|above| !above.mount.apart && above.mount.attributes == sum);
        place.mount.is_in_apart = match place.links.is_empty() {
            true => place.mount.is_in_apart,
            false => nearest.is_some_and(|above| above.mount.apart),
        };
        place.mount.covered = is_as_above && (place.mount.covered || !place.links.is_empty());
        place.mount.attributes = sum;
        let is_linked = !place.links.is_empty();
        place.is_twin = nearest.is_some_and(|other| is_same(other, place))
            || (is_linked && place.mount.covered);
    }
    Ok(())
}

/// What is apart is only read, by whatever path.
fn refuse_more(place: &Place, apart: &Place) -> Result<(), Failure> {
    let granted = place.mount.attributes;
    if !(granted.writable || granted.devices) {
        return Ok(());
    }
    let (place, apart) = (Escaped(place.path()), Escaped(apart.path()));
    Err(Failure::own(format!(
        "the paths '{apart}' (apart) and '{place}' of the profile lead to the same folder, and more than to read is granted there\nTake one of them out."
    )))
}

fn is_same(one: &Place, other: &Place) -> bool {
    one.identity == other.identity && Path::new(one.at()) == Path::new(other.at())
}

/// The attributes of a place with all that links bring above it. The plan has
/// those of paths as they are written.
fn sum(place: &Place, above: &[&Place]) -> Attributes {
    let is_linked = |place: &Place| !place.links.is_empty();
    let brought = above
        .iter()
        .filter(|other| !other.mount.apart && (is_linked(place) || is_linked(other)));
    let own = place.mount.attributes;
    let others: Vec<(Attributes, bool)> = brought
        .map(|other| {
            (
                other.mount.attributes,
                is_linked(place) || is_same(other, place),
            )
        })
        .collect();
    let writable = own.writable || others.iter().any(|(other, _)| other.writable);
    let both = |one: Attributes| one.writable && one.executable;
    Attributes {
        writable,
        devices: own.devices || others.iter().any(|(other, _)| other.devices),
        // What can be written by one path is not executed by another.
        executable: if writable {
            both(own) || others.iter().any(|(other, _)| both(*other))
        } else {
            own.executable || others.iter().any(|(other, here)| other.executable && *here)
        },
    }
}
