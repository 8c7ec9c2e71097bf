//! The argument checks of a filter, compiled once more by the seccompiler
//! crate: both programs decide alike.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::agreement::{shapes, telling};
use super::assemble::{Check, Verdict};
use super::checks::{Own, Test};
use super::*;
use crate::arch::Arch;

/// What another compiler is asked: whether one word of an argument, under a
/// mask, lies in a range. Several ranges are several conditions to choose from.
/// `None` of what it can't be asked: long ranges under a mask.
fn conditions(test: &Test, own: &Own) -> Option<Vec<Vec<SeccompCondition>>> {
    let place = test.offset - 16;
    let (argument, is_upper) = (u8::try_from(place / 8).unwrap(), !place.is_multiple_of(8));
    let (length, shift) = if is_upper {
        (SeccompCmpArgLen::Qword, 32)
    } else {
        (SeccompCmpArgLen::Dword, 0)
    };
    let condition = |operator, value: u64| {
        SeccompCondition::new(argument, length.clone(), operator, value).unwrap()
    };
    let is = |value: u32| {
        let mask = u64::from(test.mask) << shift;
        condition(SeccompCmpOp::MaskedEq(mask), u64::from(value) << shift)
    };
    let mut one = [(0, 0)];
    let mut choices = Vec::new();
    for (first, last) in own.ranges(&test.values, &mut one) {
        if last - first < 64 {
            choices.extend((*first..=*last).map(|value| vec![is(value)]));
        } else if test.mask == u32::MAX {
            let last = (u64::from(*last) << shift) | ((1 << shift) - 1);
            choices.push(vec![
                condition(SeccompCmpOp::Ge, u64::from(*first) << shift),
                condition(SeccompCmpOp::Le, last),
            ]);
        } else {
            return None;
        }
    }
    Some(choices)
}

/// A program for one call alone; `None` if it would be too long, or the check
/// is one that the other compiler does not know.
fn compiled(arch: Arch, number: u32, check: &Check, own: &Own) -> Option<Vec<Instruction>> {
    let mut rules = Vec::new();
    for tests in &check.alternatives {
        let mut all = vec![Vec::new()];
        for test in tests {
            let choices = conditions(test, own)?;
            all = all
                .iter()
                .flat_map(|one: &Vec<SeccompCondition>| {
                    choices.iter().map(|more| [&one[..], more].concat())
                })
                .collect();
        }
        rules.extend(all.into_iter().map(|one| SeccompRule::new(one).unwrap()));
    }
    let target = match arch {
        Arch::X86_64 => TargetArch::x86_64,
        Arch::Aarch64 => TargetArch::aarch64,
    };
    let rules = BTreeMap::from([(i64::from(number), rules)]);
    let (other, admitted) = (SeccompAction::Errno(1), SeccompAction::Allow);
    let filter = SeccompFilter::new(rules, other, admitted, target).unwrap();
    let program: BpfProgram = filter.try_into().ok()?;
    let instruction = |one: &seccompiler::sock_filter| Instruction {
        code: one.code,
        jt: one.jt,
        jf: one.jf,
        k: one.k,
    };
    Some(program.iter().map(instruction).collect())
}

#[test]
fn another_compiler_makes_the_same_of_every_check() {
    let telling = telling();
    let mut compared = 0_u32;
    for wanted in shapes() {
        let request = wanted.request();
        let filter = compile(&request).unwrap();
        let admitted = Admitted::collect(request.arch, request.layers).unwrap();
        let verdicts = rules::verdicts(&request, &admitted);
        let ExecRule::Ticket(ticket) = request.exec else {
            continue;
        };
        let own = Own::new(request.own_pid, ticket);
        for (name, number) in syscall::table(wanted.arch) {
            let Verdict::Check(check) = &verdicts[*number as usize] else {
                continue;
            };
            let Some(other) = compiled(wanted.arch, *number, check, &own) else {
                continue;
            };
            compared += 1;
            for argument in 0..6 {
                for value in &telling {
                    let mut args = [0; 6];
                    args[argument] = *value;
                    let call = Call::native(wanted.arch, *number, args);
                    let ours = filter.evaluate(&call) == Action::Allow;
                    let theirs = evaluate::run(&other, &call) == Action::Allow;
                    assert_eq!(ours, theirs, "{name} {args:x?}");
                }
            }
        }
    }
    assert!(compared > 500, "{compared}");
}
