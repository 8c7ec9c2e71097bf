//! YAML texts that people wrote, changed in place: an edit is a replacement of
//! a few bytes, and every other byte stays.

mod lines;
pub(crate) mod members;
pub(crate) mod outline;
pub(crate) mod sheet;
pub(crate) mod write;

#[cfg(test)]
mod tests;
