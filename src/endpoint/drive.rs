//! One pass over an endpoint: decide, note, send, note what came of it. The only issuer of writes to an endpoint and its
//! deployments.
//!
//! The order is the protocol's: the record is stored and read back before the request is sent; between the check of the
//! lease and the request nothing is awaited; one request, no retry.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    Decision, Log, Ms, Observed, Owed, Owner, Remembered, Reply, Rules, Target, Timing, Waiting, Why, Wish,
    log::Intent, next, spelling::Spelling, tags,
};
use crate::{
    azure::{self, Accepted, Azure, Class, OnlineEndpoint},
    policy::digest,
};

/// What the protocol needs of the outside, besides Azure.
pub trait Ports: Send + Sync {
    /// A write under way; the lease is not given back before it is dropped.
    type Slot: Send;

    /// Stores the log by compare-and-swap and starts the delivery of what it owes.
    fn store(&mut self, log: &Log<String>, note: Note<'_>) -> impl Future<Output = Stored> + Send;

    /// Permission for one write that takes at most `needed`.
    fn begin_write(&self, needed: Duration) -> Option<Self::Slot>;

    /// Returns after the next renewal of the lease, or never.
    fn renewed(&self) -> impl Future<Output = ()> + Send;

    fn clock(&self) -> Timestamp;
}

/// What goes with a log that is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Note<'a> {
    /// Entries of the outbox that are new.
    pub pages: &'a [Owed],
    /// Of the body of the write that the log notes, hex.
    pub sha256: Option<&'a str>,
}

/// What became of storing a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It is what was wanted.
    Kept,
    /// The API server dropped fields: its CRD is older than this operator.
    Pruned,
    /// Somebody wrote the object since it was read: look again.
    Conflict,
    /// It does not want it; since when.
    Refused { since: Ms, why: String },
    /// No answer: it may be stored or not. Look again.
    Unanswered(String),
}

/// What a write is made of, where the log holds only its name.
pub struct Request<'a> {
    pub azure: &'a Azure,
    pub endpoint: &'a str,
    pub owner: &'a str,
    /// Of this process, for the tag.
    pub by: &'a str,
    pub timing: &'a Timing,
    /// Body of the PUT that creates a deployment.
    pub body: &'a (dyn Fn(&str) -> Option<Value> + Sync),
    /// Instances that a deployment is scaled to.
    pub instances: u32,
}

/// What a pass came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Something was stored or sent: pass again, then or at once.
    Again(Option<Ms>),
    /// Nothing to do until then.
    Wait(Ms, Waiting<String>),
    /// The log could not be stored as it has to be, so nothing was sent.
    NotStored(Stored),
}

/// Decides on what was observed, and carries it out.
pub async fn pass<P: Ports>(
    ports: &mut P,
    request: &Request<'_>,
    log: &Log<String>,
    observed: &Observed,
    wish: &Wish<String>,
    kept: &mut Remembered,
) -> Progress {
    let next = |wish: &Wish<String>| next(log, &observed.look, wish, request.timing, &Rules::ALL, observed.now);
    let mut decision = next(wish);
    if let Some(until) = throttled(kept, &decision, observed.now) {
        // What the look has shown is recorded all the same.
        decision = next(&Wish::Nothing);
        if matches!(decision, Decision::Wait { .. }) || throttled(kept, &decision, observed.now).is_some() {
            let again = until.min(observed.now + request.timing.look_exposed);
            return Progress::Wait(again, Waiting::Throttled { until });
        }
    }
    match decision {
        Decision::Wait { until, why } => Progress::Wait(until, why),
        Decision::Record { log, pages } => match ports.store(&log, Note { pages: &pages, sha256: None }).await {
            Stored::Kept => Progress::Again(None),
            stored => Progress::NotStored(stored),
        },
        Decision::Write { log, pages } => {
            let Some(intent) = log.intent.clone() else { return Progress::Again(None) };
            let sha256 = body(request, &log, &intent, observed.endpoint.as_ref()).map(|body| sha256(&body));
            let stored = ports.store(&log, Note { pages: &pages, sha256: sha256.as_deref() }).await;
            if !may_act(&intent, &stored, request.timing, observed.now) {
                return Progress::NotStored(stored);
            }
            let reply = act(ports, request, &log, &intent, observed, kept).await;
            if let Some(reply) = reply {
                let mut noted = log.clone();
                if let Some(intent) = noted.intent.as_mut() {
                    intent.outcome = Some(reply);
                }
                let after = ports.store(&noted, Note::default()).await;
                if after != Stored::Kept {
                    return Progress::NotStored(after);
                }
            }
            Progress::Again(Some(observed.now + pause(request.timing, &intent, reply)))
        }
    }
}

