//! Windows of a canary: half-open, disjoint, in event time, on UTC multiples of their period.

use jiff::{SignedDuration, Timestamp};

use super::manifest::Manifest;
use crate::api::At;

/// The windows of one step: the first is the first whole one after the split was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Since the epoch.
    first_ms: i64,
    period_ms: i64,
}

/// From `start`, up to but without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From 0.
    pub k: i64,
    pub start: At,
    pub end: At,
}

impl Window {
    pub fn contains(&self, at: At) -> bool {
        self.start <= at && at < self.end
    }

    /// As people count them: from 1.
    pub fn number(&self) -> i64 {
        self.k + 1
    }
}

impl Grid {
    /// A period below a millisecond counts as one.
    pub fn new(verified_at: At, period_ms: i64) -> Self {
        let period_ms = period_ms.max(1);
        let verified_ms = verified_at.get().as_millisecond();
        let into = verified_ms.rem_euclid(period_ms);
        let first_ms = if into == 0 { verified_ms } else { verified_ms - into + period_ms };
        Self { first_ms, period_ms }
    }

    /// The k-th window, from 0.
    pub fn window_at(self, k: i64) -> Window {
        let at = |k: i64| at_ms(self.first_ms.saturating_add(k.saturating_mul(self.period_ms)));
        Window { k, start: at(k), end: at(k.saturating_add(1)) }
    }

    /// The first window that is not closed yet.
    pub fn next(self, closed_through: Option<At>) -> Window {
        let closed = closed_through.map_or(0, |at| {
            (at.get().as_millisecond().saturating_sub(self.first_ms)).div_euclid(self.period_ms).max(0)
        });
        self.window_at(closed)
    }

    /// Windows that are over and not closed yet, oldest first. `now` is the time of the source of the scores: a clock of
    /// ours that jumps must not end a canary.
    pub fn due(self, closed_through: Option<At>, now: At) -> impl Iterator<Item = Window> {
        let first = self.next(closed_through).k;
        (first..)
            .map(move |k| self.window_at(k))
            .take_while(move |window| window.end <= now && window.start < window.end)
    }
}

/// Whether a window can be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closes {
    /// Not before its rows are all there, or this moment comes.
    NotYet { until: At },
    /// The manifest is there and accounts for every sample.
    Complete,
    /// It could not be measured; why.
    Error(String),
}

/// A window is closed by evidence, not by silence: by a manifest with judged + errors = sampled and as many rows as it
/// says were judged. At `end + lateness` it is closed as an error; there is no other watermark.
pub fn closes(window: &Window, manifest: Option<&Manifest>, rows: i64, now: At, lateness_ms: i64) -> Closes {
    let until = deadline(window, lateness_ms);
    if now < window.end {
        return Closes::NotYet { until: window.end };
    }
    let lacking = match manifest {
        None => "no window event came: is the sampler running?".to_owned(),
        Some(m) if m.judged.saturating_add(m.errors) != m.sampled || m.judged < 0 || m.errors < 0 => {
            format!("its window event has {} judged and {} errors of {} samples", m.judged, m.errors, m.sampled)
        }
        Some(m) if rows != m.judged => format!("{rows} of {} judged samples came", m.judged),
        Some(m) if m.judged == 0 && m.sampled > 0 => {
            return Closes::Error(format!("the judge failed on all {} samples", m.sampled));
        }
        Some(_) => return Closes::Complete,
    };
    if now >= until { Closes::Error(lacking) } else { Closes::NotYet { until } }
}

/// When to look again: at the end of the window that runs, or, while one is due and incomplete, every `poll` until its
/// deadline.
pub fn next_wake(grid: Grid, closed_through: Option<At>, now: At, lateness_ms: i64, poll: SignedDuration) -> At {
    let window = grid.next(closed_through);
    if now < window.end { window.end } else { now.plus(poll).min(deadline(&window, lateness_ms)).max(now) }
}

/// Until then a window may become complete.
pub(super) fn deadline(window: &Window, lateness_ms: i64) -> At {
    window.end.plus(SignedDuration::from_millis(lateness_ms.max(0)))
}

