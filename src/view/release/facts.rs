//! One condition for each thing that an attempt has to show. Unknown until it is shown, either way.

use super::{ReleaseView, Stage, Standing, exposed};
use crate::{
    api::{
        Cause, Outcome,
        endpoint::DeploymentSeen,
        log::{Attempt, Course, Decision, Kind, Why},
        release::Metric,
        status::{Comparison, CriterionResult, Differs, EvaluationStatus},
    },
    policy::{
        accounting::RowStatus,
        decimal::{Decimal, Mean},
    },
    view::{
        canary,
        conditions::{Row, Status},
        sentence::{self, bare, shown},
    },
};

pub(super) fn built(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("Built", status, reason, message);
    let registered = view.build.and_then(|b| Some((b.model.as_deref()?, b.environment.as_deref()?)));
    match (registered, fault(view, &[Cause::BuildFailed, Cause::BuildUnavailable, Cause::InvalidSpec])) {
        (Some((model, environment)), _) => {
            row(Status::True, "Registered", &format!("model {}, environment {}", bare(model), bare(environment)))
        }
        (None, Some(decision)) => row(Status::False, &decision.cause, &decision.evidence),
        (None, None) => undecided(view, "Built", Stage::Building),
    }
}

pub(super) fn evaluation_complete(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("EvaluationComplete", status, reason, message);
    match (verdict(view), fault(view, &[Cause::EvalInfraError])) {
        (_, Some(decision)) => {
            let rows = view.attempt().and(view.evaluation).map(|e| format!("; {}", rows(e))).unwrap_or_default();
            row(Status::False, &decision.cause, &format!("{}{rows}", decision.evidence))
        }
        (Some((e, "Pass" | "Fail")), _) => row(Status::True, "AllRowsJudged", &complete(e)),
        (Some((_, "Waived")), _) => row(Status::Unknown, "Waived", WAIVED),
        (Some((e, _)), _) => row(Status::False, Cause::EvalInfraError.as_str(), &rows(e)),
        (None, None) => undecided(view, "EvaluationComplete", Stage::Evaluating),
    }
}

/// `95 of 95 rows answered, 95 of 95 judged; a run was made once more (base run failed: …)`
fn complete(e: &EvaluationStatus) -> String {
    let before = e.evaluated_as.as_ref().map(|version| format!(", when it was {version}")).unwrap_or_default();
    let again = match (e.retried, &e.retried_for) {
        (Some(1), Some(why)) => format!("; a run was made once more ({why})"),
        (Some(n), Some(why)) => format!("; runs were made once more {n} times (last: {why})"),
        _ => String::new(),
    };
    format!("{} of {} rows answered, {} of {} judged{before}{again}", e.answered, e.rows, e.judged, e.rows)
}

/// `of 95 rows 9 flow_error, 86 not_judged`: what became of them, in the words of their states.
fn rows(e: &EvaluationStatus) -> String {
    let Some(flow_errors) = e.flow_errors else { return "no row was counted".to_owned() };
    let counts = [
        (RowStatus::Ok, e.judged),
        (RowStatus::FlowError, flow_errors),
        (RowStatus::JudgeError, e.judge_errors.unwrap_or(0)),
        (RowStatus::NotJudged, e.not_judged.unwrap_or(0)),
    ];
    let counts = counts.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {}", state.as_str()));
    format!("of {} {}", sentence::count(e.rows, "row"), counts.collect::<Vec<_>>().join(", "))
}

const UNJUDGED: &str = "no criterion was judged";
/// Nothing was judged, so nothing passed.
const WAIVED: &str = "the release has no `evaluation`, and the endpoint's policy requires none";

