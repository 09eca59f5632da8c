//! The simulator's clock: real time plus an offset that tests may advance, so that nothing has to sleep.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// Cheap to clone; all clones share one offset.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    offset_us: Arc<AtomicI64>,
}

impl Clock {
    /// The time that every service of the simulator shows and works with.
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_micros(self.offset_us.load(Ordering::Relaxed));
        Timestamp::now().saturating_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Moves the clock forward for all clones.
    pub fn advance(&self, by: Duration) {
        self.offset_us.fetch_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX), Ordering::Relaxed);
    }
}

/// A span of time that can be set while the simulator runs. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Dial {
    us: Arc<AtomicU64>,
}

impl Dial {
    pub fn new(span: Duration) -> Self {
        let dial = Self::default();
        dial.set(span);
        dial
    }

    pub fn get(&self) -> Duration {
        Duration::from_micros(self.us.load(Ordering::Relaxed))
    }

    /// In whole microseconds.
    pub fn set(&self, span: Duration) {
        self.us.store(u64::try_from(span.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A time as HTTP's `Date` header writes it (RFC 9110 §5.6.7), in whole seconds.
pub fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A time as ARM's bodies write it: ISO 8601 in UTC with microseconds.
pub fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// `from + by`, never out of range.
pub fn after(from: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    from.saturating_add(by).unwrap_or(Timestamp::MAX)
}
