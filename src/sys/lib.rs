//! The kernel, one file a facility. All of secure-exec's `unsafe` code is
//! here, one operation a block.

pub mod canary;
pub mod capabilities;
pub mod cgroup;
pub mod children;
pub mod datagram;
pub mod error;
pub mod exec;
pub mod inherited;
pub mod landlock;
pub mod lease;
pub mod limits;
pub mod lock;
pub mod log_file;
pub mod log_folder;
pub mod memfd;
pub mod mount;
pub mod namespaces;
pub mod open;
pub mod overlay;
pub mod probe;
pub mod process;
pub mod remove;
mod resolve;
pub mod seccomp;
pub mod standard;
pub mod startup;
pub mod stream;
pub mod verity;

pub use error::Error;
pub use nix::errno::Errno;
