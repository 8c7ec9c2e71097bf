//! The pure part of secure-exec: names, formats, judgement and the lowering
//! of a profile to kernel objects. It opens no file, reads no environment and
//! asks no clock; everything it knows arrives as a value.

#![forbid(unsafe_code)]

pub mod arch;
pub mod audit;
pub mod cgroups;
pub mod config;
pub mod decide;
pub mod digest;
pub mod elf;
pub mod escape;
pub mod filter;
pub mod invocation;
pub mod located;
pub mod mounts;
pub mod name;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod shebang;
pub mod size;
pub mod syscall;
pub mod version;
pub mod violation;
pub mod whitelist;

#[cfg(test)]
mod properties;
