//! What live answers show, in words: for the evidence of a decision, for Ready, and for the timeline.

use jiff::SignedDuration;

use super::{
    sentence::{self, an_ordinal, below, count, ordinal, span},
    timeline::Event,
};
use crate::{
    api::{
        Cause,
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
            let also = match *also {
                0 => String::new(),
                1 => "; 1 more criterion failed as often".to_owned(),
                more => format!("; {more} more criteria failed as often"),
            };
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
    let few = status.criteria.iter().filter(|c| c.total_samples < plan.min_samples).count();
    let few_said = if few > 0 { format!(", {few} with too few samples") } else { String::new() };
    let below = all - met - few;
    let below_said = if below > 0 {
        format!(", {below} below over all windows, but never {} in a row", count(plan.consecutive_failures, "window"))
    } else {
        String::new()
    };
    sentence::evidence(&format!("{} passed, {criteria}{few_said}{below_said}", time(plan, status.counted)))
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
        format!("no scores in {}, so neither good nor bad (is the sampler running?);", count(status.windows, "window"))
    } else {
        format!("{}, so neither good nor bad;", lacks(lacking))
    };
    let until = status.clock_started_at.map(|at| at.plus(SignedDuration::from_millis(plan.hold_timeout_ms)));
    let until = until.map_or_else(String::new, |at| format!(" at {}", at.clock()));
    format!(
        "held at {} %: {what} if nothing changes it is withdrawn as {}{until}",
        status.weight,
        Cause::CanaryUnmeasurable
    )
}

/// A look at the source of the scores that failed; it is tried again until the windows that are due are too old.
pub fn unread(error: &str) -> String {
    format!("scores cannot be read, tried again: {error}")
}

