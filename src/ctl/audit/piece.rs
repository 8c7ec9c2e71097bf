//! One file of an audit log, opened, and known again by how it begins.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use secure_exec_core::audit::files::Rotated;
use secure_exec_sys::open::read_at;

use super::lines::Lines;

/// A line that is longer is no record: the launcher's are a few kilobytes.
pub(crate) const LONGEST: usize = 16 << 20;

/// What is read at a time.
const BLOCK: usize = 256 << 10;

/// A file, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    device: u64,
    inode: u64,
}

impl Id {
    /// Which file it is.
    pub(crate) fn of(file: &File) -> io::Result<Self> {
        let stat = file.metadata()?;
        Ok(Self {
            device: stat.dev(),
            inode: stat.ino(),
        })
    }
}

/// How the first line of a file begins: with number, link and time of its
/// first record, so that nothing else begins like that but a copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Beginning(Vec<u8>);

impl Beginning {
    /// Bytes that are compared. A record is longer.
    const SIZE: usize = 256;

    /// How a plain file begins now; `None` where it has no line yet.
    pub(crate) fn of(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = vec![0; Self::SIZE];
        let read = read_at(file.as_fd(), &mut bytes, 0).map_err(io::Error::other)?;
        bytes.truncate(read);
        Ok(Self::start(&bytes))
    }

    /// As [`Beginning::of`], of a content's first bytes.
    pub(crate) fn start(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..Self::SIZE).unwrap_or(bytes);
        let line = match memchr::memchr(b'\n', bytes) {
            Some(end) => bytes.get(..end)?,
            None if bytes.len() < Self::SIZE => return None,
            None => bytes,
        };
        Some(Self(line.to_vec()))
    }

    /// The first record's number, where it has one.
    pub(crate) fn seq(&self) -> Option<u64> {
        let rest = self.0.strip_prefix(b"{\"seq\":");
        let rest = rest.or_else(|| self.0.strip_prefix(b"seq="))?;
        let end = rest.iter().position(|byte| !byte.is_ascii_digit())?;
        std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()
    }

    fn time(&self) -> Option<&[u8]> {
        timestamp(&self.0)
    }
}

/// The timestamp of a line that the launcher wrote, without a look at the rest
/// of it.
pub(crate) fn timestamp(line: &[u8]) -> Option<&[u8]> {
    const LENGTH: usize = "2026-11-24T00:00:00.000000Z".len();
    let start = line.get(..Beginning::SIZE.min(line.len()))?;
    let name = memchr::memmem::find(start, b"timestamp")?;
    let rest = start.get(name + "timestamp".len()..)?;
    let rest = rest
        .strip_prefix(b"\":\"")
        .or_else(|| rest.strip_prefix(b"="))?;
    let time = rest.get(..LENGTH)?;
    let is_shaped =
        time.iter()
            .zip(b"dddd-dd-ddTdd:dd:dd.ddddddZ")
            .all(|(byte, shape)| match shape {
                b'd' => byte.is_ascii_digit(),
                shape => byte == shape,
            });
    is_shaped.then_some(time)
}

/// One file of a log.
#[derive(Debug)]
pub(crate) struct Piece {
    /// Name in the log's folder.
    pub(crate) name: String,
    /// Number of the rotation, where the launcher rotated it.
    pub(crate) number: Option<u64>,
    /// It has the log's own name.
    pub(crate) is_active: bool,
    /// Which file it is.
    pub(crate) id: Id,
    /// Bytes that it has.
    pub(crate) bytes: u64,
    /// How its content begins; `None` where there is none yet.
    pub(crate) beginning: Option<Beginning>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// A file whose name may become another's.
    Held(File),
    /// A file whose name is its own for ever, but for `.gz`. Not held open:
    /// there may be more of them than descriptors.
    Named(PathBuf),
}

