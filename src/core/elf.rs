//! What the launcher wants to know of a program file: for which machine it is,
//! which dynamic loader it names, whether it finds libraries by its own place.

use elf::ElfBytes;
use elf::abi;
use elf::endian::AnyEndian;

use crate::arch::Arch;

/// A program file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The machine, where it is one of ours.
    pub arch: Option<Arch>,
    /// The dynamic loader (`PT_INTERP`).
    pub interpreter: Option<String>,
}

/// Whether bytes begin like an ELF file.
#[must_use]
pub fn is_elf(head: &[u8]) -> bool {
    head.starts_with(&abi::ELFMAGIC)
}

/// Examines the first bytes of an ELF file, which hold the headers and the
/// loader's name in every file that linkers make.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn inspect(head: &[u8]) -> Result<Program, String> {
    let damaged = |_: elf::ParseError| "the program's ELF header is damaged".to_string();
    let copy = without_sections(head);
    let file = ElfBytes::<AnyEndian>::minimal_parse(&copy).map_err(damaged)?;
    let is_ours = file.ehdr.class == elf::file::Class::ELF64
        && matches!(file.ehdr.endianness, AnyEndian::Little)
        && matches!(file.ehdr.e_type, abi::ET_EXEC | abi::ET_DYN);
    let arch = match file.ehdr.e_machine {
        abi::EM_X86_64 if is_ours => Some(Arch::X86_64),
        abi::EM_AARCH64 if is_ours => Some(Arch::Aarch64),
        _ => None,
    };
    let mut interpreter = None;
    for header in file.segments().into_iter().flatten().take(256) {
        if header.p_type != abi::PT_INTERP {
            continue;
        }
        let name = file.segment_data(&header).map_err(damaged)?;
        let name = name.strip_suffix(b"\0").unwrap_or(name);
        let name = std::str::from_utf8(name).ok().filter(|name| {
            name.starts_with('/')
                && name.len() < 4096
                && !name.chars().any(crate::escape::is_unsafe)
        });
        let name = name.ok_or("the program's dynamic loader has no absolute path")?;
        if interpreter.replace(name.to_string()).is_some() {
            return Err("the program names two dynamic loaders".into());
        }
    }
    Ok(Program { arch, interpreter })
}

/// Whether a program looks for libraries beside itself (`$ORIGIN` in its run
/// path): such a one finds them only when it runs from its own file.
#[must_use]
pub fn uses_origin(bytes: &[u8]) -> bool {
    fn run_paths(bytes: &[u8]) -> Option<bool> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
        let common = file.find_common_data().ok()?;
        let dynamic = common.dynamic?;
        let names = common.dynsyms_strs?;
        Some(
            dynamic
                .iter()
                .take(4096)
                .filter(|entry| matches!(entry.d_tag, abi::DT_RPATH | abi::DT_RUNPATH))
                .filter_map(|entry| names.get(usize::try_from(entry.d_val()).ok()?).ok())
                .any(|path| path.contains("$ORIGIN") || path.contains("${ORIGIN}")),
        )
    }
    run_paths(bytes).unwrap_or(false)
}

/// The section table lies at a file's end, beyond the first bytes, and running
/// a program takes none: the copy's header says that there is none.
fn without_sections(head: &[u8]) -> Vec<u8> {
    /// `e_shoff`, `e_shnum` and `e_shstrndx` of a 64-bit header (man 5 elf).
    const FIELDS: [std::ops::Range<usize>; 2] = [40..48, 60..64];
    let mut copy = head.to_vec();
    for field in FIELDS {
        if let Some(bytes) = copy.get_mut(field) {
            bytes.fill(0);
        }
    }
    copy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_program() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let program = inspect(&own[..4096]).unwrap();
        assert_eq!(program.arch, Some(Arch::NATIVE));
        assert!(is_elf(&own));
        let _ = uses_origin(&own);
    }

    #[test]
    fn damage_is_an_error() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        for length in [0, 3, 4, 16, 63, 64, 100] {
            assert!(inspect(&own[..length]).is_err(), "{length}");
        }
        assert!(inspect(b"\x7fELF").is_err());
    }
}