pub(super) fn evaluation_passed(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("EvaluationPassed", status, reason, message);
    match (verdict(view), fault(view, &[Cause::EvalInfraError])) {
        (_, Some(decision)) => row(Status::Unknown, &decision.cause, UNJUDGED),
        (Some((e, "Pass")), _) => {
            let compared = e.comparison.as_ref().and_then(differs).map_or_else(String::new, |said| format!("; {said}"));
            let met = criteria(e, metrics(view), "criteria met");
            row(Status::True, "AllCriteriaMet", &format!("{met}{compared}"))
        }
        (Some((e, "Fail")), _) => {
            let failed: Vec<CriterionResult> = e.results.iter().filter(|r| r.verdict == "Fail").cloned().collect();
            row(Status::False, Cause::EvalRegression.as_str(), &sentence::criteria_failed(&failed))
        }
        (Some((_, "Waived")), _) => row(Status::Unknown, "Waived", WAIVED),
        (Some(_), _) => row(Status::Unknown, Cause::EvalInfraError.as_str(), UNJUDGED),
        (None, None) => undecided(view, "EvaluationPassed", Stage::Evaluating),
    }
}

pub(super) fn deployed(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("Deployed", status, reason, message);
    if let Some(decision) = fault(view, &[Cause::DeploymentFailed, Cause::DeploymentUnavailable]) {
        return row(Status::False, &decision.cause, &decision.evidence);
    }
    let Some((attempt, name)) = view.attempt().and_then(|a| Some((a, a.deployment.as_deref()?))) else {
        return undecided(view, "Deployed", Stage::Deploying);
    };
    let ended = attempt.ending.is_some();
    match view.deployments.iter().find(|d| d.name == name) {
        Some(seen) if seen.state.as_deref() == Some("Succeeded") || exposed(attempt) => {
            let state = seen.state.as_deref().unwrap_or("Succeeded");
            row(Status::True, state, &runs(view, seen, ended))
        }
        Some(seen) => {
            let state = seen.state.as_deref().unwrap_or("Creating");
            let status = if matches!(state, "Failed" | "Canceled") { Status::False } else { Status::Unknown };
            row(status, state, &format!("{name} is {state}, without traffic"))
        }
        None if ended => row(Status::False, "Deleted", &format!("{name} does not exist any more")),
        None => undecided(view, "Deployed", Stage::Deploying),
    }
}

/// `d-1428: 2 x Standard_DS3_v2`, `d-1428 kept without traffic until 2026-11-21T17:14:25Z`
fn runs(view: &ReleaseView<'_>, seen: &DeploymentSeen, ended: bool) -> String {
    let name = &seen.name;
    if let Some(until) = seen.keep_until.filter(|_| ended && seen.weight == 0) {
        return format!("{name} kept without traffic until {}", until.to_seconds());
    }
    let size = own_spec(view).and_then(|spec| spec.deployment.as_ref()?.instance_type.as_deref());
    match (seen.instances, size) {
        (Some(n), Some(size)) => format!("{name}: {n} x {size}"),
        (Some(n), None) => format!("{name}: {}", sentence::count(n, "instance")),
        (None, _) => name.clone(),
    }
}

pub(super) fn traffic_verified(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("TrafficVerified", status, reason, message);
    let Some(attempt) = view.attempt() else {
        let live = matches!(&view.standing, Standing::Answered(a) if a.outcome == Some(Outcome::Promoted));
        return match view.traffic.filter(|_| live) {
            Some(traffic) => row(Status::True, "ReadBack", shown(traffic)),
            None => undecided(view, "TrafficVerified", Stage::Canary),
        };
    };
    let open = attempt.ending.is_none();
    let writing = view.log.intent.as_ref().filter(|i| open && i.why.is_some() && !i.is_for(Why::Claim));
    if let Some(intent) = writing {
        return row(
            Status::Unknown,
            "Writing",
            &format!("{} is being written (write {})", shown(&intent.target), intent.seq),
        );
    }
    match attempt.raised.last() {
        None => row(
            Status::Unknown,
            "NoTraffic",
            &format!("{} {} traffic", attempt.version, if open { "has no" } else { "never had" }),
        ),
        Some(last) if open && last.verified_at.is_none() => {
            row(Status::Unknown, "Writing", &format!("{} % was asked for, not read back yet", last.weight))
        }
        Some(_) => row(Status::True, "ReadBack", shown(view.traffic.unwrap_or_default())),
    }
}

