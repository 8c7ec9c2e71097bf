//! Launches over time, in steps that fit what there is: from minutes to
//! months, never more than can be looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::launches::{End, Launches};

/// Lengths of a step in seconds. Each is a multiple of the one before.
const STEPS: &[i64] = &[
    60,
    300,
    900,
    3_600,
    10_800,
    21_600,
    43_200,
    86_400,
    604_800,
    2_419_200,
    9_676_800,
    38_707_200,
    387_072_000,
    3_870_720_000,
    38_707_200_000,
    387_072_000_000,
];

/// Steps that are kept while the log is read.
const KEPT: usize = 2_000;

/// Steps that are shown.
const SHOWN: usize = 60;

/// Launches by the time of their decision.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timeline {
    /// Which of [`STEPS`].
    step: usize,
    counts: BTreeMap<i64, Launches>,
}

/// Launches in equal steps without a gap.
#[derive(Debug)]
pub(crate) struct Steps {
    /// Length of a step in seconds.
    pub(crate) seconds: i64,
    /// Beginning of each step, and what was decided in it.
    pub(crate) counts: Vec<(Timestamp, Launches)>,
}

impl Timeline {
    /// Counts a launch, or counts it otherwise than before.
    pub(crate) fn change(&mut self, time: Timestamp, before: Option<End>, now: End) {
        let place = place(time.as_second(), self.seconds());
        let counts = self.counts.entry(place).or_default();
        counts.change(before, now);
        if self.counts.len() > KEPT {
            self.widen();
        }
    }

    /// All of it, in as many steps as can be shown.
    pub(crate) fn steps(&self) -> Steps {
        let mut all = self.clone();
        while all.span() > SHOWN && all.step < STEPS.len().saturating_sub(1) {
            all.widen();
        }
        all.as_they_are()
    }

    fn as_they_are(&self) -> Steps {
        let seconds = self.seconds();
        let first = self.counts.keys().next().copied().unwrap_or_default();
        let count = match self.counts.is_empty() {
            true => 0,
            false => self.span().min(SHOWN),
        };
        let steps = (0_i64..).take(count).filter_map(|step| {
            let start = first.saturating_add(step.saturating_mul(seconds));
            let counts = self.counts.get(&start).copied().unwrap_or_default();
            Some((Timestamp::from_second(start).ok()?, counts))
        });
        Steps {
            seconds,
            counts: steps.collect(),
        }
    }

    fn seconds(&self) -> i64 {
        STEPS.get(self.step).copied().unwrap_or(i64::MAX)
    }

    /// Steps from the first to the last.
    fn span(&self) -> usize {
        let ends = self
            .counts
            .keys()
            .next()
            .zip(self.counts.keys().next_back());
        let Some((first, last)) = ends else { return 0 };
        let steps = last.saturating_sub(*first).checked_div(self.seconds());
        usize::try_from(steps.unwrap_or_default())
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    }

    fn widen(&mut self) {
        self.step = self.step.saturating_add(1);
        let seconds = self.seconds();
        let mut wider: BTreeMap<i64, Launches> = BTreeMap::new();
        for (start, counts) in &self.counts {
            let counted = wider.entry(place(*start, seconds)).or_default();
            *counted = counted.plus(*counts);
        }
        self.counts = wider;
    }
}

/// Where the step begins that a second is in.
const fn place(second: i64, seconds: i64) -> i64 {
    second.saturating_sub(second.rem_euclid(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn steps_divide_each_other() {
        assert!(STEPS.windows(2).all(|pair| pair[1] % pair[0] == 0));
    }

    #[test]
    fn nothing_is_lost_when_steps_grow() {
        for distance in [1, 59, 3_600, 86_400, 40_000_000] {
            let mut timeline = Timeline::default();
            for launch in 0..3_000 {
                timeline.change(at(launch * distance), None, End::Allowed);
            }
            timeline.change(at(0), Some(End::Allowed), End::Refused);
            let steps = timeline.steps();
            assert!((1..=SHOWN).contains(&steps.counts.len()), "{distance}");
            let sum = steps
                .counts
                .iter()
                .fold(Launches::default(), |sum, (_, counts)| sum.plus(*counts));
            assert_eq!((sum.allowed, sum.refused), (2_999, 1), "{distance}");
            let starts: Vec<i64> = steps
                .counts
                .iter()
                .map(|(time, _)| time.as_second())
                .collect();
            assert!(
                starts
                    .windows(2)
                    .all(|pair| pair[1] - pair[0] == steps.seconds)
            );
        }
    }

    #[test]
    fn the_ends_of_time_are_borne() {
        let mut timeline = Timeline::default();
        timeline.change(Timestamp::MIN, None, End::Allowed);
        timeline.change(Timestamp::MAX, None, End::Allowed);
        let steps = timeline.steps();
        assert!(steps.counts.len() <= SHOWN);
        assert!(Timeline::default().steps().counts.is_empty());
    }
}
