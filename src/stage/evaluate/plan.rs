//! What is evaluated, and what is known of it.

use jiff::SignedDuration;

use crate::{
    api::{
        PromptReleaseSpec,
        status::{EvaluationStatus, StableSeen},
    },
    stage::Facts,
};

/// What the evaluation is of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub spec: &'a PromptReleaseSpec,
    pub release_uid: &'a str,
    pub attempt: i64,
    /// Connections that no run may use.
    pub protected: &'a [String],
    /// What serves now, to be compared with.
    pub stable: Option<&'a StableSeen>,
    /// A shortfall must be seen twice, so far apart: lines appear after the run says Completed.
    pub second_count: SignedDuration,
    /// Between two looks at a run.
    pub poll: SignedDuration,
}

/// Submissions are idempotent by the run's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    SubmitBase,
    SubmitJudge,
}

/// What is known so far.
pub fn status(facts: &Facts) -> EvaluationStatus {
    facts.evaluation.clone().unwrap_or_default()
}
