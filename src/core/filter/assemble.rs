//! From verdicts to a program: architecture check, binary search over the
//! call's number, binary search over the values of its arguments.
//!
//! Jumps of classic BPF only lead forwards, so the program is written from its
//! end to its beginning: whatever is jumped to is there already, and an answer
//! or a check that is near enough serves all that lead to it.

use std::rc::Rc;

use super::checks::{Own, Test};
use super::{FilterError, Instruction};
use crate::arch::Arch;
use crate::syscall::LAST_KNOWN;

/// What happens to a call of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This raw seccomp action.
    Return(u32),
    /// Its arguments decide.
    Check(Rc<Check>),
}

/// Allows a call if all tests of one alternative hold, and else answers with
/// the raw action `refused`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) alternatives: Vec<Vec<Test>>,
    pub(super) refused: u32,
}

// Operations of classic BPF (`linux/bpf_common.h`).
pub(super) const LD_ABS: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JA: u16 = 0x05;
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGT: u16 = 0x25;
pub(super) const JGE: u16 = 0x35;
pub(super) const JSET: u16 = 0x45;
pub(super) const RET: u16 = 0x06;

// Actions (`linux/seccomp.h`), with error numbers (`asm-generic/errno.h`).
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const LOG: u32 = 0x7ffc_0000;
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const ERRNO: u32 = 0x0005_0000;
pub(super) const EPERM: u32 = ERRNO | 1;
pub(super) const ENOENT: u32 = ERRNO | 2;
pub(super) const ENOSYS: u32 = ERRNO | 38;
pub(super) const EOPNOTSUPP: u32 = ERRNO | 95;

/// Numbers from here on are x32's (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;
/// The kernel's limit (`BPF_MAXINSNS`).
const MOST: usize = 4096;
/// Conditional jumps reach 255 instructions; up to two may come in between.
const NEAR: usize = 250;

/// The token by which the kernel names an architecture (`linux/audit.h`).
pub(super) const fn audit_token(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0xc000_003e,
        Arch::Aarch64 => 0xc000_00b7,
    }
}

/// Builds the program. `verdicts` has one entry a number, from 0 on; above
/// them all calls are unknown.
pub(super) fn assemble(
    arch: Arch,
    verdicts: &[Verdict],
    own: &Own,
) -> Result<Vec<Instruction>, FilterError> {
    let mut writer = Writer::new(own);
    let mut checks: Vec<(&Rc<Check>, Place)> = Vec::new();
    let mut ranges: Vec<(u32, Place)> = Vec::new();
    for (number, verdict) in (0_u32..).zip(verdicts) {
        let place = match verdict {
            Verdict::Return(action) => writer.answer(*action),
            // Calls with the same check share it.
            Verdict::Check(check) => {
                let known = checks.iter().find(|(known, _)| Rc::ptr_eq(known, check));
                known.map(|(_, place)| *place).unwrap_or_else(|| {
                    let place = writer.check(check);
                    checks.push((check, place));
                    place
                })
            }
        };
        if ranges.last().is_none_or(|(_, last)| *last != place) {
            ranges.push((number, place));
        }
    }
    let unknown = writer.answer(ENOSYS);
    let other_abi = writer.answer(KILL_PROCESS);
    let known = writer.search(&ranges).unwrap_or(unknown);
    let mut start = writer.branch(JGT, LAST_KNOWN, unknown, known);
    if arch == Arch::X86_64 {
        start = writer.branch(JGE, X32, other_abi, start);
    }
    let number = writer.then(LD_ABS, 0, start);
    let native = writer.branch(JEQ, audit_token(arch), number, other_abi);
    writer.then(LD_ABS, 4, native);
    writer.finish()
}

/// An instruction, counted from the program's end.
type Place = usize;

struct Writer<'a> {
    own: &'a Own,
    /// The program, its end first.
    reversed: Vec<Instruction>,
    /// Actions, and where they are returned.
    answers: Vec<(u32, Place)>,
    /// Places, and the last instruction that leads there for those that are too
    /// far away.
    nearer: Vec<(Place, Place)>,
    is_broken: bool,
}

impl<'a> Writer<'a> {
    fn new(own: &'a Own) -> Self {
        Self {
            own,
            // More than most filters have.
            reversed: Vec::with_capacity(1024),
            answers: Vec::new(),
            nearer: Vec::new(),
            is_broken: false,
        }
    }

    fn push(&mut self, code: u16, k: u32, jt: u8, jf: u8) -> Place {
        self.reversed.push(Instruction { code, jt, jf, k });
        self.reversed.len().saturating_sub(1)
    }

