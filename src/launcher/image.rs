//! The bytes that are hashed and executed, fixed so that they are the same.

use std::borrow::Cow;
use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use secure_exec_core::digest::{Algorithm, Digest, Hasher};
use secure_exec_core::elf;
use secure_exec_core::shebang;
use secure_exec_core::whitelist::{ImageChoice, Strength};
use secure_exec_sys::memfd::{self, Mapping, Use};
use secure_exec_sys::open::{self, Bounded, Stat};
use secure_exec_sys::{Error, capabilities, lease, verity};

use crate::guarded::{self, Guard};
use crate::owner::Owners;
use crate::sight::Sight;

/// Bytes read at once: as many as stay in a cache near the processor.
const CHUNK: usize = 64 << 10;

/// Fixed bytes, from open to exec. There is no path left to open again, unless
/// nobody but root could lead it elsewhere.
#[derive(Debug)]
pub struct Image {
    file: OwnedFd,
    bytes: Option<Mapping>,
    strength: Strength,
    is_leased: bool,
    /// Where a guarded file is, or a copy will be.
    place: Option<PathBuf>,
    /// What a guarded file was when it was fixed.
    stat: Option<Stat>,
    limit: u64,
    why_no_better: Vec<String>,
}

/// A file whose bytes are to be fixed.
pub(crate) struct Candidate<'a> {
    /// The path by which it was named.
    pub(crate) path: &'a Path,
    /// What it is.
    pub(crate) stat: &'a Stat,
    /// What happens to it.
    pub(crate) purpose: Use,
    /// Another user than the launcher's gets it.
    pub(crate) for_others: bool,
    /// Which kind is wished.
    pub(crate) choice: ImageChoice,
    /// Which kind is demanded.
    pub(crate) minimum: Option<Strength>,
    /// Largest size in bytes.
    pub(crate) limit: u64,
    /// The launch's look at the file system.
    pub(crate) sight: &'a Sight,
}

/// What fixing led to.
#[derive(Debug)]
pub enum Fixing {
    /// The bytes are fixed.
    Fixed(Image),
    /// The file is, or grew, larger than the limit.
    TooLarge,
    /// The wished kind is not to be had here, for this reason.
    Unavailable(String),
}

impl Image {
    /// Fixes the bytes of an open file.
    ///
    /// # Errors
    /// A system call failed.
    pub(crate) fn fix(file: OwnedFd, candidate: &Candidate<'_>) -> Result<Fixing, Error> {
        match (candidate.choice, candidate.purpose) {
            (ImageChoice::Sealed, _) => {
                let copied = Self::fix_copy(&file, candidate)?;
                Ok(copied.explained(vec!["the entry asks for a copy".into()]))
            }
            (ImageChoice::Auto, Use::Execute) => Self::first_sound(file, candidate),
            (ImageChoice::InPlace, Use::Execute) => Self::leased(file, candidate),
            (ImageChoice::Verity, Use::Execute) => Self::verity(file, candidate),
            // It is read after exec, when a lease is gone.
            (_, Use::Read) => Self::first_for_readers(file, candidate),
        }
    }

    /// Fixes bytes by copying them, whatever file system they are on.
    ///
    /// # Errors
    /// As [`Image::fix`].
    pub(crate) fn fix_copy(file: &OwnedFd, candidate: &Candidate<'_>) -> Result<Fixing, Error> {
        let (purpose, limit) = (candidate.purpose, candidate.limit);
        let name = name_of(candidate.path);
        let copy = match memfd::sealed_copy(&name, purpose, file.as_fd(), limit) {
            Ok(Some(copy)) => copy,
            Ok(None) => return Ok(Fixing::TooLarge),
            Err(error) if error.is_access_denied() => {
                let why = "this kernel forbids executable memory files \
                           (the sysctl vm.memfd_noexec is 2, 1 would do)";
                return Ok(Fixing::Unavailable(why.into()));
            }
            Err(error) => return Err(error),
        };
        let bytes = Mapping::new(copy.as_fd())?;
        let image = Self::of(copy, Strength::Sealed, limit);
        Ok(Fixing::Fixed(Self {
            bytes: Some(bytes),
            ..image
        }))
    }

