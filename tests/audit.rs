//! The audit log as a launch writes it.

mod chain;
mod collectors;
mod failure;
mod faults;
mod format;
mod held;
mod housekeeping;
mod journal;
mod many;
mod place;
mod plugin;
mod record;
mod repair;
mod rotation;
mod signing;
mod sinks;
mod stress;
mod syslog;
mod users;

use crate::kit::{Host, User};

/// A host with a plugin that ends at once, whose configuration has this as the
/// audit log's part.
fn host(user: User, options: &str) -> Host {
    let mut host = Host::of(user);
    host.install_sh("p", "exit 0");
    host.list("p", &[]);
    host.audit(options);
    host
}
