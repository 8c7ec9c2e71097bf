//! The lines of a file, in pieces of a fixed size: memory does not grow with
//! the file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use memchr::memchr;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;

/// A part of a file, up to a size that it had.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl<'a> Part<'a> {
    pub(crate) const fn of(file: &'a File, offset: u64, end: u64) -> Self {
        Self { file, offset, end }
    }
}

impl Read for Part<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let room = into.len().min(left);
        let count = match into.get_mut(..room) {
            Some(into) if room > 0 => self.file.read_at(into, self.offset)?,
            _ => 0,
        };
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }
}

/// A line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// All of it, with its line feed.
    Whole(&'a [u8]),
    /// Longer than the limit.
    TooLong,
    /// The last one, without a line feed: it is being written, or whoever
    /// wrote it did not get to its end.
    Unfinished {
        /// What there is of it, but for what went beyond the limit.
        rest: &'a [u8],
        /// Something did.
        is_too_long: bool,
    },
}

/// Reads lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// A line that is longer is not held in memory.
    longest: usize,
    /// Lines that were read.
    number: u64,
    /// Where the next line begins, and where what was read ends.
    start: usize,
    end: usize,
    /// Up to here there is no line feed.
    searched: usize,
    is_too_long: bool,
    is_at_end: bool,
}

impl<R: Read> Lines<R> {
    /// The lines of a source, of so many bytes at the most.
    pub(crate) fn of(source: R, longest: usize) -> Self {
        Self {
            source,
            buffer: vec![0; PIECE.min(longest)],
            longest,
            number: 0,
            start: 0,
            end: 0,
            searched: 0,
            is_too_long: false,
            is_at_end: false,
        }
    }

    /// Number of the line that was read last, from 1.
    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let rest = self.buffer.get(self.searched..self.end);
            if let Some(place) = memchr(b'\n', rest.unwrap_or_default()) {
                let end = self.searched.saturating_add(place).saturating_add(1);
                let start = std::mem::replace(&mut self.start, end);
                self.searched = end;
                self.number += 1;
                if std::mem::take(&mut self.is_too_long) {
                    return Ok(Some(Line::TooLong));
                }
                return Ok(self.buffer.get(start..end).map(Line::Whole));
            }
            self.searched = self.end;
            if self.is_at_end {
                let start = std::mem::replace(&mut self.start, self.end);
                let is_too_long = std::mem::take(&mut self.is_too_long);
                if !is_too_long && start == self.end {
                    return Ok(None);
                }
                self.number += 1;
                let rest = self.buffer.get(start..self.end).unwrap_or_default();
                return Ok(Some(Line::Unfinished { rest, is_too_long }));
            }
            self.read_on()?;
        }
    }

    fn read_on(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.buffer.len() < self.longest {
                let longer = self.buffer.len().saturating_mul(2).min(self.longest);
                self.buffer.resize(longer, 0);
            } else {
                self.is_too_long = true;
                self.end = 0;
            }
        }
        self.searched = self.end;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match self.source.read(room) {
            Ok(0) => self.is_at_end = true,
            Ok(count) => self.end = self.end.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: usize = 4 * PIECE;

    /// The lines, an empty one in the place of each that is too long.
    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::of(bytes, LONGEST);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(match line {
                Line::Whole(line) => line.to_vec(),
                Line::TooLong => b"\n".to_vec(),
                Line::Unfinished { rest, .. } => rest.to_vec(),
            });
        }
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.number(), found.len() as u64);
        found
    }

    #[test]
    fn lines_are_whole_wherever_a_piece_ends() {
        for length in [1, 2, 7, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE] {
            let line = [vec![b'x'; length - 1], vec![b'\n']].concat();
            let text = line.repeat(3);
            assert_eq!(lines(&text), vec![line.clone(); 3], "{length}");
            let torn = &text[..text.len() - 1];
            let found = lines(torn);
            assert_eq!(found.concat(), torn);
            assert_eq!(found.len(), if length == 1 { 2 } else { 3 });
        }
        assert_eq!(lines(b""), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn a_line_that_is_too_long_is_not_held() {
        let long = vec![b'x'; LONGEST + PIECE];
        let text = [b"a\n", &long[..], b"\nb\n"].concat();
        assert_eq!(lines(&text), [b"a\n", &b"\n"[..], b"b\n"]);
        let found = lines(&long);
        assert_eq!(found.len(), 1);
        assert!(!found[0].ends_with(b"\n") && found[0].len() < LONGEST);
    }

    #[test]
    fn a_line_without_its_end_is_told_from_others() {
        let mut lines = Lines::of(&b"a\n\nb"[..], LONGEST);
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"a\n")));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"\n")));
        let last = Line::Unfinished {
            rest: b"b",
            is_too_long: false,
        };
        assert_eq!(lines.next().unwrap(), Some(last));
        assert_eq!(lines.number(), 3);
        assert_eq!(lines.next().unwrap(), None);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = vec![b'x'; LONGEST + 10];
        let bytes = [b"a\n", &long[..], b"\nb\n", &long[..]].concat();
        let mut lines = Lines::of(&bytes[..], LONGEST);
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"a\n")));
        assert_eq!(lines.next().unwrap(), Some(Line::TooLong));
        assert_eq!(lines.next().unwrap(), Some(Line::Whole(b"b\n")));
        let last = lines.next().unwrap();
        let is_told = matches!(
            last,
            Some(Line::Unfinished {
                is_too_long: true,
                ..
            })
        );
        assert!(is_told, "{last:?}");
    }

    #[test]
    fn a_part_ends_where_it_is_told() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"a\nb\nc", 0).unwrap();
        let mut text = String::new();
        Part::of(&file, 2, 4).read_to_string(&mut text).unwrap();
        assert_eq!(text, "b\n");
    }
}
