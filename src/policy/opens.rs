//! Whether an attempt may begin, of which kind, or why not.

mod abort;
#[cfg(test)]
mod tests;

pub use self::abort::Abort;
use crate::api::{
    At, Cause,
    endpoint::DeploymentSeen,
    log::{Kind, Log, OUTBOX_FULL_FOR_ATTEMPTS},
    status::Rejected,
};

/// What an opening rests on.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    /// Uid of the PromptRelease.
    pub uid: &'a str,
    /// Name of the PromptEndpoint.
    pub endpoint: &'a str,
    pub version: &'a str,
    pub hash: &'a str,
    pub test_hash: &'a str,
    /// Name and uid of the release that holds the endpoint.
    pub claimed_by: Option<(&'a str, &'a str)>,
    /// On both objects.
    pub finalizer_stored: bool,
    /// Either object.
    pub deleting: bool,
    pub has_evaluation: bool,
    pub requires_evaluation: bool,
    /// Whether the PromptEndpoint names a source of live scores.
    pub has_scores: bool,
    pub abort: Option<&'a Abort>,
    pub rejected: &'a [Rejected],
    pub log: &'a Log,
    pub deployments: &'a [DeploymentSeen],
}

/// Whether an attempt opens, and if not, all that a sentence with the next step needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    Yes(Kind),
    /// The version is stable's: there is nothing to do.
    AlreadyLive {
        version: String,
        deployment: String,
    },
    /// Another release holds the endpoint, and keeps it until that object is gone.
    ClaimedByOther {
        release: String,
        endpoint: String,
    },
    /// Nobody holds the endpoint yet: the claim is written in this pass.
    Unclaimed,
    /// Release or endpoint is being deleted.
    Deleting,
    /// An attempt has no ending yet.
    Open {
        n: i64,
        version: String,
    },
    /// The standing order names the version. `live`: it already has all traffic, which only a person takes back.
    Aborted {
        order: String,
        live: bool,
    },
    /// The same content failed the same test: it is not tried again until either changes.
    RejectedBefore {
        version: String,
        outcome: String,
        at: At,
    },
    /// The last attempt was of the same content and test, and it ended. If it was promoted, another hand
    /// has moved the traffic since, and keeps it.
    EndedBefore {
        n: i64,
        version: String,
        outcome: String,
        reason: String,
    },
    /// The endpoint's policy wants an evaluation, and the release has none.
    EvaluationRequired {
        endpoint: String,
    },
    /// The PromptEndpoint names no `applicationInsights`, so that a canary could not be judged.
    NoScores {
        endpoint: String,
    },
    /// Only withdrawals are made on the endpoint; why.
    EndpointNotReady {
        endpoint: String,
        why: String,
    },
    /// No stable deployment is recorded, yet others may have served: a canary could not be taken back to anything.
    NoStable {
        deployment: String,
    },
    /// The finalizer is not stored yet on both objects.
    FinalizerMissing,
    /// Writes of unknown outcome may still land, the last one until then.
    Unsettled {
        writes: usize,
        until: At,
    },
    /// The endpoint's last write is still under way.
    WriteUnderWay {
        seq: i64,
        kind: String,
    },
    /// Too many pages were not accepted by any receiver.
    OutboxFull {
        undelivered: usize,
        limit: usize,
    },
}

impl Opens {
    /// Reason of the condition Ready; None where the release only waits its turn.
    pub fn cause(&self) -> Option<Cause> {
        match self {
            Self::AlreadyLive { .. } => Some(Cause::AlreadyLive),
            Self::Aborted { .. } => Some(Cause::AbortRequested),
            Self::RejectedBefore { .. } => Some(Cause::RejectedBefore),
            Self::EndedBefore { reason, .. } => {
                reason.parse().ok().map(|cause: Cause| if cause.blame().is_none() { Cause::Drift } else { cause })
            }
            Self::EvaluationRequired { .. } => Some(Cause::PolicyViolation),
            Self::NoScores { .. } => Some(Cause::CanaryUnmeasurable),
            Self::NoStable { .. } => Some(Cause::StableLost),
            Self::Yes(_)
            | Self::ClaimedByOther { .. }
            | Self::Unclaimed
            | Self::EndpointNotReady { .. }
            | Self::Deleting
            | Self::Open { .. }
            | Self::FinalizerMissing
            | Self::Unsettled { .. }
            | Self::WriteUnderWay { .. }
            | Self::OutboxFull { .. } => None,
        }
    }
}

/// Whether an attempt opens. What a person must change is said before what passes by itself.
pub fn opens(asks: &Asks<'_>) -> Opens {
    let kind = if is_fast(asks) { Kind::Fast } else { Kind::Canary };
    turn(asks)
        .or_else(|| content(asks))
        .or_else(|| means(asks, kind))
        .or_else(|| endpoint_is_busy(asks))
        .unwrap_or(Opens::Yes(kind))
}

