//! Every time of the protocol, in one value, with the inequalities that make it safe.

use super::Ms;

/// What a pass does between the check of the lease and its write, at least.
const SLACK: Ms = Ms::from_secs(2);
/// What the clocks of two processes may drift apart in one lease.
const DRIFT: Ms = Ms::from_secs(4);

/// The protocol's constants. All are spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A process that sees the Lease unchanged for so long may take it.
    pub lease: Ms,
    /// From one renewal of the lease to the next.
    pub renew: Ms,
    /// Time-out of a renewal.
    pub renew_timeout: Ms,
    /// A leader that has not renewed for so long stops; a write that was noted longer ago is not sent any more.
    pub deadline: Ms,
    /// Time-out of a write to Azure.
    pub write: Ms,
    /// Time-out of a read from Azure.
    pub read: Ms,
    /// Azure's reads may show what was true so long ago.
    pub lag: Ms,
    /// Distance of two looks that confirm each other.
    pub two_looks: Ms,
    /// A withdrawal that is not read back after so long pages.
    pub rollback: Ms,
    /// A raise or a promotion that is not read back after so long is withdrawn.
    pub promotion: Ms,
    /// An endpoint that cannot be read for so long while a canary has traffic pages.
    pub unreadable: Ms,
    /// An endpoint that Azure does not know for so long is gone.
    pub gone: Ms,
    /// A withdrawal goes out without its record if the record is refused for so long.
    pub refused: Ms,
    /// Between two tries of a write: the first pause, which doubles, and the longest.
    pub backoff: (Ms, Ms),
    /// Between two looks while traffic is being taken back.
    pub look_withdrawing: Ms,
    /// Between two looks while a write is open, or may still land.
    pub look_unsettled: Ms,
    /// Between two looks while a canary has traffic; half a window if that is shorter.
    pub look_exposed: Ms,
    /// Between two looks otherwise.
    pub look_steady: Ms,
    /// Longest time from sending a write to Azure's accepting it (`spec.settle` of the endpoint). A write of unknown
    /// outcome can land until its deadline plus this.
    pub settle: Ms,
}

impl Timing {
    pub const DEFAULT: Self = Self {
        lease: Ms::from_secs(20),
        renew: Ms::from_secs(2),
        renew_timeout: Ms::from_secs(3),
        deadline: Ms::from_secs(16),
        write: Ms::from_secs(8),
        read: Ms::from_secs(3),
        lag: Ms::from_secs(30),
        two_looks: Ms::from_secs(5),
        rollback: Ms::from_secs(120),
        promotion: Ms::from_secs(600),
        unreadable: Ms::from_secs(60),
        gone: Ms::from_secs(60),
        refused: Ms::from_secs(30),
        backoff: (Ms::from_secs(5), Ms::from_secs(60)),
        look_withdrawing: Ms::from_secs(2),
        look_unsettled: Ms::from_secs(5),
        look_exposed: Ms::from_secs(30),
        look_steady: Ms::from_secs(300),
        settle: Ms::from_secs(300),
    };

    /// Whether these times are safe together.
    ///
    /// # Errors
    /// The inequality that does not hold, in words.
    pub fn check(&self) -> Result<(), String> {
        self.broken().map_or(Ok(()), |broken| Err(broken.to_owned()))
    }

    const fn broken(&self) -> Option<&'static str> {
        let Self { lease, renew, renew_timeout, deadline, write, read, .. } = self;
        if !self.all_above_zero() {
            return Some("every time must be above zero");
        }
        if deadline.0 - renew.0 - renew_timeout.0 < write.0 + SLACK.0 {
            return Some(
                "the deadline must leave room for a write after a renewal that failed \
                 (deadline - renew - renew-timeout >= write + 2s)",
            );
        }
        if lease.0 - deadline.0 < DRIFT.0 {
            return Some("the lease must last at least 4 s longer than the deadline (lease - deadline >= 4s)");
        }
        if self.settle.0 < write.0 {
            return Some("settle must be at least the time-out of a write: until then it may not even have been sent");
        }
        if self.backoff.0.0 > self.backoff.1.0 {
            return Some("the first pause between two tries must not be longer than the longest");
        }
        if self.rollback.0 < write.0 + read.0 {
            return Some("rollback must leave time for one write and one read, or every withdrawal pages");
        }
        None
    }

    const fn all_above_zero(&self) -> bool {
        let all = [
            self.lease,
            self.renew,
            self.renew_timeout,
            self.deadline,
            self.write,
            self.read,
            self.lag,
            self.two_looks,
            self.rollback,
            self.promotion,
            self.unreadable,
            self.gone,
            self.refused,
            self.backoff.0,
            self.backoff.1,
            self.look_withdrawing,
            self.look_unsettled,
            self.look_exposed,
            self.look_steady,
            self.settle,
        ];
        let mut i = 0;
        while i < all.len() {
            if all[i].0 <= 0 {
                return false;
            }
            i += 1;
        }
        true
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(Timing::DEFAULT.broken().is_none(), "the protocol's default times are unsafe");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsafe_times_are_refused_in_words() {
        let with = |change: fn(&mut Timing)| {
            let mut timing = Timing::DEFAULT;
            change(&mut timing);
            timing.check()
        };
        assert_eq!(with(|_| ()), Ok(()));
        assert!(with(|t| t.write = Ms(9_001)).is_err_and(|e| e.contains("write + 2s")));
        assert!(with(|t| t.lease = Ms::from_secs(19)).is_err_and(|e| e.contains("lease - deadline >= 4s")));
        assert!(with(|t| t.settle = Ms::from_secs(7)).is_err_and(|e| e.contains("settle")));
        assert!(with(|t| t.lag = Ms::ZERO).is_err_and(|e| e.contains("above zero")));
        assert!(with(|t| t.backoff = (Ms(2), Ms(1))).is_err_and(|e| e.contains("pause")));
        assert!(with(|t| t.rollback = Ms::from_secs(10)).is_err_and(|e| e.contains("rollback")));
    }
}
