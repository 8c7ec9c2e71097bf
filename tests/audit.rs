//! The audit log as a launch writes it.

mod chain;
mod collectors;
mod failure;
mod faults;
mod format;
mod held;
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
