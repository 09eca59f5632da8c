//! Ready, Reconciling and Stalled, as kstatus and Argo CD read them: Unknown while undecided; what ended badly is Stalled,
//! or tools would wait for it for ever.

use super::{ReleaseView, Stage, Standing, exposed};
use crate::{
    api::{
        ABORT, Cause, Outcome,
        log::{Attempt, Ending},
        status::CanaryStatus,
    },
    policy::plan::planned,
    view::{
        by_hand, canary,
        conditions::{Row, Status},
    },
};

pub(super) fn ready(view: &ReleaseView<'_>) -> Row {
    let row = standing(view);
    match view.misread {
        // Beside what goes on all the same: the order may be one to stop it.
        Some(why) => Row::new(row.kind, row.status, row.reason, format!("{why}; {}", row.message)),
        None => row,
    }
}

fn standing(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: String| Row::new("Ready", status, reason, message);
    if let Some(alarm) = view.alarm {
        let status = if needs_person(alarm.cause) { Status::False } else { Status::Unknown };
        return row(status, alarm.cause.as_str(), alarm.what.to_owned());
    }
    match &view.standing {
        Standing::UnderWay(stage) => {
            let retry = view.waiting.and_then(|w| w.retry);
            let reason = match retry {
                Some(cause) => cause.as_str(),
                None if held(view) => "Held",
                None => stage.as_str(),
            };
            row(Status::Unknown, reason, under_way(view, *stage))
        }
        Standing::Ended => match ended(view) {
            Some((attempt, ending)) if ending.outcome == Outcome::Promoted.as_str() => {
                row(Status::True, &ending.reason, serves(view, attempt, &ending.reason))
            }
            Some((attempt, ending)) => row(Status::False, &ending.reason, ended_badly(view, attempt, ending)),
            None => row(Status::Unknown, "Pending", String::new()),
        },
        Standing::Answered(answer) => match answer.outcome {
            Some(Outcome::Promoted) => row(Status::True, answer.reason, answer.message.clone()),
            Some(_) => row(Status::False, answer.reason, format!("{}: {}", answer.reason, answer.message)),
            None => row(Status::Unknown, answer.reason, answer.message.clone()),
        },
    }
}

pub(super) fn reconciling(view: &ReleaseView<'_>) -> Option<Row> {
    let row = |reason: &str, message: &str| Some(Row::new("Reconciling", Status::True, reason, message));
    if let Some(alarm) = view.alarm {
        return if needs_person(alarm.cause) { None } else { row("ProgressingWithRetry", alarm.what) };
    }
    match &view.standing {
        Standing::UnderWay(_) if held(view) => None,
        Standing::UnderWay(stage) => match view.waiting {
            Some(waiting) if waiting.retry.is_some() => row("ProgressingWithRetry", waiting.why),
            _ => row("Progressing", &doing(view, *stage)),
        },
        Standing::Answered(answer) if answer.outcome.is_none() => row("Progressing", &answer.message),
        Standing::Ended | Standing::Answered(_) => None,
    }
}

pub(super) fn stalled(view: &ReleaseView<'_>) -> Option<Row> {
    let row = |reason: &str, message: &str| Some(Row::new("Stalled", Status::True, reason, message));
    if let Some(alarm) = view.alarm {
        return if needs_person(alarm.cause) { row(alarm.cause.as_str(), alarm.what) } else { None };
    }
    match &view.standing {
        Standing::UnderWay(_) => None,
        Standing::Ended => {
            let (_, ending) = ended(view).filter(|(_, e)| e.outcome != Outcome::Promoted.as_str())?;
            let next = next_step(&ending.reason, view);
            row(&ending.reason, &format!("nothing more will happen by itself; {next}"))
        }
        Standing::Answered(answer) => match answer.outcome {
            None | Some(Outcome::Promoted) => None,
            Some(_) => row(answer.reason, &answer.next_step),
        },
    }
}

/// Azure that cannot be read may be read again by itself; what cannot be taken back needs somebody.
fn needs_person(alarm: Cause) -> bool {
    alarm != Cause::Unreadable
}

fn ended<'v>(view: &'v ReleaseView<'_>) -> Option<(&'v Attempt, &'v Ending)> {
    let attempt = view.attempt()?;
    attempt.ending.as_ref().map(|ending| (attempt, ending))
}

/// The step is over, nothing is decided, and nothing but more windows or a person can change that.
fn held(view: &ReleaseView<'_>) -> bool {
    let enough = |canary: &CanaryStatus, attempt: &Attempt| canary.counted >= planned(&attempt.plan, canary.step);
    view.standing == Standing::UnderWay(Stage::Canary)
        && view.waiting.is_none_or(|w| w.retry.is_none())
        && matches!((view.canary, view.attempt()), (Some(canary), Some(attempt)) if enough(canary, attempt))
}

