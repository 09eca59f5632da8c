//! What may go wrong, and how often.

use std::fmt;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A process gives up waiting for a reply; its write is still under way.
    TimeOut,
    /// The lease passes to the other process; the first one does not notice before its next pass.
    TakeOver,
    /// A process loses its memory.
    Crash,
    /// Azure's operation fails: the split stays, tags and state may or may not.
    FailedOperation,
    /// A person aborts.
    Abort,
    /// Reads show what was true up to [`promptrelease::endpoint::Timing::lag`] ago.
    LaggingRead,
    /// A write lands later than the protocol counts with. Not one of the six: only Q is promised then.
    Overdue,
    /// The cluster is restored from a backup, after an ending. Not one of the six.
    Restore,
    /// Somebody else changes the traffic, or drops our tags. Not one of the six.
    Hand,
    /// Whatever was noted, or decided on, to give a canary more has taken too long. Not one of the six.
    Late,
}

impl Fault {
    /// Those that every pair is made of.
    pub const SIX: [Self; 6] =
        [Self::TimeOut, Self::TakeOver, Self::Crash, Self::FailedOperation, Self::Abort, Self::LaggingRead];

    fn name(self) -> &'static str {
        match self {
            Self::TimeOut => "time-out",
            Self::TakeOver => "take-over",
            Self::Crash => "crash",
            Self::FailedOperation => "failed operation",
            Self::Abort => "abort",
            Self::LaggingRead => "lagging read",
            Self::Overdue => "overdue write",
            Self::Restore => "restore",
            Self::Hand => "another hand",
            Self::Late => "time over",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How often each fault may still happen: two bits each. Lagging reads happen as often as they like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget(pub u32);

impl Budget {
    pub fn of(faults: &[Fault]) -> Self {
        let mut budget = Self(0);
        for fault in faults {
            assert!(budget.left(*fault) < 3, "two bits a fault");
            budget.0 += 1 << shift(*fault);
        }
        budget
    }

    pub fn left(self, fault: Fault) -> u32 {
        (self.0 >> shift(fault)) & 3
    }

    /// One less, if there is one.
    pub fn spend(self, fault: Fault) -> Option<Self> {
        (self.left(fault) > 0).then(|| Self(self.0 - (1 << shift(fault))))
    }
}

fn shift(fault: Fault) -> u32 {
    2 * fault as u32
}
