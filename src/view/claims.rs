//! Why no attempt opens, with the next step: one sentence for each answer of the policy.

use super::{by_hand, sentence::count};
use crate::{
    api::{ABORT, Cause, FORGET, Outcome, endpoint::AzureEndpoint},
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

/// Whom an answer is given.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    pub namespace: &'a str,
    pub release: &'a str,
    /// What it releases to.
    pub azure: &'a AzureEndpoint,
}

/// The answer in words. None: an attempt opens.
pub fn answer(opens: &Opens, asker: &Asker<'_>) -> Option<Answer> {
    let reason = opens.cause().map_or(PENDING, Cause::as_str);
    Some(match opens {
        Opens::Yes(_) => return None,
        Opens::AlreadyLive { version, .. } => Answer {
            outcome: Some(Outcome::Promoted),
            reason,
            message: format!("{version} serves 100 %; it already did, nothing was changed"),
            next_step: String::new(),
        },
        Opens::ClaimedByOther { release: holder, endpoint } => claimed(holder, endpoint),
        Opens::Aborted { order, live } => aborted(order, *live, asker),
        Opens::RejectedBefore { version, outcome, at } => seen_before(
            reason,
            outcome,
            &format!(
                "the same content ended {outcome} as version {version} at {}, and the test is the same",
                at.to_seconds()
            ),
        ),
        Opens::EndedBefore { n, version, outcome, reason: why } => seen_before(
            reason,
            outcome,
            &format!("attempt {n} of the same content and test, as version {version}, ended {outcome} ({why})"),
        ),
        Opens::EvaluationRequired { endpoint } => Answer::fails(
            reason,
            format!("PromptEndpoint {endpoint} requires an evaluation, and `evaluation` is not set"),
            format!(
                "add `evaluation` and `criteria`, or set `policy.requireEvaluation: false` on PromptEndpoint {endpoint}"
            ),
        ),
        Opens::NoScores { endpoint } => Answer::fails(
            reason,
            format!("PromptEndpoint {endpoint} names no `applicationInsights`, so live answers could not be judged"),
            format!("set `applicationInsights.name` on PromptEndpoint {endpoint}"),
        ),
        Opens::NoStable { deployment } => Answer::fails(
            reason,
            format!(
                "nothing has all traffic, and {deployment} may have served before: a canary could not be taken back to anything"
            ),
            format!("give one deployment all traffic, as in: {}", by_hand::all_traffic(asker.azure, deployment)),
        ),
        waiting => waits(waiting),
    })
}

/// What goes on by itself.
fn waits(opens: &Opens) -> Answer {
    match opens {
        Opens::EndpointNotReady { endpoint, why } => Answer::waits(
            "EndpointNotReady",
            format!("nothing new begins, since only withdrawals are made: {why}; see PromptEndpoint {endpoint}"),
        ),
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
                "{undelivered} pages and notices were not accepted by every receiver: nothing begins with {limit} or more, \
                 since the next page might be lost; see the condition Notified of the PromptEndpoint"
            ),
        ),
        Opens::FinalizerMissing => Answer::waits(PENDING, "the finalizer is being stored"),
        _ => Answer::waits(PENDING, "the endpoint is being claimed"),
    }
}

