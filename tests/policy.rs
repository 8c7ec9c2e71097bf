//! What each policy refuses and what it lets run, cell by cell.

mod floor;
mod log;
mod signature;
mod table;
