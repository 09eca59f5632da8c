//! What the records alone tell: nothing of it is lost if the process that saw it is.

use super::{ReleaseView, exposed, facts, gate};
use crate::{
    api::{
        At,
        log::{Attempt, Course, Decision, Kind, Raised},
    },
    policy::split::Split,
    view::{
        sentence::{shown, span},
        timeline::{self, Event},
    },
};

/// Brings a timeline up to date and returns what was new in it: the Kubernetes Events to publish. `told` is what this
/// pass saw happen, and when: windows, deployments, deliveries. A pass may be repeated.
///
/// What one pass tells is in the order in which it happened. Windows closed when the pass looked, so before the decision
/// that they led to; a delivery came about while the decision was written or after it, so last.
pub fn tell(timeline: &mut Vec<String>, view: &ReleaseView<'_>, told: &[(At, Event)], now: At) -> Vec<Event> {
    let known = known(view, now);
    let (deployed, told): (Vec<_>, Vec<_>) =
        told.iter().cloned().partition(|(_, event)| matches!(event, Event::Deployed { .. }));
    let (windows, since): (Vec<_>, Vec<_>) = told
        .into_iter()
        .partition(|(_, event)| matches!(event, Event::WindowFailed { .. } | Event::WindowUnmeasured { .. }));
    let before = known.before_traffic.into_iter().chain(deployed).chain(known.raised);
    let all = before.chain(windows).chain(known.after).chain(since);
    all.filter(|(at, event)| timeline::append(timeline, *at, event)).map(|(_, event)| event).collect()
}

/// What the records show of the view's attempt, with the moment of each, in order.
#[derive(Default)]
struct Known {
    before_traffic: Vec<(At, Event)>,
    raised: Vec<(At, Event)>,
    after: Vec<(At, Event)>,
}

fn known(view: &ReleaseView<'_>, now: At) -> Known {
    let Some(attempt) = view.attempt() else { return Known::default() };
    let mut before = vec![(attempt.started_at, opened(view, attempt))];
    before.extend(before_traffic(view, now));
    let raised = attempt.raised.iter().filter_map(|r| verified(attempt, r)).collect();
    let mut after: Vec<(At, Event)> = attempt.decision.iter().map(|d| (d.at, decided(attempt, d))).collect();
    after.extend(returned(view, attempt, now));
    after.extend(ended(view, attempt));
    after.extend(view.alarm.map(|alarm| (now, Event::Alarm { cause: alarm.cause, what: alarm.what.to_owned() })));
    Known { before_traffic: before, raised, after }
}

fn decided(attempt: &Attempt, decision: &Decision) -> Event {
    let evidence = decision.evidence.clone();
    if decision.is(Course::Promote) {
        return Event::Promoting { evidence };
    }
    let (cause, actor) = (decision.cause.clone(), decision.actor.clone());
    Event::Withdrawing { cause, evidence, actor, exposed: exposed(attempt) }
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
    if let (Some(began), Some(run)) = (evaluation.started_at, &evaluation.base_run) {
        let (run, rows) = (run.clone(), evaluation.rows);
        let event = match &evaluation.evaluated_as {
            Some(version) => Event::EvaluationRecalled { run, version: version.clone() },
            None => Event::EvaluationStarted { run, rows },
        };
        // What began then is the first run.
        events.push((if evaluation.retried.is_none() { began } else { now }, event));
    }
    match evaluation.verdict.as_deref() {
        Some("Pass") => {
            let found = gate::gate_found(evaluation, facts::metrics(view));
            events.push((now, Event::EvaluationPassed { found }));
        }
        Some("Waived") => events.push((now, Event::EvaluationWaived)),
        // What else it found is the evidence of the decision.
        _ => {}
    }
    events
}

/// A canary's split that was read back. What has all traffic is told by the ending.
fn verified(attempt: &Attempt, raised: &Raised) -> Option<(At, Event)> {
    let steps = i64::try_from(attempt.plan.weights.len()).unwrap_or(i64::MAX);
    let (stable, canary) = (attempt.return_to.clone()?, attempt.deployment.clone()?);
    let split = Split::canary(stable, canary, u8::try_from(raised.weight).ok()?)?.to_string();
    Some((raised.verified_at?, Event::Verified { split, step: raised.step, steps }))
}

/// The traffic is where the decision wants it: told when it is seen, which may be well before the ending.
fn returned(view: &ReleaseView<'_>, attempt: &Attempt, now: At) -> Option<(At, Event)> {
    let ahead = facts::outcome_ahead(attempt).filter(|_| exposed(attempt))?;
    let back = attempt.return_to.clone().map_or_else(Split::none, Split::all).to_string();
    let live = shown(view.traffic?);
    let is_back = live == shown(&back);
    let first_user = attempt.raised.iter().find_map(|r| r.verified_at);
    let writing = view.log.intent.as_ref().is_some_and(|i| i.why.is_some());
    // Before a first split is read back, what was verified last is older than the raise that may still land.
    if attempt.ending.is_none() && (!is_back || writing || first_user.is_none()) {
        return None;
    }
    let at = attempt.ending.as_ref().map_or(now, |ending| ending.at);
    let exposed_for = first_user.map(|first| span(at.since(first)));
    let ended = attempt.ending.as_ref().and_then(|ending| ending.outcome.parse().ok());
    Some((at, Event::Returned { split: live.to_owned(), outcome: ended.unwrap_or(ahead), exposed_for }))
}

fn ended(view: &ReleaseView<'_>, attempt: &Attempt) -> Option<(At, Event)> {
    let ending = attempt.ending.as_ref()?;
    let event = match ending.outcome.as_str() {
        "Promoted" => {
            let own = attempt.deployment.as_ref().map(|d| format!("{d}=100")).unwrap_or_default();
            let split = view.traffic.map_or(own, str::to_owned);
            Event::Promoted { split, version: attempt.version.clone(), fast: attempt.is(Kind::Fast) }
        }
        // Told by the line that says when the traffic was back.
        "RolledBack" => return None,
        other => {
            let outcome = other.parse().ok()?;
            Event::Ended { outcome, reason: ending.reason.clone(), exposed: exposed(attempt) }
        }
    };
    Some((ending.at, event))
}