/// How far a step is and what speaks against it. It changes when a window is judged, not with the clock.
pub fn progress(status: &CanaryStatus, plan: &Plan) -> String {
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
    let uncounted = match status.windows - status.counted {
        n if n > 0 => format!("; {n} of {} do not count", count(status.windows, "window")),
        _ => String::new(),
    };
    let next = next(status, plan).map_or_else(String::new, |next| format!("; {next}"));
    format!("{} % for {} of {of}: {what}{uncounted}{next}", status.weight, time(plan, status.counted))
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

/// When more is known: soon after the end of the first window that is not judged, at the latest when rows of it are too
/// late. Both at once, so that a window costs one write of the status and not another one when it falls due.
fn next(status: &CanaryStatus, plan: &Plan) -> Option<String> {
    let window = Grid::new(status.clock_started_at?, plan.window_ms).next(status.closed_through);
    let until = window.end.plus(SignedDuration::from_millis(plan.lateness_ms));
    Some(format!("next {}, at the latest {}", window.end.clock(), until.clock()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::At;

    fn at(time: &str) -> At {
        format!("2026-11-20T{time}Z").parse::<jiff::Timestamp>().expect(time).into()
    }

    fn plan() -> Plan {
        Plan {
            weights: vec![10],
            windows: vec![20],
            window_ms: 60_000,
            lateness_ms: 600_000,
            min_samples: 4,
            consecutive_failures: 3,
            consecutive_errors: 5,
            hold_timeout_ms: 14_400_000,
            ..Plan::default()
        }
    }

    fn seen(class: &str, found: Found, failures_in_a_row: i64) -> CriterionSeen {
        CriterionSeen {
            class: class.into(),
            metric: "groundedness".into(),
            minimum: "2.850".into(),
            value: Some("2.714".into()),
            samples: 7,
            verdict: found.as_str().into(),
            failures_in_a_row,
            total_samples: 40,
            total_sum_millionths: 40 * 2_900_000,
            ..CriterionSeen::default()
        }
    }

    fn status(criteria: Vec<CriterionSeen>) -> CanaryStatus {
        CanaryStatus {
            clock_started_at: Some(at("17:10:52")),
            closed_through: Some(at("17:13:00")),
            step: 1,
            steps: 1,
            weight: 10,
            windows: 2,
            counted: 2,
            criteria,
            ..CanaryStatus::default()
        }
    }

    fn samples(class: &str, samples: i64) -> Lacking {
        Lacking::Samples { class: class.into(), metric: "groundedness".into(), samples, needed: 4 }
    }

    #[test]
    fn how_far_a_step_is() {
        let told = |criteria| progress(&status(criteria), &plan());
        let third = "next 17:14:00Z, at the latest 17:24:00Z";
        let pass = || vec![seen("factual", Found::Pass, 0), seen("edge", Found::Pass, 0)];
        assert_eq!(told(pass()), format!("10 % for 2m of 20m: 2 of 2 live criteria pass; {third}"));
        assert_eq!(
            told(vec![seen("factual", Found::Pass, 0), seen("edge", Found::NoData, 0)]),
            format!("10 % for 2m of 20m: 1 of 2 live criteria pass, 1 had too few samples; {third}")
        );
        assert_eq!(
            told(vec![seen("multi_hop", Found::Fail, 2), seen("edge", Found::NoData, 1)]),
            format!(
                "10 % for 2m of 20m: multi_hop: groundedness=2.714 below threshold 2.850 (n=7), failed window 2 of 3 in a \
                 row; edge: groundedness failed 1 of 3 windows in a row, nothing to judge since; {third}"
            )
        );
        let looked_away = CanaryStatus { windows: 5, ..status(pass()) };
        assert_eq!(
            progress(&looked_away, &plan()),
            format!("10 % for 2m of 20m: 2 of 2 live criteria pass; 3 of 5 windows do not count; {third}")
        );
        let begun = CanaryStatus { windows: 0, counted: 0, closed_through: None, ..status(pass()) };
        assert_eq!(
            progress(&begun, &plan()),
            "10 % for 0s of 20m: no window is closed yet; next 17:12:00Z, at the latest 17:22:00Z"
        );
    }

    #[test]
    fn what_one_more_failure_would_do() {
        let told = |failures| health(&status(vec![seen("multi_hop", Found::Fail, failures)]), &plan()).1;
        assert_eq!(told(1), "multi_hop: groundedness failed 1 window in a row, 3 roll back");
        assert_eq!(told(2), "multi_hop: groundedness failed 2 windows in a row, a third rolls back");
        let blind = CanaryStatus { errors_in_a_row: 2, ..status(Vec::new()) };
        let wanted = ("WindowsUnmeasured", "2 windows in a row could not be measured, 5 withdraw".to_owned());
        assert_eq!(health(&blind, &plan()), wanted);
    }

    #[test]
    fn each_kind_of_evidence() {
        let told = |e: Evidence| evidence(&e, &plan());
        let criterion = |also| Evidence::Criterion {
            class: "multi_hop".into(),
            metric: "groundedness".into(),
            value: "2.636".into(),
            minimum: "2.850".into(),
            samples: 11,
            in_a_row: 3,
            also,
        };
        let failed = "multi_hop: groundedness=2.636 below threshold 2.850 (n=11), third failed window in a row";
        assert_eq!(told(criterion(0)), failed);
        assert_eq!(told(criterion(1)), format!("{failed}; 1 more criterion failed as often"));
        assert_eq!(told(criterion(2)), format!("{failed}; 2 more criteria failed as often"));
        let counts = Availability {
            canary_errors: 6,
            canary_requests: 50,
            stable_errors: 5,
            stable_requests: 500,
            ..Availability::default()
        };
        assert_eq!(
            told(Evidence::Availability(counts)),
            "server errors on 12.0 % (6 of 50 requests), stable has 1.0 % (5 of 500 requests); at most 5 points more are \
             allowed"
        );
        let by = |class: &str| (class.to_owned(), "groundedness".to_owned());
        assert_eq!(
            told(Evidence::Errors { in_a_row: 5, criteria: vec![by("factual"), by("edge")] }),
            "5 windows in a row could not be measured, the last by factual: groundedness and 1 more; neither good nor bad"
        );
        assert_eq!(
            told(Evidence::Inconclusive { counted: 20, lacking: vec![samples("edge", 3)] }),
            "20 windows counted and not conclusive: edge: groundedness has 3 of 4 samples"
        );
        let waited = SignedDuration::from_hours(4);
        let timeout = |errors_in_a_row, lacking| Evidence::HoldTimeout {
            waited,
            counted: 12,
            planned: 20,
            errors_in_a_row,
            lacking,
        };
        assert_eq!(
            told(timeout(0, vec![samples("edge", 3)])),
            "no verdict after 4h of at most 4h: 12 of 20 windows counted; edge: groundedness has 3 of 4 samples"
        );
        assert_eq!(
            told(timeout(2, Vec::new())),
            "no verdict after 4h of at most 4h: 12 of 20 windows counted; 2 windows in a row could not be measured"
        );
    }

    #[test]
    fn evidence_fits_the_log_however_much_is_lacking() {
        let lacking: Vec<Lacking> = (0..64).map(|i| samples(&format!("a_rather_long_class_{i}"), 0)).collect();
        for e in [
            Evidence::Inconclusive { counted: 20, lacking: lacking.clone() },
            Evidence::HoldTimeout {
                waited: SignedDuration::from_hours(4),
                counted: 12,
                planned: 20,
                errors_in_a_row: 2,
                lacking,
            },
        ] {
            let told = evidence(&e, &plan());
            assert!(told.len() <= 512 && told.contains(" more"), "{told}");
        }
    }

    #[test]
    fn held_says_what_is_lacking_and_how_it_ends() {
        let status = CanaryStatus { windows: 25, ..status(Vec::new()) };
        assert_eq!(
            held(&status, &[samples("edge", 3)], &plan()),
            "held at 10 %: edge: groundedness has 3 of 4 samples, so neither good nor bad; if nothing changes it is withdrawn as CanaryUnmeasurable \
             at 21:10:52Z"
        );
        assert_eq!(
            held(&status, &[samples("edge", 0), samples("factual", 0)], &plan()),
            "held at 10 %: no scores in 25 windows, so neither good nor bad (is the sampler running?); if nothing changes it is \
             withdrawn as CanaryUnmeasurable at 21:10:52Z"
        );
    }

    #[test]
    fn passed_counts_what_was_met() {
        let counted = |criteria| CanaryStatus { counted: 20, ..status(criteria) };
        let all = counted(vec![seen("factual", Found::Pass, 0), seen("edge", Found::Pass, 0)]);
        assert_eq!(passed(&all, &plan()), "20m passed, 2 of 2 live criteria met");
        let thin = CriterionSeen { total_samples: 3, ..seen("edge", Found::NoData, 0) };
        let some = counted(vec![seen("factual", Found::Pass, 0), thin]);
        assert_eq!(passed(&some, &plan()), "20m passed, 1 of 2 live criteria met, 1 with too few samples");
    }

    #[test]
    fn a_window_is_told_if_it_failed_or_could_not_be_measured() {
        let report = |criteria, error: Option<&str>| Report {
            number: 3,
            start: at("17:13:00"),
            end: at("17:14:00"),
            criteria,
            error: error.map(str::to_owned),
            verified: true,
            counted: error.is_none(),
            canary: None,
            stable: None,
        };
        let told = |report: Report| window(&report, &plan());
        assert_eq!(told(report(vec![seen("edge", Found::Pass, 0), seen("factual", Found::NoData, 2)], None)), None);
        let why = "no window event came".to_owned();
        assert_eq!(
            told(report(vec![seen("edge", Found::Error, 0)], Some(&why))),
            Some(Event::WindowUnmeasured { number: 3, why })
        );
        let failed = |failures| told(report(vec![seen("edge", Found::Fail, failures)], None));
        let what = "edge: groundedness=2.714 below threshold 2.850 (n=7)".to_owned();
        assert_eq!(failed(2), Some(Event::WindowFailed { number: 3, what: what.clone(), rolling_back: false }));
        assert_eq!(failed(3), Some(Event::WindowFailed { number: 3, what, rolling_back: true }));
    }
}
