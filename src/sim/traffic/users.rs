//! Simulated users: they ask at even distances, at moments that depend on nothing but the rate and the clock.

use jiff::Timestamp;

/// Requests from `from` up to but without `to`, as number and moment. Whoever cuts a span in two gets the same requests.
pub fn moments(per_second: f64, from: Timestamp, to: Timestamp) -> impl Iterator<Item = (u64, Timestamp)> {
    let (from, to) = (from.as_microsecond(), to.as_microsecond());
    #[expect(clippy::cast_precision_loss, reason = "2^53 microseconds since the epoch end in the year 2255")]
    let first = (from as f64 * per_second / MICROS).floor() - 1.0;
    let us = move |n: u64| moment(n, per_second);
    (whole(first)..)
        .map(move |n| (n, us(n)))
        .skip_while(move |(_, at)| *at < from)
        .take_while(move |(_, at)| *at < to && per_second > 0.0)
        .filter_map(|(n, at)| Some((n, Timestamp::from_microsecond(at).ok()?)))
}

const MICROS: f64 = 1e6;

/// Microseconds since the epoch; without end at a rate of 0.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "as above; a cast saturates")]
fn moment(n: u64, per_second: f64) -> i64 {
    if per_second > 0.0 { (n as f64 * MICROS / per_second).round() as i64 } else { i64::MAX }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast saturates, at 0 below")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        "2026-11-20T17:11:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_millis(millis)
    }

    #[test]
    fn a_minute_has_as_many_requests_as_the_rate_says() {
        for (rate, count) in [(50.0, 3000), (0.5, 30), (7.3, 438), (0.0, 0)] {
            assert_eq!(moments(rate, at(0), at(60_000)).count(), count, "{rate} a second");
        }
    }

    proptest! {
        #[test]
        fn cuts_neither_lose_nor_repeat_requests(rate in 0.1_f64..200.0, cut in 0_i64..10_000) {
            let whole: Vec<_> = moments(rate, at(0), at(10_000)).collect();
            let parts: Vec<_> = moments(rate, at(0), at(cut)).chain(moments(rate, at(cut), at(10_000))).collect();
            prop_assert_eq!(whole, parts);
        }
    }
}
