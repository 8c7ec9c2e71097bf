//! Each shipped profile with a real program of its kind: what the kind needs
//! works as without secure-exec, and what it does not need is refused.

mod combined;
mod compute;
mod granted;
mod hosts;
mod interpreters;
mod jvm;
mod mcp;
pub(crate) mod network;
mod sockets;

/// What the shipped profiles are tried with.
const ISOLATIONS: [&str; 2] = ["process", "namespaces"];
