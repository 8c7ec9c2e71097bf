//! Each shipped profile, with real programs of its kind.
