//! A verdict is on content and test, not on an attempt: the same content is not asked by the same test twice. What is
//! recalled are the runs of the earlier evaluation. Their lines are read and judged again by the same criteria, so that
//! status shows all of it, and nobody has to believe a word in a status.
//!
//! A verdict that failed is recalled as one that passed is: who may draw again until the gate opens has no gate. Another
//! draw takes another content or another test, of which `evaluation.repeats` is a part. What could not tell is recalled
//! by nobody.

use jiff::SignedDuration;

use super::{
    look::completed,
    plan::{Plan, status},
    rows_of,
    runs::{self, lines},
};
use crate::{
    api::{
        At, Cause,
        status::{EvaluationStatus, GateVerdict, Repeat},
    },
    azure::{self, Azure, BulkRun, Flows},
    policy::completeness::{self, Line},
    stage::Facts,
};

/// How long a pass is good for: digests do not cover what changes behind the names of models and indexes. What failed has
/// no such limit, or waiting would be a way through the gate.
const PASS_HOLDS: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is known with the runs of an earlier evaluation in place of new ones. None: there was none, it is too long ago, or
/// the service does not have all of its lines any more.
///
/// # Errors
/// Azure's, worth another try.
pub async fn recall(
    azure: &Azure,
    plan: &Plan<'_>,
    facts: &Facts,
    before: &[GateVerdict],
    now: At,
) -> azure::Result<Option<Facts>> {
    let known = status(facts);
    if begun(&known) || before.is_empty() {
        return Ok(None);
    }
    let build = facts.build.clone().unwrap_or_default();
    let ready = runs::prepare(azure, plan.spec, &build).await?;
    let on = ready.on(plan.spec);
    let is_on = |verdict: &&GateVerdict| verdict.key == on.key && verdict.artifact == on.artifact;
    let Some(found) = before.iter().find(is_on).filter(|verdict| holds(verdict, now)) else { return Ok(None) };
    let Some((last, earlier)) = found.runs.split_last() else { return Ok(None) };
    let workspace = azure.get_workspace().await?.value;
    let flows = azure.flows(workspace.discovery()?)?;
    let rows = rows_of(&build);
    for Repeat { base_run, judge_run } in &found.runs {
        let both = [ready.base_run(azure, base_run), ready.judge_run(azure, base_run, judge_run)];
        if !is_whole(&flows, &both, rows).await? {
            return Ok(None);
        }
    }
    let evaluation = EvaluationStatus {
        answered: rows,
        base_run: Some(last.base_run.clone()),
        evaluated_as: Some(found.version.clone()),
        judge_run: Some(last.judge_run.clone()),
        repeats: earlier.to_vec(),
        rows,
        started_at: known.started_at.or(Some(now)),
        verdict_on: Some(on),
        ..known
    };
    Ok(Some(Facts { evaluation: Some(evaluation), ..facts.clone() }))
}

/// A run was submitted already, or failed: this evaluation goes its own way.
fn begun(known: &EvaluationStatus) -> bool {
    known.base_run.is_some() || known.retried.is_some() || !known.repeats.is_empty()
}

fn holds(verdict: &GateVerdict, now: At) -> bool {
    match verdict.verdict.as_str() {
        "Pass" => now < verdict.at.plus(PASS_HOLDS),
        "Fail" => true,
        _ => false,
    }
}

/// Both runs are still there with every line, and are of what would be submitted: nobody has to believe a status.
async fn is_whole(flows: &Flows, both: &[BulkRun; 2], rows: i64) -> azure::Result<bool> {
    let mut read = Vec::new();
    for run in both {
        let state = flows.run_state(&run.run_id).await?;
        let same = state.as_ref().is_some_and(|state| state.source.differs_from(run).is_none());
        if !same || !completed(state.as_ref()) {
            return Ok(false);
        }
        match azure::optional(lines(flows, &run.run_id).await)? {
            Some(lines) => read.push(lines),
            None => return Ok(false),
        }
    }
    let complete =
        |base: &[Line], judge: &[Line]| completeness::prove(usize::try_from(rows).unwrap_or(0), base, judge).is_ok();
    Ok(matches!(read.as_slice(), [base, judge] if complete(base, judge)))
}

