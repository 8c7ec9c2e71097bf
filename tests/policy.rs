//! What each policy refuses and what it lets run.
