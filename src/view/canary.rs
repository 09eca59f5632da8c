//! What live answers show, in words: for the evidence of a decision, for Ready, and for the timeline.

use jiff::SignedDuration;

use super::{
    sentence::{self, an_ordinal, below, count, ordinal, span},
    timeline::Event,
};
use crate::{
    api::{
        At, Cause,
        log::Plan,
        status::{Availability, CanaryStatus, CriterionSeen},
    },
    policy::{
        availability::MAX_EXCESS_POINTS,
        canary::{Evidence, Found, Lacking, Report},
        decimal::{Decimal, Mean},
        plan::planned,
        windows::Grid,
    },
};

/// Why the canary is withdrawn, as the log keeps it.
pub fn evidence(evidence: &Evidence, plan: &Plan) -> String {
    sentence::evidence(&match evidence {
        Evidence::Criterion { class, metric, value, minimum, samples, in_a_row, also } => {
            let failed = below(class, metric, Some(value), minimum, *samples);
            let also = if *also == 0 { String::new() } else { format!("; {also} more criteria failed as often") };
            format!("{failed}, {} failed window in a row{also}", ordinal(*in_a_row))
        }
        Evidence::Availability(counts) => availability(counts),
        Evidence::Errors { in_a_row, criteria } => {
            format!(
                "{} in a row could not be measured{}; neither good nor bad",
                count(*in_a_row, "window"),
                by(criteria)
            )
        }
        Evidence::Inconclusive { counted, lacking } => {
            format!("{} counted and not conclusive: {}", count(*counted, "window"), lacks(lacking))
        }
        Evidence::HoldTimeout { waited, counted, planned, errors_in_a_row, lacking } => {
            let why = match (lacking.as_slice(), errors_in_a_row) {
                ([], 0) => String::new(),
                ([], errors) => format!("; {} in a row could not be measured", count(*errors, "window")),
                (lacking, _) => format!("; {}", lacks(lacking)),
            };
            let most = span(SignedDuration::from_millis(plan.hold_timeout_ms));
            format!("no verdict after {} of at most {most}: {counted} of {planned} windows counted{why}", span(*waited))
        }
    })
}

/// `5.0 % server errors (6 of 120 requests), stable has 0.0 % (0 of 1080); at most 5 points more are allowed`
fn availability(counts: &Availability) -> String {
    let Availability { canary_errors, canary_requests, stable_errors, stable_requests, .. } = counts;
    let share = |errors: i64, of: i64| {
        let tenths = i128::from(errors) * 1000 / i128::from(of.max(1));
        format!("{}.{} % ({errors} of {of} requests)", tenths / 10, tenths % 10)
    };
    format!(
        "server errors on {}, stable has {}; at most {MAX_EXCESS_POINTS} points more are allowed",
        share(*canary_errors, *canary_requests),
        share(*stable_errors, *stable_requests)
    )
}

fn by(criteria: &[(String, String)]) -> String {
    match criteria {
        [] => String::new(),
        [(class, metric)] => format!(", the last by {class}: {metric}"),
        [(class, metric), more @ ..] => format!(", the last by {class}: {metric} and {} more", more.len()),
    }
}

fn lacks(lacking: &[Lacking]) -> String {
    let one = |lacking: &Lacking| match lacking {
        Lacking::Samples { class, metric, samples, needed } => {
            format!("{class}: {metric} has {samples} of {}", count(*needed, "sample"))
        }
        Lacking::Below { class, metric, value, minimum, samples } => {
            format!(
                "{} over all windows, none of which had enough samples",
                below(class, metric, Some(value), minimum, *samples)
            )
        }
        Lacking::Requests { requests, needed } => format!("{requests} of {}", count(*needed, "request")),
    };
    sentence::within(&lacking.iter().map(one).collect::<Vec<_>>(), 300)
}

/// Why the canary is promoted, as the log keeps it: `20m passed, 8 of 8 live criteria met`
pub fn passed(status: &CanaryStatus, plan: &Plan) -> String {
    let met = status.criteria.iter().filter(|c| meets(c, plan)).count();
    let all = status.criteria.len();
    let criteria = if all == 0 { "no live criteria".to_owned() } else { format!("{met} of {all} live criteria met") };
    let unclear = if met < all { ", the rest has too few samples" } else { "" };
    sentence::evidence(&format!("{} passed, {criteria}{unclear}", time(plan, status.counted)))
}

fn meets(seen: &CriterionSeen, plan: &Plan) -> bool {
    let minimum = seen.minimum.parse::<Decimal>();
    let mean = Mean::of(seen.total_sum_millionths, seen.total_samples);
    seen.total_samples >= plan.min_samples && minimum.is_ok_and(|minimum| mean.meets(minimum))
}

/// Why a step that is over goes on: `held at 10 %: multi_hop: groundedness has 3 of 4 samples; …`
pub fn held(status: &CanaryStatus, lacking: &[Lacking], plan: &Plan) -> String {
    let silent = |lacking: &Lacking| matches!(lacking, Lacking::Samples { samples: 0, .. });
    let what = if !lacking.is_empty() && lacking.iter().all(silent) {
        format!("no scores in {}, so neither good nor bad; is the sampler running?", count(status.windows, "window"))
    } else {
        format!("{}, so neither good nor bad;", lacks(lacking))
    };
    let until = status.clock_started_at.map(|at| at.plus(SignedDuration::from_millis(plan.hold_timeout_ms)));
    let until = until.map_or_else(String::new, |at| format!(" at {}", at.clock()));
    format!("held at {} %: {what} withdrawn as {}{until}", status.weight, Cause::CanaryUnmeasurable)
}

