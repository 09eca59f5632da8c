//! The lease's times, and the two inequalities that make them safe.

use std::time::Duration;

/// From the deadline to the moment at which another may take the lease, at least: what two clocks may drift apart in
/// one lease, and the API server's delay between accepting a renewal and showing it, many times over.
const DRIFT: Duration = Duration::from_secs(4);
/// What a pass does between the check of the lease and its write, at least.
const SLACK: Duration = Duration::from_secs(2);

/// How long the lease lasts, and when its holder stops believing in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Whoever sees the Lease unchanged for so long, by a clock of its own, may take it. Whole seconds.
    pub lease: Duration,
    /// From one renewal to the next.
    pub renew: Duration,
    /// Of one round to the API server: a read, a write, or both.
    pub call: Duration,
    /// From the start of the last successful renewal to the end of leadership.
    pub deadline: Duration,
    /// Time-out of a write to Azure: a write is begun only if so much of the deadline is left.
    pub write: Duration,
}

/// Times that would let two leaders write, or one never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsafe {
    #[error(
        "the lease must last at least 4 s longer than the deadline (lease - deadline >= 4s), or another could take it while a write is under way"
    )]
    Deadline,
    #[error(
        "the deadline must leave room for a write after a renewal that failed (deadline - renew - call >= write + 2s), or no write would ever find enough time left"
    )]
    Room,
    #[error("the lease must be a whole number of seconds, as Kubernetes stores it")]
    Fraction,
    #[error("renew and call must be above zero")]
    Zero,
}

impl Timing {
    pub const DEFAULT: Self = Self {
        lease: Duration::from_secs(20),
        renew: Duration::from_secs(2),
        call: Duration::from_secs(3),
        deadline: Duration::from_secs(16),
        write: Duration::from_secs(8),
    };

    /// Whether these times keep one leader at a time and let it write.
    ///
    /// # Errors
    ///
    /// The inequality that does not hold.
    pub const fn check(&self) -> Result<(), Unsafe> {
        if self.renew.is_zero() || self.call.is_zero() {
            return Err(Unsafe::Zero);
        }
        if self.lease.subsec_nanos() != 0 {
            return Err(Unsafe::Fraction);
        }
        if self.lease.as_millis() < self.deadline.as_millis() + DRIFT.as_millis() {
            return Err(Unsafe::Deadline);
        }
        let needed = self.renew.as_millis() + self.call.as_millis() + self.write.as_millis() + SLACK.as_millis();
        if self.deadline.as_millis() < needed {
            return Err(Unsafe::Room);
        }
        Ok(())
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(Timing::DEFAULT.check().is_ok(), "the default times of the lease are unsafe");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_times_name_the_inequality() {
        let with = |change: fn(&mut Timing)| {
            let mut timing = Timing::DEFAULT;
            change(&mut timing);
            timing.check()
        };
        assert_eq!(with(|t| t.lease = Duration::from_millis(19_999)), Err(Unsafe::Fraction));
        assert_eq!(with(|t| t.lease = Duration::from_secs(19)), Err(Unsafe::Deadline));
        assert_eq!(with(|t| t.write = Duration::from_millis(9_001)), Err(Unsafe::Room));
        assert_eq!(with(|t| t.write = Duration::from_secs(9)), Ok(()));
        assert_eq!(with(|t| t.renew = Duration::ZERO), Err(Unsafe::Zero));
        assert!(Unsafe::Deadline.to_string().contains("lease - deadline >= 4s"));
    }
}
