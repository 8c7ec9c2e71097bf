//! The verdict on each system call: what its row of the table, the profile's
//! layers and the request make of it.

use std::rc::Rc;

use super::arguments::Rule;
use super::assemble::{
    ALLOW, Check, ENOENT, ENOSYS, EOPNOTSUPP, EPERM, KILL_PROCESS, LOG, Verdict,
};
use super::checks::Admits;
use super::table::{self, Answer, Decision, Place, Rank};
use super::{Admitted, Request, StandIn};
use crate::profile::OnViolation;
use crate::syscall;

/// One verdict a number, from 0 to the last known one.
pub(super) fn verdicts(request: &Request<'_>, admitted: &Admitted) -> Vec<Verdict> {
    let mut checks: Vec<Rc<Check>> = Vec::new();
    let mut made: Vec<Option<Verdict>> = vec![None; table::COUNT];
    (0..=syscall::LAST_KNOWN)
        .map(|number| {
            let Some((index, row)) = table::decision(request.arch, number) else {
                return Verdict::Return(ENOSYS);
            };
            if let Some(action) = before_arguments(&row, number, admitted, request) {
                return Verdict::Return(action);
            }
            if admitted.names(number) {
                return by_arguments(&row, row.named, request, &mut checks);
            }
            // The calls of a row share their rule.
            let known = made.get_mut(index);
            if let Some(Some(verdict)) = &known {
                return verdict.clone();
            }
            let verdict = by_arguments(&row, row.rule, request, &mut checks);
            if let Some(slot) = known {
                *slot = Some(verdict.clone());
            }
            verdict
        })
        .collect()
}

/// What the rank and the layers decide. The rank comes first, and nothing that
/// follows can take it back.
fn before_arguments(
    row: &Decision,
    number: u32,
    admitted: &Admitted,
    request: &Request<'_>,
) -> Option<u32> {
    match row.rank {
        Rank::Kill if !admitted.names(number) => Some(KILL_PROCESS),
        Rank::Absent => Some(ENOSYS),
        Rank::OnlyByName if !admitted.names(number) => Some(row.answer.action(request)),
        // The launch ends with it; the layers have no say.
        Rank::Launch => None,
        Rank::Kill | Rank::OnlyByName | Rank::Ordinary => {
            (!admitted.has(number)).then_some(refusal(request))
        }
    }
}

fn by_arguments(
    row: &Decision,
    rule: Rule,
    request: &Request<'_>,
    checks: &mut Vec<Rc<Check>>,
) -> Verdict {
    let refused = row.answer.action(request);
    let check = match rule.admits(request) {
        Admits::Any => return Verdict::Return(ALLOW),
        Admits::Never => return Verdict::Return(refused),
        Admits::When(alternatives) => Check {
            alternatives,
            refused,
        },
    };
    let known = checks.iter().find(|known| ***known == check).cloned();
    Verdict::Check(known.unwrap_or_else(|| {
        let check = Rc::new(check);
        checks.push(Rc::clone(&check));
        check
    }))
}

/// What the profile says of violations.
const fn refusal(request: &Request<'_>) -> u32 {
    match request.on_violation {
        OnViolation::Errno => EPERM,
        OnViolation::Kill => KILL_PROCESS,
        OnViolation::Log => LOG,
    }
}

impl Answer {
    /// What a refusal of the call looks like.
    fn action(self, request: &Request<'_>) -> u32 {
        let refused = refusal(request);
        match self {
            Self::AsTheProfileSays => refused,
            Self::Absent => ENOSYS,
            // As where a file system has none, which programs expect.
            Self::Unsupported if refused == LOG => LOG,
            Self::Unsupported => EOPNOTSUPP,
            // Learning what a plugin needs must not mean to let it exec.
            Self::NoProgram if refused == KILL_PROCESS => KILL_PROCESS,
            Self::NoProgram | Self::NoProgramEver => ENOENT,
            Self::InLandlocksPlace(place) if place.is_the_filters(request.stand_in) => EPERM,
            Self::InLandlocksPlace(_) => refused,
        }
    }
}

impl Place {
    const fn is_the_filters(self, stand_in: StandIn) -> bool {
        match self {
            Self::Truncates => stand_in.truncate,
            Self::Signals => stand_in.signals,
            Self::Requests => stand_in.device_ioctls || stand_in.signals,
        }
    }
}
