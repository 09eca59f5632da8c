//! One look at Azure, as facts. It reads and writes nothing, and may be repeated; what could not be read is a fact too.

use std::collections::BTreeMap;

use jiff::Timestamp;
use url::Url;

use super::{
    Deployment, Live, Look, Memory, Ms, Operation, Owner, Provisioning, Sight, State, Target, Timing, log::Log,
    spelling::Spelling, tags,
};
use crate::{
    azure::{self, Azure, Class, OnlineDeployment, OnlineEndpoint, OperationStatus, optional},
    policy::split::Split,
};

/// What a process keeps about one endpoint from pass to pass. Losing it costs time, never safety.
#[derive(Debug, Default)]
pub struct Remembered {
    looks: Memory<String>,
    /// Where the operation of a numbered write can be polled.
    pub operations: BTreeMap<i64, Url>,
    /// The last write that Azure refused, and in which words.
    pub refusal: Option<(i64, azure::Error)>,
    /// Until when Azure asks for no more writes.
    pub throttled_until: Option<Ms>,
    leading_since: Option<Ms>,
    unreadable_since: Option<Ms>,
    gone_since: Option<Ms>,
    /// Azure's clock less ours, as last seen.
    skew: Ms,
}

/// What to look for.
pub struct Question<'a> {
    pub azure: &'a Azure,
    pub endpoint: &'a str,
    /// Value of our owner tag.
    pub owner: &'a str,
    /// Owner that a person hands over to us.
    pub take_over: Option<&'a str>,
    pub log: &'a Log<String>,
    /// Read all deployments too.
    pub list: bool,
    /// Whether a deployment runs the body that the attempt would create. None: not known.
    pub same_body: &'a (dyn Fn(&OnlineDeployment) -> Option<bool> + Sync),
    /// Whether a deployment ever had live traffic.
    pub served: &'a (dyn Fn(&str) -> bool + Sync),
    pub timing: &'a Timing,
}

/// The facts, and what they were read from. Deployments are spelled as the log has them.
#[derive(Debug)]
pub struct Observed {
    pub look: Look<String>,
    pub endpoint: Option<OnlineEndpoint>,
    pub deployments: Vec<OnlineDeployment>,
    /// By Azure's clock, after the look.
    pub now: Ms,
    /// Why something could not be read.
    pub problem: Option<azure::Error>,
}

fn ours(now: Timestamp) -> Ms {
    Ms(now.as_millisecond())
}

impl Remembered {
    /// Azure's time, from our clock and the difference last seen.
    pub fn azure_time(&self, now: Timestamp) -> Ms {
        ours(now) + self.skew
    }
}

/// Looks once: the endpoint, and with it all deployments if they are asked for.
pub async fn observe(q: &Question<'_>, kept: &mut Remembered, clock: impl Fn() -> Timestamp) -> Observed {
    let sent = clock();
    let (endpoint, deployments) = futures::join!(q.azure.get_endpoint(q.endpoint), async {
        if q.list { q.azure.list_deployments(q.endpoint).await.map(|seen| Some(seen.value)) } else { Ok(None) }
    });
    let received = clock();
    let date = endpoint.as_ref().ok().and_then(|seen| seen.date);
    let begun = begun(kept, date, sent, received);
    let leading_since = *kept.leading_since.get_or_insert(kept.azure_time(received) + Ms::from_secs(1));
    let spelling = Spelling::of(q.log);
    let mut problem = None;
    let (sight, endpoint) = match optional(endpoint) {
        Ok(Some(seen)) => {
            (kept.unreadable_since, kept.gone_since) = (None, None);
            let found = spelling.endpoint(seen.value);
            let live = live(q, kept, &spelling, &found).await;
            (Sight::Live(live), Some(found))
        }
        Ok(None) => {
            kept.unreadable_since = None;
            (Sight::Gone { since: *kept.gone_since.get_or_insert(begun) }, None)
        }
        Err(error) => {
            let since = *kept.unreadable_since.get_or_insert(begun);
            let denied = error.class() == Class::Denied;
            problem = Some(error);
            (Sight::Unreadable { since, denied }, None)
        }
    };
    let deployments = deployments.unwrap_or_else(|error| {
        problem.get_or_insert(error);
        None
    });
    let twin = kept.looks.twin(&sight, begun, q.timing.two_looks);
    let listed = deployments.is_some();
    let found = deployments.unwrap_or_default();
    let deployments: Vec<OnlineDeployment> = found.into_iter().map(|found| spelling.deployment(found)).collect();
    let facts = deployments.iter().map(|d| (d.name.clone(), deployment(q, d))).collect();
    let look = Look { begun, leading_since, twin, endpoint: sight, deployments: facts, listed };
    Observed { look, endpoint, deployments, now: kept.azure_time(received), problem }
}

