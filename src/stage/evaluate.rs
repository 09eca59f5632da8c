//! Evaluate: the flow answers the team's own questions, a judge scores the answers, and only a complete set has a mean.

mod again;
mod compare;
mod connections;
mod decide;
mod emit;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::SignedDuration;

use super::Facts;
use crate::{
    api::{
        At, PromptReleaseSpec,
        status::{Build, EvaluationStatus, StableSeen},
    },
    azure::{self, Azure, Flows, RunState, RunStatus, troubles},
    policy::{
        completeness::Line,
        dataset::{Dataset, MAX_BYTES, MAX_ROWS},
        naming::{self, Run},
    },
};
pub use connections::overridden;

pub use compare::evaluated;
pub use decide::{next, overdue, submitted};
pub use emit::{Whose, events};

/// What the evaluation is of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub spec: &'a PromptReleaseSpec,
    pub release_uid: &'a str,
    pub attempt: i64,
    /// Connections that no run may use.
    pub protected: &'a [String],
    /// What serves now, to be compared with.
    pub stable: Option<&'a StableSeen>,
    /// A shortfall must be seen twice, so far apart: lines appear after the run says Completed.
    pub second_count: SignedDuration,
    /// Between two looks at a run.
    pub poll: SignedDuration,
}

/// What the service shows.
#[derive(Debug, Default)]
pub struct Look {
    /// None: the service does not know the run.
    base: Option<RunState>,
    judge: Option<RunState>,
    /// Read once their runs are completed.
    base_lines: Option<Vec<Line>>,
    judge_lines: Option<Vec<Line>>,
    /// Lines of both runs of each earlier repeat. Read with the last one's.
    repeats: Vec<(Vec<Line>, Vec<Line>)>,
    /// What stable's evaluation scored, where it can be compared. Read at the same time.
    stable: Option<compare::Read>,
    /// As uploaded.
    dataset: Option<Bytes>,
}

/// Submissions are idempotent by the run's id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    SubmitBase,
    SubmitJudge,
}

/// Reads the runs that the facts name; lines and the data set only once there is something to count.
///
/// # Errors
/// Azure's.
pub async fn look(azure: &Azure, plan: &Plan<'_>, facts: &Facts) -> azure::Result<Look> {
    let mut look = Look::default();
    let Some(evaluation) = &facts.evaluation else { return Ok(look) };
    let Some(base) = &evaluation.base_run else { return Ok(look) };
    let workspace = azure.get_workspace().await?.value;
    let flows = azure.flows(workspace.discovery()?)?;
    look.base = flows.run_state(base).await?;
    if !completed(look.base.as_ref()) {
        if lacks_a_source(look.base.as_ref()) {
            look.dataset = dataset(azure, facts).await?;
        }
        return Ok(look);
    }
    if let Some(judge) = &evaluation.judge_run {
        look.judge = flows.run_state(judge).await?;
        if lacks_a_source(look.judge.as_ref()) {
            look.base_lines = Some(lines(&flows, base).await?);
            look.dataset = dataset(azure, facts).await?;
        }
        if !completed(look.judge.as_ref()) {
            return Ok(look);
        }
        look.judge_lines = Some(lines(&flows, judge).await?);
        if is_last_repeat(plan.spec, evaluation) {
            for repeat in &evaluation.repeats {
                look.repeats.push((lines(&flows, &repeat.base_run).await?, lines(&flows, &repeat.judge_run).await?));
            }
            look.stable = compare::read(&flows, plan, evaluation).await;
        }
    }
    look.base_lines = Some(lines(&flows, base).await?);
    look.dataset = dataset(azure, facts).await?;
    Ok(look)
}

async fn dataset(azure: &Azure, facts: &Facts) -> azure::Result<Option<Bytes>> {
    let Some(path) = facts.build.as_ref().and_then(|b| b.dataset.as_ref()) else { return Ok(None) };
    let store = azure.default_datastore().await?.value;
    azure.get_blob(&store, path, MAX_BYTES).await.map(Some)
}

