//! Waiting for a condition, never for a time.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

/// Between two looks: short against everything that is waited for, long enough to leave two cores to do it.
const PERIOD: Duration = Duration::from_millis(50);

/// A condition that did not come true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waited {limit:?} for this: {what}\nlast seen: {seen}")]
pub struct NotSeen {
    pub what: String,
    pub limit: Duration,
    /// What the last look saw instead.
    pub seen: String,
}

/// Looks until `look` gives a value, and at least once. While there is none, `look` says what it saw instead.
///
/// # Errors
///
/// `limit` is over; a look that hangs is given up then too.
pub async fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, String>,
) -> Result<T, NotSeen> {
    let end = Instant::now() + limit;
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = "nothing, since the first look did not return".to_owned();
    loop {
        ticks.tick().await;
        match timeout_at(end, look()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(instead)) => seen = instead,
            Err(_) => {}
        }
        if Instant::now() >= end {
            return Err(NotSeen { what: what.to_owned(), limit, seen });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_value_ends_it() {
        let mut looks = 0;
        let look = async || {
            looks += 1;
            if looks < 3 { Err(format!("look {looks}")) } else { Ok(looks) }
        };
        assert_eq!(wait_for("three looks", Duration::from_secs(5), look).await, Ok(3));
    }

    #[tokio::test]
    async fn a_look_that_always_fails_ends_too() {
        let look = async || Err::<(), _>("nothing".to_owned());
        assert!(wait_for("a miracle", Duration::ZERO, look).await.is_err());
    }

    #[tokio::test]
    async fn what_was_seen_last_is_told_also_when_a_look_hangs() {
        let mut looks = 0;
        let look = async || {
            looks += 1;
            if looks > 2 {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(format!("look {looks}"))
        };
        let error = wait_for("a miracle", Duration::from_millis(300), look).await.expect_err("none happens");
        assert_eq!(error.to_string(), "waited 300ms for this: a miracle\nlast seen: look 2");
    }
}
