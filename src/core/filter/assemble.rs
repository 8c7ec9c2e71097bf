//! From verdicts to a program: architecture check, binary search, leaves.

use std::rc::Rc;

use super::{FilterError, Instruction};
use crate::arch::Arch;
use crate::syscall::LAST_KNOWN;

/// What happens to a call of one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This raw seccomp action.
    Return(u32),
    /// This program decides; it ends in returns on every path.
    Check(Rc<[Instruction]>),
}

// Operations of classic BPF (`linux/bpf_common.h`).
pub(super) const LD_ABS: u16 = 0x20;
pub(super) const JA: u16 = 0x05;
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGT: u16 = 0x25;
pub(super) const JGE: u16 = 0x35;
pub(super) const RET: u16 = 0x06;

// Actions (`linux/seccomp.h`), with error numbers (`asm-generic/errno.h`).
pub(super) const ALLOW: u32 = 0x7fff_0000;
pub(super) const LOG: u32 = 0x7ffc_0000;
pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
pub(super) const ERRNO: u32 = 0x0005_0000;
pub(super) const EPERM: u32 = ERRNO | 1;
pub(super) const ENOSYS: u32 = ERRNO | 38;
pub(super) const EOPNOTSUPP: u32 = ERRNO | 95;

/// Numbers from here on are x32's (`__X32_SYSCALL_BIT`).
const X32: u32 = 0x4000_0000;
/// The kernel's limit (`BPF_MAXINSNS`).
const MOST: usize = 4096;

/// The token by which the kernel names an architecture (`linux/audit.h`).
pub(super) const fn audit_token(arch: Arch) -> u32 {
    match arch {
        Arch::X86_64 => 0xc000_003e,
        Arch::Aarch64 => 0xc000_00b7,
    }
}

/// Builds the program. `verdicts` has one entry a number, from 0 on; above
/// them all calls are unknown.
pub(super) fn assemble(arch: Arch, verdicts: &[Verdict]) -> Result<Vec<Instruction>, FilterError> {
    let mut blocks: Vec<&Rc<[Instruction]>> = Vec::new();
    let mut ranges: Vec<Range> = Vec::new();
    for (number, verdict) in (0_u32..).zip(verdicts) {
        let leaf = match verdict {
            Verdict::Return(action) => Leaf::Return(*action),
            // Calls with the same check share it.
            Verdict::Check(block) => {
                let known = blocks.iter().position(|known| Rc::ptr_eq(known, block));
                Leaf::Block(known.unwrap_or_else(|| {
                    blocks.push(block);
                    blocks.len().saturating_sub(1)
                }))
            }
        };
        if ranges.last().is_none_or(|last| last.leaf != leaf) {
            ranges.push(Range {
                start: number,
                leaf,
            });
        }
    }
    let mut program = prologue(arch);
    program.push(jump(JGT, LAST_KNOWN, 0, 1));
    program.push(ret(ENOSYS));
    let tree_start = program.len();
    let mut nodes = Vec::with_capacity(ranges.len().saturating_mul(2));
    tree(&ranges, &mut nodes);
    let mut starts = Vec::with_capacity(blocks.len());
    let mut next = tree_start.saturating_add(nodes.len());
    for block in &blocks {
        starts.push(next);
        next = next.saturating_add(block.len());
    }
    for (at, node) in (tree_start..).zip(nodes) {
        program.push(match node {
            Node::Done(instruction) => instruction,
            Node::Block(index) => {
                let start = starts.get(index).copied().unwrap_or(0);
                let distance = start.saturating_sub(at).saturating_sub(1);
                jump(JA, u32::try_from(distance).unwrap_or(u32::MAX), 0, 0)
            }
        });
    }
    for block in blocks {
        program.extend_from_slice(block);
    }
    if program.len() > MOST {
        return Err(FilterError::TooLong(program.len()));
    }
    Ok(program)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaf {
    Return(u32),
    Block(usize),
}

struct Range {
    start: u32,
    leaf: Leaf,
}

#[derive(Clone, Copy)]
enum Node {
    Done(Instruction),
    Block(usize),
}

fn prologue(arch: Arch) -> Vec<Instruction> {
    let mut program = vec![
        jump(LD_ABS, 4, 0, 0),
        jump(JEQ, audit_token(arch), 1, 0),
        ret(KILL_PROCESS),
        jump(LD_ABS, 0, 0, 0),
    ];
    if arch == Arch::X86_64 {
        program.push(jump(JGE, X32, 0, 1));
        program.push(ret(KILL_PROCESS));
    }
    program
}

/// A balanced search: each inner node compares with the first number of its
/// right half.
fn tree(ranges: &[Range], nodes: &mut Vec<Node>) {
    let (left, right) = ranges.split_at(ranges.len() / 2);
    let Some(middle) = right.first() else {
        return;
    };
    if left.is_empty() {
        nodes.push(match middle.leaf {
            Leaf::Return(action) => Node::Done(ret(action)),
            Leaf::Block(index) => Node::Block(index),
        });
        return;
    }
    let inner = nodes.len();
    nodes.push(Node::Done(jump(JGE, middle.start, 0, 0)));
    tree(left, nodes);
    let distance = nodes.len().saturating_sub(inner).saturating_sub(1);
    let near = u8::try_from(distance);
    if let Some(node) = nodes.get_mut(inner) {
        // Conditional jumps reach 255 instructions, unconditional ones all.
        let (jt, jf) = near.map_or((0, 1), |distance| (distance, 0));
        *node = Node::Done(jump(JGE, middle.start, jt, jf));
    }
    if near.is_err() {
        let distance = u32::try_from(distance).unwrap_or(u32::MAX);
        nodes.insert(
            inner.saturating_add(1),
            Node::Done(jump(JA, distance, 0, 0)),
        );
    }
    tree(right, nodes);
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn ret(action: u32) -> Instruction {
    jump(RET, action, 0, 0)
}
