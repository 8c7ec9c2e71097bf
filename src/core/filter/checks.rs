//! What a rule may ask of a call's arguments: alternatives, each a list of
//! tests of 32-bit words. A test lists what is admitted, never what is not.

use super::ExecTicket;

/// What is admitted of a call that the layers allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admits {
    /// Every argument.
    Any,
    /// None.
    Never,
    /// One of these lists, all of whose tests hold.
    When(Vec<Vec<Test>>),
}

/// One word of an argument, masked, is among these values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Test {
    /// In `struct seccomp_data`.
    pub(super) offset: u32,
    pub(super) mask: u32,
    pub(super) values: Values,
}

/// Inclusive ranges, sorted, with gaps between them.
pub(super) type Ranges = &'static [(u32, u32)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    One(u32),
    Range(u32, u32),
    In(Ranges),
    /// The plugin's process id.
    OwnPid,
    /// A word of the launch's exec ticket.
    Ticket(u8),
}

/// The numbers of one launch. Rules name them by what they are, so that the
/// digest of a filter is the same for all launches that are confined alike.
pub(super) struct Own {
    pid: u32,
    ticket: [u32; 8],
}

impl Own {
    pub(super) const fn new(pid: u32, ticket: ExecTicket) -> Self {
        let ExecTicket {
            fd,
            path,
            argv,
            envp,
            flags,
        } = ticket;
        let ([path, path_high], [argv, argv_high], [envp, envp_high]) =
            (halves(path), halves(argv), halves(envp));
        Self {
            pid,
            ticket: [fd, path, path_high, argv, argv_high, envp, envp_high, flags],
        }
    }

    /// The first and last of each range of admitted values. A word that no
    /// ticket has admits nothing.
    pub(super) fn ranges<'a>(
        &self,
        values: &'a Values,
        one: &'a mut [(u32, u32); 1],
    ) -> &'a [(u32, u32)] {
        let range = match values {
            Values::In(ranges) => return ranges,
            Values::Range(first, last) => (*first, *last),
            Values::One(value) => (*value, *value),
            Values::OwnPid => (self.pid, self.pid),
            Values::Ticket(word) => match self.ticket.get(usize::from(*word)) {
                Some(value) => (*value, *value),
                None => return &[],
            },
        };
        *one = [range];
        one
    }
}

/// The lower half, then the upper.
#[allow(clippy::cast_possible_truncation, reason = "that is what halves are")]
pub(super) const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// An `int` argument: the kernel ignores the upper half of the register, and
/// so must the filter.
pub(super) const fn int(argument: u8, values: Values) -> Test {
    masked(argument, u32::MAX, values)
}

/// The bits of an `int` argument under a mask.
pub(super) const fn masked(argument: u8, mask: u32, values: Values) -> Test {
    Test {
        offset: 16_u32.saturating_add((argument as u32).saturating_mul(8)),
        mask,
        values,
    }
}

/// The upper half of a `long` argument.
pub(super) const fn high(argument: u8, values: Values) -> Test {
    let low = int(argument, values);
    Test {
        offset: low.offset.saturating_add(4),
        ..low
    }
}

/// An `int` argument with this value.
pub(super) const fn equals(argument: u8, value: u32) -> Test {
    int(argument, Values::One(value))
}

/// An `int` argument without bits but these.
pub(super) const fn only_bits(argument: u8, bits: u32) -> Test {
    masked(argument, !bits, Values::One(0))
}

/// An `int` argument without any of these bits.
pub(super) const fn bits_clear(argument: u8, bits: u32) -> Test {
    masked(argument, bits, Values::One(0))
}

/// A null pointer, or a `long` of 0.
pub(super) const fn null(argument: u8) -> [Test; 2] {
    [equals(argument, 0), high(argument, Values::One(0))]
}

/// The launch's own execveat and no other.
pub(super) fn ticket() -> Admits {
    let word = |argument: u8, word: u8| int(argument, Values::Ticket(word));
    let upper = |argument: u8, word: u8| high(argument, Values::Ticket(word));
    Admits::When(vec![vec![
        word(0, 0),
        word(1, 1),
        upper(1, 2),
        word(2, 3),
        upper(2, 4),
        word(3, 5),
        upper(3, 6),
        word(4, 7),
    ]])
}

/// One list of tests.
pub(super) fn all(tests: impl Into<Vec<Test>>) -> Admits {
    Admits::When(vec![tests.into()])
}

/// Any of these, each by itself.
pub(super) fn any(tests: impl IntoIterator<Item = Test>) -> Admits {
    Admits::When(tests.into_iter().map(|test| vec![test]).collect())
}
