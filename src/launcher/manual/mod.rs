//! The manual of the code, for those who read or change it. Users read the
//! manual pages.
//!
//! - [`house`]: the packages and what each may do.
//! - [`launch`]: one launch as types.
//! - [`audit`]: how many writers share a log.
//! - [`images`]: how bytes are fixed, and what that is worth.
//! - [`namespaces`]: who waits where, and what a root folder is made of.
//! - [`exec_ticket`]: how the filter knows the launch's own exec.

pub mod audit;
pub mod exec_ticket;
pub mod house;
pub mod images;
pub mod launch;
pub mod namespaces;