/// What the pass waits for, or else what the stage does.
fn under_way(view: &ReleaseView<'_>, stage: Stage) -> String {
    let waiting = view.waiting.map(|w| w.why).filter(|why| !why.is_empty());
    let decision = view.attempt().and_then(|a| a.decision.as_ref());
    match (stage, waiting, decision) {
        (Stage::RollingBack, waiting, Some(decision)) => match waiting.filter(|why| *why != decision.evidence) {
            Some(why) => format!("{}; {why}", decision.evidence),
            None => decision.evidence.clone(),
        },
        (_, Some(why), _) => why.to_owned(),
        (Stage::Canary, None, _) => match (view.canary, view.attempt()) {
            (Some(status), Some(attempt)) => canary::progress(status, &attempt.plan),
            _ => doing(view, stage),
        },
        (_, None, _) => doing(view, stage),
    }
}

fn doing(view: &ReleaseView<'_>, stage: Stage) -> String {
    let version = view.version();
    let deployment = view.attempt().and_then(|a| a.deployment.as_deref()).unwrap_or(version);
    match stage {
        Stage::Building => format!("building {version}"),
        Stage::Evaluating => format!("evaluating {version}"),
        Stage::Deploying => format!("deploying {deployment}"),
        Stage::Canary => match view.canary {
            Some(canary) => format!("canary step {} of {}", canary.step, canary.steps),
            None => format!("{deployment} gets its first traffic"),
        },
        Stage::Promoting => format!("all traffic goes to {deployment}"),
        Stage::RollingBack => match view.return_to() {
            Some(stable) => format!("all traffic goes back to {}", stable.deployment),
            None => format!("{deployment} loses its traffic"),
        },
    }
}

/// `1429 serves 100 %; d-1427 stays warm until 2026-11-24T09:34:00Z`
fn serves(view: &ReleaseView<'_>, attempt: &Attempt, reason: &str) -> String {
    let version = &attempt.version;
    let how = match reason.parse() {
        Ok(Cause::FastPromoted) => " again: it was still up, so there was no gate and no canary",
        Ok(Cause::AlreadyLive) => "; it already did, nothing was changed",
        _ => "",
    };
    let previous = view.log.previous.as_ref().and_then(|p| Some((p, p.keep_until?)));
    let warm = previous.map_or_else(String::new, |(previous, until)| {
        format!("; {} stays warm until {}", previous.deployment, until.to_seconds())
    });
    format!("{version} serves 100 %{how}{warm}")
}

/// `rolled back to 1427: …`, `EvalRegression: …`
fn ended_badly(view: &ReleaseView<'_>, attempt: &Attempt, ending: &Ending) -> String {
    let evidence = attempt.decision.as_ref().map_or("", |d| &d.evidence);
    let stable = view.return_to();
    if ending.outcome == Outcome::RolledBack.as_str() {
        return match stable {
            Some(stable) => format!("rolled back to {}: {evidence}", stable.short()),
            None => format!("taken back, nothing serves now: {evidence}"),
        };
    }
    let traffic = match stable {
        _ if !exposed(attempt) => String::new(),
        Some(stable) => format!("; all traffic is back on {}", stable.deployment),
        None => "; nothing serves now".to_owned(),
    };
    format!("{}: {evidence}{traffic}", ending.reason)
}

/// What a person can do after an ending.
fn next_step(reason: &str, view: &ReleaseView<'_>) -> String {
    match reason.parse::<Cause>() {
        Ok(Cause::EvalRegression) => {
            "ship other content under another version, or change the test (`evaluation`, `metrics`, `criteria`)".into()
        }
        Ok(Cause::CanaryFailed | Cause::AvailabilityFailed | Cause::RejectedBefore) => {
            "ship another version, or change the test (`evaluation`, `metrics`, `criteria`)".into()
        }
        Ok(Cause::PolicyViolation) => {
            "change `evaluation` as the message says, or ask the platform team to change the policy".into()
        }
        Ok(Cause::AbortRequested) => {
            let lift = by_hand::annotate(view.namespace, "promptrelease", view.name, &format!("{ABORT}-"));
            format!("ship another version; the order stands until: {lift}")
        }
        Ok(Cause::Drift) => {
            "find out who else changes the endpoint's traffic, then ship the content under another version".into()
        }
        Ok(Cause::BuildFailed | Cause::InvalidSpec | Cause::DeploymentFailed) => "ship another version".into(),
        _ => "when the cause is mended, ship the content under another version".into(),
    }
}