/// Another release holds the endpoint.
pub fn claimed(holder: &str, endpoint: &str) -> Answer {
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

/// Nothing can be asked for yet: what serves was not seen, perhaps for a reason that the endpoint has.
pub fn unseen(endpoint: &str, trouble: Option<&str>) -> Answer {
    match trouble {
        Some(why) => Answer::waits(
            "EndpointNotReady",
            format!("nothing begins before PromptEndpoint {endpoint} is ready: {why}"),
        ),
        None => Answer::waits(PENDING, format!("begins when PromptEndpoint {endpoint} has been looked at")),
    }
}

/// A release is being deleted, and the endpoint that knows its traffic is gone.
pub fn stranded_deletion(endpoint: &str, namespace: &str, release: &str) -> Answer {
    let forget = by_hand::annotate(namespace, "promptrelease", release, &format!("{FORGET}=true"));
    Answer::fails(
        ENDPOINT_NOT_FOUND,
        format!(
            "it is being deleted, and PromptEndpoint {endpoint}, by which its traffic could be taken back, is gone"
        ),
        format!("create PromptEndpoint {endpoint} again, or, if its traffic may stay as it is: {forget}"),
    )
}

fn aborted(order: &str, live: bool, asker: &Asker<'_>) -> Answer {
    let lift = by_hand::annotate(asker.namespace, "promptrelease", asker.release, &format!("{ABORT}-"));
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
fn seen_before(reason: &'static str, outcome: &str, what: &str) -> Answer {
    let all = [Outcome::Rejected, Outcome::RolledBack, Outcome::Aborted];
    let outcome = all.into_iter().find(|o| o.as_str() == outcome).unwrap_or(Outcome::Failed);
    let next_step = match outcome {
        Outcome::Rejected => {
            "ship other content under another version, or change the test (`evaluation`, `metrics`, `criteria`)"
        }
        Outcome::RolledBack => "ship another version, or change the test (`evaluation`, `metrics`, `criteria`)",
        // Nothing was found against the content.
        _ => "when the cause is mended, ship the content under another version",
    };
    Answer { outcome: Some(outcome), ..Answer::fails(reason, what, next_step) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{At, log::Kind};

    fn told(opens: &Opens) -> Option<Answer> {
        let azure = by_hand::tests::azure("prod");
        answer(opens, &Asker { namespace: "assistant", release: "support-assistant", azure: &azure })
    }

    fn every() -> Vec<Opens> {
        let (endpoint, version, outcome) = (|| "prod".to_owned(), || "1428".to_owned(), || "RolledBack".to_owned());
        let until = At::default();
        vec![
            Opens::AlreadyLive { version: version(), deployment: "d-1428".into() },
            Opens::ClaimedByOther { release: "support-assistant".into(), endpoint: endpoint() },
            Opens::Unclaimed,
            Opens::Deleting,
            Opens::Open { n: 7, version: version() },
            Opens::Aborted { order: "1428".into(), live: false },
            Opens::Aborted { order: "1428".into(), live: true },
            Opens::RejectedBefore { version: version(), outcome: outcome(), at: until },
            Opens::EndedBefore { n: 7, version: version(), outcome: "Failed".into(), reason: "EvalInfraError".into() },
            Opens::EvaluationRequired { endpoint: endpoint() },
            Opens::NoScores { endpoint: endpoint() },
            Opens::NoStable { deployment: "d-bootstrap".into() },
            Opens::FinalizerMissing,
            Opens::Unsettled { writes: 2, until },
            Opens::WriteUnderWay { seq: 41, kind: "DeleteDeployment".into() },
            Opens::OutboxFull { undelivered: 9, limit: 8 },
        ]
    }

    #[test]
    fn only_an_opening_needs_no_words() {
        for kind in [Kind::Canary, Kind::Fast] {
            assert_eq!(told(&Opens::Yes(kind)), None);
        }
        for opens in every() {
            let answer = told(&opens).unwrap_or_else(|| panic!("{opens:?}"));
            assert!(!answer.message.is_empty() && !answer.reason.is_empty(), "{answer:?}");
        }
    }

    #[test]
    fn what_does_not_go_on_by_itself_says_the_next_step_and_its_cause() {
        for opens in every() {
            let Some(answer) = told(&opens) else { continue };
            let stuck = answer.outcome.is_some_and(|o| o != Outcome::Promoted);
            assert_eq!(stuck, !answer.next_step.is_empty(), "{answer:?}");
            let cause = opens.cause().map(Cause::as_str);
            assert!(
                cause.is_none_or(|cause| cause == answer.reason || answer.outcome == Some(Outcome::Promoted)),
                "{answer:?}"
            );
            assert_eq!(answer.outcome.is_some(), cause.is_some() || answer.reason == ENDPOINT_CLAIMED, "{answer:?}");
        }
    }

    #[test]
    fn a_second_release_on_an_endpoint() {
        let opens =
            Opens::ClaimedByOther { release: "support-assistant".into(), endpoint: "support-assistant-prod".into() };
        let answer = told(&opens).expect("an answer");
        assert_eq!((answer.outcome, answer.reason), (Some(Outcome::Failed), "EndpointClaimed"));
        assert_eq!(
            answer.message,
            "PromptRelease support-assistant already releases to support-assistant-prod; an endpoint has one"
        );
    }

    #[test]
    fn an_order_says_how_it_is_lifted() {
        let answer = told(&Opens::Aborted { order: "1428.7".into(), live: false });
        let answer = answer.expect("an answer");
        assert_eq!(answer.message, "promptrelease.io/abort=1428.7 says that it gets no traffic");
        assert_eq!(
            answer.next_step,
            "ship another version, or: kubectl annotate -n assistant promptrelease support-assistant promptrelease.io/abort-"
        );
    }
}