    const fn of(file: OwnedFd, strength: Strength, limit: u64) -> Self {
        Self {
            file,
            bytes: None,
            strength,
            is_leased: matches!(strength, Strength::Leased),
            place: None,
            stat: None,
            limit,
            why_no_better: Vec::new(),
        }
    }

    /// Why a program runs as a copy although it looks for files beside itself.
    #[must_use]
    pub(crate) fn misses_its_folder(&self) -> Option<String> {
        let is_missing = self.bytes.as_deref().is_some_and(elf::uses_origin);
        self.why_no_better().filter(|_| is_missing)
    }

    /// Why no kind was to be had that is tried before this one, as a sentence.
    #[must_use]
    pub fn why_no_better(&self) -> Option<String> {
        (!self.why_no_better.is_empty()).then(|| self.why_no_better.join("; "))
    }

    /// How many bytes a copy has; 0 of a file.
    pub(crate) fn length(&self) -> u64 {
        self.bytes.as_deref().map_or(0, |bytes| bytes.len() as u64)
    }

    /// Says where a copy will be, if this is one.
    pub(crate) fn put_copy_at(&mut self, place: Option<PathBuf>) {
        if !self.has_path() {
            self.place = place;
        }
    }

    /// Where the file is, or a copy of it will be, for those who open it by its
    /// path: nobody but root could lead that elsewhere.
    #[must_use]
    pub fn place(&self) -> Option<&Path> {
        self.place.as_deref()
    }

    /// How strongly the bytes are fixed.
    #[must_use]
    pub const fn strength(&self) -> Strength {
        self.strength
    }

    /// The descriptor.
    #[must_use]
    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// The first bytes, of which a script's first line is read.
    ///
    /// # Errors
    /// As pread(2).
    pub fn head(&self) -> Result<Vec<u8>, Error> {
        head_of(self.file.as_fd(), shebang::HEAD)
    }

    /// The headers of the program that the bytes are.
    ///
    /// # Errors
    /// They are no ELF program, or a damaged one; a sentence.
    pub fn program(&self) -> Result<elf::Program, String> {
        program(self.file.as_fd())
    }

