//! A program or library file as the dynamic loader sees it: by its program
//! headers alone. Owns no search.

use std::fs::File;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use elf::abi;
use elf::dynamic::DynamicTable;
use elf::endian::AnyEndian;
use elf::file::{Class, FileHeader};
use elf::segment::{ProgramHeader, SegmentTable};
use elf::string_table::StringTable;
use secure_exec_sys::open;

/// What a file asks of the loader.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// Its machine (`e_machine`).
    pub(super) machine: u16,
    /// The loader (`PT_INTERP`).
    pub(super) interpreter: Option<String>,
    /// Its own name (`DT_SONAME`).
    pub(super) name: Option<String>,
    /// Libraries, in order.
    pub(super) needed: Vec<String>,
    /// Folders for its libraries and theirs (`DT_RPATH`).
    pub(super) rpath: Option<String>,
    /// Folders for its own libraries (`DT_RUNPATH`).
    pub(super) runpath: Option<String>,
    /// It does not look into the default folders (`DF_1_NODEFLIB`).
    pub(super) no_default: bool,
}

/// Names that a loader reads are shorter, and tables smaller.
const LARGEST: usize = 16 << 20;
const HEADER: usize = 64;
const SEGMENT: usize = 56;
/// Filters load what they name like any library (missing in the crate).
const DT_AUXILIARY: i64 = 0x7fff_fffd;
const DT_FILTER: i64 = 0x7fff_ffff;

impl Object {
    /// Reads a file's headers; `None` where it is no ELF file of 64 bits.
    ///
    /// # Errors
    /// It can't be read, or is damaged; a sentence.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        Self::of(file.as_fd())
    }

    /// The same of an open file.
    ///
    /// # Errors
    /// As [`Object::read`].
    pub(super) fn of(file: BorrowedFd<'_>) -> Result<Option<Self>, String> {
        let Some(head) = part(file, 0, HEADER)? else {
            return Ok(None);
        };
        let Ok(ident) = elf::file::parse_ident::<AnyEndian>(&head) else {
            return Ok(None);
        };
        let (endian, class) = (ident.0, ident.1);
        if class != Class::ELF64 {
            return Ok(None);
        }
        let tail = head.get(abi::EI_NIDENT..).unwrap_or_default();
        let header = FileHeader::parse_tail(ident, tail).map_err(|error| error.to_string())?;
        if usize::from(header.e_phentsize) != SEGMENT {
            return Ok(None);
        }
        let length = usize::from(header.e_phnum).saturating_mul(SEGMENT);
        let table = part(file, header.e_phoff, length)?.ok_or_else(damaged)?;
        let segments: Vec<ProgramHeader> =
            SegmentTable::new(endian, class, &table).iter().collect();
        let mut object = Self {
            machine: header.e_machine,
            ..Self::default()
        };
        let of_type = |kind: u32| segments.iter().find(|segment| segment.p_type == kind);
        if let Some(segment) = of_type(abi::PT_INTERP) {
            let name = part(file, segment.p_offset, length_of(segment.p_filesz)?)?;
            let name = name.ok_or_else(damaged)?;
            let name = StringTable::new(&name).get(0).map_err(|_| damaged())?;
            object.interpreter = Some(name.to_string());
        }
        if let Some(segment) = of_type(abi::PT_DYNAMIC) {
            let length = length_of(segment.p_filesz)?;
            let bytes = part(file, segment.p_offset, length)?.ok_or_else(damaged)?;
            let table = DynamicTable::new(endian, class, &bytes);
            object.dynamic(file, &segments, &table)?;
        }
        Ok(Some(object))
    }

    fn dynamic(
        &mut self,
        file: BorrowedFd<'_>,
        segments: &[ProgramHeader],
        table: &DynamicTable<'_, AnyEndian>,
    ) -> Result<(), String> {
        let entries = || table.iter().take_while(|entry| entry.d_tag != abi::DT_NULL);
        let value = |tag: i64| {
            let found = entries().find(|entry| entry.d_tag == tag);
            found.map(|entry| entry.d_val())
        };
        let (Some(address), Some(size)) = (value(abi::DT_STRTAB), value(abi::DT_STRSZ)) else {
            return Ok(());
        };
        let offset = file_offset(segments, address).ok_or_else(damaged)?;
        let strings = part(file, offset, length_of(size)?)?.ok_or_else(damaged)?;
        let strings = StringTable::new(&strings);
        for entry in entries() {
            let text = || -> Result<String, String> {
                let at = usize::try_from(entry.d_val()).map_err(|_| damaged())?;
                strings.get(at).map(String::from).map_err(|_| damaged())
            };
            match entry.d_tag {
                abi::DT_NEEDED | DT_AUXILIARY | DT_FILTER => self.needed.push(text()?),
                abi::DT_SONAME => self.name = Some(text()?),
                abi::DT_RPATH => self.rpath = Some(text()?),
                abi::DT_RUNPATH => self.runpath = Some(text()?),
                abi::DT_FLAGS_1 => {
                    let flags = i64::try_from(entry.d_val()).unwrap_or_default();
                    self.no_default = flags & abi::DF_1_NODEFLIB != 0;
                }
                _ => {}
            }
        }
        // With a DT_RUNPATH the other one counts for nothing (man 8 ld.so).
        if self.runpath.is_some() {
            self.rpath = None;
        }
        Ok(())
    }
}

/// So many bytes from an offset; `None` where the file is shorter.
fn part(file: BorrowedFd<'_>, offset: u64, length: usize) -> Result<Option<Vec<u8>>, String> {
    if length > LARGEST {
        return Err(damaged());
    }
    let mut bytes = vec![0; length];
    let read = open::read_at(file, &mut bytes, offset).map_err(|error| error.to_string())?;
    Ok((read == length).then_some(bytes))
}

fn length_of(size: u64) -> Result<usize, String> {
    usize::try_from(size).map_err(|_| damaged())
}

/// Where an address of the loaded program is in the file.
fn file_offset(segments: &[ProgramHeader], address: u64) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.p_type == abi::PT_LOAD)
        .find_map(|segment| {
            let within = address.checked_sub(segment.p_vaddr)?;
            (within < segment.p_filesz).then(|| segment.p_offset.checked_add(within))?
        })
}

fn damaged() -> String {
    "its ELF headers are damaged".into()
}