/// Whether a pass with this wish sends a request that creates a deployment. What has to be true of it is proven once a
/// request, and not as often as it is wished for.
pub fn creates(
    timing: &Timing,
    log: &Log<String>,
    observed: &Observed,
    wish: &Wish<String>,
    kept: &Remembered,
) -> bool {
    let decision = next(log, &observed.look, wish, timing, &Rules::ALL, observed.now);
    if throttled(kept, &decision, observed.now).is_some() {
        return false;
    }
    let Decision::Write { log, .. } = decision else { return false };
    log.intent.is_some_and(|intent| matches!(intent.target, Target::Create(_)))
}

/// Azure's own pauses are of seconds: what asks for more is not believed for longer.
const LONGEST_PAUSE: Ms = Ms(5 * 60_000);

/// Until when Azure asks for no write. What takes users back to stable goes out all the same: they wait for it.
fn throttled(kept: &Remembered, decision: &Decision<String>, now: Ms) -> Option<Ms> {
    let Decision::Write { log, .. } = decision else { return None };
    let urgent = matches!(log.intent.as_ref()?.why, Some(Why::Withdraw | Why::Repair));
    kept.throttled_until.filter(|until| *until > now && !urgent)
}

/// What increases exposure never runs without its record; a withdrawal waits for a refused one only so long.
fn may_act(intent: &Intent<String>, stored: &Stored, timing: &Timing, now: Ms) -> bool {
    let withdraws = intent.why == Some(Why::Withdraw);
    match stored {
        Stored::Kept => true,
        Stored::Pruned => withdraws,
        Stored::Conflict | Stored::Unanswered(_) => false,
        Stored::Refused { since, .. } => withdraws && now - *since >= timing.refused,
    }
}

fn pause(timing: &Timing, intent: &Intent<String>, reply: Option<Reply>) -> Ms {
    match (reply, intent.why) {
        (Some(Reply::Refused | Reply::Busy | Reply::NotSent), _) => Ms::ZERO,
        (_, Some(Why::Withdraw)) => timing.look_withdrawing,
        _ => timing.look_unsettled,
    }
}

