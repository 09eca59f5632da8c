//! What a pass comes to.

use super::{
    Log, Ms, Owed, Why,
    log::{Name, Reply},
};
use crate::policy::split::Split;

/// What [`super::next`] decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<N> {
    /// Store the log, and pass again.
    Record { log: Log<N>, pages: Vec<Owed> },
    /// Store the log, deliver `pages`, and then send exactly the write that is its intent.
    Write { log: Log<N>, pages: Vec<Owed> },
    /// Nothing until then, for this reason. A stage that waits for something of its own says so itself.
    Wait { until: Ms, why: Waiting<N> },
}

/// Why nothing is written, for people. `until` is when it is over by itself; where there is none, somebody acts first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting<N> {
    /// Everything is as it should be.
    Nothing,
    /// Azure does not know the endpoint, since then.
    EndpointGone { since: Ms },
    /// Azure does not say what is live, since then. `denied`: a person has to give access.
    Unreadable { since: Ms, denied: bool },
    /// Another owner's tag is on the endpoint: nothing is written before a person hands it over.
    OtherOwner,
    /// An operation is under way that takes no other write beside it. Ours, if `why` is set.
    Updating { why: Option<Why> },
    /// This write was sent, and is not read back yet.
    ReadBack { seq: i64, why: Why, target: Split<N> },
    /// The reply to this write was lost; until then it may still land.
    Unanswered { seq: i64, why: Why, target: Split<N>, until: Ms },
    /// This write came to nothing, and is tried again then.
    Retry { why: Why, reply: Reply, tries: i64, until: Ms },
    /// Azure asks for no writes until then.
    Throttled { until: Ms },
    /// Traffic is where it belongs; the attempt ends when a lost write cannot land any more.
    LostWrite { split: Split<N>, until: Ms },
    /// No traffic is raised before a lost write cannot land any more.
    Unsettled { until: Ms },
    /// The endpoint was claimed a moment ago; another claimant would show until then.
    Claimed { until: Ms },
    /// The look may be older than what was read back last.
    Lagging { until: Ms },
    /// A second look has to confirm what the first one showed.
    SecondLook { split: Split<N> },
    /// Several deployments that are not ours have traffic: a person decides which is stable.
    Conflict { split: Split<N> },
    /// Nothing has traffic, no stable is known, and there is a deployment that is not ours: a person decides.
    NoStable { deployment: N },
    /// The deployment that traffic would return to does not exist.
    StableLost { deployment: N },
    /// The attempt has no deployment to send traffic to, or Azure does not show it.
    NoDeployment,
    /// The deployment is not ready for traffic.
    NotReady { deployment: N },
    /// The deployment is there, but it is not what the attempt would create.
    NameTaken { deployment: N },
    /// A write to this deployment may still be under way.
    NameHeld { deployment: N, until: Ms },
    /// A write to this deployment came to nothing, and is tried again then.
    RetryDeployment { deployment: N, reply: Reply, tries: i64, until: Ms },
    /// No deployment is created, scaled or deleted while a canary has traffic or traffic is being taken back.
    Quiet { deployment: N },
    /// Copies of requests go to this deployment, so Azure gives it no live traffic: a person ends that.
    Mirrored { deployment: N },
    /// The deployment is in use, or not ours.
    InUse { deployment: N },
    /// Deployments were not listed in this look.
    NotListed,
    /// A first release is being promoted and there is nothing to return to: what ends it waits for that.
    FirstPromotion,
}

impl<N: Name> Decision<N> {
    /// The log to be stored, if any.
    pub fn log(&self) -> Option<&Log<N>> {
        match self {
            Self::Record { log, .. } | Self::Write { log, .. } => Some(log),
            Self::Wait { .. } => None,
        }
    }
}
