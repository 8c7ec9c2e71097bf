//! The one end-to-end binary: real programs, the real kernel, real files.
//!
//! Each test makes a folder of its own (see [`kit::Host`]) and may run beside
//! all others. A test that needs a program or a kernel feature fails where it
//! is missing; none skips.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that panics has failed"
)]

mod kit;

mod attacks;
mod audit;
mod bad_input;
mod hash;
mod launch;
mod namespaces;
mod policy;
mod profiles;
mod software;
mod spec;