/// A moment of Azure's clock that is surely not later than the sending: its answer's time, less how long the answer
/// took. The header has whole seconds, rounded down, which errs on the safe side.
fn begun(kept: &mut Remembered, date: Option<Timestamp>, sent: Timestamp, received: Timestamp) -> Ms {
    let took = Ms(received.as_millisecond().saturating_sub(sent.as_millisecond()).max(0));
    if let Some(date) = date {
        let skew = ours(date) - ours(received);
        // Below a second the difference is the header's rounding, not a clock's.
        kept.skew = if skew.0.abs() < 1_500 { Ms::ZERO } else { skew };
        return ours(date) - took;
    }
    kept.azure_time(sent) - Ms::from_secs(1)
}

async fn live(q: &Question<'_>, kept: &Remembered, spelling: &Spelling, endpoint: &OnlineEndpoint) -> Live<String> {
    let read = tags::read(&endpoint.tags);
    let owner = match read.owner {
        None => Owner::Absent,
        Some(owner) if owner == q.owner => Owner::Ours,
        Some(owner) => Owner::Other { handed_over: q.take_over == Some(owner) },
    };
    let state = state(endpoint);
    let split = Split::as_found(endpoint.traffic.clone());
    let roles = spelling.roles(&read.roles);
    let copied = endpoint.mirror_traffic.iter().filter(|(_, percent)| **percent > 0);
    let mirrored = copied.map(|(name, _)| name.clone()).collect();
    let mut live = Live { state, split, mirrored, owner, write: read.write, roles, operation: None };
    live.operation = operation(q, kept, &live).await;
    live
}

fn state(endpoint: &OnlineEndpoint) -> State {
    let is = |word: &str| endpoint.provisioning_state.eq_ignore_ascii_case(word);
    match () {
        () if is("Succeeded") => State::Succeeded,
        () if is("Failed") => State::Failed,
        () if is("Canceled") => State::Canceled,
        () => State::Updating,
    }
}

/// The terminal document, asked for only when the endpoint rests and does not show our write.
async fn operation(q: &Question<'_>, kept: &Remembered, live: &Live<String>) -> Option<(i64, Operation)> {
    let intent = q.log.open_traffic()?;
    let Target::Traffic(target) = &intent.target else { return None };
    let shows = live.seq() == Some(intent.seq) && live.split == *target;
    if live.state == State::Updating || shows {
        return None;
    }
    let url = kept.operations.get(&intent.seq)?;
    match q.azure.get_operation(url).await.ok()?.value {
        OperationStatus::Succeeded => Some((intent.seq, Operation::Succeeded)),
        OperationStatus::Failed(_) | OperationStatus::Canceled(_) => Some((intent.seq, Operation::Failed)),
        OperationStatus::Running | OperationStatus::Gone => None,
    }
}

fn deployment(q: &Question<'_>, found: &OnlineDeployment) -> Deployment {
    let state = match () {
        () if found.succeeded() => Provisioning::Succeeded,
        () if found.at_rest() => Provisioning::Failed,
        () => Provisioning::Changing,
    };
    Deployment {
        state,
        same_body: (q.same_body)(found),
        ours: found.tags.get(tags::OWNER).is_some_and(|owner| owner == q.owner),
        served: (q.served)(&found.name),
    }
}
