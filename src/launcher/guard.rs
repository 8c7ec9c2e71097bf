//! What comes before everything else in every program: whose rights it has.
//!
//! Options, environment and the files that they name are the caller's choice.
//! A program that has more rights than he would read, write and execute in his
//! name what he may not, so it does nothing at all: it looks at no argument.

use std::io::Write as _;
use std::process::ExitCode;

use secure_exec_sys::process;

use crate::mutation::leaves_out;

/// Runs a program, unless exec gave it rights that its caller lacks. The
/// `main` of each program is this and nothing else.
#[must_use]
pub fn as_caller(program: impl FnOnce() -> ExitCode) -> ExitCode {
    if process::has_more_rights_than_its_caller() && !leaves_out("guard") {
        let _closed = std::io::stderr().write_all(REFUSAL.as_bytes());
        return ExitCode::from(125);
    }
    program()
}

const REFUSAL: &str = "\
ERROR: this program was given rights that its caller lacks: by a set-user-ID or set-group-ID bit, by capabilities of \
its file, or by a security module
Take them away ('chmod u-s,g-s FILE', 'setcap -r FILE', another label): every caller would have them.
";
