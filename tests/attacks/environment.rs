//! Variables that load code.