/// Whether it is this release's turn at all.
fn turn(asks: &Asks<'_>) -> Option<Opens> {
    if asks.deleting {
        return Some(Opens::Deleting);
    }
    match asks.claimed_by {
        None => return Some(Opens::Unclaimed),
        Some((release, uid)) if uid != asks.uid => {
            return Some(Opens::ClaimedByOther { release: release.into(), endpoint: asks.endpoint.into() });
        }
        Some(_) => {}
    }
    let open = asks.log.attempt.as_ref().filter(|a| a.ending.is_none());
    open.map(|a| Opens::Open { n: a.n, version: a.version.clone() })
}

/// What speaks against this version and content.
fn content(asks: &Asks<'_>) -> Option<Opens> {
    let Asks { version, log, .. } = asks;
    let live = log.stable.as_ref().filter(|s| s.version.as_deref() == Some(version));
    if let Some(order) = asks.abort.filter(|order| order.names(version, attempt_spoken_of(asks, live.is_some()))) {
        return Some(Opens::Aborted { order: order.to_string(), live: live.is_some() });
    }
    if let Some(stable) = live {
        return Some(Opens::AlreadyLive { version: (*version).into(), deployment: stable.deployment.clone() });
    }
    let same = |v: &str, hash: &str, test: &str| v == *version && hash == asks.hash && test == asks.test_hash;
    if let Some(before) = asks.rejected.iter().find(|r| same(&r.version, &r.hash, &r.test_hash)) {
        let (version, outcome) = (before.version.clone(), before.outcome.clone());
        return Some(Opens::RejectedBefore { version, outcome, at: before.at });
    }
    let last = log.attempt.as_ref().filter(|a| same(&a.version, &a.hash, &a.test_hash))?;
    let ending = last.ending.as_ref().filter(|ending| speaks_of_content(&ending.reason))?;
    let (outcome, reason) = (ending.outcome.clone(), ending.reason.clone());
    Some(Opens::EndedBefore { n: last.n, version: last.version.clone(), outcome, reason })
}

/// A version's next attempt, or, once it is live, the one that made it so where that is still known.
fn attempt_spoken_of(asks: &Asks<'_>, live: bool) -> i64 {
    let last = asks.log.attempt.as_ref();
    match last {
        Some(last) if live => i64::from(last.version == asks.version) * last.n,
        _ => last.map_or(0, |last| last.n) + 1,
    }
}

/// What ended because its object changed or went away may be tried again when it is back: nothing was found against it.
fn speaks_of_content(reason: &str) -> bool {
    ![Cause::Superseded, Cause::Deleted, Cause::Orphan].iter().any(|cause| cause.as_str() == reason)
}

/// What the release or its endpoint lacks for an attempt of this kind. What goes the fast way passed its gate and its
/// canary here before: a policy that came later does not block the way back.
fn means(asks: &Asks<'_>, kind: Kind) -> Option<Opens> {
    if kind == Kind::Fast {
        return None;
    }
    let endpoint = || asks.endpoint.to_owned();
    if asks.requires_evaluation && !asks.has_evaluation {
        return Some(Opens::EvaluationRequired { endpoint: endpoint() });
    }
    if asks.log.stable.is_some() {
        // Availability is read from the same place as the scores: no canary does without it.
        return (!asks.has_scores).then(|| Opens::NoScores { endpoint: endpoint() });
    }
    let other = asks.deployments.iter().find(|d| !d.ours || d.served)?;
    Some(Opens::NoStable { deployment: other.name.clone() })
}

/// What passes by itself.
fn endpoint_is_busy(asks: &Asks<'_>) -> Option<Opens> {
    let log = asks.log;
    if !asks.finalizer_stored {
        return Some(Opens::FinalizerMissing);
    }
    if let Some(until) = log.unsettled.iter().map(|u| u.until).max() {
        return Some(Opens::Unsettled { writes: log.unsettled.len(), until });
    }
    if let Some(intent) = log.intent.as_ref().filter(|intent| intent.is_open()) {
        return Some(Opens::WriteUnderWay { seq: intent.seq, kind: intent.kind.clone() });
    }
    let undelivered = log.outbox.len();
    (undelivered >= OUTBOX_FULL_FOR_ATTEMPTS)
        .then_some(Opens::OutboxFull { undelivered, limit: OUTBOX_FULL_FOR_ATTEMPTS })
}

/// What served before this stable, unchanged, up, and never withdrawn here. No write that is open or of unknown outcome
/// can name it, since no attempt begins while there is one.
fn is_fast(asks: &Asks<'_>) -> bool {
    let Some(previous) = &asks.log.previous else { return false };
    let same = previous.version.as_deref() == Some(asks.version) && previous.hash.as_deref() == Some(asks.hash);
    let mut named = asks.deployments.iter().filter(|d| d.name.eq_ignore_ascii_case(&previous.deployment));
    let up = named.any(|d| d.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Succeeded")));
    same && up && !asks.log.withdrawn.iter().any(|w| w.hash == asks.hash)
}
