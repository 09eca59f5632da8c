//! What the windows so far decide.

use jiff::SignedDuration;

use super::facts::Found;
use crate::{
    api::{
        At, Cause,
        log::Plan,
        release::OnInconclusive,
        status::{Availability, CanaryStatus, CriterionSeen},
    },
    policy::{
        availability,
        decimal::{Decimal, Mean},
        plan::{on_inconclusive, planned},
    },
};

/// What to do with the canary.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// CanaryFailed, AvailabilityFailed or CanaryUnmeasurable.
    Withdraw { cause: Cause, evidence: Evidence },
    /// The step is over and nothing stands against it. `lacking` is empty unless the plan promotes what is inconclusive.
    Promote { lacking: Vec<Lacking> },
    /// The step is over and something is not shown yet: more windows, until `holdTimeout`.
    Hold { lacking: Vec<Lacking> },
    /// The step is not over.
    Continue,
}

/// Why a canary is withdrawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// One criterion failed the limit of windows in a row.
    Criterion {
        class: String,
        metric: String,
        /// Mean in the last of them, and the lowest that passes, as decimals.
        value: String,
        minimum: String,
        /// Scores in the last of them.
        samples: i64,
        in_a_row: i64,
        /// Further criteria that failed as often.
        also: usize,
    },
    /// Counts over the step's windows.
    Availability(Availability),
    /// As many windows in a row could not be measured.
    Errors {
        in_a_row: i64,
        /// Class and metric of the criteria that the last one could not be measured by; all of them if the window
        /// itself could not be.
        criteria: Vec<(String, String)>,
    },
    /// The step is over, something is not shown, and the plan rolls back what is inconclusive.
    Inconclusive { counted: i64, lacking: Vec<Lacking> },
    /// No verdict within `holdTimeout`.
    HoldTimeout { waited: SignedDuration, counted: i64, planned: i64, errors_in_a_row: i64, lacking: Vec<Lacking> },
}

/// What a promotion lacks when the step is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Fewer scores in all windows together than one window needs.
    Samples { class: String, metric: String, samples: i64, needed: i64 },
    /// No window had enough scores to be judged, and the mean of all together is below the minimum.
    Below { class: String, metric: String, value: String, minimum: String, samples: i64 },
    /// Nothing but availability is judged, and the canary had too few requests for that.
    Requests { requests: i64, needed: i64 },
}

/// The verdict on what is closed. Only `holdTimeout` depends on `now`, which is the time of the source of the scores, or
/// Azure's.
pub fn verdict(status: &CanaryStatus, plan: &Plan, now: At) -> Verdict {
    let so_far = so_far(status, plan);
    match (&so_far, status.clock_started_at) {
        (Verdict::Hold { .. } | Verdict::Continue, Some(started)) if now >= hold_until(started, plan) => {
            let evidence = Evidence::HoldTimeout {
                waited: now.since(started),
                counted: status.counted,
                planned: planned(plan, status.step),
                errors_in_a_row: status.errors_in_a_row,
                lacking: lacking(status, plan),
            };
            Verdict::Withdraw { cause: Cause::CanaryUnmeasurable, evidence }
        }
        _ => so_far,
    }
}

/// When the canary is withdrawn for want of a verdict.
pub(super) fn hold_until(started: At, plan: &Plan) -> At {
    started.plus(SignedDuration::from_millis(plan.hold_timeout_ms.max(0)))
}

/// What the windows alone decide.
///
/// What is enough for a promotion stays enough however many windows cannot be measured after it: while a promotion is
/// being written, scores that fail to come are no breach.
pub(super) fn so_far(status: &CanaryStatus, plan: &Plan) -> Verdict {
    if let Some((cause, evidence)) = breach(status, plan) {
        return Verdict::Withdraw { cause, evidence };
    }
    let over = status.counted >= planned(plan, status.step);
    let lacking = lacking(status, plan);
    let on_inconclusive = on_inconclusive(plan);
    if over && (lacking.is_empty() || on_inconclusive == OnInconclusive::Promote) {
        return Verdict::Promote { lacking };
    }
    let unmeasurable = |evidence| Verdict::Withdraw { cause: Cause::CanaryUnmeasurable, evidence };
    if status.errors_in_a_row >= plan.consecutive_errors.max(1) {
        let criteria = status.criteria.iter().filter(|c| c.verdict == Found::Error.as_str());
        let criteria = criteria.map(|c| (c.class.clone(), c.metric.clone())).collect();
        return unmeasurable(Evidence::Errors { in_a_row: status.errors_in_a_row, criteria });
    }
    match (over, on_inconclusive) {
        (false, _) => Verdict::Continue,
        (true, OnInconclusive::RollBack) => unmeasurable(Evidence::Inconclusive { counted: status.counted, lacking }),
        (true, _) => Verdict::Hold { lacking },
    }
}

/// What the canary is to blame for: a criterion's streak, or its server errors.
pub(super) fn breach(status: &CanaryStatus, plan: &Plan) -> Option<(Cause, Evidence)> {
    let mut failed = status.criteria.iter().filter(|c| c.failures_in_a_row >= plan.consecutive_failures.max(1));
    if let Some(first) = failed.next() {
        let evidence = Evidence::Criterion {
            class: first.class.clone(),
            metric: first.metric.clone(),
            value: first.value.clone().unwrap_or_default(),
            minimum: first.minimum.clone(),
            samples: first.samples,
            in_a_row: first.failures_in_a_row,
            also: failed.count(),
        };
        return Some((Cause::CanaryFailed, evidence));
    }
    let counts = status.availability.as_ref().filter(|a| availability::verdict(a) == "Fail")?;
    Some((Cause::AvailabilityFailed, Evidence::Availability(counts.clone())))
}

/// No data is never a pass: each criterion needs as many scores as one window does, and where no window had so many, all
/// of them together must reach the minimum. Without live criteria availability alone decides, and needs its requests.
fn lacking(status: &CanaryStatus, plan: &Plan) -> Vec<Lacking> {
    if status.criteria.is_empty() {
        let requests = status.availability.as_ref().map_or(0, |a| a.canary_requests);
        let enough = requests >= availability::MIN_REQUESTS;
        let few = Lacking::Requests { requests, needed: availability::MIN_REQUESTS };
        return if enough { Vec::new() } else { vec![few] };
    }
    status.criteria.iter().filter_map(|c| lacks(c, plan.min_samples.max(1))).collect()
}

fn lacks(seen: &CriterionSeen, needed: i64) -> Option<Lacking> {
    let (class, metric, samples) = (seen.class.clone(), seen.metric.clone(), seen.total_samples);
    if samples < needed {
        return Some(Lacking::Samples { class, metric, samples, needed });
    }
    let total = Mean::of(seen.total_sum_millionths, samples);
    let meets = seen.minimum.parse::<Decimal>().is_ok_and(|minimum| total.meets(minimum));
    (seen.judged == 0 && !meets).then(|| {
        let (value, minimum) = (seen.total_value.clone().unwrap_or_default(), seen.minimum.clone());
        Lacking::Below { class, metric, value, minimum, samples }
    })
}