fn at_ms(ms: i64) -> At {
    let end = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(ms).unwrap_or(end).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> At {
        text.parse::<Timestamp>().expect(text).into()
    }

    fn manifest(sampled: i64, judged: i64, errors: i64) -> Manifest {
        Manifest { sampled, judged, errors, ..Manifest::default() }
    }

    #[test]
    fn the_first_is_the_first_whole_one_after_verification() {
        let grid = Grid::new(at("2026-11-20T17:10:52Z"), 60_000);
        let first = grid.window_at(0);
        assert_eq!((first.start, first.end), (at("2026-11-20T17:11:00Z"), at("2026-11-20T17:12:00Z")));
        assert_eq!(grid.window_at(19).end, at("2026-11-20T17:31:00Z"));
        assert_eq!(Grid::new(first.start, 60_000), grid, "verified on the stroke: that window is whole");
    }

    #[test]
    fn due_are_those_that_are_over_and_not_closed() {
        let grid = Grid::new(at("2026-11-20T17:10:52Z"), 60_000);
        let due = |closed: Option<&str>, now: &str| -> Vec<i64> {
            grid.due(closed.map(at), at(now)).map(|w| w.number()).collect()
        };
        assert_eq!(due(None, "2026-11-20T17:11:59.999Z"), [] as [i64; 0]);
        assert_eq!(due(None, "2026-11-20T17:13:00Z"), [1, 2]);
        assert_eq!(due(Some("2026-11-20T17:12:00Z"), "2026-11-20T17:13:30Z"), [2]);
        assert_eq!(due(Some("2026-11-20T17:14:00Z"), "2026-11-20T17:13:00Z"), [] as [i64; 0], "a clock that went back");
    }

    #[test]
    fn a_window_is_closed_by_evidence_or_at_its_deadline() {
        let window = Grid::new(at("2026-11-20T17:11:00Z"), 60_000).window_at(0);
        let (early, late) = (at("2026-11-20T17:12:05Z"), at("2026-11-20T17:22:00Z"));
        let until = late;
        let closes = |manifest: Option<&Manifest>, rows, now| closes(&window, manifest, rows, now, 600_000);
        assert_eq!(closes(Some(&manifest(4, 4, 0)), 4, early), Closes::Complete);
        assert_eq!(closes(Some(&manifest(5, 4, 1)), 4, early), Closes::Complete);
        assert_eq!(closes(Some(&manifest(0, 0, 0)), 0, early), Closes::Complete, "a quiet minute is known to be quiet");
        assert_eq!(
            closes(Some(&manifest(4, 4, 0)), 4, at("2026-11-20T17:11:59Z")),
            Closes::NotYet { until: window.end }
        );
        for (manifest, rows, why) in [
            (None, 0, "no window event came"),
            (Some(manifest(5, 4, 0)), 4, "4 judged and 0 errors of 5 samples"),
            (Some(manifest(4, 4, 0)), 3, "3 of 4 judged samples came"),
            (Some(manifest(4, 4, 0)), 5, "5 of 4 judged samples came"),
        ] {
            assert_eq!(closes(manifest.as_ref(), rows, early), Closes::NotYet { until });
            assert!(
                matches!(closes(manifest.as_ref(), rows, late), Closes::Error(told) if told.contains(why)),
                "{why}"
            );
        }
        assert_eq!(
            closes(Some(&manifest(3, 0, 3)), 0, early),
            Closes::Error("the judge failed on all 3 samples".into())
        );
    }

    #[test]
    fn it_wakes_when_something_can_have_changed() {
        let grid = Grid::new(at("2026-11-20T17:11:00Z"), 60_000);
        let wake = |now: &str| next_wake(grid, None, at(now), 600_000, SignedDuration::from_secs(5));
        assert_eq!(wake("2026-11-20T17:11:30Z"), at("2026-11-20T17:12:00Z"));
        assert_eq!(wake("2026-11-20T17:12:00Z"), at("2026-11-20T17:12:05Z"));
        assert_eq!(wake("2026-11-20T17:21:58Z"), at("2026-11-20T17:22:00Z"));
    }

    proptest! {
        /// Every moment from the first start on lies in exactly one window, on a multiple of the period.
        #[test]
        fn half_open_disjoint_and_without_gaps(verified in 0_i64..4_000_000_000_000, period in 1_i64..3_600_000, after in 0_i64..10_000_000) {
            let grid = Grid::new(at_ms(verified), period);
            let first = grid.window_at(0);
            let start = first.start.get().as_millisecond();
            prop_assert!(start >= verified && start - verified < period && start % period == 0);
            let moment = at_ms(start + after);
            let k = after / period;
            for (k, inside) in [(k - 1, false), (k, true), (k + 1, false)] {
                prop_assert_eq!(grid.window_at(k).contains(moment), inside);
            }
            prop_assert_eq!(grid.window_at(k).end, grid.window_at(k + 1).start);
            prop_assert_eq!(grid.next(Some(grid.window_at(k).end)).k, k + 1);
        }
    }
}
