//! One test a sentence of the guide that this project rebuilds.
