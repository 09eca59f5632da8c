//! What serves now, on the same questions. Its scores are read again where its runs are: a status is no place for rows.

use super::{plan::Plan, runs::lines};
use crate::{
    api::status::{Comparison, Evaluated, EvaluationStatus, StableSeen},
    azure::Flows,
    policy::{
        comparison,
        completeness::{self, Complete, Line},
        dataset::Dataset,
    },
    view::sentence,
};

/// Judge's lines of stable's evaluation, one list a repeat; or why they are not there.
pub type Read = Result<Vec<Vec<Line>>, String>;

/// Reads stable's scores, if they can be compared. What fails here stands in the way of nothing.
pub async fn read(flows: &Flows, plan: &Plan<'_>, known: &EvaluationStatus) -> Option<Read> {
    let evaluated = plan.stable?.evaluated.as_ref().filter(|evaluated| other(evaluated, known).is_none())?;
    let mut all = Vec::new();
    for run in &evaluated.judge_runs {
        match lines(flows, run).await {
            Ok(lines) => all.push(lines),
            Err(error) => return Some(Err(error.to_string())),
        }
    }
    Some(Ok(all))
}

/// Why the two have nothing to be compared by.
fn other(evaluated: &Evaluated, known: &EvaluationStatus) -> Option<&'static str> {
    let Some(on) = &known.verdict_on else { return Some("it is not known what was evaluated") };
    match () {
        () if on.dataset != evaluated.dataset => Some("was evaluated on another data set"),
        () if on.rubric != evaluated.rubric => Some("was judged by another rubric"),
        () if on.judge_model != evaluated.judge_model => Some("was judged by another model"),
        () => None,
    }
}

/// What status says of it. None where nothing serves yet.
pub fn compare(
    plan: &Plan<'_>,
    known: &EvaluationStatus,
    read: Option<&Read>,
    ours: &[Complete<'_>],
    dataset: &Dataset,
) -> Option<Comparison> {
    let stable = plan.stable?;
    let none = |why: String| {
        let note = Some(sentence::evidence(&format!("no comparison: {why}")));
        Some(Comparison { note, with: stable.version.clone(), ..Comparison::default() })
    };
    let name = name(stable);
    let Some(evaluated) = &stable.evaluated else { return none(format!("no evaluation of {name} is on record here")) };
    if let Some(why) = other(evaluated, known) {
        return none(format!("{name} {why}"));
    }
    let theirs = match read {
        Some(Ok(theirs)) => theirs,
        Some(Err(error)) => return none(error.clone()),
        None => return none(format!("the scores of {name} were not read")),
    };
    let proofs = theirs.iter().map(|lines| completeness::prove(dataset.rows(), lines, lines));
    let Ok(proofs) = proofs.collect::<Result<Vec<_>, _>>() else {
        return none(format!("the service does not have all scores of {name} any more"));
    };
    if proofs.is_empty() {
        return none(format!("no run of {name} is on record"));
    }
    let metrics = comparison::compare(ours, &proofs, dataset, &plan.spec.metrics, &plan.spec.criteria);
    Some(Comparison { metrics, note: None, with: Some(evaluated.version.clone()) })
}

fn name(stable: &StableSeen) -> &str {
    stable.version.as_deref().unwrap_or(&stable.deployment)
}

/// What the next evaluation needs to compare itself with this one, if it passed.
pub fn evaluated(version: &str, known: &EvaluationStatus) -> Option<Evaluated> {
    let on = known.verdict_on.as_ref().filter(|_| known.verdict.as_deref() == Some("Pass"))?;
    let earlier = known.repeats.iter().map(|repeat| repeat.judge_run.clone());
    Some(Evaluated {
        dataset: on.dataset.clone(),
        judge_model: on.judge_model.clone(),
        judge_runs: earlier.chain(known.judge_run.clone()).collect(),
        rubric: on.rubric.clone(),
        version: version.to_owned(),
    })
}
