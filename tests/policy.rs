//! What each policy refuses and what it lets run, cell by cell.

mod file;
mod floor;
mod folder;
mod lock;
mod log;
mod signature;
mod table;
