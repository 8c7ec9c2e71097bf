//! The judgement on one launch: a pure function of the policy and of what was
//! found.

use crate::policy::{Policy, Waiver};
use crate::violation::Violation;

/// What the policy says of the violations that were found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing is wrong.
    Sound,
    /// Something is wrong, and the policy overlooks all of it. The first
    /// waiver is that of the first violation.
    Waived {
        /// What was found, in the order in which it was found.
        violations: Vec<Violation>,
        /// One proof a violation.
        waivers: Vec<Waiver>,
    },
    /// The first violation that the policy does not overlook.
    Refused(Violation),
}

/// Judges a launch. `violations` are in the order of the checks, so that the
/// same plugin is always refused for the same reason.
#[must_use]
pub fn decide(policy: Policy, violations: Vec<Violation>) -> Judgement {
    let mut waivers = Vec::with_capacity(violations.len());
    for violation in &violations {
        match policy.waive(violation) {
            Some(waiver) => waivers.push(waiver),
            None => return Judgement::Refused(violation.clone()),
        }
    }
    if violations.is_empty() {
        Judgement::Sound
    } else {
        Judgement::Waived {
            violations,
            waivers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_refuses_the_first_violation() {
        let judged = decide(
            Policy::Strict,
            vec![Violation::Disabled, Violation::NotWhitelisted],
        );
        assert_eq!(judged, Judgement::Refused(Violation::Disabled));
    }

    #[test]
    fn weaker_policies_waive_what_can_be_run() {
        for policy in [Policy::Permissive, Policy::AuditOnly] {
            let judged = decide(policy, vec![Violation::NotWhitelisted]);
            assert!(
                matches!(judged, Judgement::Waived { waivers, .. } if waivers[0].policy() == policy)
            );
        }
    }

    #[test]
    fn no_policy_runs_what_is_not_a_file() {
        let found = Violation::NotARegularFile("a FIFO".into());
        for policy in [Policy::Strict, Policy::Permissive, Policy::AuditOnly] {
            assert_eq!(
                decide(policy, vec![found.clone()]),
                Judgement::Refused(found.clone())
            );
        }
    }

    #[test]
    fn nothing_found_is_sound_under_every_policy() {
        for policy in [Policy::Strict, Policy::Permissive, Policy::AuditOnly] {
            assert_eq!(decide(policy, Vec::new()), Judgement::Sound);
        }
    }
}