    /// The whole content; `None` where the file outgrew the limit.
    ///
    /// # Errors
    /// As read(2).
    pub fn content(&self) -> Result<Option<Cow<'_, [u8]>>, Error> {
        if let Some(bytes) = &self.bytes {
            return Ok(Some(Cow::Borrowed(bytes)));
        }
        let mut bytes = Vec::new();
        let read = open::read_bounded(self.file.as_fd(), &mut bytes, self.limit)?;
        Ok((read == Bounded::Complete).then_some(Cow::Owned(bytes)))
    }

    /// Computes the digest of the bytes, or asks the kernel for it. `None`
    /// where the file outgrew the limit, or has no such digest.
    ///
    /// # Errors
    /// As read(2).
    pub fn digest(&self, algorithm: Algorithm) -> Result<Option<Digest>, Error> {
        let Some(hasher) = Hasher::new(algorithm) else {
            let measured = verity::measure(self.file.as_fd())?;
            return Ok(measured.and_then(|bytes| Digest::from_bytes(algorithm, &bytes)));
        };
        match &self.bytes {
            Some(bytes) => {
                let mut hasher = hasher;
                hasher.update(bytes);
                Ok(Some(hasher.finish()))
            }
            None => digest_file(self.file.as_fd(), hasher, self.limit),
        }
    }

    /// Whether nobody has touched the bytes since they were fixed, as far as
    /// the kernel tells of a lease.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn is_intact(&self) -> Result<bool, Error> {
        if self.is_leased {
            lease::is_held(self.file.as_fd())
        } else {
            Ok(true)
        }
    }

    /// Whether a guarded file still has its content: not even root has changed
    /// it.
    ///
    /// # Errors
    /// As fstat(2).
    pub(crate) fn is_unchanged(&self) -> Result<bool, Error> {
        match self.stat {
            None => Ok(true),
            Some(stat) => {
                let now = open::stat(self.file.as_fd())?;
                // An update that puts another file in its place changes only
                // the number of its names.
                Ok((now.size, now.modified) == (stat.size, stat.modified))
            }
        }
    }

    /// Whether Landlock needs a rule for it: a copy lies in no folder.
    #[must_use]
    pub const fn has_path(&self) -> bool {
        !matches!(self.strength, Strength::Sealed)
    }

    fn leased(file: OwnedFd, candidate: &Candidate<'_>) -> Result<Fixing, Error> {
        if let Some(why) = why_no_lease(&file, candidate.stat)? {
            return Ok(Fixing::Unavailable(why));
        }
        let image = Self::of(file, Strength::Leased, candidate.limit);
        Ok(Fixing::Fixed(image))
    }

    fn verity(file: OwnedFd, candidate: &Candidate<'_>) -> Result<Fixing, Error> {
        if verity::measure(file.as_fd())?.is_none() {
            return Ok(Fixing::Unavailable(NO_VERITY.into()));
        }
        let image = Self::of(file, Strength::Verity, candidate.limit);
        Ok(Fixing::Fixed(image))
    }

    fn guarded(file: OwnedFd, guard: Guard, candidate: &Candidate<'_>) -> Self {
        Self {
            is_leased: guard.is_leased,
            place: Some(guard.place),
            stat: Some(*candidate.stat),
            ..Self::of(file, Strength::Guarded, candidate.limit)
        }
    }

    /// The first kind that is sound here: fs-verity costs nothing, a guarded
    /// file and a leased one stay where they are, a copy always works, but for
    /// programs that look for their files beside themselves.
    fn first_sound(file: OwnedFd, candidate: &Candidate<'_>) -> Result<Fixing, Error> {
        if capabilities::has_own(file.as_fd())? {
            let copied = Self::fix_copy(&file, candidate)?;
            return Ok(copied.explained(vec![HAS_CAPABILITIES.into()]));
        }
        if verity::measure(file.as_fd())?.is_some() {
            return Self::verity(file, candidate);
        }
        let mut reasons = vec![NO_VERITY.to_string()];
        match look(&file, candidate)? {
            Ok(guard) => {
                let image = Self::guarded(file, guard, candidate);
                return Ok(Fixing::Fixed(image.explained(reasons)));
            }
            Err(why) => reasons.push(format!("not guarded: {why}")),
        }
        let no_lease = match () {
            () if candidate.demands_more_than(Strength::Leased) => Some(DEMANDED.to_string()),
            () if !elf::is_elf(&head_of(file.as_fd(), 4)?) => Some("it is no program".into()),
            () => why_no_lease(&file, candidate.stat)?,
        };
        let Some(why) = no_lease else {
            let image = Self::of(file, Strength::Leased, candidate.limit);
            return Ok(Fixing::Fixed(image.explained(reasons)));
        };
        reasons.push(format!("not leased: {why}"));
        match Self::fix_copy(&file, candidate)? {
            Fixing::Unavailable(no_copy) => {
                reasons.push(no_copy);
                Ok(Fixing::Unavailable(reasons.join("; ")))
            }
            copied => Ok(copied.explained(reasons)),
        }
    }

    fn first_for_readers(file: OwnedFd, candidate: &Candidate<'_>) -> Result<Fixing, Error> {
        let reason = match look(&file, candidate)? {
            Ok(guard) => {
                let image = Self::guarded(file, guard, candidate);
                return Ok(Fixing::Fixed(image));
            }
            Err(why) => format!("not guarded: {why}"),
        };
        let copied = Self::fix_copy(&file, candidate)?;
        Ok(copied.explained(vec![reason]))
    }

    fn explained(self, why_no_better: Vec<String>) -> Self {
        Self {
            why_no_better,
            ..self
        }
    }
}

