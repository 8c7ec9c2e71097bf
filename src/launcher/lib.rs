//! secure-exec: verify a plugin's bytes and run exactly those bytes in a
//! sandbox made for it.
//!
//! The manual is in [`manual`]. `run::launch` is the table of contents of a
//! launch; each stage below it has a file of its own and consumes the stage
//! before it.

mod certificates;
pub mod cli;
pub mod failure;
mod first;
mod granted;
pub mod guard;
pub mod hash_command;
mod headers;
mod immutable;
pub mod manual;
mod mutation;
pub mod run;

pub mod audit;
pub mod authorized;
pub mod code;
pub mod confined;
pub mod dry_run;
pub mod examined;
mod guarded;
pub mod image;
pub mod interpreter;
mod keeping;
mod links;
pub mod listed;
mod makers;
pub mod namespaces;
pub mod opened;
pub mod owner;
mod passed;
pub mod prepared;
pub mod profiles;
mod reach;
pub mod rehearsal;
mod rules;
pub mod script;
pub mod settings;
mod sight;
pub mod signature;
pub mod state;
pub mod streams;
pub mod temporary;
pub mod trail;
pub mod trust;

/// `secure-exec/VERSION`, as audit records name this program.
pub const USER_AGENT: &str = concat!("secure-exec/", env!("CARGO_PKG_VERSION"));
