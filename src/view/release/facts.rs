//! One condition for each thing that an attempt has to show. Unknown until it is shown, either way.

use super::{ReleaseView, Stage, Standing, exposed};
use crate::{
    api::{
        Cause, Outcome,
        endpoint::DeploymentSeen,
        log::{Attempt, Course, Decision, Kind, Why},
        release::Metric,
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

/// Unknown: not begun, under way, or never needed.
pub(super) fn undecided(view: &ReleaseView<'_>, kind: &'static str, own: Stage) -> Row {
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
pub(super) fn fault<'v>(view: &'v ReleaseView<'_>, causes: &[Cause]) -> Option<&'v Decision> {
    let decision = view.attempt()?.decision.as_ref()?;
    let cause = decision.cause.parse::<Cause>().ok()?;
    (decision.is(Course::Withdraw) && causes.contains(&cause)).then_some(decision)
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
