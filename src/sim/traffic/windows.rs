//! Windows of event time: half-open, on multiples of their period since the epoch, and what was counted in each.

use std::{collections::BTreeMap, mem};

use jiff::{SignedDuration, Timestamp};

/// From `start`, up to but without `end`; in milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// First, so that windows are ordered by it: who ends first is told of first.
    end_ms: i64,
    start_ms: i64,
}

/// What the sampler did with the requests of one deployment in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub seen: u64,
    pub sampled: u64,
    pub judged: u64,
    /// Samples on which the judge failed.
    pub errors: u64,
    /// Requests by the first digit of their status, from 1xx.
    pub by_status: [u64; 5],
}

impl Window {
    /// The window around `at`. A period below a millisecond counts as one.
    pub fn around(at: Timestamp, period: SignedDuration) -> Self {
        let period_ms = i64::try_from(period.as_millis()).unwrap_or(i64::MAX).max(1);
        let at_ms = at.as_millisecond();
        let start_ms = at_ms - at_ms.rem_euclid(period_ms);
        Self { end_ms: start_ms.saturating_add(period_ms), start_ms }
    }

    pub fn start(self) -> Timestamp {
        Timestamp::from_millisecond(self.start_ms).unwrap_or(Timestamp::MIN)
    }

    pub fn end(self) -> Timestamp {
        Timestamp::from_millisecond(self.end_ms).unwrap_or(Timestamp::MAX)
    }
}

impl Counts {
    pub fn answered(&mut self, status: u16) {
        self.seen += 1;
        if let Some(count) = usize::from(status / 100).checked_sub(1).and_then(|class| self.by_status.get_mut(class)) {
            *count += 1;
        }
    }
}

/// Windows of one endpoint that have not been told of.
#[derive(Debug, Default)]
pub struct Open(BTreeMap<(Window, String), Counts>);

impl Open {
    /// From now on the window is told of, even if nothing happens in it.
    pub fn begin(&mut self, window: Window, deployment: &str) {
        self.counts(window, deployment);
    }

    pub fn counts(&mut self, window: Window, deployment: &str) -> &mut Counts {
        self.0.entry((window, deployment.to_owned())).or_default()
    }

    /// Takes out the windows that have ended by `now`.
    pub fn close(&mut self, now: Timestamp) -> Vec<(Window, String, Counts)> {
        let (ended, open) = mem::take(&mut self.0).into_iter().partition(|((window, _), _)| window.end() <= now);
        self.0 = open;
        BTreeMap::into_iter(ended).map(|((window, deployment), counts)| (window, deployment, counts)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_lie_on_multiples_of_their_period() {
        let window = |period| Window::around(at("2026-11-20T17:11:59.9995Z"), SignedDuration::from_millis(period));
        assert_eq!(window(60_000).start(), at("2026-11-20T17:11:00Z"));
        assert_eq!(window(60_000).end(), at("2026-11-20T17:12:00Z"));
        assert_eq!(window(1_500).start(), at("2026-11-20T17:11:58.5Z"));
        assert_eq!(
            Window::around(window(60_000).end(), SignedDuration::from_mins(1)).start(),
            at("2026-11-20T17:12:00Z")
        );
    }

    #[test]
    fn a_window_is_told_of_once_when_it_has_ended() {
        let mut open = Open::default();
        let window = Window::around(at("2026-11-20T17:11:00Z"), SignedDuration::from_secs(2));
        open.begin(window, "d-1427");
        for status in [200, 204, 404, 500, 999] {
            open.counts(window, "d-1428").answered(status);
        }
        assert_eq!(open.close(at("2026-11-20T17:11:01.999Z")), []);
        let told = open.close(at("2026-11-20T17:11:02Z"));
        let counts = Counts { seen: 5, by_status: [0, 2, 0, 1, 1], ..Counts::default() };
        assert_eq!(told, [(window, "d-1427".into(), Counts::default()), (window, "d-1428".into(), counts)]);
        assert_eq!(open.close(at("2026-11-20T17:12:00Z")), []);
    }
}
