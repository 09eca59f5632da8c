//! Time that goes on while the machine is suspended.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Time since boot, suspend included. `std::time::Instant` stops in a suspend on Linux, so a leader that was asleep for
/// an hour would believe in its lease for some seconds more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    pub fn now() -> Self {
        #[cfg(target_os = "linux")]
        let clock = ClockId::Boottime;
        // CLOCK_MONOTONIC of macOS goes on while it sleeps.
        #[cfg(not(target_os = "linux"))]
        let clock = ClockId::Monotonic;
        let time = clock_gettime(clock);
        let (secs, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0));
        Self(Duration::new(secs, nanos))
    }

    /// `time` after boot.
    pub const fn after_boot(time: Duration) -> Self {
        Self(time)
    }

    /// Time from `earlier` to this; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    #[must_use]
    pub fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_forward() {
        let before = Moment::now();
        let after = Moment::now();
        assert!(after >= before && before > Moment::default());
        assert_eq!(before.since(before.plus(Duration::from_secs(1))), Duration::ZERO);
        assert_eq!(before.plus(Duration::from_secs(1)).since(before), Duration::from_secs(1));
    }
}
