//! The endpoint's log as the protocol sees it: no strings, no clocks, generic over what a deployment is called.
//!
//! How it is stored is [`crate::api::log`]; [`super::convert`] goes between the two.

use std::fmt::Debug;

use super::Ms;
pub use crate::api::log::{Course, Kind, Reply, Why};
use crate::{
    api::{Cause, Outcome},
    policy::split::Split,
};

/// What names a deployment: a string in the operator, a small number in the explorer.
pub trait Name: Clone + Debug + Ord {}

impl<T: Clone + Debug + Ord> Name for T {}

/// Lock and log of one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Log<N> {
    /// Last number given to a write. Never decreases.
    pub seq: i64,
    /// What was last read back, and what live traffic should be while nothing is open. None: never looked.
    pub verified: Option<Verified<N>>,
    /// When our owner tag was last put on the endpoint and read back.
    pub claimed: Option<Ms>,
    pub stable: Option<N>,
    pub previous: Option<Previous<N>>,
    /// Content that lost its traffic here; see [`Attempt::content`].
    pub withdrawn: Vec<u64>,
    /// The open attempt, or the one that ended last. The lock is an attempt without an ending.
    pub attempt: Option<Attempt<N>>,
    /// The one write that is under way, or the last one that came to nothing.
    pub intent: Option<Intent<N>>,
    /// Writes whose outcome nobody knows, and deployments' names that are held until theirs is seen.
    pub unsettled: Vec<Unsettled<N>>,
    /// Pages and notices that not every receiver has accepted yet.
    pub outbox: Vec<Owed>,
}

/// A split that was read back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verified<N> {
    pub split: Split<N>,
    /// Number in the endpoint's tags; 0 where there was none.
    pub seq: i64,
    pub at: Ms,
    /// Why it was written. None: it was found and adopted.
    pub why: Option<Why>,
}

/// The deployment that was stable before.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Previous<N> {
    pub deployment: N,
    pub keep_until: Ms,
}

/// One try to bring one revision to 100 %.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attempt<N> {
    /// Counted per endpoint, never reset.
    pub n: i64,
    pub kind: Kind,
    /// Stands for version and hash: equal content has equal numbers.
    pub content: u64,
    /// Its deployment, set by each creation and frozen once raised.
    pub deployment: Option<N>,
    /// Where a withdrawal sends all traffic. None on a first release.
    pub return_to: Option<N>,
    /// Length of the canary's windows.
    pub window: Ms,
    /// How long the deployment that served before is kept.
    pub keep_previous: Ms,
    /// Traffic that was noted for its deployment, append-only. A promotion, all traffic at once, is an entry like the steps.
    pub raised: Vec<Raised>,
    /// Only rises.
    pub decision: Option<Decided>,
    /// What was paged about it besides its decision and ending, each once as long as it stands.
    pub alarms: Vec<Cause>,
    /// How often Azure could be read again after such an alarm.
    pub outages: i64,
    /// Repairs of a failed endpoint that were noted for it.
    pub repairs: i64,
    /// Written once.
    pub ending: Option<Ended>,
}

/// Traffic for the canary in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Raised {
    /// From 1.
    pub step: i64,
    /// Percent.
    pub weight: u8,
    /// Number of the write that was noted last for it.
    pub seq: i64,
    /// When its first write was noted. None: an earlier version noted it.
    pub noted_at: Option<Ms>,
    /// When it was read back.
    pub verified_at: Option<Ms>,
}

/// What was decided, never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decided {
    pub course: Course,
    pub cause: Cause,
    pub at: Ms,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ended {
    pub outcome: Outcome,
    pub cause: Cause,
    pub at: Ms,
}

/// One numbered write, noted before it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Intent<N> {
    /// Travels in the endpoint's tags.
    pub seq: i64,
    /// Of a split only.
    pub why: Option<Why>,
    pub target: Target<N>,
    /// What was live when it was noted.
    pub before: Option<Before<N>>,
    /// From 1; writes of the same target in a row.
    pub tries: i64,
    /// Latest moment at which it may still be sent.
    pub deadline: Ms,
    /// None: nobody knows.
    pub outcome: Option<Reply>,
}

