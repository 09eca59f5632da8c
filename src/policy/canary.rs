//! The verdict on live answers, window by window.
//!
//! A criterion's streak is of failed windows; a pass breaks it. A window without enough scores, or that could not be
//! measured, says nothing: it neither adds to a streak nor breaks it, or a thin night would hide a failure between two
//! others. Streaks are a criterion's own: failures of different criteria never add up. A run of windows that could not be
//! measured ends with the first that was, even if it was quiet: the way from the answers to us is open.

mod close;
mod facts;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod tests;
mod verdict;

use jiff::Timestamp;

pub use self::facts::{Facts, Found};
pub use self::verdict::{Evidence, Lacking, Verdict, verdict};
use self::{close::Closed, facts::after_windows};
use super::{
    availability::{self, Requests},
    plan::planned,
    rule::{Rule, RuleError},
    windows::{Grid, Window},
};
use crate::api::{
    At,
    log::Plan,
    release::{Criterion, Live, Metric},
    status::{CanaryStatus, CriterionSeen},
};

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
    let first = Grid::new(verified_at, plan.window_ms).window_at(0);
    CanaryStatus {
        clock_started_at: Some(verified_at),
        criteria: rules.iter().map(close::unseen).collect(),
        earliest_promotion_at: Some(after_windows(first.start, planned(plan, step), plan)),
        step,
        steps: i64::try_from(plan.weights.len()).unwrap_or(i64::MAX),
        weight,
        ..CanaryStatus::default()
    }
}

/// Closes every window that can be closed, oldest first and each once, up to the first one that withdraws: what comes
/// after it is not looked at, so that a withdrawal is the same however rarely somebody looks.
///
/// Windows after the last one that a promotion needs are closed too: who looks late may know of a failure that stands in
/// its way. Without a promotion, windows that close after `holdTimeout` are not looked at.
pub fn advance(known: &CanaryStatus, facts: &Facts<'_>) -> (CanaryStatus, Vec<Report>) {
    let mut status = known.clone();
    let mut reports = Vec::new();
    while let Some((window, closed)) = next(&status, facts) {
        reports.push(record(&mut status, facts, &window, &closed));
    }
    (status, reports)
}

/// The oldest open window, if it can be closed.
fn next<'a>(status: &CanaryStatus, facts: &Facts<'a>) -> Option<(Window, Closed<'a>)> {
    let started = status.clock_started_at?;
    let horizon = match verdict::so_far(status, facts.plan) {
        Verdict::Withdraw { .. } => return None,
        Verdict::Promote { .. } => Timestamp::MAX.into(),
        Verdict::Hold { .. } | Verdict::Continue => verdict::hold_until(started, facts.plan),
    };
    let now = facts.now.min(horizon);
    let window = Grid::new(started, facts.plan.window_ms).due(status.closed_through, now).next()?;
    let closed = close::close(facts, &window, now, horizon)?;
    Some((window, closed))
}

fn record(status: &mut CanaryStatus, facts: &Facts<'_>, window: &Window, closed: &Closed<'_>) -> Report {
    let plan = facts.plan;
    let (criteria, error) = close::criteria(facts, &status.criteria, closed);
    let verified = (facts.verified)(window);
    let counted = verified && error.is_none();
    let (canary, stable) = (closed.canary.map(close::requests), closed.stable.map(close::requests));

    status.closed_through = Some(window.end);
    status.windows = status.windows.saturating_add(1);
    status.counted = status.counted.saturating_add(i64::from(counted));
    status.errors_in_a_row = if error.is_some() { status.errors_in_a_row.saturating_add(1) } else { 0 };
    status.criteria.clone_from(&criteria);
    if let Some(canary) = canary {
        let sum = availability::add(status.availability.as_ref(), canary, stable.unwrap_or_default());
        status.availability = Some(sum);
    }
    let missing = planned(plan, status.step) - status.counted;
    if missing > 0 {
        status.earliest_promotion_at = Some(after_windows(window.end, missing, plan));
    }
    if verdict::breach(status, plan).is_some() {
        status.verdict = Some(Found::Fail.as_str().into());
    }
    let (number, start, end) = (window.number(), window.start, window.end);
    Report { number, start, end, criteria, error, verified, counted, canary, stable }
}
