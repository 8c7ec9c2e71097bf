//! The lines of a file, in pieces of a fixed size: memory does not grow with
//! the file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use memchr::memchr;

/// Bytes that are read at a time.
const PIECE: usize = 1 << 20;
/// A line that is longer is none of a log's; it is not held in memory.
const LONGEST: usize = 32 << 20;

/// A part of a file, up to a size that it had.
#[derive(Debug)]
pub(super) struct Part<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl<'a> Part<'a> {
    pub(super) const fn of(file: &'a File, offset: u64, end: u64) -> Self {
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

/// Reads lines.
#[derive(Debug)]
pub(super) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where the next line begins, and where what was read ends.
    start: usize,
    end: usize,
    /// Up to here there is no line feed.
    searched: usize,
    is_too_long: bool,
    is_at_end: bool,
}

impl<R: Read> Lines<R> {
    pub(super) fn of(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; PIECE],
            start: 0,
            end: 0,
            searched: 0,
            is_too_long: false,
            is_at_end: false,
        }
    }

    /// The next line, its line feed included; the last one may have none. In
    /// the place of a line that is too long stands an empty one.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let rest = self.buffer.get(self.searched..self.end);
            if let Some(place) = memchr(b'\n', rest.unwrap_or_default()) {
                let end = self.searched.saturating_add(place).saturating_add(1);
                let start = std::mem::replace(&mut self.start, end);
                self.searched = end;
                if std::mem::take(&mut self.is_too_long) {
                    return Ok(Some(b"\n"));
                }
                return Ok(self.buffer.get(start..end));
            }
            self.searched = self.end;
            if self.is_at_end {
                let start = std::mem::replace(&mut self.start, self.end);
                let is_there = std::mem::take(&mut self.is_too_long) || start < self.end;
                return Ok(self.buffer.get(start..self.end).filter(|_| is_there));
            }
            self.read_on()?;
        }
    }

    fn read_on(&mut self) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.buffer.len() < LONGEST {
                let longer = self.buffer.len().saturating_mul(2).min(LONGEST);
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

    fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Lines::of(bytes);
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line.to_vec());
        }
        assert_eq!(lines.next().unwrap(), None);
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
    fn a_part_ends_where_it_is_told() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"a\nb\nc", 0).unwrap();
        let mut text = String::new();
        Part::of(&file, 2, 4).read_to_string(&mut text).unwrap();
        assert_eq!(text, "b\n");
    }
}
