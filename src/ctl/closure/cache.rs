//! `/etc/ld.so.cache`: where the system's libraries are, by name. The format
//! is glibc's own (`sysdeps/generic/dl-cache.h`), of which the new one is read.

use std::path::PathBuf;

use elf::abi;

/// A cache file.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    path: PathBuf,
    flags: u32,
    /// The subfolder of `glibc-hwcaps` that it was found in.
    level: Option<String>,
}

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const HEADER: usize = 48;
const ENTRY: usize = 24;
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
/// Tag of the section that names subfolders of `glibc-hwcaps`.
const HWCAPS: u32 = 1;
/// In an entry's `hwcap`: the lower half is a number of that section.
const BY_NUMBER: u64 = 1 << 62;

impl Cache {
    /// Reads a cache.
    ///
    /// # Errors
    /// It is none, or of an older format; a sentence.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if !bytes.starts_with(MAGIC) {
            return Err("its format is not known; make it anew with ldconfig".into());
        }
        let damaged = || "it is damaged; make it anew with ldconfig".to_string();
        Self::entries(bytes).ok_or_else(damaged)
    }

    /// The place of a library. `levels` are the subfolders of `glibc-hwcaps`
    /// that this processor is good for, best first.
    pub(super) fn find(&self, name: &str, machine: u16, levels: &[&str]) -> Option<&PathBuf> {
        let rank = |entry: &&Entry| match &entry.level {
            None => Some(levels.len()),
            Some(level) => levels.iter().position(|known| known == level),
        };
        self.entries
            .iter()
            .filter(|entry| entry.name == name && Some(entry.flags) == flags(machine))
            .filter(|entry| rank(entry).is_some())
            // The first of equals.
            .min_by_key(rank)
            .map(|entry| &entry.path)
    }

    fn entries(bytes: &[u8]) -> Option<Self> {
        let count = usize::try_from(number(bytes, MAGIC.len())?).ok()?;
        let levels = levels(bytes)?;
        let mut entries = Vec::new();
        for index in 0..count {
            let at = index.checked_mul(ENTRY)?.checked_add(HEADER)?;
            let high = number(bytes, at.checked_add(20)?)?;
            let low = number(bytes, at.checked_add(16)?)?;
            let hwcap = (u64::from(high) << 32) | u64::from(low);
            let level = match hwcap {
                0 => None,
                by if by & BY_NUMBER != 0 => Some(levels.get(usize::try_from(low).ok()?)?.clone()),
                // A folder of before glibc 2.33, which later ones leave out.
                _ => continue,
            };
            entries.push(Entry {
                flags: number(bytes, at)?,
                name: text(bytes, number(bytes, at.checked_add(4)?)?)?,
                path: text(bytes, number(bytes, at.checked_add(8)?)?)?.into(),
                level,
            });
        }
        Some(Self { entries })
    }
}

/// What `ldconfig` writes of libraries for a machine (`FLAG_ELF_LIBC6` and the
/// machine's own).
const fn flags(machine: u16) -> Option<u32> {
    match machine {
        abi::EM_X86_64 => Some(0x0303),
        abi::EM_AARCH64 => Some(0x0a03),
        _ => None,
    }
}

/// The subfolders of `glibc-hwcaps`, by number; none without the section.
fn levels(bytes: &[u8]) -> Option<Vec<String>> {
    let at = usize::try_from(number(bytes, 32)?).ok()?;
    if at == 0 || number(bytes, at)? != EXTENSION_MAGIC {
        return Some(Vec::new());
    }
    let sections = usize::try_from(number(bytes, at.checked_add(4)?)?).ok()?;
    for section in 0..sections {
        let at = section.checked_mul(16)?.checked_add(at)?.checked_add(8)?;
        if number(bytes, at)? != HWCAPS {
            continue;
        }
        let start = usize::try_from(number(bytes, at.checked_add(8)?)?).ok()?;
        let size = usize::try_from(number(bytes, at.checked_add(12)?)?).ok()?;
        let places = (0..size / 4).map(|index| start.checked_add(index.checked_mul(4)?));
        return places
            .map(|place| text(bytes, number(bytes, place?)?))
            .collect();
    }
    Some(Vec::new())
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let found = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(found.try_into().ok()?))
}

fn text(bytes: &[u8], at: u32) -> Option<String> {
    let rest = bytes.get(usize::try_from(at).ok()?..)?;
    let end = rest.iter().position(|byte| *byte == 0)?;
    String::from_utf8(rest.get(..end)?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machines_cache_has_the_c_library() {
        let bytes = std::fs::read("/etc/ld.so.cache").unwrap();
        let cache = Cache::parse(&bytes).unwrap();
        let own = match std::env::consts::ARCH {
            "aarch64" => abi::EM_AARCH64,
            _ => abi::EM_X86_64,
        };
        let found = cache.find("libc.so.6", own, &[]).unwrap();
        assert!(found.ends_with("libc.so.6") && found.exists());
        assert_eq!(cache.find("libnosuch.so.1", own, &[]), None);
        assert_eq!(cache.find("libc.so.6", abi::EM_386, &[]), None);
    }

    #[test]
    fn a_cut_cache_is_no_cache() {
        let bytes = std::fs::read("/etc/ld.so.cache").unwrap();
        for length in [0, 10, 20, 40, 50, 200, bytes.len() / 2] {
            assert!(Cache::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}
