//! `plugin-hash`.
