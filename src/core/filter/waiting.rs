//! Filters for processes of the launcher's own that only wait: a handful of
//! calls, and any other ends the process.

use std::rc::Rc;

use super::assemble::{ALLOW, Check, KILL_PROCESS, Verdict, assemble};
use super::checks::{Own, Test, equals};
use super::{ExecTicket, FilterError, Instruction};
use crate::arch::Arch;
use crate::syscall;

/// A call that is admitted, and the values of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its name. One that the architecture lacks is passed over.
    pub name: &'static str,
    /// Its first argument, where only one value will do.
    pub first: Option<u32>,
    /// Its third.
    pub third: Option<u32>,
}

/// Compiles a filter of these calls.
///
/// # Errors
/// As [`super::compile`].
pub fn waiting(arch: Arch, calls: &[Admitted]) -> Result<Vec<Instruction>, FilterError> {
    let size = syscall::LAST_KNOWN as usize + 1;
    let mut verdicts = vec![Verdict::Return(KILL_PROCESS); size];
    for call in calls {
        if !syscall::is_known(call.name) {
            return Err(FilterError::UnknownName(call.name.to_string()));
        }
        let number = syscall::number(arch, call.name);
        let slot = number.and_then(|number| verdicts.get_mut(number as usize));
        let Some(slot) = slot else { continue };
        let tests: Vec<Test> = [(0, call.first), (2, call.third)]
            .into_iter()
            .filter_map(|(argument, value)| Some(equals(argument, value?)))
            .collect();
        *slot = if tests.is_empty() {
            Verdict::Return(ALLOW)
        } else {
            Verdict::Check(Rc::new(Check {
                alternatives: vec![tests],
                refused: KILL_PROCESS,
            }))
        };
    }
    // None of these numbers is asked for.
    assemble(arch, &verdicts, &Own::new(0, ExecTicket::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::evaluate::{Action, Call, run};

    #[test]
    fn what_is_not_named_ends_the_process() {
        for arch in [Arch::X86_64, Arch::Aarch64] {
            let calls = [
                Admitted {
                    name: "write",
                    first: None,
                    third: None,
                },
                Admitted {
                    name: "kill",
                    first: Some(7),
                    third: None,
                },
                Admitted {
                    name: "unlinkat",
                    first: Some(7),
                    third: Some(0x200),
                },
            ];
            let program = waiting(arch, &calls).unwrap();
            let answer = |name: &str, first: u64, third: u64| {
                let number = syscall::number(arch, name).unwrap();
                let call = Call::native(arch, number, [first, 0, third, 0, 0, 0]);
                run(&program, &call)
            };
            let verdict = |name: &str, first: u64| answer(name, first, 0);
            assert_eq!(verdict("write", 1), Action::Allow);
            assert_eq!(verdict("kill", 7), Action::Allow);
            assert_eq!(verdict("kill", 8), Action::KillProcess);
            assert_eq!(answer("unlinkat", 7, 0x200), Action::Allow);
            assert_eq!(answer("unlinkat", 7, 0), Action::KillProcess);
            assert_eq!(answer("unlinkat", 8, 0x200), Action::KillProcess);
            assert_eq!(verdict("openat", 7), Action::KillProcess);
            assert_eq!(verdict("execveat", 7), Action::KillProcess);
        }
    }
}