impl Fixing {
    fn explained(self, why_no_better: Vec<String>) -> Self {
        match self {
            Self::Fixed(image) => Self::Fixed(image.explained(why_no_better)),
            other => other,
        }
    }
}

impl Candidate<'_> {
    fn demands_more_than(&self, strength: Strength) -> bool {
        self.minimum.is_some_and(|minimum| minimum > strength)
    }
}

const NO_VERITY: &str = "the kernel measures no fs-verity digest of it";
/// A copy has none of them, nor does the plugin get any in any case.
const HAS_CAPABILITIES: &str =
    "the file has capabilities, without which the kernel does not execute it";
const DEMANDED: &str = "the whitelist demands more";

fn look(file: &OwnedFd, candidate: &Candidate<'_>) -> Result<Result<Guard, String>, Error> {
    if candidate.demands_more_than(Strength::Guarded) {
        return Ok(Err(DEMANDED.into()));
    }
    guarded::look(
        candidate.path,
        file,
        candidate.stat,
        candidate.for_others,
        candidate.sight,
    )
}

/// A copy has its file's name, which is what tools show of the process. The
/// kernel takes 249 bytes (man 2 memfd_create).
fn name_of(path: &Path) -> CString {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = name.get(..249).unwrap_or(name);
    CString::new(name).unwrap_or_default()
}

/// Takes a lease, or says why there is none to be had.
///
/// A lease keeps openers away, and whoever could have opened it before may have
/// its pages still, by ways that the kernel does not count: buffers of io_uring,
/// direct reads that wait. So it is for files that root and the launcher's user
/// alone can write.
fn why_no_lease(file: &OwnedFd, stat: &Stat) -> Result<Option<String>, Error> {
    if let Some(finding) = Owners::RootAndCaller.check(Path::new(""), stat)? {
        return Ok(Some(format!("it {}", finding.phrase())));
    }
    if let Some(why) = lease::why_not_trusted(file.as_fd())? {
        return Ok(Some(why.into()));
    }
    match lease::take(file.as_fd()) {
        Ok(()) => Ok(None),
        Err(error) if error.is_access_denied() => {
            Ok(Some("only its owner may take a lease on the file".into()))
        }
        Err(error) => Ok(Some(format!("somebody may be writing the file ({error})"))),
    }
}

/// The headers of the program in an open file.
///
/// # Errors
/// It is no ELF program, or a damaged one; a sentence.
pub fn program(file: BorrowedFd<'_>) -> Result<elf::Program, String> {
    let head = head_of(file, 4).map_err(|error| error.to_string())?;
    if !elf::is_elf(&head) {
        let why = match *head {
            [] => ": it is empty",
            [0xef, 0xbb, 0xbf, ..] => ": it begins with a byte order mark",
            _ => "",
        };
        return Err(format!("it is neither an ELF program nor a script{why}"));
    }
    elf::inspect_parts(&|offset, length| {
        let mut part = vec![0; length];
        let read = open::read_at(file, &mut part, offset).ok()?;
        (read == length).then_some(part)
    })
}

fn head_of(file: BorrowedFd<'_>, length: usize) -> Result<Vec<u8>, Error> {
    let mut head = vec![0; length];
    let count = open::read_at(file, &mut head, 0)?;
    head.truncate(count);
    Ok(head)
}

/// Hashes a file from its start; `None` where it is larger than `limit`.
///
/// # Errors
/// As read(2).
pub fn digest_file(
    file: BorrowedFd<'_>,
    mut hasher: Hasher,
    limit: u64,
) -> Result<Option<Digest>, Error> {
    let mut buffer = vec![0; CHUNK];
    let mut offset = 0_u64;
    loop {
        let count = open::read_at(file, &mut buffer, offset)?;
        hasher.update(buffer.get(..count).unwrap_or_default());
        offset = offset.saturating_add(count as u64);
        if offset > limit {
            return Ok(None);
        }
        if count < CHUNK {
            return Ok(Some(hasher.finish()));
        }
    }
}
