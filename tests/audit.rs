//! The audit log as a launch writes it.
