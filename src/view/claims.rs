//! Why no attempt opens, with the next step: one sentence for each answer of the policy.

use super::sentence::count;
use crate::{
    api::{ABORT, Cause, Outcome},
    policy::opens::Opens,
};

/// What a release is told while no attempt of it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// None: it waits, and goes on by itself.
    pub outcome: Option<Outcome>,
    /// Reason of the condition Ready.
    pub reason: &'static str,
    /// What is wrong, or what it waits for.
    pub message: String,
    /// Of a failure: what a person can do about it.
    pub next_step: String,
}

/// Pending, of a wait that needs no word of its own.
const PENDING: &str = "Pending";
/// Another release holds the endpoint.
pub const ENDPOINT_CLAIMED: &str = "EndpointClaimed";
/// There is no such PromptEndpoint.
pub const ENDPOINT_NOT_FOUND: &str = "EndpointNotFound";

impl Answer {
    /// It goes on by itself; `message` says what is waited for.
    pub fn waits(reason: &'static str, message: impl Into<String>) -> Self {
        Self { outcome: None, reason, message: message.into(), next_step: String::new() }
    }

    /// A person is needed.
    pub fn fails(reason: &'static str, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { outcome: Some(Outcome::Failed), reason, message: message.into(), next_step: next_step.into() }
    }
}

/// The answer to `release` in words. None: an attempt opens.
pub fn answer(opens: &Opens, release: &str) -> Option<Answer> {
    Some(match opens {
        Opens::Yes(_) => return None,
        Opens::AlreadyLive { version, .. } => Answer {
            outcome: Some(Outcome::Promoted),
            reason: Cause::AlreadyLive.as_str(),
            message: format!("{version} serves 100 %; it already did, nothing was changed"),
            next_step: String::new(),
        },
        Opens::ClaimedByOther { release: holder, endpoint } => claimed(holder, endpoint),
        Opens::Invalid { why } => invalid(why),
        Opens::Aborted { order, live } => aborted(order, *live, release),
        Opens::RejectedBefore { .. } | Opens::EndedBefore { .. } => seen_before(opens),
        Opens::EvaluationRequired { endpoint } => Answer::fails(
            Cause::PolicyViolation.as_str(),
            format!("PromptEndpoint {endpoint} requires an evaluation, and `evaluation` is not set"),
            format!(
                "add `evaluation` and `criteria`, or set `policy.requireEvaluation: false` on PromptEndpoint {endpoint}"
            ),
        ),
        Opens::NoScores { endpoint } => Answer::fails(
            Cause::InvalidSpec.as_str(),
            format!("PromptEndpoint {endpoint} names no `applicationInsights`, so live answers could not be judged"),
            format!("set `applicationInsights.name` on PromptEndpoint {endpoint}"),
        ),
        Opens::NoStable { deployment } => Answer::fails(
            Cause::StableLost.as_str(),
            format!(
                "nothing has all traffic, and {deployment} may have served before: a canary could not be taken back to anything"
            ),
            format!("give one deployment all traffic, as in: az ml online-endpoint update --traffic {deployment}=100"),
        ),
        waiting => waits(waiting),
    })
}

/// What goes on by itself.
fn waits(opens: &Opens) -> Answer {
    match opens {
        Opens::Deleting => Answer::waits("Deleting", "being deleted: nothing new begins"),
        Opens::Open { n, version } => Answer::waits(PENDING, format!("attempt {n} of {version} has to end first")),
        Opens::Unsettled { writes, until } => Answer::waits(
            "Unsettled",
            format!(
                "waits until {} for {} without a reply that may still land",
                until.clock(),
                count(i64::try_from(*writes).unwrap_or(i64::MAX), "write")
            ),
        ),
        Opens::WriteUnderWay { seq, kind } => {
            Answer::waits(PENDING, format!("waits for the endpoint's last write to end ({kind}, write {seq})"))
        }
        Opens::OutboxFull { undelivered, limit } => Answer::waits(
            "OutboxFull",
            format!(
                "{undelivered} pages and notices were accepted by nobody: nothing begins with {limit} or more, since the \
                 next page might be lost; see the condition Notified of the PromptEndpoint"
            ),
        ),
        Opens::FinalizerMissing => Answer::waits(PENDING, "the finalizer is being stored"),
        _ => Answer::waits(PENDING, "the endpoint is being claimed"),
    }
}

