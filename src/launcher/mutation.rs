//! Leaving a control out, to see that somebody notices: the canaries, or the
//! tests. Only a build with `--cfg mutation` can, which `ci/mutation` makes; in
//! the product the answer is a constant.

/// Whether this build was told to leave a control out.
#[cfg(mutation)]
pub(crate) fn leaves_out(control: &str) -> bool {
    std::env::var_os("SECURE_EXEC_MUTATION").is_some_and(|named| named == control)
}

/// Never.
#[cfg(not(mutation))]
pub(crate) const fn leaves_out(_control: &str) -> bool {
    false
}