pub(super) fn canary_healthy(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("CanaryHealthy", status, reason, message);
    let Some(attempt) = view.attempt() else { return undecided(view, "CanaryHealthy", Stage::Canary) };
    let judged = attempt.raised.iter().any(|r| r.weight < 100);
    match (&attempt.decision, view.canary) {
        (Some(d), _) if d.is(Course::Promote) && judged => row(Status::True, "Passed", &d.evidence),
        (Some(d), _) if d.is(Course::Promote) => row(Status::Unknown, "Skipped", &skipped(attempt)),
        (Some(d), _) => {
            let failed = matches!(d.cause.parse(), Ok(Cause::CanaryFailed | Cause::AvailabilityFailed));
            let unmeasurable = d.cause.parse() == Ok(Cause::CanaryUnmeasurable);
            match (failed, unmeasurable, exposed(attempt)) {
                (true, ..) => row(Status::False, &d.cause, &d.evidence),
                (_, true, _) => row(Status::Unknown, &d.cause, &d.evidence),
                (.., true) => row(Status::Unknown, &d.cause, "withdrawn before live answers decided anything"),
                _ => row(Status::Unknown, &d.cause, "it never had traffic"),
            }
        }
        (None, Some(status)) if judged => {
            let (reason, message) = canary::health(status, &attempt.plan);
            row(Status::Unknown, reason, &message)
        }
        (None, _) => undecided(view, "CanaryHealthy", Stage::Canary),
    }
}

fn skipped(attempt: &Attempt) -> String {
    match (attempt.is(Kind::Fast), &attempt.return_to) {
        (true, _) => format!("{} served here before", attempt.version),
        (_, None) => "the first release here: nothing serves beside it".into(),
        _ => "no canary".into(),
    }
}

/// `95 of 95 rows, 9 of 9 criteria; tightest multi_hop: groundedness=2.882, threshold 2.850 (n=17), 0.550 points left to lose; …`:
/// all that the gate found, the comparison with stable at its end.
pub fn gate_found(evaluation: &EvaluationStatus, metrics: &[Metric]) -> String {
    let EvaluationStatus { judged, rows, comparison, .. } = evaluation;
    let compared = comparison.as_ref().and_then(compared).map_or_else(String::new, |compared| format!("; {compared}"));
    format!("{judged} of {rows} rows, {}{compared}", criteria(evaluation, metrics, "criteria"))
}

/// `9 of 9 criteria met; tightest …`
fn criteria(evaluation: &EvaluationStatus, metrics: &[Metric], words: &str) -> String {
    let results = &evaluation.results;
    let met = results.iter().filter(|r| r.verdict == "Pass").count();
    let tightest = tightest(results, metrics).map_or_else(String::new, |tightest| format!("; {tightest}"));
    format!("{met} of {} {words}{tightest}", results.len())
}

/// `against 1427: groundedness 3 better, 5 worse, 87 same (p=0.727)`; a difference that chance explains is told as that by
/// its number.
fn compared(comparison: &Comparison) -> Option<String> {
    let told = |differs: &Differs| {
        let Differs { metric, better, worse, same, .. } = differs;
        format!("{metric} {better} better, {worse} worse, {same} same ({})", p(differs))
    };
    against(comparison, comparison.metrics.iter().map(told).collect())
}

/// `against 1427: groundedness worse (p=0.012)`: for a condition only what chance does not explain.
fn differs(comparison: &Comparison) -> Option<String> {
    let clear = comparison.metrics.iter().filter(|differs| is_clear(differs));
    let told = |differs: &Differs| {
        let way = if differs.worse > differs.better { "worse" } else { "better" };
        format!("{} {way} ({})", differs.metric, p(differs))
    };
    let clear: Vec<String> = clear.map(told).collect();
    let none = !comparison.metrics.is_empty() && clear.is_empty();
    against(comparison, if none { vec!["no clear difference".to_owned()] } else { clear })
}

/// From here down a split of better and worse is called a difference.
const CLEAR: f64 = 0.05;

fn is_clear(differs: &Differs) -> bool {
    differs.p.trim_start_matches('<').parse::<f64>().is_ok_and(|p| p < CLEAR)
}

fn p(differs: &Differs) -> String {
    differs.p.strip_prefix('<').map_or_else(|| format!("p={}", differs.p), |below| format!("p<{below}"))
}

