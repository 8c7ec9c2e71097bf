//! The packages, each of which buys a boundary.
//!
//! ```text
//! secure-exec-core  <-  secure-exec-sys  <-  secure-exec  <-  secure-exec-ctl
//! ```
//!
//! | package | folder | boundary |
//! |---|---|---|
//! | `secure-exec-core` | `src/core` | pure: no file, environment, clock, process; `forbid(unsafe_code)` |
//! | `secure-exec-sys` | `src/sys` | the only `unsafe`, one operation a block, one file a kernel facility |
//! | `secure-exec` | `src/launcher` | the trusted code: the stages of a launch; no threads, no async |
//! | `secure-exec-ctl` | `src/ctl` | the administrator's tool: tables, colours, editing |
//!
//! The root manifest is workspace and root package at once, so that `cargo
//! install --path .` builds the trusted code and nothing else. A boundary of
//! manifests is checked by cargo; one of features would be checked by nobody.
//!
//! Words: a *profile* confines one plugin; a *policy* is strict, permissive or
//! audit-only; a *plan* is a profile lowered for this kernel. Types say
//! *digest*; `hash_*` stands only where a file format says so. Landlock's and
//! seccomp's objects have their own terms: ruleset, access right, scope,
//! domain; filter, action.
//!
//! Errors are values with a sentence and a cure, and are printed once, by
//! [`crate::run::main`]. What a policy may overlook is a
//! [`Violation`](secure_exec_core::violation::Violation); what it can't is a
//! [`Failure`](crate::failure::Failure).
