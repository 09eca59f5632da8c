//! What the counts mean: the next run, another try, a verdict.

use super::{
    again::{again, anew},
    compare,
    look::{Look, completed},
    plan::{Plan, Step, status},
    runs::{self, word},
};
use crate::{
    api::{
        At, Cause, PromptReleaseSpec,
        release::Evaluation,
        status::{EvaluationStatus, Repeat},
    },
    azure::{RunState, troubles},
    policy::{
        accounting::{self, RowStatus},
        completeness::{self, Complete, Line, Shortfall},
        dataset::Dataset,
        digest::hex8,
        gate::{self, Verdict},
        naming::Run,
    },
    stage::{Decision, Facts, Then, Wait},
    view::sentence,
};

/// What a run that was just submitted is waited for.
pub fn submitted(spec: &PromptReleaseSpec, facts: &Facts) -> String {
    let known = status(facts);
    format!("{}{}", progress(&known, &Look::default()), gives_up(spec, &known))
}

/// Gate, count again, run once more, wait or give up. Means are taken only of proven sets.
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
    for (run, words, state) in [(Run::Eval, "base run", &look.base), (Run::Judge, "judge run", &look.judge)] {
        let Some((state, why)) = state.as_ref().and_then(|s| Some((s, runs::failure(words, s, &look.there())?))) else {
            continue;
        };
        let once_more = if runs::may_pass(state) { again(plan, facts, run, &why, now) } else { None };
        return once_more.unwrap_or_else(|| withdraw(why));
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
    let Some(bytes) = look.dataset.as_deref() else { return withdraw("the data set was not uploaded".into()) };
    if known.verdict_on.as_ref().is_some_and(|on| on.dataset != hex8(bytes)) {
        let known = anew(known, Run::Eval, "the data set was changed in the workspace's storage under the evaluation");
        return Decision::new(
            Facts {
                evaluation: Some(EvaluationStatus { repeats: Vec::new(), verdict_on: None, ..known }),
                ..facts.clone()
            },
            Then::Go,
        );
    }
    let dataset = match Dataset::parse(bytes) {
        Ok(dataset) => dataset,
        Err(error) => return withdraw(error.to_string()),
    };
    let counted = Counted { plan, facts, known, look, base_lines, dataset: &dataset, now };
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
            format!("{} rows are answered by {base} ({})", known.rows, word(&state.status))
        }
        (None, Some(base), None) => format!("{} rows are answered by {base} (submitted)", known.rows),
        (None, None, _) => "nothing was submitted".to_owned(),
    }
}

/// What is missing, and what to do about what most lines failed of.
fn told(short: &[Shortfall]) -> String {
    let known = completeness::main_cause(short).and_then(troubles::of_line);
    completeness::sentence(short) + &known.map(troubles::Trouble::told).unwrap_or_default()
}

/// Everything that can be counted.
struct Counted<'a> {
    plan: &'a Plan<'a>,
    facts: &'a Facts,
    known: EvaluationStatus,
    look: &'a Look,
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
            Ok(()) => {
                // The judge's lines may be late by themselves.
                let counted = EvaluationStatus { short_since: None, ..self.known.clone() };
                Decision::new(self.with(counted), Then::Do(Step::SubmitJudge))
            }
            Err(short) => self.short(Run::Eval, &short, None),
        }
    }

    /// Is every answer scored? Then the next repeat begins, or the criteria speak.
    fn judged(&self, evaluation: &Evaluation, judge_lines: &[Line]) -> Decision<Step> {
        let rows = self.dataset.rows();
        let last = match completeness::prove(rows, self.base_lines, judge_lines) {
            Ok(last) => last,
            Err(short) => {
                let base_is_short = completeness::check_base(rows, self.base_lines).is_err();
                let run = if base_is_short { Run::Eval } else { Run::Judge };
                return self.short(run, &short, Some(judge_lines));
            }
        };
        let before = i64::try_from(self.known.repeats.len()).unwrap_or(i64::MAX);
        if before + 1 < evaluation.repeats() {
            return Decision::new(self.with(self.next_repeat()), Then::Go);
        }
        let mut repeats = Vec::new();
        for (base, judge) in &self.look.repeats {
            match completeness::prove(rows, base, judge) {
                Ok(complete) => repeats.push(complete),
                // They were complete when they ended.
                Err(short) => return self.error(format!("of an earlier repeat: {}", completeness::sentence(&short))),
            }
        }
        if repeats.len() != self.known.repeats.len() {
            return self.error("the lines of the earlier repeats were not read".into());
        }
        repeats.push(last);
        self.verdict(evaluation, &repeats)
    }

    fn next_repeat(&self) -> EvaluationStatus {
        let mut known = self.known.clone();
        if let (Some(base_run), Some(judge_run)) = (known.base_run.take(), known.judge_run.take()) {
            known.repeats.push(Repeat { base_run, judge_run });
        }
        EvaluationStatus { short_since: None, ..known }
    }

    fn error(&self, why: String) -> Decision<Step> {
        let known = EvaluationStatus { verdict: Some("Error".into()), ..self.known.clone() };
        Decision::withdraw(self.with(known), Cause::EvalInfraError, why)
    }

    fn verdict(&self, evaluation: &Evaluation, repeats: &[Complete<'_>]) -> Decision<Step> {
        let PromptReleaseSpec { metrics, criteria, .. } = self.plan.spec;
        let gate = gate::judge(repeats, self.dataset, &evaluation.dataset.classes, metrics, criteria);
        let known = EvaluationStatus {
            comparison: compare::compare(self.plan, &self.known, self.look.stable.as_ref(), repeats, self.dataset),
            results: gate.results.iter().map(gate::Measured::result).collect(),
            short_since: None,
            verdict: Some(gate.verdict.as_str().into()),
            ..self.accounted(&vec![RowStatus::Ok; self.dataset.rows()])
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

    /// What is known with the rows as they are.
    fn accounted(&self, rows: &[RowStatus]) -> EvaluationStatus {
        let of = |status| accounting::count(rows, status);
        let (judged, not_judged) = (of(RowStatus::Ok), of(RowStatus::NotJudged));
        // Before a judge is asked nobody knows of its errors.
        let asked = self.look.judge_lines.is_some();
        EvaluationStatus {
            answered: judged + of(RowStatus::JudgeError) + not_judged,
            judged,
            flow_errors: Some(of(RowStatus::FlowError)),
            judge_errors: asked.then(|| of(RowStatus::JudgeError)),
            not_judged: (!asked).then_some(not_judged),
            classes: accounting::by_class(self.dataset, rows),
            rows: self.rows(),
            ..self.known.clone()
        }
    }

    /// Counted short: once is a service that lags, twice is a run that did not come to its end.
    fn short(&self, run: Run, short: &[Shortfall], judge_lines: Option<&[Line]>) -> Decision<Step> {
        let why = told(short);
        let known = self.accounted(&accounting::rows(self.dataset, self.base_lines, judge_lines));
        match known.short_since {
            Some(since) if self.now >= since.plus(self.plan.second_count) => {
                // Lines that are too many are none that another run would lack.
                let lacks = short.iter().all(|short| matches!(short, Shortfall::Missing { .. }));
                let once_more =
                    if lacks { again(self.plan, &self.with(known.clone()), run, &why, self.now) } else { None };
                once_more.unwrap_or_else(|| {
                    let error = EvaluationStatus { verdict: Some("Error".into()), ..known };
                    Decision::withdraw(self.with(error), Cause::EvalInfraError, why)
                })
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
