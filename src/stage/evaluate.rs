//! Evaluate: the flow answers the team's own questions, a judge scores the answers, and only a complete set has a mean.

mod runs;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::SignedDuration;

use super::{Decision, Facts, Then, Wait};
use crate::{
    api::{
        At, Cause, PromptReleaseSpec,
        release::Evaluation,
        status::{Build, EvaluationStatus},
    },
    azure::{self, Azure, RunState, RunStatus, troubles},
    policy::{
        completeness::{self, Line},
        dataset::{Dataset, MAX_BYTES, MAX_ROWS},
        gate::{self, Verdict},
        naming::{self, Run},
    },
    view::sentence,
};

/// What the evaluation is of.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub spec: &'a PromptReleaseSpec,
    pub release_uid: &'a str,
    pub attempt: i64,
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
pub async fn look(azure: &Azure, facts: &Facts) -> azure::Result<Look> {
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
            look.base_lines = Some(lines(flows.child_runs(base, MAX_ROWS).await?));
            look.dataset = dataset(azure, facts).await?;
        }
        if !completed(look.judge.as_ref()) {
            return Ok(look);
        }
        look.judge_lines = Some(lines(flows.child_runs(judge, MAX_ROWS).await?));
    }
    look.base_lines = Some(lines(flows.child_runs(base, MAX_ROWS).await?));
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

fn lines(lines: Vec<azure::Line>) -> Vec<Line> {
    lines.into_iter().map(runs::line).collect()
}

/// What a run that was just submitted is waited for.
pub fn submitted(spec: &PromptReleaseSpec, facts: &Facts) -> String {
    let known = status(facts);
    format!("{}{}", progress(&known, &Look::default()), gives_up(spec, &known))
}

/// Gate, count again, wait or give up. Means are taken only of a proven set.
pub fn next(plan: &Plan<'_>, facts: &Facts, look: &Look, now: At) -> Decision<Step> {
    let known = status(facts);
    let withdraw = |why: String| Decision::withdraw(facts.clone(), Cause::EvalInfraError, why);
    let Some(evaluation) = &plan.spec.evaluation else {
        let waived = EvaluationStatus { verdict: Some("Waived".into()), ..known };
        return Decision::new(Facts { evaluation: Some(waived), ..facts.clone() }, Then::Go);
    };
    if let Some(why) = overdue(plan.spec, facts, now) {
        return withdraw(format!("{why}: {}", progress(&known, look)));
    }
    for (run, state) in [("base run", &look.base), ("judge run", &look.judge)] {
        if let Some(why) = state.as_ref().and_then(|s| runs::failure(run, s, &look.there())) {
            return withdraw(why);
        }
    }
    if known.base_run.is_none() || look.base.is_none() {
        return Decision::new(facts.clone(), Then::Do(Step::SubmitBase));
    }
    let Some(base_lines) = &look.base_lines else {
        let judge_is_lost = completed(look.base.as_ref()) && look.judge.is_none();
        let then = if judge_is_lost {
            Then::Do(Step::SubmitJudge)
        } else {
            let why = format!("{}{}", progress(&known, look), gives_up(plan.spec, &known));
            Then::Wait(Wait::until(now.plus(plan.poll), why))
        };
        return Decision::new(facts.clone(), then);
    };
    let dataset = match look.dataset.as_deref().map(Dataset::parse) {
        Some(Ok(dataset)) => dataset,
        Some(Err(error)) => return withdraw(error.to_string()),
        None => return withdraw("the data set was not uploaded".into()),
    };
    let counted = Counted { plan, facts, known, base_lines, dataset: &dataset, now };
    match &look.judge_lines {
        None => counted.base(),
        Some(judge_lines) => counted.judged(evaluation, judge_lines),
    }
}

/// Why the evaluation is given up, if its time is over.
pub fn overdue(spec: &PromptReleaseSpec, facts: &Facts, now: At) -> Option<String> {
    let timeout = &spec.evaluation.as_ref()?.timeout;
    let end = deadline(spec, facts.evaluation.as_ref()?)?;
    (now >= end).then(|| format!("the evaluation did not end within {timeout}"))
}

fn deadline(spec: &PromptReleaseSpec, known: &EvaluationStatus) -> Option<At> {
    Some(known.started_at?.plus(spec.evaluation.as_ref()?.timeout.signed()))
}

