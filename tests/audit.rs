//! The audit log as a launch writes it.

mod chain;
mod many;
mod plugin;
mod record;
mod stress;
