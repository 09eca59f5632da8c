//! What is spoken of: a release, its attempt, and what this pass has found about them.

use crate::{
    api::{
        Cause, PromptReleaseSpec,
        endpoint::DeploymentSeen,
        log::{Attempt, Kind, Log},
        status::{Build, CanaryStatus, EvaluationStatus},
    },
    view::{claims::Answer, notified::Notified, sentence::Serving},
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
    /// Of the PromptRelease, as its name.
    pub namespace: &'a str,
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
    pub(in crate::view) fn attempt(&self) -> Option<&Attempt> {
        match self.standing {
            Standing::Answered(_) => None,
            _ => self.log.attempt.as_ref(),
        }
    }

    pub(in crate::view) fn version(&self) -> &str {
        let spec = self.spec.map_or("", |spec| &spec.version);
        self.attempt().map_or(spec, |attempt| &attempt.version)
    }

    /// What a withdrawal returns to.
    pub(in crate::view) fn return_to(&self) -> Option<Serving> {
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
pub(in crate::view) fn exposed(attempt: &Attempt) -> bool {
    !attempt.raised.is_empty() || attempt.is(Kind::Undo) || attempt.is(Kind::Orphan)
}
