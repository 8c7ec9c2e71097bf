//! What the launcher wants to know of a program file: for which machine it is,
//! which dynamic loader it names, whether the kernel would map it as memory that
//! is writable and executable, whether it finds libraries by its own place.

use std::fmt;
use std::ops::Range;

use elf::ElfBytes;
use elf::abi::{self, EI_NIDENT};
use elf::endian::AnyEndian;
use elf::file::{Class, FileHeader};
use elf::segment::{ProgramHeader, SegmentTable};

use crate::arch::Arch;

/// A program file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The machine, where it is one of ours.
    pub arch: Option<Arch>,
    /// The dynamic loader (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// What of it the kernel would map writable and executable. It does so at
    /// exec, so no filter sees it.
    pub write_execute: Option<WriteExecute>,
}

/// How headers lead to memory that is writable and executable (Linux
/// `fs/binfmt_elf.c`, `elf_load` and before 6.6 `set_brk`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteExecute {
    /// A segment has both flags.
    Segment,
    /// An executable segment is not as long in memory as in the file: the kernel
    /// fills it up with pages that are writable as well, whatever its flags say.
    Zeroes,
    /// An executable segment shares a page with another. The kernel maps one
    /// over the other; a linker does not ask for that.
    Overlap,
    /// The stack is to be executable; it is writable whatever the flags say.
    /// Without that header the kernel's is not executable in programs of 64
    /// bits (Linux 5.8).
    Stack,
}

impl fmt::Display for WriteExecute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Segment => "a segment that is writable and executable",
            Self::Zeroes => {
                "an executable segment that is longer in memory than in the file, which the kernel fills up with writable pages"
            }
            Self::Overlap => "an executable segment that shares a page with another",
            Self::Stack => "a stack that is executable",
        })
    }
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
            write_execute: None,
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
    let mut segments: Vec<ProgramHeader> = Vec::with_capacity(count);
    segments.extend(SegmentTable::new(endian, class, &table));
    for segment in &segments {
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
    let write_execute = write_execute(&segments).ok_or_else(damaged)?;
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
/// The smallest page of any machine of ours.
const PAGE: u64 = 4096;

/// What the kernel would map writable and executable. What it maps executable
/// and not writable is exactly this: whole pages of the file, which no other
/// segment touches. `None` where a segment has no place in memory.
fn write_execute(segments: &[ProgramHeader]) -> Option<Option<WriteExecute>> {
    let is_executable = |segment: &ProgramHeader| segment.p_flags & abi::PF_X != 0;
    let mut loaded: Vec<(bool, Range<u64>)> = Vec::with_capacity(segments.len());
    for segment in segments {
        match segment.p_type {
            abi::PT_LOAD => {}
            abi::PT_GNU_STACK if is_executable(segment) => return Some(Some(WriteExecute::Stack)),
            _ => continue,
        }
        if segment.p_flags & WRITE_EXECUTE == WRITE_EXECUTE {
            return Some(Some(WriteExecute::Segment));
        }
        if is_executable(segment) && segment.p_memsz != segment.p_filesz {
            return Some(Some(WriteExecute::Zeroes));
        }
        // Nor does the kernel map one that is longer in the file.
        let length = segment.p_memsz.max(segment.p_filesz);
        let end = segment.p_vaddr.checked_add(length)?;
        let pages = segment.p_vaddr / PAGE..end.div_ceil(PAGE);
        let shares = |(executable, other): &(bool, Range<u64>)| {
            (is_executable(segment) || *executable)
                && pages.start < other.end
                && other.start < pages.end
        };
        if loaded.iter().any(shares) {
            return Some(Some(WriteExecute::Overlap));
        }
        loaded.push((is_executable(segment), pages));
    }
    Some(None)
}

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

    const READ: u32 = abi::PF_R;
    const CODE: u32 = abi::PF_R | abi::PF_X;
    const DATA: u32 = abi::PF_R | abi::PF_W;

    /// Flags, address, bytes in the file and in memory.
    fn load((p_flags, p_vaddr, p_filesz, p_memsz): (u32, u64, u64, u64)) -> ProgramHeader {
        ProgramHeader {
            p_type: abi::PT_LOAD,
            p_offset: 0,
            p_paddr: 0,
            p_align: PAGE,
            p_flags,
            p_vaddr,
            p_filesz,
            p_memsz,
        }
    }

    #[test]
    fn the_kernel_maps_nothing_writable_and_executable() {
        let usual = [
            (READ, 0x0, 0x700, 0x700),
            (CODE, 0x1000, 0x1234, 0x1234),
            (READ, 0x3000, 0x10, 0x10),
            (DATA, 0x4ff0, 0x20, 0x4000),
        ];
        let check = |added: &[(u32, u64, u64, u64)]| {
            let all: Vec<_> = usual.iter().chain(added).copied().map(load).collect();
            let mut reversed = all.clone();
            reversed.reverse();
            let found = write_execute(&all);
            assert_eq!(write_execute(&reversed), found, "{added:?}");
            found
        };
        use WriteExecute::{Overlap, Segment, Zeroes};
        assert_eq!(check(&[]), Some(None));
        for (segment, found) in [
            // Nothing of it is in the file, a page of it, less than a page.
            ((CODE, 0x2000_0000, 0, 0x4000), Zeroes),
            ((CODE, 0x2000_0000, 0x1000, 0x2000), Zeroes),
            ((CODE, 0x2000_0000, 0x10, 0x11), Zeroes),
            ((CODE, 0x2000_0000, 0x11, 0x10), Zeroes),
            ((abi::PF_X, 0x2000_0000, 0, 1), Zeroes),
            ((CODE | DATA, 0x2000_0000, 0x10, 0x10), Segment),
            ((WRITE_EXECUTE, 0x2000_0000, 0, 0), Segment),
            // Over, beneath and at the edge of another.
            ((DATA, 0x1000, 0x1000, 0x1000), Overlap),
            ((DATA, 0x2233, 1, 1), Overlap),
            ((DATA, 0x0fff, 2, 2), Overlap),
            ((CODE, 0x8000, 0x10, 0x10), Overlap),
            ((READ, 0x1fff, 0, 0x10), Overlap),
        ] {
            assert_eq!(check(&[segment]), Some(Some(found)), "{segment:x?}");
        }
        // Beside it, or over what is not executable.
        for segment in [
            (DATA, 0x9000, 0, 0x10),
            (DATA, 0x4000, 0x10, 0x10),
            (CODE, 0x9000, 0x1000, 0x1000),
            (CODE, 0x1000, 0, 0),
        ] {
            assert_eq!(check(&[segment]), Some(None), "{segment:x?}");
        }
        assert_eq!(check(&[(DATA, u64::MAX, 1, 2)]), None);
        let mut stack = load((CODE | DATA, 0, 0, 0));
        stack.p_type = abi::PT_GNU_STACK;
        assert_eq!(
            write_execute(&[load(usual[0]), stack]),
            Some(Some(WriteExecute::Stack))
        );
        stack.p_flags = DATA;
        assert_eq!(write_execute(&[load(usual[0]), stack]), Some(None));
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
