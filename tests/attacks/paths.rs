//! Paths that lead elsewhere.
