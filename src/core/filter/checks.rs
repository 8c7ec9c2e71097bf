//! Argument checks: conditions in, the instructions of the seccompiler crate
//! out. Calls with the same conditions share one block.

use std::rc::Rc;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

use super::assemble::{JEQ, KILL_PROCESS, LD_ABS, LOG, RET, audit_token};
use super::{FilterError, Instruction};
use crate::arch::Arch;

/// A comparison of one argument.
#[derive(Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) argument: u8,
    pub(super) length: SeccompCmpArgLen,
    pub(super) operator: SeccompCmpOp,
    pub(super) value: u64,
}

/// The blocks of one filter. A block begins where the dispatcher has found the
/// call's number, and ends in returns on every path.
pub(super) struct Checks {
    arch: Arch,
    made: Vec<Made>,
}

struct Made {
    alternatives: Vec<Vec<Condition>>,
    refused: u32,
    block: Rc<[Instruction]>,
}

impl Checks {
    pub(super) const fn new(arch: Arch) -> Self {
        Self {
            arch,
            made: Vec::new(),
        }
    }

    /// The block that allows a call if all conditions of one alternative hold,
    /// and else answers with the raw action `refused`.
    pub(super) fn block(
        &mut self,
        alternatives: Vec<Vec<Condition>>,
        refused: u32,
    ) -> Result<Rc<[Instruction]>, FilterError> {
        let known = self
            .made
            .iter()
            .find(|made| made.refused == refused && made.alternatives == alternatives);
        if let Some(made) = known {
            return Ok(Rc::clone(&made.block));
        }
        let block: Rc<[Instruction]> = generate(self.arch, &alternatives, refused)?.into();
        self.made.push(Made {
            alternatives,
            refused,
            block: Rc::clone(&block),
        });
        Ok(block)
    }
}

fn generate(
    arch: Arch,
    alternatives: &[Vec<Condition>],
    refused: u32,
) -> Result<Vec<Instruction>, FilterError> {
    let failed = |error: BackendError| FilterError::Arguments(error.to_string());
    let mut rules = Vec::with_capacity(alternatives.len());
    for conditions in alternatives {
        let conditions = conditions
            .iter()
            .map(|c| {
                SeccompCondition::new(c.argument, c.length.clone(), c.operator.clone(), c.value)
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(failed)?;
        rules.push(SeccompRule::new(conditions).map_err(failed)?);
    }
    let refused = match refused {
        KILL_PROCESS => SeccompAction::KillProcess,
        LOG => SeccompAction::Log,
        errno => SeccompAction::Errno(errno & 0xffff),
    };
    let target = match arch {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
    };
    let rules = [(ANY_NUMBER, rules)].into_iter().collect();
    let filter =
        SeccompFilter::new(rules, refused, SeccompAction::Allow, target).map_err(failed)?;
    let program = BpfProgram::try_from(filter).map_err(failed)?;
    // The dispatcher has checked architecture and number already. All jumps
    // go forward, so the rest stands for itself.
    let dispatched = [
        (LD_ABS, 4),
        (JEQ, audit_token(arch)),
        (RET, KILL_PROCESS),
        (LD_ABS, 0),
        (JEQ, 0),
    ];
    let starts_as_known = program.len() > dispatched.len()
        && dispatched
            .iter()
            .zip(&program)
            .all(|(known, raw)| *known == (raw.code, raw.k));
    if !starts_as_known {
        let why = "the generator's first instructions are not the known ones";
        return Err(FilterError::Arguments(why.into()));
    }
    Ok(program
        .into_iter()
        .skip(dispatched.len())
        .map(|raw| Instruction {
            code: raw.code,
            jt: raw.jt,
            jf: raw.jf,
            k: raw.k,
        })
        .collect())
}

/// The generator wants a call's number, which is cut off again.
const ANY_NUMBER: i64 = 0;
