//! The bytes that are hashed and executed, fixed so that they are the same.

use std::borrow::Cow;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use secure_exec_core::digest::{Algorithm, Digest, Hasher};
use secure_exec_core::elf;
use secure_exec_core::shebang;
use secure_exec_core::whitelist::{ImageChoice, Strength};
use secure_exec_sys::memfd::{self, Mapping, Use};
use secure_exec_sys::open::{self, Bounded, Stat};
use secure_exec_sys::{Error, lease, probe, verity};

/// Above this size a copy costs more than a lease.
const COPY_UP_TO: u64 = 128 << 10;
/// Bytes read at once: as many as stay in a cache near the processor.
const CHUNK: usize = 64 << 10;

/// Fixed bytes, from open to exec. There is no path left to open again.
#[derive(Debug)]
pub struct Image {
    file: OwnedFd,
    bytes: Option<Mapping>,
    strength: Strength,
    limit: u64,
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
    pub fn fix(
        file: OwnedFd,
        stat: &Stat,
        choice: ImageChoice,
        minimum: Option<Strength>,
        limit: u64,
    ) -> Result<Fixing, Error> {
        match choice {
            ImageChoice::Sealed => Self::fix_copy(&file, Use::Execute, limit),
            ImageChoice::InPlace => Self::leased(file, limit),
            ImageChoice::Verity => Self::verity(file, limit),
            ImageChoice::Auto => Self::cheapest(file, stat, minimum, limit),
        }
    }

    /// Fixes bytes by copying them, whatever file system they are on.
    ///
    /// # Errors
    /// As [`Image::fix`].
    pub fn fix_copy(file: &OwnedFd, purpose: Use, limit: u64) -> Result<Fixing, Error> {
        let copy = match memfd::sealed_copy(c"plugin", purpose, file.as_fd(), limit) {
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
        Ok(Fixing::Fixed(Self {
            file: copy,
            bytes: Some(bytes),
            strength: Strength::Sealed,
            limit,
        }))
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

    /// Whether nobody has touched the bytes since they were fixed.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn is_intact(&self) -> Result<bool, Error> {
        match self.strength {
            Strength::Leased => lease::is_held(self.file.as_fd()),
            Strength::Sealed | Strength::Verity => Ok(true),
        }
    }

    /// Whether Landlock needs a rule for it: a copy lies in no folder.
    #[must_use]
    pub const fn has_path(&self) -> bool {
        !matches!(self.strength, Strength::Sealed)
    }

    fn leased(file: OwnedFd, limit: u64) -> Result<Fixing, Error> {
        if let Some(why) = why_no_lease(&file)? {
            return Ok(Fixing::Unavailable(why));
        }
        Ok(Fixing::Fixed(Self {
            file,
            bytes: None,
            strength: Strength::Leased,
            limit,
        }))
    }

    fn verity(file: OwnedFd, limit: u64) -> Result<Fixing, Error> {
        if verity::measure(file.as_fd())?.is_none() {
            let why = "the file has no fs-verity digest that the kernel measures";
            return Ok(Fixing::Unavailable(why.into()));
        }
        Ok(Fixing::Fixed(Self {
            file,
            bytes: None,
            strength: Strength::Verity,
            limit,
        }))
    }

    /// fs-verity costs nothing; a lease costs no copy; a copy always works,
    /// but for programs that look for their libraries beside themselves.
    fn cheapest(
        file: OwnedFd,
        stat: &Stat,
        minimum: Option<Strength>,
        limit: u64,
    ) -> Result<Fixing, Error> {
        if verity::measure(file.as_fd())?.is_some() {
            return Self::verity(file, limit);
        }
        let may_lease = minimum.is_none_or(|minimum| minimum <= Strength::Leased)
            && elf::is_elf(&head_of(file.as_fd(), 4)?);
        if may_lease && stat.size > COPY_UP_TO && why_no_lease(&file)?.is_none() {
            return Ok(Fixing::Fixed(Self {
                file,
                bytes: None,
                strength: Strength::Leased,
                limit,
            }));
        }
        let copied = Self::fix_copy(&file, Use::Execute, limit)?;
        match &copied {
            Fixing::Unavailable(no_copy) if may_lease => match Self::leased(file, limit)? {
                Fixing::Unavailable(why) => {
                    Ok(Fixing::Unavailable(format!("{no_copy}, and {why}")))
                }
                leased => Ok(leased),
            },
            Fixing::Fixed(image)
                if may_lease && image.bytes.as_deref().is_some_and(elf::uses_origin) =>
            {
                match Self::leased(file, limit)? {
                    Fixing::Unavailable(_) => Ok(copied),
                    leased => Ok(leased),
                }
            }
            _ => Ok(copied),
        }
    }
}

/// Takes a lease, or says why there is none to be had.
fn why_no_lease(file: &OwnedFd) -> Result<Option<String>, Error> {
    if !lease::is_trustworthy_here(file.as_fd())? {
        return Ok(Some("leases can't be trusted on this file system".into()));
    }
    if !lease::running_executables_are_kept(&probe::kernel_release()) {
        return Ok(Some("this kernel lets running programs be written".into()));
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
