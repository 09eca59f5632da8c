//! Evaluate: the flow answers the team's own questions, a judge scores the answers, and only a complete set has a mean.

mod again;
mod compare;
mod connections;
mod decide;
mod emit;
mod look;
mod plan;
mod recall;
mod runs;
#[cfg(test)]
mod tests;

use super::Facts;
use crate::{
    api::{
        At,
        status::{Build, ClassResult, EvaluationStatus, MAX_CLASSES},
    },
    azure::{self, Azure},
    policy::{
        dataset::MAX_ROWS,
        naming::{self, Run},
    },
};

pub use compare::evaluated;
pub use connections::overridden;
pub use decide::{next, overdue, submitted};
pub use emit::{Whose, events};
pub use look::{Look, look};
use plan::status;
pub use plan::{Plan, Step};
pub use recall::{recall, recorded};

/// The facts once it was tried: from then on its time runs, even if no run can be submitted.
pub fn begun(facts: &Facts, now: At) -> Facts {
    let mut known = status(facts);
    known.started_at.get_or_insert(now);
    Facts { evaluation: Some(known), ..facts.clone() }
}

/// Why a run was not submitted.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The endpoint's policy keeps it from running as it is.
    #[error("{0}")]
    Protected(String),
    /// Tried again.
    #[error(transparent)]
    Azure(#[from] azure::Error),
}

/// Submits one run and says what is known after it.
///
/// # Errors
/// [`EvaluateError::Azure`] is worth another try; a run that exists already is no error.
pub async fn act(azure: &Azure, plan: &Plan<'_>, step: &Step, facts: &Facts, now: At) -> Result<Facts, EvaluateError> {
    let mut known = status(facts);
    let build = facts.build.clone().unwrap_or_default();
    let id = run_id(plan, step, facts);
    let ready = runs::prepare(azure, plan.spec, &build).await?;
    if let Some(why) = ready.protected(plan.protected) {
        return Err(EvaluateError::Protected(why));
    }
    let on = ready.on(plan.spec);
    known.rows = rows_of(&build);
    let begun = *step == Step::SubmitJudge || !known.repeats.is_empty();
    let changed = known.verdict_on.as_ref().is_some_and(|before| *before != on);
    match (step, known.base_run.clone()) {
        // What was answered or scored already is of something else.
        _ if begun && changed => {
            known = again::anew(known, Run::Eval, "what was uploaded was changed under the evaluation");
            known.repeats.clear();
        }
        (Step::SubmitJudge, Some(base)) => {
            runs::submit(azure, &ready.judge_run(azure, &base, &id)).await?;
            known = EvaluationStatus { judge_run: Some(id), ..asked(known, &build) };
        }
        (Step::SubmitBase | Step::SubmitJudge, _) => {
            runs::submit(azure, &ready.base_run(azure, &id)).await?;
            known.started_at.get_or_insert(now);
            (known.base_run, known.judge_run) = (Some(id), None);
        }
    }
    // From here on it is an evaluation of its own.
    known.evaluated_as = None;
    known.verdict_on = Some(on);
    Ok(Facts { evaluation: Some(known), ..facts.clone() })
}

/// The id under which [`act`] submits the run of this step.
pub fn run_id(plan: &Plan<'_>, step: &Step, facts: &Facts) -> String {
    let known = status(facts);
    let (repeat, try_) = (i64::try_from(known.repeats.len()).unwrap_or(i64::MAX) + 1, known.retried.unwrap_or(0) + 1);
    let run = if *step == Step::SubmitJudge && known.base_run.is_some() { Run::Judge } else { Run::Eval };
    naming::run(run, &plan.spec.version, plan.release_uid, plan.attempt, try_, repeat)
}

/// Every row is answered, none is judged yet: what holds as long as the judge's lines are not counted.
fn asked(known: EvaluationStatus, build: &Build) -> EvaluationStatus {
    let class = |(class, rows): (&String, i64)| ClassResult {
        class: class.clone(),
        not_judged: rows,
        rows,
        ..ClassResult::default()
    };
    let classes = build.rows.iter().take(MAX_CLASSES).map(|of| class((&of.class, of.rows)));
    EvaluationStatus {
        answered: rows_of(build),
        classes: classes.collect(),
        flow_errors: Some(0),
        judge_errors: None,
        judged: 0,
        not_judged: Some(rows_of(build)),
        ..known
    }
}

/// Asks the service to stop the run of an evaluation that is given up, which costs answers and judgements that nobody
/// waits for. One request and no second one: what cannot be stopped comes to its own end.
pub async fn cancel(azure: &Azure, facts: &Facts) {
    if let Some(run) = under_way(facts) {
        cancel_run(azure, run).await;
    }
}

/// The same of a run whose submission may have arrived.
pub async fn cancel_run(azure: &Azure, run: &str) {
    let cancel = async {
        let workspace = azure.get_workspace().await?.value;
        azure.flows(workspace.discovery()?)?.cancel(run).await
    };
    if let Err(error) = cancel.await {
        tracing::info!(run, %error, "a run that nobody waits for was not canceled");
    }
}

/// How many rows of the run under way are done: the service shows lines as they end. `known` were seen before.
///
/// # Errors
/// Azure's.
pub async fn so_far(azure: &Azure, facts: &Facts, known: usize) -> azure::Result<usize> {
    let Some(run) = under_way(facts) else { return Ok(0) };
    let workspace = azure.get_workspace().await?.value;
    azure.flows(workspace.discovery()?)?.lines_by_now(run, known, MAX_ROWS).await
}

/// The run that this evaluation submitted last, before there is a verdict.
fn under_way(facts: &Facts) -> Option<&str> {
    let known = facts.evaluation.as_ref().filter(|known| known.verdict.is_none() && known.evaluated_as.is_none())?;
    known.judge_run.as_deref().or(known.base_run.as_deref())
}

fn rows_of(build: &Build) -> i64 {
    build.rows.iter().map(|class| class.rows).sum()
}