fn against(comparison: &Comparison, said: Vec<String>) -> Option<String> {
    let with = comparison.with.as_deref().filter(|_| !said.is_empty())?;
    Some(format!("against {with}: {}", sentence::within(&said, 256)))
}

/// The criterion that was met with the least to spare, as a share of its metric's scale.
fn tightest(results: &[CriterionResult], metrics: &[Metric]) -> Option<String> {
    let margin = |r: &CriterionResult| {
        let (value, minimum): (Decimal, Decimal) = (r.value.as_ref()?.parse().ok()?, r.minimum.parse().ok()?);
        let scale = metrics.iter().find(|m| m.name == r.metric).and_then(|m| m.scale.as_ref());
        let width = scale.and_then(|s| Decimal::from_f64(s.max - s.min)).unwrap_or(Decimal::ONE);
        Some(Mean::of(value.millionths(), 1).margin(minimum, width))
    };
    let (_, r) = results.iter().filter_map(|r| margin(r).map(|m| (m, r))).min_by_key(|(margin, _)| *margin)?;
    let value = r.value.as_deref().unwrap_or_default();
    let left = r.points_left.as_deref().filter(|left| !left.starts_with('-'));
    let left = left.map_or_else(String::new, |left| format!(", {} points left to lose", thousandths(left)));
    Some(format!("tightest {}: {}={value}, threshold {} (n={}){left}", r.class, r.metric, r.minimum, r.samples))
}

/// A decimal cut to three places: what is left to lose is not told as more than it is.
fn thousandths(decimal: &str) -> &str {
    let end = decimal.find('.').map_or(decimal.len(), |point| point + 4);
    decimal.get(..end).unwrap_or(decimal)
}

/// Unknown: not begun, under way, or never needed.
fn undecided(view: &ReleaseView<'_>, kind: &'static str, own: Stage) -> Row {
    let row = |reason: &str, message: &str| Row::new(kind, Status::Unknown, reason, message);
    let version = view.version();
    match &view.standing {
        Standing::Answered(answer) => row(answer.reason, &format!("nothing was run for {version}")),
        _ if view.attempt().is_some_and(|a| !a.is(Kind::Canary)) => {
            row("NotNeeded", &format!("{version} needs no build, evaluation or canary on this way"))
        }
        Standing::UnderWay(stage) if *stage == own => row(own.as_str(), view.waiting.map_or("under way", |w| w.why)),
        Standing::UnderWay(_) => row("Pending", "not begun yet"),
        Standing::Ended => row("NotReached", "the attempt ended before"),
    }
}

/// The decision, if it is a withdrawal for one of these causes.
fn fault<'v>(view: &'v ReleaseView<'_>, causes: &[Cause]) -> Option<&'v Decision> {
    let decision = view.attempt()?.decision.as_ref()?;
    let cause = decision.cause.parse::<Cause>().ok()?;
    (decision.is(Course::Withdraw) && causes.contains(&cause)).then_some(decision)
}

fn verdict<'v>(view: &'v ReleaseView<'_>) -> Option<(&'v EvaluationStatus, &'v str)> {
    let evaluation = view.attempt().and(view.evaluation)?;
    Some((evaluation, evaluation.verdict.as_deref()?))
}

/// The spec, if it is still that of the attempt.
fn own_spec<'v>(view: &'v ReleaseView<'_>) -> Option<&'v crate::api::PromptReleaseSpec> {
    view.spec.filter(|spec| view.attempt().is_some_and(|a| a.version == spec.version))
}

pub(super) fn metrics<'v>(view: &'v ReleaseView<'_>) -> &'v [Metric] {
    own_spec(view).map_or(&[], |spec| &spec.metrics)
}

/// How an attempt that is being withdrawn will end.
pub(super) fn outcome_ahead(attempt: &Attempt) -> Option<Outcome> {
    let decision = attempt.decision.as_ref().filter(|d| d.is(Course::Withdraw))?;
    let cause = decision.cause.parse::<Cause>().ok()?;
    Some(cause.outcome(exposed(attempt)))
}
