//! Attack classes, each shown to work without the sandbox first.
