//! What the records alone tell: nothing of it is lost if the process that saw it is.

use super::{ReleaseView, exposed, facts};
use crate::{
    api::{
        At, Outcome,
        log::{Attempt, Raised},
    },
    view::{sentence, timeline::Event},
};

/// Every event of the view's attempt that its records show, with its moment, in order. Windows and `Deployed` are told
/// by the stages that see them.
pub fn events(view: &ReleaseView<'_>, now: At) -> Vec<(At, Event)> {
    let Some(attempt) = view.attempt() else { return Vec::new() };
    let mut events = vec![(attempt.started_at, opened(view, attempt))];
    events.extend(before_traffic(view, now));
    events.extend(attempt.raised.iter().filter(|r| r.weight < 100).map(|r| raised(attempt, r, now)));
    if let Some(decision) = &attempt.decision {
        let evidence = decision.evidence.clone();
        events.push((
            decision.at,
            match decision.kind.as_str() {
                "Promote" => Event::Promoting { evidence },
                _ => Event::Withdrawing {
                    cause: decision.cause.clone(),
                    evidence,
                    actor: decision.actor.clone(),
                    exposed: exposed(attempt),
                },
            },
        ));
    }
    events.extend(view.alarm.map(|alarm| (now, Event::Alarm { cause: alarm.cause, what: alarm.what.to_owned() })));
    events.extend(returned(view, attempt, now));
    events.extend(ended(view, attempt));
    events
}

fn opened(view: &ReleaseView<'_>, attempt: &Attempt) -> Event {
    Event::Opened {
        kind: attempt.kind.clone(),
        version: attempt.version.clone(),
        hash: attempt.hash.clone(),
        attempt: attempt.n,
        stable: view.return_to(),
    }
}

fn before_traffic(view: &ReleaseView<'_>, now: At) -> Vec<(At, Event)> {
    let mut events = Vec::new();
    if let Some(build) = view.build.filter(|b| b.environment.is_some())
        && let Some(model) = &build.model
    {
        events.push((now, Event::Built { model: model.clone(), bytes: build.bytes }));
    }
    let Some(evaluation) = view.evaluation else { return events };
    if let (Some(started), Some(run)) = (evaluation.started_at, &evaluation.base_run) {
        events.push((started, Event::EvaluationStarted { run: run.clone(), rows: evaluation.rows }));
    }
    match evaluation.verdict.as_deref() {
        Some("Pass") => {
            let found = facts::gate_found(evaluation, facts::metrics(view));
            events.push((now, Event::EvaluationPassed { found }));
        }
        Some("Waived") => events.push((now, Event::EvaluationWaived)),
        // What else it found is the evidence of the decision.
        _ => {}
    }
    events
}

fn raised(attempt: &Attempt, raised: &Raised, now: At) -> (At, Event) {
    let split = split(attempt, raised.weight);
    let steps = i64::try_from(attempt.plan.weights.len()).unwrap_or(i64::MAX);
    match raised.verified_at {
        Some(at) => (at, Event::Verified { split, step: raised.step, steps }),
        None => (now, Event::Raised { split, seq: raised.seq }),
    }
}

/// In the one spelling of a split: by name.
fn split(attempt: &Attempt, weight: i64) -> String {
    let canary = attempt.deployment.as_deref().unwrap_or_default();
    let mut shares = vec![(canary, weight)];
    shares.extend(attempt.return_to.as_deref().map(|stable| (stable, 100 - weight)));
    shares.sort_unstable();
    shares.iter().map(|(name, share)| format!("{name}={share}")).collect::<Vec<_>>().join(" ")
}

/// The traffic is where the decision wants it: told when it is seen, which may be well before the ending.
fn returned(view: &ReleaseView<'_>, attempt: &Attempt, now: At) -> Option<(At, Event)> {
    let outcome = facts::outcome_ahead(attempt).filter(|_| exposed(attempt))?;
    let back = attempt.return_to.as_ref().map_or_else(String::new, |stable| format!("{stable}=100"));
    let live = view.traffic.unwrap_or_default();
    if attempt.ending.is_none() && live != back {
        return None;
    }
    let at = attempt.ending.as_ref().map_or(now, |ending| ending.at);
    let first_user = attempt.raised.iter().find_map(|r| r.verified_at);
    let exposed_for = first_user.map(|first| sentence::span(at.since(first)));
    let split = if live.is_empty() { "no deployment has traffic".to_owned() } else { live.to_owned() };
    Some((at, Event::Returned { split, outcome, exposed_for }))
}

fn ended(view: &ReleaseView<'_>, attempt: &Attempt) -> Option<(At, Event)> {
    let ending = attempt.ending.as_ref()?;
    let event = match ending.outcome.as_str() {
        "Promoted" => {
            let own = attempt.deployment.as_ref().map(|d| format!("{d}=100")).unwrap_or_default();
            let split = view.traffic.map_or(own, str::to_owned);
            Event::Promoted { split, version: attempt.version.clone(), fast: attempt.kind == "Fast" }
        }
        // Told by the line that says when the traffic was back.
        "RolledBack" => return None,
        outcome => {
            let all = [Outcome::Rejected, Outcome::Failed, Outcome::Aborted];
            let outcome = all.into_iter().find(|o| o.as_str() == outcome)?;
            Event::Ended { outcome, reason: ending.reason.clone(), exposed: exposed(attempt) }
        }
    };
    Some((ending.at, event))
}