    /// How many instructions the next one has to jump over.
    fn distance(&self, to: Place) -> usize {
        self.reversed.len().saturating_sub(to).saturating_sub(1)
    }

    fn answer(&mut self, action: u32) -> Place {
        if let Some((_, place)) = self.answers.iter().find(|(known, _)| *known == action) {
            return *place;
        }
        let place = self.push(RET, action, 0, 0);
        self.answers.push((action, place));
        place
    }

    /// Goes there from anywhere.
    fn jump(&mut self, to: Place) -> Place {
        let distance = u32::try_from(self.distance(to)).unwrap_or(u32::MAX);
        self.push(JA, distance, 0, 0)
    }

    /// The place, or one near enough that leads there.
    fn near(&mut self, to: Place) -> Place {
        let known = self.nearer.iter().rev().find(|(of, _)| *of == to);
        let nearest = known.map_or(to, |(_, place)| *place);
        if self.distance(nearest) <= NEAR {
            return nearest;
        }
        let place = match self.reversed.get(to).copied() {
            Some(answer) if answer.code == RET => self.push(RET, answer.k, 0, 0),
            _ => self.jump(to),
        };
        self.nearer.push((to, place));
        place
    }

    fn branch(&mut self, code: u16, k: u32, yes: Place, no: Place) -> Place {
        if yes == no {
            return yes;
        }
        let (yes, no) = (self.near(yes), self.near(no));
        let [yes, no] = [yes, no].map(|to| u8::try_from(self.distance(to)));
        if let (Ok(yes), Ok(no)) = (yes, no) {
            return self.push(code, k, yes, no);
        }
        self.is_broken = true;
        0
    }

    /// An instruction that goes on with the next.
    fn then(&mut self, code: u16, k: u32, next: Place) -> Place {
        if self.distance(next) != 0 {
            self.jump(next);
        }
        self.push(code, k, 0, 0)
    }

    /// A balanced search over the number: each branch compares with the first
    /// number of its right half.
    fn search(&mut self, ranges: &[(u32, Place)]) -> Option<Place> {
        let (left, right) = ranges.split_at(ranges.len() / 2);
        let (first, place) = right.first()?;
        if left.is_empty() {
            return Some(*place);
        }
        let above = self.search(right)?;
        let below = self.search(left)?;
        Some(self.branch(JGE, *first, above, below))
    }

    fn check(&mut self, check: &Check) -> Place {
        let (allow, refused) = (self.answer(ALLOW), self.answer(check.refused));
        let alternatives = check.alternatives.iter().rev();
        alternatives.fold(refused, |otherwise, tests| {
            let tests = tests.iter().rev();
            tests.fold(allow, |then, test| self.test(test, then, otherwise))
        })
    }

    fn test(&mut self, test: &Test, yes: Place, no: Place) -> Place {
        let mut one = [(0, 0)];
        let ranges = self.own.ranges(&test.values, &mut one);
        let found = match ranges {
            [(0, 0)] if test.mask != u32::MAX => self.branch(JSET, test.mask, no, yes),
            ranges => {
                let found = self.among(ranges, 0, yes, no);
                if test.mask == u32::MAX {
                    found
                } else {
                    self.then(AND, test.mask, found)
                }
            }
        };
        self.then(LD_ABS, test.offset, found)
    }

    /// A balanced search over ranges, of a value that is `least` or more.
    fn among(&mut self, ranges: &[(u32, u32)], least: u32, yes: Place, no: Place) -> Place {
        match ranges {
            [] => no,
            [(first, last)] if first == last => self.branch(JEQ, *first, yes, no),
            [(first, last)] => {
                let fits = match *last {
                    u32::MAX => yes,
                    last => self.branch(JGT, last, no, yes),
                };
                if *first <= least {
                    fits
                } else {
                    self.branch(JGE, *first, fits, no)
                }
            }
            ranges => {
                let (left, right) = ranges.split_at(ranges.len() / 2);
                let middle = right.first().map_or(u32::MAX, |(first, _)| *first);
                let above = self.among(right, middle, yes, no);
                let below = self.among(left, least, yes, no);
                self.branch(JGE, middle, above, below)
            }
        }
    }

    fn finish(mut self) -> Result<Vec<Instruction>, FilterError> {
        self.reversed.reverse();
        match self.reversed.len() {
            _ if self.is_broken => Err(FilterError::TooFar),
            length if length > MOST => Err(FilterError::TooLong(length)),
            _ => Ok(self.reversed),
        }
    }
}
