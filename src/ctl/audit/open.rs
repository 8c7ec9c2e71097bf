//! A file that somebody writes, read on from where reading it ended.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;

use secure_exec_core::audit::chain::Ends;
use secure_exec_sys::open::read_at;

use super::piece::{Beginning, Id, LONGEST};

/// What is read at a time, unless a line is longer.
const BLOCK: usize = 256 << 10;

/// An open file, and how far it is read.
pub(crate) struct Open {
    file: File,
    /// Which file it is.
    pub(crate) id: Id,
    /// End of the last whole line, in bytes.
    pub(crate) offset: u64,
    /// How it began when the first line was read.
    pub(crate) beginning: Option<Beginning>,
    /// Records up to this number are behind: they were read from a copy.
    pub(crate) behind: Option<u64>,
    /// In the middle of a line that is too long.
    is_skipping: bool,
}

/// What there is to read in a file.
pub(crate) enum Block {
    /// Whole lines.
    Lines(Vec<u8>),
    /// Nothing more.
    Nothing,
    /// Its content is not the one that was read before.
    Rewritten,
}

impl Open {
    /// A file that is not read yet.
    pub(crate) fn new(file: File) -> io::Result<Self> {
        Ok(Self {
            id: Id::of(&file)?,
            file,
            offset: 0,
            beginning: None,
            behind: None,
            is_skipping: false,
        })
    }

    /// Begins anew.
    pub(crate) fn rewind(&mut self) {
        self.offset = 0;
        self.beginning = None;
        self.behind = None;
        self.is_skipping = false;
    }

    /// A line was read.
    pub(crate) fn pass(&mut self, line: &[u8]) {
        self.offset = self.offset.saturating_add(line.len() as u64);
    }

    /// Whether a line was read from a copy before.
    pub(crate) fn is_behind(&mut self, line: &[u8]) -> bool {
        let Some(behind) = self.behind else {
            return false;
        };
        let is_behind = Ends::of(line).is_none_or(|ends| ends.seq <= behind);
        if !is_behind {
            self.behind = None;
        }
        is_behind
    }

    /// Reads whole lines. A last line without its end is left for later: it is
    /// being written, or will be cut off.
    pub(crate) fn block(&mut self) -> io::Result<Block> {
        let mut block = vec![0; BLOCK];
        loop {
            let read = read_at(self.file.as_fd(), &mut block, self.offset);
            let read = read.map_err(io::Error::other)?;
            // Only what is read before this check is of the content that the
            // offset belongs to.
            if self.is_rewritten()? {
                return Ok(Block::Rewritten);
            }
            let found = block.get(..read).unwrap_or_default();
            let end = memchr::memrchr(b'\n', found).map(|end| end.saturating_add(1));
            if self.is_skipping {
                let end = memchr::memchr(b'\n', found).map(|end| end.saturating_add(1));
                self.offset = self.offset.saturating_add(end.unwrap_or(read) as u64);
                self.is_skipping = end.is_none();
                if read == 0 {
                    return Ok(Block::Nothing);
                }
                continue;
            }
            match end {
                Some(end) => {
                    block.truncate(end);
                    return Ok(Block::Lines(block));
                }
                None if read < block.len() => return Ok(Block::Nothing),
                None if block.len() >= LONGEST => self.is_skipping = true,
                None => block.resize(block.len().saturating_mul(4), 0),
            }
        }
    }

    fn is_rewritten(&self) -> io::Result<bool> {
        if self.offset == 0 {
            return Ok(false);
        }
        if self.file.metadata()?.len() < self.offset {
            return Ok(true);
        }
        Ok(self.beginning.is_some() && Beginning::of(&self.file)? != self.beginning)
    }
}
