//! A reference interpreter of the BPF subset that seccomp takes, for plans
//! that are explained and for tests.

use super::Instruction;
use super::assemble::{
    ALLOW, AND, ERRNO, JA, JEQ, JGE, JGT, JSET, KILL_PROCESS, LD_ABS, LOG, RET, audit_token,
};
use crate::arch::Arch;

/// A system call as a filter sees it (`struct seccomp_data`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The architecture's audit token.
    pub arch_token: u32,
    /// Number.
    pub number: u32,
    /// Arguments.
    pub args: [u64; 6],
}

impl Call {
    /// A call of a native program.
    #[must_use]
    pub const fn native(arch: Arch, number: u32, args: [u64; 6]) -> Self {
        Self {
            arch_token: audit_token(arch),
            number,
            args,
        }
    }
}

/// What the kernel does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is made.
    Allow,
    /// It is made and logged.
    Log,
    /// It fails with this error number.
    Errno(u16),
    /// The process ends with `SIGSYS`.
    KillProcess,
    /// Anything else, among it a program that is no program.
    Invalid,
}

impl Action {
    /// It fails as what is not permitted does (man 3 errno).
    pub const EPERM: Self = Self::Errno(1);
    /// It fails as exec(3) of a program that is not there.
    pub const ENOENT: Self = Self::Errno(2);

    pub(super) fn from_raw(raw: u32) -> Self {
        match raw & 0xffff_0000 {
            ALLOW => Self::Allow,
            LOG => Self::Log,
            ERRNO => u16::try_from(raw & 0xffff).map_or(Self::Invalid, Self::Errno),
            KILL_PROCESS => Self::KillProcess,
            _ => Self::Invalid,
        }
    }
}

pub(super) fn run(program: &[Instruction], call: &Call) -> Action {
    let load = |offset: u32| Some(word(call, offset));
    walk(program, load).map_or(Action::Invalid, Action::from_raw)
}

/// As the kernel's `seccomp_is_const_allow`: gives up where the program looks
/// at anything but number and architecture.
pub(super) fn constant(program: &[Instruction], arch: Arch, number: u32) -> Option<Action> {
    let load = |offset: u32| match offset {
        0 => Some(number),
        4 => Some(audit_token(arch)),
        _ => None,
    };
    walk(program, load).map(Action::from_raw)
}

fn walk(program: &[Instruction], load: impl Fn(u32) -> Option<u32>) -> Option<u32> {
    let mut accumulator = 0_u32;
    let mut at = 0_usize;
    loop {
        let instruction = program.get(at)?;
        at = at.checked_add(1)?;
        let branch = |taken: bool| {
            usize::from(if taken {
                instruction.jt
            } else {
                instruction.jf
            })
        };
        let k = instruction.k;
        let distance = match instruction.code {
            LD_ABS => {
                accumulator = load(k)?;
                0
            }
            AND => {
                accumulator &= k;
                0
            }
            JA => usize::try_from(k).ok()?,
            JEQ => branch(accumulator == k),
            JGT => branch(accumulator > k),
            JGE => branch(accumulator >= k),
            JSET => branch(accumulator & k != 0),
            RET => return Some(k),
            _ => return None,
        };
        at = at.checked_add(distance)?;
    }
}

/// A 32-bit word of `struct seccomp_data`, little endian. The instruction
/// pointer reads as 0.
fn word(call: &Call, offset: u32) -> u32 {
    let half = |value: u64, high: bool| {
        u32::try_from(if high {
            value >> 32
        } else {
            value & 0xffff_ffff
        })
        .unwrap_or(0)
    };
    match offset {
        0 => call.number,
        4 => call.arch_token,
        16.. => {
            let at = offset - 16;
            let argument = usize::try_from(at / 8)
                .ok()
                .and_then(|index| call.args.get(index));
            half(argument.copied().unwrap_or(0), !at.is_multiple_of(8))
        }
        _ => 0,
    }
}
