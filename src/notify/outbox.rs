//! Which entry of the outbox is due, and what a delivery does to it. Pure.

use jiff::SignedDuration;

use crate::api::{At, log::Owed};

/// An entry that nobody accepted for so long is dropped, with Notified=False.
pub const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_hours(72);

/// The entry to deliver now: the one that waits longest.
pub fn due(outbox: &[Owed], now: At) -> Option<&Owed> {
    outbox.iter().filter(|owed| owed.next_at <= now).min_by_key(|owed| (owed.next_at, owed.created_at))
}

/// When an entry of so many tries is tried again: 5 s, doubling up to 5 min.
pub fn retry_at(tries: i64, now: At) -> At {
    let doubled = 5_i64.saturating_mul(1 << tries.clamp(0, 6));
    now.plus(SignedDuration::from_secs(doubled.min(300)))
}

/// The outbox after a delivery of `key`: gone if accepted or too old, else due later. The second value says that it was
/// given up.
pub fn mark(outbox: &[Owed], key: &str, accepted: bool, now: At) -> (Vec<Owed>, bool) {
    let mut given_up = false;
    let mut left = Vec::with_capacity(outbox.len());
    for owed in outbox {
        if owed.key != key {
            left.push(owed.clone());
        } else if !accepted {
            if now.since(owed.created_at) >= GIVE_UP_AFTER {
                given_up = true;
            } else {
                left.push(Owed { tries: owed.tries + 1, next_at: retry_at(owed.tries, now), ..owed.clone() });
            }
        }
    }
    (left, given_up)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> At {
        At::from(jiff::Timestamp::from_second(seconds).expect("in range"))
    }

    fn owed(key: &str, next: i64) -> Owed {
        Owed { key: key.into(), kind: "CanaryFailed".into(), created_at: at(0), tries: 0, next_at: at(next) }
    }

    #[test]
    fn the_longest_waiting_goes_first() {
        let outbox = [owed("b", 7), owed("a", 3), owed("c", 90)];
        assert_eq!(due(&outbox, at(10)).map(|o| o.key.as_str()), Some("a"));
        assert_eq!(due(&outbox, at(2)), None);
    }

    #[test]
    fn leaves_only_when_accepted_or_three_days_old() {
        let outbox = [owed("a", 0), owed("b", 0)];
        let (left, _) = mark(&outbox, "a", true, at(1));
        assert_eq!(left, [owed("b", 0)]);
        let (left, given_up) = mark(&outbox, "a", false, at(1));
        assert_eq!((left[0].tries, left[0].next_at, given_up), (1, at(6), false));
        let (left, given_up) = mark(&outbox, "a", false, at(72 * 3600));
        assert_eq!((left.len(), given_up), (1, true));
    }

    #[test]
    fn waits_longer_each_time_but_never_over_five_minutes() {
        let waits: Vec<_> = (0..9).map(|tries| retry_at(tries, at(0)).get().as_second()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
    }
}