impl Piece {
    /// A file that was opened: the active one, or another program's.
    pub(crate) fn held(name: &str, file: File) -> io::Result<Self> {
        let beginning = match is_gzip(&file)? {
            true => Beginning::start(&unpacked(&file)?),
            false => Beginning::of(&file)?,
        };
        Ok(Self {
            name: name.to_string(),
            number: None,
            is_active: false,
            id: Id::of(&file)?,
            bytes: file.metadata()?.size(),
            beginning,
            source: Source::Held(file),
        })
    }

    /// A file that the launcher rotated.
    pub(crate) fn rotated(folder: &Path, of: &Rotated) -> io::Result<Self> {
        let path = folder.join(&of.name);
        let mut piece = Self::held(&of.name, open_rotated(&path)?)?;
        piece.number = Some(of.number);
        piece.source = Source::Named(path);
        Ok(piece)
    }

    /// When its first record was written, as it says.
    pub(crate) fn time(&self) -> Option<&[u8]> {
        self.beginning.as_ref()?.time()
    }

    /// Its lines, from the first.
    pub(crate) fn lines(&self) -> io::Result<Lines<Box<dyn Read>>> {
        let file = match &self.source {
            Source::Held(file) => {
                let mut file = file.try_clone()?;
                file.rewind()?;
                file
            }
            Source::Named(path) => open_rotated(path)?,
        };
        let content: Box<dyn Read> = match is_gzip(&file)? {
            true => Box::new(unpacking(file)),
            false => Box::new(file),
        };
        Ok(Lines::of(content, LONGEST))
    }
}

/// Opens a plain file for reading; it is not waited for whoever writes.
pub(crate) fn open(path: &Path, follow: bool) -> io::Result<File> {
    let links = if follow { 0 } else { libc::O_NOFOLLOW };
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(links | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) if !follow => io::Error::other("it is a symbolic link"),
            _ => error,
        })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a plain file"));
    }
    Ok(file)
}

/// A file is compressed under another name, before its own is removed.
fn open_rotated(path: &Path) -> io::Result<File> {
    match open(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut compressed = path.as_os_str().to_owned();
            compressed.push(".gz");
            open(Path::new(&compressed), false)
        }
        opened => opened,
    }
}

/// What packed content holds, unpacked.
pub(crate) fn unpacking<R: Read>(packed: R) -> MultiGzDecoder<BufReader<R>> {
    MultiGzDecoder::new(BufReader::with_capacity(BLOCK, packed))
}

/// Whether a file is compressed (RFC 1952, section 2.3.1), whatever its name.
pub(crate) fn is_gzip(file: &File) -> io::Result<bool> {
    let mut magic = [0; 2];
    let read = read_at(file.as_fd(), &mut magic, 0).map_err(io::Error::other)?;
    Ok(read == 2 && magic == [0x1f, 0x8b])
}

/// The first bytes of a compressed file's content; fewer where it ends too
/// soon, which shows when it is read.
fn unpacked(file: &File) -> io::Result<Vec<u8>> {
    let mut copy = file.try_clone()?;
    copy.rewind()?;
    let mut bytes = Vec::new();
    let _shows_later = unpacking(copy)
        .take(Beginning::SIZE as u64)
        .read_to_end(&mut bytes);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_has_number_and_time() {
        let line = |text: &str| Beginning::start(text.as_bytes()).unwrap();
        let json =
            line("{\"seq\":12,\"prev\":\"x\",\"timestamp\":\"2026-11-24T01:02:03.000004Z\"}\n");
        assert_eq!(json.seq(), Some(12));
        assert_eq!(json.time(), Some(&b"2026-11-24T01:02:03.000004Z"[..]));
        let logfmt = line("seq=7 prev=x timestamp=2026-11-24T01:02:03.000004Z a=b\n");
        assert_eq!(logfmt.seq(), Some(7));
        assert!(logfmt.time().is_some());
        let other = line("{\"timestamp\":\"yesterday, or so, or whenever it was\"}\n");
        assert_eq!((other.seq(), other.time()), (None, None));
        assert_eq!(Beginning::start(b"{\"seq\":1"), None);
    }
}