/// It ended for a source that its lines do not have, so people are told what there is.
fn lacks_a_source(state: Option<&RunState>) -> bool {
    let failed = state.filter(|state| state.status == RunStatus::Failed);
    failed.and_then(|state| state.error.as_ref()).is_some_and(|fault| !troubles::missing_sources(fault).is_empty())
}

impl Look {
    /// What the runs can be fed from.
    fn there(&self) -> runs::There {
        let dataset = self.dataset.as_deref().and_then(|bytes| Dataset::parse(bytes).ok());
        let columns = dataset.iter().flat_map(Dataset::columns).map(str::to_owned).collect();
        let answers = self.base_lines.iter().flatten().filter(|line| line.answered());
        let outputs: BTreeSet<&String> = answers.flat_map(|line| line.outputs.keys()).collect();
        runs::There { columns, outputs: outputs.into_iter().cloned().collect() }
    }
}

fn completed(state: Option<&RunState>) -> bool {
    state.is_some_and(|s| s.status == RunStatus::Completed)
}

async fn lines(flows: &Flows, run: &str) -> azure::Result<Vec<Line>> {
    Ok(flows.child_runs(run, MAX_ROWS).await?.into_iter().map(runs::line).collect())
}

fn is_last_repeat(spec: &PromptReleaseSpec, known: &EvaluationStatus) -> bool {
    let wanted = spec.evaluation.as_ref().map_or(1, crate::api::release::Evaluation::repeats);
    i64::try_from(known.repeats.len()).unwrap_or(i64::MAX) + 1 >= wanted
}

/// The facts once it was tried: from then on its time runs, even if no run can be submitted.
pub fn begun(facts: &Facts, now: At) -> Facts {
    let mut known = status(facts);
    known.started_at.get_or_insert(now);
    Facts { evaluation: Some(known), ..facts.clone() }
}

fn status(facts: &Facts) -> EvaluationStatus {
    facts.evaluation.clone().unwrap_or_default()
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
    let (repeat, try_) = (i64::try_from(known.repeats.len()).unwrap_or(i64::MAX) + 1, known.retried.unwrap_or(0) + 1);
    let id = |run| naming::run(run, &plan.spec.version, plan.release_uid, plan.attempt, try_, repeat);
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
            let judge = id(Run::Judge);
            ready.submit_judge(azure, &base, &judge).await?;
            known.answered = rows_of(&build);
            known.judge_run = Some(judge);
        }
        (Step::SubmitBase | Step::SubmitJudge, _) => {
            let base = id(Run::Eval);
            ready.submit_base(azure, &base).await?;
            known.started_at.get_or_insert(now);
            (known.base_run, known.judge_run) = (Some(base), None);
        }
    }
    known.verdict_on = Some(on);
    Ok(Facts { evaluation: Some(known), ..facts.clone() })
}

/// Asks the service to stop the run of an evaluation that is given up, which costs answers and judgements that nobody
/// waits for. One request and no second one: what cannot be stopped comes to its own end.
pub async fn cancel(azure: &Azure, facts: &Facts) {
    let Some(run) = under_way(facts) else { return };
    if let Err(error) = cancel_run(azure, run).await {
        tracing::info!(run, %error, "a run that nobody waits for was not canceled");
    }
}

async fn cancel_run(azure: &Azure, run: &str) -> azure::Result<()> {
    let workspace = azure.get_workspace().await?.value;
    azure.flows(workspace.discovery()?)?.cancel(run).await
}

/// The run that was submitted last, before there is a verdict.
fn under_way(facts: &Facts) -> Option<&str> {
    let known = facts.evaluation.as_ref().filter(|known| known.verdict.is_none())?;
    known.judge_run.as_deref().or(known.base_run.as_deref())
}

fn rows_of(build: &Build) -> i64 {
    build.rows.iter().map(|class| class.rows).sum()
}
