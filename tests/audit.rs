//! The audit log as a launch writes it.

mod many;
mod plugin;
mod record;
