//! Text that is written without allocating.

use std::fmt;

/// Text in an array. What does not fit is an error.
pub struct Fixed<const SIZE: usize> {
    bytes: [u8; SIZE],
    used: usize,
}

impl<const SIZE: usize> Fixed<SIZE> {
    /// No text yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; SIZE],
            used: 0,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.used).unwrap_or_default()
    }

    /// The array, filled up with spaces and a last line feed, which must not
    /// have text in its place.
    #[must_use]
    pub fn filled(mut self) -> [u8; SIZE] {
        if let Some(padding) = self.bytes.get_mut(self.used..) {
            padding.fill(b' ');
        }
        if let Some(last) = self.bytes.last_mut() {
            *last = b'\n';
        }
        self.bytes
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only whole texts are put in.
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl<const SIZE: usize> Default for Fixed<SIZE> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const SIZE: usize> fmt::Write for Fixed<SIZE> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.used + text.len();
        let room = self.bytes.get_mut(self.used..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}