/// What a write is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target<N> {
    Traffic(Split<N>),
    Create(N),
    Delete(N),
    Scale(N),
}

/// Split and number that were live when an intent was noted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Before<N> {
    pub split: Split<N>,
    /// 0 where there was none.
    pub seq: i64,
}

/// A write that may still land.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unsettled<N> {
    pub seq: i64,
    pub target: Target<N>,
    /// After this it cannot be accepted any more.
    pub until: Ms,
}

/// A page or notice that is owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owed {
    /// Number of the attempt that it is about.
    pub attempt: i64,
    pub notice: Notice,
    pub created_at: Ms,
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// Traffic is being taken back, for this cause.
    Decided(Cause),
    /// Something stands in the way and a person is needed.
    Alarm(Cause),
    /// The attempt ended, for this cause.
    Ended(Cause),
}

impl<N> Default for Log<N> {
    fn default() -> Self {
        Self {
            seq: 0,
            verified: None,
            claimed: None,
            stable: None,
            previous: None,
            withdrawn: Vec::new(),
            attempt: None,
            intent: None,
            unsettled: Vec::new(),
            outbox: Vec::new(),
        }
    }
}

impl<N: Name> Log<N> {
    /// The attempt that holds the endpoint.
    pub fn open(&self) -> Option<&Attempt<N>> {
        self.attempt.as_ref().filter(|attempt| attempt.ending.is_none())
    }

    /// A split that was noted and may be live, be applied just now, or land later.
    pub fn open_traffic(&self) -> Option<&Intent<N>> {
        self.intent.as_ref().filter(|intent| intent.is_open() && matches!(intent.target, Target::Traffic(_)))
    }

    /// Every name that the log mentions outside splits.
    pub fn names(&self) -> impl Iterator<Item = &N> {
        let attempt = self.attempt.iter().flat_map(|a| a.deployment.iter().chain(&a.return_to));
        let previous = self.previous.iter().map(|previous| &previous.deployment);
        let targets = self.intent.iter().map(|i| &i.target).chain(self.unsettled.iter().map(|u| &u.target));
        let deployments = targets.filter_map(Target::deployment);
        self.stable.iter().chain(previous).chain(attempt).chain(deployments)
    }

    /// Every name in a split that the log mentions.
    pub fn names_in_splits(&self) -> impl Iterator<Item = &N> {
        let intent = self.intent.iter().flat_map(|i| [i.target.split(), i.before.as_ref().map(|before| &before.split)]);
        let unsettled = self.unsettled.iter().map(|u| u.target.split());
        let verified = self.verified.iter().map(|verified| Some(&verified.split));
        verified.chain(intent).chain(unsettled).flatten().flat_map(Split::shares).map(|(name, _)| name)
    }
}

impl<N> Attempt<N> {
    /// One of which nothing but its number and kind is known.
    pub fn new(n: i64, kind: Kind) -> Self {
        Self {
            n,
            kind,
            content: 0,
            deployment: None,
            return_to: None,
            window: Ms::ZERO,
            keep_previous: Ms::ZERO,
            raised: Vec::new(),
            decision: None,
            alarms: Vec::new(),
            outages: 0,
            repairs: 0,
            ending: None,
        }
    }

    pub fn withdraws(&self) -> bool {
        self.decision.is_some_and(|decision| decision.course == Course::Withdraw)
    }

    /// Whether traffic was ever noted for it, so that it ends by a write only.
    pub fn was_given_traffic(&self) -> bool {
        !self.raised.is_empty() || matches!(self.kind, Kind::Undo | Kind::Orphan)
    }
}

impl<N> Intent<N> {
    /// Whether it may be live, be applied just now, or land later.
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, None | Some(Reply::Accepted))
    }
}

impl<N> Target<N> {
    /// The deployment that is created, deleted or scaled.
    pub fn deployment(&self) -> Option<&N> {
        match self {
            Self::Traffic(_) => None,
            Self::Create(name) | Self::Delete(name) | Self::Scale(name) => Some(name),
        }
    }

    /// The split that is written.
    pub fn split(&self) -> Option<&Split<N>> {
        match self {
            Self::Traffic(split) => Some(split),
            Self::Create(_) | Self::Delete(_) | Self::Scale(_) => None,
        }
    }
}