fn claimed(holder: &str, endpoint: &str) -> Answer {
    Answer::fails(
        ENDPOINT_CLAIMED,
        format!("PromptRelease {holder} already releases to {endpoint}; an endpoint has one"),
        format!(
            "refer to another PromptEndpoint, or delete PromptRelease {holder}: this one then takes over without a change of traffic"
        ),
    )
}

/// The spec cannot work until it is edited.
pub fn invalid(why: &str) -> Answer {
    Answer::fails(Cause::InvalidSpec.as_str(), why, "edit the spec")
}

/// The endpoint that the release refers to does not exist.
pub fn no_endpoint(endpoint: &str, namespace: &str) -> Answer {
    Answer::fails(
        ENDPOINT_NOT_FOUND,
        format!("PromptEndpoint {endpoint} does not exist in namespace {namespace}"),
        format!(
            "create PromptEndpoint {endpoint}, or correct `endpointRef.name` in a new PromptRelease: it is immutable"
        ),
    )
}

/// A release is being deleted, and the endpoint that knows its traffic is gone.
pub fn stranded_deletion(endpoint: &str, release: &str) -> Answer {
    Answer::fails(
        ENDPOINT_NOT_FOUND,
        format!(
            "it is being deleted, and PromptEndpoint {endpoint}, by which its traffic could be taken back, is gone"
        ),
        format!(
            "create PromptEndpoint {endpoint} again, or, if its traffic may stay as it is: kubectl annotate promptrelease \
             {release} {}=true",
            crate::api::FORGET
        ),
    )
}

fn aborted(order: &str, live: bool, release: &str) -> Answer {
    let lift = format!("kubectl annotate promptrelease {release} {ABORT}-");
    if live {
        return Answer {
            outcome: Some(Outcome::Promoted),
            reason: Cause::AlreadyLive.as_str(),
            message: format!(
                "it serves 100 %, and {ABORT}={order} takes back a canary only: to go back, set `version` to the one before"
            ),
            next_step: String::new(),
        };
    }
    Answer {
        outcome: Some(Outcome::Aborted),
        ..Answer::fails(
            Cause::AbortRequested.as_str(),
            format!("{ABORT}={order} says that it gets no traffic"),
            format!("ship another version, or: {lift}"),
        )
    }
}

/// The same content and the same test: the answer would be the same.
fn seen_before(opens: &Opens) -> Answer {
    let (reason, outcome, what) = match opens {
        Opens::RejectedBefore { version, outcome, at } => (
            Cause::RejectedBefore.as_str(),
            outcome,
            format!(
                "the same content ended {outcome} as version {version} at {}, and the test is the same",
                at.to_seconds()
            ),
        ),
        Opens::EndedBefore { n, version, outcome, reason } => (
            "EndedBefore",
            outcome,
            format!("attempt {n} of the same content and test, as version {version}, ended {outcome} ({reason})"),
        ),
        _ => return Answer::waits(PENDING, ""),
    };
    let all = [Outcome::Rejected, Outcome::RolledBack, Outcome::Aborted];
    let outcome = all.into_iter().find(|o| o.as_str() == outcome.as_str()).unwrap_or(Outcome::Failed);
    Answer {
        outcome: Some(outcome),
        ..Answer::fails(
            reason,
            what,
            "ship another content under another version, or change the test (`evaluation`, `metrics`, `criteria`)",
        )
    }
}
