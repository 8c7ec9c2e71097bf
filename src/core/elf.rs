//! What the launcher wants to know of a program file: for which machine it is,
//! which dynamic loader it names, whether it wants memory that is writable and
//! executable, whether it finds libraries by its own place.

use elf::ElfBytes;
use elf::abi::{self, EI_NIDENT};
use elf::endian::AnyEndian;
use elf::file::{Class, FileHeader};
use elf::segment::SegmentTable;

use crate::arch::Arch;

/// A program file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The machine, where it is one of ours.
    pub arch: Option<Arch>,
    /// The dynamic loader (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// A segment or the stack is to be writable and executable. The kernel
    /// maps them at exec, so no filter sees it.
    pub write_execute: bool,
}

/// Whether bytes begin like an ELF file.
#[must_use]
pub fn is_elf(head: &[u8]) -> bool {
    head.starts_with(&abi::ELFMAGIC)
}

/// Examines an ELF program's headers.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn inspect(bytes: &[u8]) -> Result<Program, String> {
    inspect_parts(&|offset, length| {
        let start = usize::try_from(offset).ok()?;
        let part = bytes.get(start..start.checked_add(length)?)?;
        Some(part.to_vec())
    })
}

/// Examines an ELF program of which `part` reads so many bytes from an offset,
/// or none where the file is shorter. Nothing is read but the headers and the
/// loader's name, wherever they lie.
///
/// # Errors
/// What is wrong, as a sentence.
pub fn inspect_parts(part: &dyn Fn(u64, usize) -> Option<Vec<u8>>) -> Result<Program, String> {
    let damaged = || "the program's ELF header is damaged".to_string();
    let start = part(0, EI_NIDENT).ok_or_else(damaged)?;
    let ident = elf::file::parse_ident::<AnyEndian>(&start).map_err(|_| damaged())?;
    let (endian, class) = (ident.0, ident.1);
    if class != Class::ELF64 {
        return Ok(Program {
            arch: None,
            interpreter: None,
            write_execute: false,
        });
    }
    let tail = part(EI_NIDENT as u64, TAIL_64).ok_or_else(damaged)?;
    let header = FileHeader::parse_tail(ident, &tail).map_err(|_| damaged())?;
    let is_ours =
        matches!(endian, AnyEndian::Little) && matches!(header.e_type, abi::ET_EXEC | abi::ET_DYN);
    let arch = match header.e_machine {
        abi::EM_X86_64 if is_ours => Some(Arch::X86_64),
        abi::EM_AARCH64 if is_ours => Some(Arch::Aarch64),
        _ => None,
    };
    // The kernel takes no other size, and at most a page of them.
    let count = usize::from(header.e_phnum);
    if usize::from(header.e_phentsize) != SEGMENT_64 || count > 4096 / SEGMENT_64 {
        return Err(damaged());
    }
    let table = part(header.e_phoff, count * SEGMENT_64).ok_or_else(damaged)?;
    let mut interpreter = None;
    let mut write_execute = false;
    for segment in SegmentTable::new(endian, class, &table) {
        write_execute |= match segment.p_type {
            abi::PT_LOAD => segment.p_flags & WRITE_EXECUTE == WRITE_EXECUTE,
            // The stack is writable whatever it says.
            abi::PT_GNU_STACK => segment.p_flags & abi::PF_X != 0,
            _ => false,
        };
        if segment.p_type != abi::PT_INTERP {
            continue;
        }
        let length = usize::try_from(segment.p_filesz)
            .ok()
            .filter(|length| *length <= 4096);
        let name = part(segment.p_offset, length.ok_or_else(damaged)?).ok_or_else(damaged)?;
        let name = loader_name(&name).ok_or("the program's dynamic loader has no absolute path")?;
        if interpreter.replace(name).is_some() {
            return Err("the program names two dynamic loaders".into());
        }
    }
    Ok(Program {
        arch,
        interpreter,
        write_execute,
    })
}

/// Bytes of the 64-bit header behind its identification, and of one entry of
/// the program header table (man 5 elf).
const TAIL_64: usize = 48;
const SEGMENT_64: usize = 56;
const WRITE_EXECUTE: u32 = abi::PF_W | abi::PF_X;

fn loader_name(bytes: &[u8]) -> Option<String> {
    let name = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let name = std::str::from_utf8(name).ok()?;
    let is_plain = name.starts_with('/') && !name.chars().any(crate::escape::is_unsafe);
    is_plain.then(|| name.to_string())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_program() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        let program = inspect(&own).unwrap();
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