fn gives_up(spec: &PromptReleaseSpec, known: &EvaluationStatus) -> String {
    deadline(spec, known).map_or_else(String::new, |end| format!("; gives up at {}", end.clock()))
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

/// `61 of 95 rows answered by eval-1428-5f3a9c1e`, as far as the service tells: it counts no lines of a run that is under
/// way. Changes with the run's state only.
fn progress(known: &EvaluationStatus, look: &Look) -> String {
    match (&known.judge_run, &known.base_run, &look.base) {
        (Some(judge), ..) => format!("{} of {} rows answered; {judge} scores them", known.answered, known.rows),
        (None, Some(base), Some(RunState { partial: Some(lines), .. })) => {
            let answered = lines.total.saturating_sub(lines.user_errors + lines.system_errors);
            format!("{answered} of {} rows answered by {base}", known.rows)
        }
        (None, Some(base), Some(state)) => {
            format!("{} rows are answered by {base} ({})", known.rows, runs::word(&state.status))
        }
        (None, Some(base), None) => format!("{} rows are answered by {base} (submitted)", known.rows),
        (None, None, _) => "nothing was submitted".to_owned(),
    }
}

/// What is missing, and what to do about what most lines failed of.
fn told(short: &[completeness::Shortfall]) -> String {
    let known = completeness::main_cause(short).and_then(troubles::of_line);
    completeness::sentence(short) + &known.map(troubles::Trouble::told).unwrap_or_default()
}

/// Everything that can be counted.
struct Counted<'a> {
    plan: &'a Plan<'a>,
    facts: &'a Facts,
    known: EvaluationStatus,
    base_lines: &'a [Line],
    dataset: &'a Dataset,
    now: At,
}

impl Counted<'_> {
    fn with(&self, evaluation: EvaluationStatus) -> Facts {
        Facts { evaluation: Some(evaluation), ..self.facts.clone() }
    }

    fn rows(&self) -> i64 {
        i64::try_from(self.dataset.rows()).unwrap_or(i64::MAX)
    }

    /// Are all questions answered? Then the judge is paid for.
    fn base(&self) -> Decision<Step> {
        match completeness::check_base(self.dataset.rows(), self.base_lines) {
            Ok(()) => Decision::new(self.facts.clone(), Then::Do(Step::SubmitJudge)),
            Err(short) => self.short(told(&short), 0),
        }
    }

    /// Is every answer scored? Then the criteria speak.
    fn judged(&self, evaluation: &Evaluation, judge_lines: &[Line]) -> Decision<Step> {
        let rows = self.dataset.rows();
        let complete = match completeness::prove(rows, self.base_lines, judge_lines) {
            Ok(complete) => complete,
            Err(short) => {
                return self.short(told(&short), completeness::answered(rows, judge_lines));
            }
        };
        let PromptReleaseSpec { metrics, criteria, .. } = self.plan.spec;
        let gate = gate::judge(&complete, self.dataset, &evaluation.dataset.classes, metrics, criteria);
        let known = EvaluationStatus {
            answered: self.rows(),
            judged: self.rows(),
            results: gate.results.iter().map(gate::Measured::result).collect(),
            rows: self.rows(),
            short_since: None,
            verdict: Some(gate.verdict.as_str().into()),
            ..self.known.clone()
        };
        let facts = self.with(known);
        match &gate.verdict {
            Verdict::Pass => Decision::new(facts, Then::Go),
            Verdict::Regression(failed) => {
                let failed: Vec<_> = failed.iter().map(gate::Measured::result).collect();
                Decision::withdraw(facts, Cause::EvalRegression, sentence::criteria_failed(&failed))
            }
            Verdict::Error(errors) => {
                let first = errors.first().map_or_else(String::new, ToString::to_string);
                let more = errors.len().saturating_sub(1);
                let and = if more > 0 { format!(" (and {more} more)") } else { String::new() };
                Decision::withdraw(facts, Cause::EvalInfraError, format!("{first}{and}"))
            }
        }
    }

    /// Counted short: once is a service that lags, twice is an evaluation that did not run cleanly.
    fn short(&self, why: String, judged: i64) -> Decision<Step> {
        let answered = completeness::answered(self.dataset.rows(), self.base_lines);
        let known = EvaluationStatus { answered, judged, rows: self.rows(), ..self.known.clone() };
        match known.short_since {
            Some(since) if self.now >= since.plus(self.plan.second_count) => {
                let error = EvaluationStatus { verdict: Some("Error".into()), ..known };
                Decision::withdraw(self.with(error), Cause::EvalInfraError, why)
            }
            since => {
                let since = since.unwrap_or(self.now);
                let until = since.plus(self.plan.second_count);
                let noted = EvaluationStatus { short_since: Some(since), ..known };
                let retry = Some(Cause::EvalInfraError);
                let wait = Wait { until, why: format!("{why}; counting once more"), retry };
                Decision::new(self.with(noted), Then::Wait(wait))
            }
        }
    }
}

/// Submits one run and says what is known after it.
///
/// # Errors
/// Azure's; a run that exists already is no error.
pub async fn act(azure: &Azure, plan: &Plan<'_>, step: &Step, facts: &Facts, now: At) -> azure::Result<Facts> {
    let mut known = status(facts);
    let build = facts.build.clone().unwrap_or_default();
    let id = |run| naming::run(run, &plan.spec.version, plan.release_uid, plan.attempt, 1);
    match step {
        Step::SubmitBase => {
            let base = id(Run::Eval);
            runs::submit_base(azure, plan.spec, &build, &base).await?;
            known.started_at.get_or_insert(now);
            known.base_run = Some(base);
        }
        Step::SubmitJudge => {
            let (base, judge) = (id(Run::Eval), id(Run::Judge));
            runs::submit_judge(azure, plan.spec, &build, &base, &judge).await?;
            known.answered = rows_of(&build);
            known.judge_run = Some(judge);
        }
    }
    known.rows = rows_of(&build);
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
