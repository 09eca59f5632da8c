//! A release as people see it: the word of its stage, and its conditions.

mod events;
mod facts;
mod ready;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub use events::tell;
pub use facts::gate_found;

use super::{
    claims::{self, Answer},
    conditions::{self, Row},
    notified::{self, Notified},
    sentence::Serving,
};
use crate::{
    api::{
        At, Cause, Outcome, PromptReleaseSpec,
        endpoint::DeploymentSeen,
        log::{Attempt, Log, ReleaseRef},
        status::{Build, CanaryStatus, EvaluationStatus},
    },
    policy::opens::Opens,
};

/// Where an open attempt is, in the words of `status.stage`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    Building,
    Evaluating,
    Deploying,
    Canary,
    Promoting,
    RollingBack,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "Building",
            Self::Evaluating => "Evaluating",
            Self::Deploying => "Deploying",
            Self::Canary => "Canary",
            Self::Promoting => "Promoting",
            Self::RollingBack => "RollingBack",
        }
    }
}

/// What the release comes to in this pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Standing {
    /// The log's attempt is the release's and open.
    UnderWay(Stage),
    /// The log's attempt is the release's and ended, and nothing came after it.
    Ended,
    /// No attempt opens; why.
    Answered(Answer),
}

/// What the pass waits for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waiting<'a> {
    /// One line. It must hold no moment that moves from pass to pass, since every change of status starts the next one.
    pub why: &'a str,
    /// Something stands in the way that is tried again.
    pub retry: Option<Cause>,
}

/// A person is needed though nothing has ended: RollbackFailed, StableLost or Unreadable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alarm<'a> {
    pub cause: Cause,
    /// What fails, and what to do by hand.
    pub what: &'a str,
}

/// Everything that stage, conditions and timeline of a release are made of.
#[derive(Clone, Debug)]
pub struct ReleaseView<'a> {
    /// Of the PromptRelease.
    pub name: &'a str,
    pub generation: Option<i64>,
    /// None where it does not parse.
    pub spec: Option<&'a PromptReleaseSpec>,
    /// Of its endpoint.
    pub log: &'a Log,
    pub standing: Standing,
    /// Facts of the log's attempt; None where there are none, or they are another attempt's.
    pub build: Option<&'a Build>,
    pub evaluation: Option<&'a EvaluationStatus>,
    pub canary: Option<&'a CanaryStatus>,
    /// The endpoint's.
    pub deployments: &'a [DeploymentSeen],
    /// Split of the traffic as last verified.
    pub traffic: Option<&'a str>,
    pub waiting: Option<Waiting<'a>>,
    pub alarm: Option<Alarm<'a>>,
    /// An order that is not obeyed, since it cannot be read: whoever gave it waits for it.
    pub misread: Option<&'a str>,
    /// None: nothing was tried in this pass; what is known stays.
    pub notified: Option<Notified<'a>>,
}

impl ReleaseView<'_> {
    /// The attempt that is spoken of: none where the answer is about something that no attempt was made for.
    pub(super) fn attempt(&self) -> Option<&Attempt> {
        match self.standing {
            Standing::Answered(_) => None,
            _ => self.log.attempt.as_ref(),
        }
    }

    pub(super) fn version(&self) -> &str {
        let spec = self.spec.map_or("", |spec| &spec.version);
        self.attempt().map_or(spec, |attempt| &attempt.version)
    }

    /// What a withdrawal returns to.
    pub(super) fn return_to(&self) -> Option<Serving> {
        let deployment = self.attempt()?.return_to.clone()?;
        Some(Serving { version: self.version_on(&deployment), deployment })
    }

    fn version_on(&self, deployment: &str) -> Option<String> {
        let log = self.log;
        let stable = log.stable.as_ref().filter(|s| s.deployment == deployment).and_then(|s| s.version.clone());
        let previous = log.previous.as_ref().filter(|p| p.deployment == deployment).and_then(|p| p.version.clone());
        let seen = self.deployments.iter().find(|d| d.name == deployment).and_then(|d| d.version.clone());
        stable.or(previous).or(seen)
    }
}

/// Whether it was ever given traffic. An Undo and an Orphan begin with traffic that no step of theirs gave.
pub(super) fn exposed(attempt: &Attempt) -> bool {
    !attempt.raised.is_empty() || matches!(attempt.kind.as_str(), "Undo" | "Orphan")
}

/// `status.stage`, for people.
pub fn stage(view: &ReleaseView<'_>) -> String {
    match &view.standing {
        Standing::UnderWay(stage) => stage.as_str().to_owned(),
        Standing::Ended => view
            .attempt()
            .and_then(|a| a.ending.as_ref())
            .map_or_else(|| Outcome::Failed.as_str().to_owned(), |ending| ending.outcome.clone()),
        Standing::Answered(answer) => answer.outcome.map_or("Pending", Outcome::as_str).to_owned(),
    }
}

/// All conditions, in the order in which a release gets to them.
pub fn conditions(view: &ReleaseView<'_>, before: &[Condition], now: At) -> Vec<Condition> {
    let mut rows: Vec<Row> = vec![ready::ready(view, now)];
    rows.extend(ready::reconciling(view));
    rows.extend(ready::stalled(view));
    rows.extend([
        facts::built(view),
        facts::evaluation_complete(view),
        facts::evaluation_passed(view),
        facts::deployed(view),
        facts::traffic_verified(view),
        facts::canary_healthy(view),
    ]);
    // An older attempt's page is not spoken of any more.
    rows.extend(notified::row(view.notified, before, view.attempt().map(|a| a.started_at)));
    conditions::update(rows, before, view.generation, now)
}

/// What an answer of the policy means to the release of this uid that asks for this version. An answer about what the
/// last attempt showed is told as that attempt's ending. None: an attempt opens.
pub fn standing(opens: &Opens, log: &Log, release: &ReleaseRef, version: &str) -> Option<Standing> {
    let last = log.attempt.as_ref().filter(|a| a.release.uid == release.uid && a.version == version);
    let own = last.and_then(|a| a.ending.as_ref());
    let promoted = own.is_some_and(|e| e.outcome == Outcome::Promoted.as_str());
    let told_by_the_ending = match opens {
        Opens::AlreadyLive { .. } => promoted,
        Opens::RejectedBefore { .. } | Opens::EndedBefore { .. } | Opens::Aborted { live: false, .. } => {
            own.is_some() && !promoted
        }
        _ => false,
    };
    if told_by_the_ending {
        return Some(Standing::Ended);
    }
    claims::answer(opens, &release.name).map(Standing::Answered)
}