/// Pre-read, lease, request. None: nobody knows what became of it.
async fn act<P: Ports>(
    ports: &P,
    request: &Request<'_>,
    log: &Log<String>,
    intent: &Intent<String>,
    observed: &Observed,
    kept: &mut Remembered,
) -> Option<Reply> {
    /// A look that began longer ago is repeated before anything is sent on its ground: two seconds, and one that the
    /// header with Azure's time may be short of.
    const FRESH: Ms = Ms(3_000);
    let mut fresh = None;
    if kept.azure_time(ports.clock()) - observed.look.begun > FRESH {
        let seen = request.azure.get_endpoint(request.endpoint).await.ok();
        fresh = seen.map(|seen| Spelling::of(log).endpoint(seen.value));
        let allowed = fresh.as_ref().is_some_and(|now| still_allowed(request.owner, intent, observed, now));
        if !allowed {
            return Some(Reply::NotSent);
        }
    }
    // A write whose reply is lost is waited for until its deadline and `settle` are over: so none may leave later.
    if kept.azure_time(ports.clock()) > intent.deadline {
        return Some(Reply::NotSent);
    }
    let needed = Duration::from_millis(u64::try_from(request.timing.write.0).unwrap_or_default());
    let Some(slot) = ports.begin_write(needed) else {
        // The next renewal comes within seconds; then everything is looked at again.
        ports.renewed().await;
        return Some(Reply::NotSent);
    };
    let endpoint = fresh.as_ref().or(observed.endpoint.as_ref());
    let result = send(request, log, intent, endpoint).await;
    drop(slot);
    match result {
        Ok(accepted) => {
            if let Some(operation) = accepted.operation {
                kept.operations.retain(|seq, _| *seq + 16 > intent.seq);
                kept.operations.insert(intent.seq, operation);
            }
            Some(Reply::Accepted)
        }
        Err(error) => {
            tracing::warn!(seq = intent.seq, why = ?intent.why, %error, "a write to Azure was not accepted");
            let pause = error.retry_after().filter(|_| error.class() == Class::Throttled);
            let pause = pause.map(|pause| Ms(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)).min(LONGEST_PAUSE));
            kept.throttled_until = pause.map(|pause| kept.azure_time(ports.clock()) + pause);
            let reply = classify(request, &error).await;
            kept.refusal = Some((intent.seq, error));
            reply
        }
    }
}

/// Increases need the endpoint exactly as the look showed it. What reduces exposure only needs it at rest, and in hands
/// that leave it to us: ours, nobody's (tools drop tags), or those of the owner that the look showed and that a person
/// told us to take over from. Without the last a take-over could never begin with the withdrawal that it has to begin with.
fn still_allowed(ours: &str, intent: &Intent<String>, observed: &Observed, now: &OnlineEndpoint) -> bool {
    let owner = tags::read(&now.tags).owner;
    let before = observed.endpoint.as_ref();
    let unchanged = before.is_some_and(|b| b.traffic == now.traffic && b.tags == now.tags && b.body == now.body);
    let same_owner = before.is_some_and(|before| tags::read(&before.tags).owner == owner);
    let handed_over = observed.look.live().is_some_and(|live| live.owner == Owner::Other { handed_over: true });
    match intent.why {
        Some(Why::Withdraw | Why::Repair) => {
            let left_to_us = owner.is_none_or(|owner| owner == ours) || (same_owner && handed_over);
            now.at_rest() && left_to_us
        }
        _ => now.succeeded() && unchanged,
    }
}

async fn send(
    request: &Request<'_>,
    log: &Log<String>,
    intent: &Intent<String>,
    endpoint: Option<&OnlineEndpoint>,
) -> azure::Result<Accepted> {
    let Request { azure, endpoint: name, .. } = request;
    let body = body(request, log, intent, endpoint);
    let body = body.as_ref().ok_or_else(|| azure::Error::NotSent {
        call: format!("PUT {name}"),
        reason: "what is to be written was not read".to_owned(),
    });
    match &intent.target {
        Target::Traffic(_) => azure.put_endpoint(name, body?).await,
        Target::Create(deployment) => azure.put_deployment(name, deployment, body?).await,
        Target::Delete(deployment) => azure.delete_deployment(name, deployment).await,
        Target::Scale(deployment) => azure.scale_deployment(name, deployment, request.instances).await,
    }
}

/// What is PUT; none for other requests, and where its ground was not read.
fn body(
    request: &Request<'_>,
    log: &Log<String>,
    intent: &Intent<String>,
    endpoint: Option<&OnlineEndpoint>,
) -> Option<Value> {
    match &intent.target {
        Target::Traffic(split) => {
            let traffic: BTreeMap<String, u8> = split.shares().map(|(name, share)| (name.clone(), share)).collect();
            let tags = tags::write(request.owner, request.by, log, intent);
            Some(endpoint?.with_traffic(&traffic, &tags))
        }
        Target::Create(deployment) => (request.body)(deployment),
        Target::Delete(_) | Target::Scale(_) => None,
    }
}