/// How far a step is and what speaks against it. It changes when a window closes or falls due, not with every `now`.
pub fn progress(status: &CanaryStatus, plan: &Plan, now: At) -> String {
    let of = time(plan, planned(plan, status.step));
    let failing: Vec<String> = failing(status).map(|seen| failing_now(seen, plan)).collect();
    let what = if status.windows == 0 {
        "no window is closed yet".to_owned()
    } else if !failing.is_empty() {
        sentence::within(&failing, 600)
    } else if status.errors_in_a_row > 0 {
        let limit = plan.consecutive_errors;
        format!("{} of {limit} in a row not measured", count(status.errors_in_a_row, "window"))
    } else {
        passing(status)
    };
    let next = next(status, plan, now).map_or_else(String::new, |next| format!("; {next}"));
    format!("{} % for {} of {of}: {what}{next}", status.weight, time(plan, status.counted))
}

/// Length of so many windows.
fn time(plan: &Plan, windows: i64) -> String {
    span(SignedDuration::from_millis(plan.window_ms.saturating_mul(windows)))
}

fn failing(status: &CanaryStatus) -> impl Iterator<Item = &CriterionSeen> {
    status.criteria.iter().filter(|seen| seen.failures_in_a_row > 0)
}

fn failing_now(seen: &CriterionSeen, plan: &Plan) -> String {
    let CriterionSeen { class, metric, minimum, samples, failures_in_a_row: failures, .. } = seen;
    let limit = plan.consecutive_failures;
    if seen.verdict == Found::Fail.as_str() {
        let failed = below(class, metric, seen.value.as_deref(), minimum, *samples);
        return format!("{failed}, failed window {failures} of {limit} in a row");
    }
    format!("{class}: {metric} failed {failures} of {limit} windows in a row, nothing to judge since")
}

fn passing(status: &CanaryStatus) -> String {
    let all = status.criteria.len();
    let with = |found: Found| status.criteria.iter().filter(|c| c.verdict == found.as_str()).count();
    let thin = match (with(Found::NoData), with(Found::Error)) {
        (0, 0) => String::new(),
        (thin, 0) => format!(", {thin} had too few samples"),
        (0, errors) => format!(", {errors} could not be measured"),
        (thin, errors) => format!(", {thin} had too few samples, {errors} could not be measured"),
    };
    match all {
        0 => "requests are answered, there are no live criteria".into(),
        _ => format!("{} of {all} live criteria pass{thin}", with(Found::Pass)),
    }
}

/// When more is known: at the end of the window that runs, or when its rows are there.
fn next(status: &CanaryStatus, plan: &Plan, now: At) -> Option<String> {
    let window = Grid::new(status.clock_started_at?, plan.window_ms).next(status.closed_through);
    if now < window.end {
        return Some(format!("next {}", window.end.clock()));
    }
    let until = window.end.plus(SignedDuration::from_millis(plan.lateness_ms));
    Some(format!("window {} waits for its scores until {}", window.number(), until.clock()))
}

/// Reason and message of the condition CanaryHealthy while nothing is decided.
pub fn health(status: &CanaryStatus, plan: &Plan) -> (&'static str, String) {
    let limit = plan.consecutive_failures;
    let failing: Vec<String> = failing(status)
        .map(|seen| {
            let CriterionSeen { class, metric, failures_in_a_row: failures, .. } = seen;
            let end = if failures + 1 == limit {
                format!("{} rolls back", an_ordinal(limit))
            } else {
                format!("{limit} roll back")
            };
            format!("{class}: {metric} failed {} in a row, {end}", count(*failures, "window"))
        })
        .collect();
    if !failing.is_empty() {
        return ("WindowsFailing", sentence::within(&failing, sentence::MAX_MESSAGE));
    }
    if status.errors_in_a_row > 0 {
        let limit = plan.consecutive_errors;
        let windows = count(status.errors_in_a_row, "window");
        return ("WindowsUnmeasured", format!("{windows} in a row could not be measured, {limit} withdraw"));
    }
    ("WindowsPassing", format!("{} of {} windows counted", status.counted, planned(plan, status.step)))
}

/// The line of a window that failed or could not be measured; of others there is nothing to tell.
pub fn window(report: &Report, plan: &Plan) -> Option<Event> {
    let failed: Vec<&CriterionSeen> = report.with(Found::Fail).collect();
    let number = report.number;
    if failed.is_empty() {
        return report.error.clone().map(|why| Event::WindowUnmeasured { number, why });
    }
    let told = |c: &&CriterionSeen| below(&c.class, &c.metric, c.value.as_deref(), &c.minimum, c.samples);
    let what = sentence::within(&failed.iter().map(told).collect::<Vec<_>>(), 440);
    let rolling_back = failed.iter().any(|c| c.failures_in_a_row >= plan.consecutive_failures);
    Some(Event::WindowFailed { number, what, rolling_back })
}
