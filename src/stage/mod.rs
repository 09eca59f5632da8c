//! The product's story, a file a stage: build, evaluate, deploy, canary, promote, roll back, clean. `workspace` is none: it
//! says where the story takes place.
//!
//! Each has those that it needs of three functions: `look` reads and may be repeated, `next` decides and is pure, `act` makes one
//! idempotent write. What a stage wants of the endpoint it only wishes: [`crate::endpoint`] is the one issuer of writes
//! to the endpoint and its deployments.

pub mod build;
pub mod canary;
pub mod clean;
pub mod deploy;
pub mod evaluate;
pub mod promote;
pub mod roll_back;
pub mod workspace;

use crate::{
    api::{
        At, Cause,
        log::{Attempt, Course, Kind, Log},
        status::{Build, CanaryStatus, EvaluationStatus, PromptReleaseStatus},
    },
    endpoint::Wish,
    view::timeline::Event,
};

/// Where an open attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    Build,
    Evaluate,
    Deploy,
    Canary,
    Promote,
    RollBack,
    /// No attempt is open.
    Clean,
}

/// What the release's status knows of the open attempt. Write-once or monotone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub build: Option<Build>,
    pub evaluation: Option<EvaluationStatus>,
    pub canary: Option<CanaryStatus>,
}

/// What a stage decides.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<Step> {
    /// What is known after the look; recorded if it differs from what was known.
    pub facts: Facts,
    /// What people are told, besides what the facts say.
    pub told: Vec<Event>,
    pub then: Then<Step>,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq)]
pub enum Then<Step> {
    /// A step that is idempotent by its own key: a repeat is harmless.
    Do(Step),
    /// A write that only the endpoint's protocol may make, and one line why.
    Ask(Wish<String>, String),
    /// The facts are enough for the next stage.
    Go,
    /// Nothing until then.
    Wait(Wait),
}

impl<Step> Decision<Step> {
    pub fn new(facts: Facts, then: Then<Step>) -> Self {
        Self { facts, told: Vec::new(), then }
    }

    pub fn withdraw(facts: Facts, cause: Cause, why: impl Into<String>) -> Self {
        Self::new(facts, Then::Ask(Wish::Withdraw(cause), why.into()))
    }
}

/// Expected waiting: a value, not an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// When to look again.
    pub until: At,
    /// One line for people, without the time.
    pub why: String,
    /// Whether something stands in the way that is tried again: Reconciling says ProgressingWithRetry.
    pub retry: Option<Cause>,
}

impl Wait {
    pub fn until(until: At, why: impl Into<String>) -> Self {
        Self { until, why: why.into(), retry: None }
    }
}

impl Facts {
    /// Those of this attempt; none if the status speaks of another.
    pub fn of(status: &PromptReleaseStatus, attempt: &Attempt) -> Option<Self> {
        let revision = status.revision.as_ref()?;
        (revision.attempt == attempt.n).then(|| Self {
            build: status.build.clone(),
            evaluation: status.evaluation.clone(),
            canary: status.canary.clone(),
        })
    }

    pub fn built(&self) -> bool {
        self.build.as_ref().is_some_and(|b| b.model.is_some() && b.environment.is_some())
    }

    pub fn gate_open(&self) -> bool {
        let verdict = self.evaluation.as_ref().and_then(|e| e.verdict.as_deref());
        matches!(verdict, Some("Pass" | "Waived"))
    }
}

/// The stage is a function of write-once facts, never of `status.stage`, which is for people.
pub fn stage_of(log: &Log, facts: &Facts) -> Stage {
    let Some(attempt) = log.attempt.as_ref().filter(|a| a.ending.is_none()) else { return Stage::Clean };
    match &attempt.decision {
        Some(decision) if decision.is(Course::Promote) => Stage::Promote,
        // Of a newer operator too, as the protocol reads it.
        Some(_) => Stage::RollBack,
        None if !attempt.raised.is_empty() => Stage::Canary,
        None if attempt.is(Kind::Fast) => Stage::Promote,
        None if !facts.built() => Stage::Build,
        None if !facts.gate_open() => Stage::Evaluate,
        None => Stage::Deploy,
    }
}