fn sha256(body: &Value) -> String {
    digest::sha256_hex(body.to_string().as_bytes())
}

/// Azure's refusal while another operation runs is told by reading the state again, not by its words or its status.
async fn classify(request: &Request<'_>, error: &azure::Error) -> Option<Reply> {
    match error.class() {
        Class::Unknown => None,
        Class::NotSent => Some(Reply::NotSent),
        Class::Throttled => Some(Reply::Busy),
        Class::Denied | Class::NotFound => Some(Reply::Refused),
        Class::Refused => {
            let now = request.azure.get_endpoint(request.endpoint).await;
            let busy = now.is_ok_and(|seen| !seen.value.at_rest());
            Some(if busy { Reply::Busy } else { Reply::Refused })
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        endpoint::{Live, Look, Roles, Sight, State},
        policy::split::Split,
    };

    fn endpoint(owner: &str, state: &str, canary: u8) -> OnlineEndpoint {
        let traffic = json!({"d-1": 100 - canary, "d-2": canary});
        let properties = json!({"provisioningState": state, "traffic": traffic});
        let body = json!({"name": "e", "location": "x", "tags": {(tags::OWNER): owner}, "properties": properties});
        serde_json::from_value(body).expect("an endpoint")
    }

    fn observed(endpoint: &OnlineEndpoint, owner: Owner) -> Observed {
        let split = Split::as_found(endpoint.traffic.clone());
        let live = Live {
            state: State::Succeeded,
            split,
            mirrored: Vec::new(),
            owner,
            write: None,
            roles: Roles::default(),
            operation: None,
        };
        let look = Look {
            begun: Ms(0),
            leading_since: Ms(0),
            twin: None,
            endpoint: Sight::Live(live),
            deployments: Vec::new(),
            listed: false,
        };
        Observed { look, endpoint: Some(endpoint.clone()), deployments: Vec::new(), now: Ms(0), problem: None }
    }

    /// Whether a write for this reason still goes out, if the look showed one endpoint and the pre-read shows another.
    fn goes_out(why: Why, owner: Owner, looked: &OnlineEndpoint, now: &OnlineEndpoint) -> bool {
        let target = Target::Traffic(Split::all("d-1".to_owned()));
        let intent = Intent { seq: 2, why: Some(why), target, before: None, tries: 1, deadline: Ms(0), outcome: None };
        still_allowed("me", &intent, &observed(looked, owner), now)
    }

    #[test]
    fn a_withdrawal_goes_out_in_all_hands_that_leave_it_to_us() {
        let other = |handed_over| Owner::Other { handed_over };
        let cases = [("me", Owner::Ours, true), ("", Owner::Absent, true), ("you", other(true), true)];
        for (owner, seen, goes) in cases.into_iter().chain([("you", other(false), false)]) {
            let (looked, now) = (endpoint(owner, "Succeeded", 10), endpoint(owner, "Failed", 20));
            assert_eq!(goes_out(Why::Withdraw, seen, &looked, &now), goes, "{owner}");
            assert!(!goes_out(Why::Withdraw, seen, &looked, &endpoint(owner, "Updating", 10)), "{owner}");
        }
        let (looked, taken) = (endpoint("you", "Succeeded", 10), endpoint("they", "Succeeded", 10));
        assert!(!goes_out(Why::Withdraw, other(true), &looked, &taken), "it was not handed over by them");
    }

    #[test]
    fn an_increase_needs_the_endpoint_as_the_look_showed_it() {
        let looked = endpoint("me", "Succeeded", 10);
        for why in [Why::Raise, Why::Promote, Why::Claim] {
            assert!(goes_out(why, Owner::Ours, &looked, &looked));
            assert!(!goes_out(why, Owner::Ours, &looked, &endpoint("me", "Succeeded", 11)));
            assert!(!goes_out(why, Owner::Ours, &looked, &endpoint("me", "Failed", 10)));
        }
    }
}
