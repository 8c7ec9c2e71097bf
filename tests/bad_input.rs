//! Files that are wrong by accident or on purpose.
