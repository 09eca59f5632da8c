//! A run that did not come to its end is made once more, as often as the release allows. Scores are never a reason: who
//! may draw again until the gate opens has no gate.

use super::plan::{Plan, Step, status};
use crate::{
    api::{At, Cause, status::EvaluationStatus},
    policy::naming::Run,
    stage::{Decision, Facts, Then, Wait},
    view::{sentence, timeline::Event},
};

/// The run of this kind once more, in place of the one that is recorded; a base run takes its judge with it. None: there
/// is no try left.
pub fn again(plan: &Plan<'_>, facts: &Facts, run: Run, why: &str, now: At) -> Option<Decision<Step>> {
    let known = status(facts);
    let of = plan.spec.evaluation.as_ref()?.retries();
    let n = known.retried.unwrap_or(0) + 1;
    if n > of {
        return None;
    }
    let facts = Facts { evaluation: Some(anew(known, run, why)), ..facts.clone() };
    let told = Event::EvaluationRetried { n, of, why: why.to_owned() };
    let wait = Wait {
        until: now.plus(plan.poll),
        why: format!("{why}; run once more, {n} of {of}"),
        retry: Some(Cause::EvalInfraError),
    };
    Some(Decision { told: vec![told], ..Decision::new(facts, Then::Wait(wait)) })
}

/// What is known once a run is given up for another one: the next has an id of its own.
pub fn anew(known: EvaluationStatus, run: Run, why: &str) -> EvaluationStatus {
    EvaluationStatus {
        base_run: known.base_run.filter(|_| run == Run::Judge),
        evaluated_as: None,
        judge_run: None,
        short_since: None,
        retried: Some(known.retried.unwrap_or(0) + 1),
        retried_for: Some(sentence::evidence(why)),
        ..known
    }
}