/// The verdicts on record with the one that this evaluation came to, if it came to one on scores. The first one on a key
/// stays as it is as long as its runs are the ones that are judged. `withdrawn`: why the attempt was, if it was; the write
/// that said `Fail` may have been lost, but not that.
pub fn recorded(
    before: &[GateVerdict],
    version: &str,
    known: &EvaluationStatus,
    withdrawn: Option<&str>,
    now: At,
    max: usize,
) -> Vec<GateVerdict> {
    let Some(new) = verdict(version, known, withdrawn, now) else { return before.to_vec() };
    if before.iter().any(|old| old.key == new.key && old.runs == new.runs) {
        return before.to_vec();
    }
    let others = before.iter().filter(|old| old.key != new.key).cloned();
    std::iter::once(new.clone()).chain(others).take(max).collect()
}

fn verdict(version: &str, known: &EvaluationStatus, withdrawn: Option<&str>, now: At) -> Option<GateVerdict> {
    let failed = withdrawn.filter(|cause| *cause == Cause::EvalRegression.as_str()).map(|_| "Fail");
    let verdict = known.verdict.as_deref().or(failed).filter(|verdict| matches!(*verdict, "Pass" | "Fail"))?;
    let last = Repeat { base_run: known.base_run.clone()?, judge_run: known.judge_run.clone()? };
    let on = known.verdict_on.as_ref()?;
    Some(GateVerdict {
        artifact: on.artifact.clone(),
        at: now,
        key: on.key.clone(),
        runs: known.repeats.iter().cloned().chain([last]).collect(),
        verdict: verdict.to_owned(),
        version: version.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::VerdictOn;

    fn at(second: i64) -> At {
        jiff::Timestamp::from_second(second).expect("in range").into()
    }

    fn evaluated(key: &str, verdict: &str, run: &str) -> EvaluationStatus {
        EvaluationStatus {
            base_run: Some(format!("eval-{run}")),
            judge_run: Some(format!("judge-{run}")),
            verdict: Some(verdict.into()),
            verdict_on: Some(VerdictOn { key: key.into(), ..VerdictOn::default() }),
            ..EvaluationStatus::default()
        }
    }

    #[test]
    fn a_pass_holds_for_a_week_from_its_runs_and_a_failure_for_good() {
        let passed = recorded(&[], "1428", &evaluated("k", "Pass", "1"), None, at(0), 10);
        let recalled = recorded(&passed, "1430", &evaluated("k", "Pass", "1"), None, at(600_000), 10);
        assert_eq!(recalled, passed, "who recalls it does not make it younger");
        assert!(holds(&passed[0], at(604_799)) && !holds(&passed[0], at(604_800)));
        let failed = recorded(&passed, "1431", &evaluated("k", "Fail", "2"), None, at(604_800), 10);
        assert_eq!((failed.len(), failed[0].verdict.as_str(), failed[0].version.as_str()), (1, "Fail", "1431"));
        assert!(holds(&failed[0], at(400_000_000)));
    }

    #[test]
    fn only_what_the_scores_said_is_on_record_and_the_oldest_is_dropped() {
        for (verdict, key) in [("Error", "k"), ("Waived", "k")] {
            assert_eq!(recorded(&[], "1428", &evaluated(key, verdict, "1"), None, at(0), 10), []);
        }
        let lost = EvaluationStatus { verdict: None, ..evaluated("k", "", "1") };
        let withdrawn = recorded(&[], "1428", &lost, Some("EvalRegression"), at(0), 10);
        assert_eq!(withdrawn[0].verdict, "Fail", "the write of the verdict was lost, the withdrawal was not");
        assert_eq!(recorded(&[], "1428", &lost, Some("AbortRequested"), at(0), 10), []);
        let unfinished = EvaluationStatus { judge_run: None, ..evaluated("k", "Pass", "1") };
        assert_eq!(recorded(&[], "1428", &unfinished, None, at(0), 10), []);
        let mut all = Vec::new();
        for n in 0..5 {
            all = recorded(&all, "1428", &evaluated(&format!("k{n}"), "Pass", "1"), None, at(n), 3);
        }
        assert_eq!(all.iter().map(|verdict| verdict.key.as_str()).collect::<Vec<_>>(), ["k4", "k3", "k2"]);
    }
}
