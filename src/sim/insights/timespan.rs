//! The time span that a query is about, in ISO 8601.

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

use super::kql;

/// From the first up to and with the second moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timespan {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Timespan {
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    /// `start/end`, `start/duration`, `duration/end`, or a duration that ends now.
    pub fn parse(text: &str, now: Timestamp) -> Option<Self> {
        let add = |at: Timestamp, by: SignedDuration| at.saturating_add(by).ok();
        let (from, to) = match text.split_once('/') {
            None => (add(now, -duration(text)?)?, now),
            Some((start, end)) => match (kql::time(start), kql::time(end)) {
                (Some(from), Some(to)) => (from, to),
                (Some(from), None) => (from, add(from, duration(end)?)?),
                (None, Some(to)) => (add(to, -duration(start)?)?, to),
                (None, None) => return None,
            },
        };
        Some(Self { from, to })
    }

    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at <= self.to
    }

    /// What both cover.
    pub fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// A day is 24 hours.
fn duration(text: &str) -> Option<SignedDuration> {
    let span: Span = text.trim().parse().ok().filter(|_| text.trim().starts_with(['P', 'p']))?;
    span.to_duration(SpanRelativeTo::days_are_24_hours()).ok().filter(|d| !d.is_negative())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_iso_8601() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (from, to) = (at("2026-11-20T05:00:00Z"), at("2026-11-20T17:00:00Z"));
        for text in [
            "PT12H",
            "2026-11-20T05:00:00Z/2026-11-20T17:00:00Z",
            "2026-11-20T05:00:00Z/PT12H",
            "P0DT12H/2026-11-20T17:00:00Z",
        ] {
            assert_eq!(Timespan::parse(text, to), Some(Timespan { from, to }), "{text}");
        }
        for text in ["", "12 hours", "-PT1H", "PT1H/PT1H", "soon/2026-11-20T17:00:00Z"] {
            assert_eq!(Timespan::parse(text, to), None, "{text}");
        }
    }
}
