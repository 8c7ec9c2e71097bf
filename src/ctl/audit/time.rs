//! Times as an administrator writes them.

use clap::Args;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use secure_exec::failure::Failure;

/// From when on, and until when.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct Range {
    /// From then on: 2026-11-24T10:00:00Z, 2026-11-24, today, or how long ago: 30m, 2h, 7d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) since: Option<Timestamp>,
    /// Before then, as --since
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(crate) until: Option<Timestamp>,
}

impl Range {
    /// # Errors
    /// It ends before it begins.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        match (self.since, self.until) {
            (Some(since), Some(until)) if until <= since => Err(Failure::own(format!(
                "--until ({until}) is not after --since ({since})"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether a time is in it.
    pub(crate) fn holds(&self, time: Timestamp) -> bool {
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }
}

/// Reads a time. What names no offset is UTC, as the log is.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    moment_at(text.trim(), Timestamp::now()).ok_or_else(|| {
        "write a time (2026-11-24T10:00:00Z, UTC unless it says otherwise), a date, \
         'today', 'yesterday', 'now', or how long ago it was (30m, 2h, 7d)"
            .into()
    })
}

fn moment_at(text: &str, now: Timestamp) -> Option<Timestamp> {
    let in_utc = |time: DateTime| Offset::UTC.to_timestamp(time).ok();
    let today = Offset::UTC.to_datetime(now).date();
    match text {
        "now" => return Some(now),
        "today" => return in_utc(today.into()),
        "yesterday" => return in_utc(today.yesterday().ok()?.into()),
        _ => {}
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if let Ok(time) = text.parse::<DateTime>() {
        return in_utc(time);
    }
    let span: Span = text.parse().ok()?;
    let days = SpanRelativeTo::days_are_24_hours();
    let ago: SignedDuration = span.to_duration(days).ok()?;
    now.checked_sub(ago.abs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let now: Timestamp = "2026-11-24T10:20:30Z".parse().unwrap();
        for (text, time) in [
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("2026-11-24T10:00:00+02:00", "2026-11-24T08:00:00Z"),
            ("2026-11-24 10:00:00.5Z", "2026-11-24T10:00:00.5Z"),
            ("2026-11-24T10:00", "2026-11-24T10:00:00Z"),
            ("2026-11-24 10:00:01", "2026-11-24T10:00:01Z"),
            ("2026-11-24", "2026-11-24T00:00:00Z"),
            ("today", "2026-11-24T00:00:00Z"),
            ("yesterday", "2026-11-23T00:00:00Z"),
            ("now", "2026-11-24T10:20:30Z"),
            ("30m", "2026-11-24T09:50:30Z"),
            ("2h", "2026-11-24T08:20:30Z"),
            ("2h ago", "2026-11-24T08:20:30Z"),
            ("1h30m", "2026-11-24T08:50:30Z"),
            ("7d", "2026-11-17T10:20:30Z"),
            ("1w", "2026-11-17T10:20:30Z"),
            ("90s", "2026-11-24T10:19:00Z"),
        ] {
            assert_eq!(moment_at(text, now), Some(time.parse().unwrap()), "{text}");
        }
        for text in [
            "",
            "x",
            "2026",
            "25:00",
            "2026-13-01",
            "5",
            "1y",
            "-",
            "99999999d",
        ] {
            assert_eq!(moment_at(text, now), None, "{text}");
        }
    }

    #[test]
    fn a_range_has_its_beginning_and_not_its_end() {
        let time = |text: &str| text.parse::<Timestamp>().unwrap();
        let range = Range {
            since: Some(time("2026-11-24T00:00:00Z")),
            until: Some(time("2026-11-25T00:00:00Z")),
        };
        assert!(range.holds(time("2026-11-24T00:00:00Z")));
        assert!(range.holds(time("2026-11-24T23:59:59.999999Z")));
        assert!(!range.holds(time("2026-11-25T00:00:00Z")));
        assert!(!range.holds(time("2026-11-23T23:59:59.999999Z")));
        assert!(range.check().is_ok());
        let (since, until) = (range.until, range.since);
        assert!(Range { since, until }.check().is_err());
    }
}
