//! What the service shows of an evaluation's runs.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{compare, plan::Plan, runs};
use crate::{
    api::{PromptReleaseSpec, release::Evaluation, status::EvaluationStatus},
    azure::{self, Azure, RunState, RunStatus, troubles},
    policy::{
        completeness::Line,
        dataset::{Dataset, MAX_BYTES},
    },
    stage::Facts,
};

/// What the service shows.
#[derive(Debug, Default)]
pub struct Look {
    /// None: the service does not know the run.
    pub base: Option<RunState>,
    pub judge: Option<RunState>,
    /// Read once their runs are completed.
    pub base_lines: Option<Vec<Line>>,
    pub judge_lines: Option<Vec<Line>>,
    /// Lines of both runs of each earlier repeat. Read with the last one's.
    pub repeats: Vec<(Vec<Line>, Vec<Line>)>,
    /// What stable's evaluation scored, where it can be compared. Read at the same time.
    pub stable: Option<compare::Read>,
    /// As uploaded.
    pub dataset: Option<Bytes>,
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
            look.base_lines = Some(runs::lines(&flows, base).await?);
            look.dataset = dataset(azure, facts).await?;
        }
        if !completed(look.judge.as_ref()) {
            return Ok(look);
        }
        look.judge_lines = Some(runs::lines(&flows, judge).await?);
        if is_last_repeat(plan.spec, evaluation) {
            for repeat in &evaluation.repeats {
                look.repeats.push((
                    runs::lines(&flows, &repeat.base_run).await?,
                    runs::lines(&flows, &repeat.judge_run).await?,
                ));
            }
            look.stable = compare::read(&flows, plan, evaluation).await;
        }
    }
    look.base_lines = Some(runs::lines(&flows, base).await?);
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
    pub fn there(&self) -> runs::There {
        let dataset = self.dataset.as_deref().and_then(|bytes| Dataset::parse(bytes).ok());
        let columns = dataset.iter().flat_map(Dataset::columns).map(str::to_owned).collect();
        let answers = self.base_lines.iter().flatten().filter(|line| line.answered());
        let outputs: BTreeSet<&String> = answers.flat_map(|line| line.outputs.keys()).collect();
        runs::There { columns, outputs: outputs.into_iter().cloned().collect() }
    }
}

pub fn completed(state: Option<&RunState>) -> bool {
    state.is_some_and(|s| s.status == RunStatus::Completed)
}

fn is_last_repeat(spec: &PromptReleaseSpec, known: &EvaluationStatus) -> bool {
    let wanted = spec.evaluation.as_ref().map_or(1, Evaluation::repeats);
    i64::try_from(known.repeats.len()).unwrap_or(i64::MAX) + 1 >= wanted
}
