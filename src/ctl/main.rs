//! `secure-execctl`: everything an administrator of secure-exec does.

fn main() {}
