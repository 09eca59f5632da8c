//! What people read while an evaluation is under way, and which run is stopped when it is given up.

use serde_json::json;

use super::*;
use crate::{
    azure::{Partial, RunSource},
    endpoint::Wish,
};

const BASE: &str = "eval-1428-5f3a9c1e";
const JUDGE: &str = "judge-1428-5f3a9c1e";

fn spec() -> PromptReleaseSpec {
    serde_json::from_value(json!({
        "endpointRef": {"name": "e"}, "version": "1428", "artifact": {},
        "evaluation": {"dataset": {"path": "eval.jsonl"}, "timeout": "30m"},
    }))
    .expect("valid")
}

fn at(seconds: i64) -> At {
    At::from(jiff::Timestamp::from_second(seconds).expect("in range"))
}

fn facts(judge: Option<&str>) -> Facts {
    let evaluation = EvaluationStatus {
        base_run: Some(BASE.into()),
        judge_run: judge.map(str::to_owned),
        rows: 95,
        answered: judge.map_or(0, |_| 95),
        started_at: Some(at(0)),
        ..EvaluationStatus::default()
    };
    Facts { evaluation: Some(evaluation), ..Facts::default() }
}

fn state(status: RunStatus, partial: Option<Partial>) -> RunState {
    RunState { status, error: None, partial, source: RunSource::default() }
}

fn active(word: &str) -> Option<RunState> {
    Some(state(RunStatus::Active(word.into()), None))
}

fn decided(facts: &Facts, look: &Look, now: i64) -> Then<Step> {
    let spec = spec();
    let (second_count, poll) = (SignedDuration::from_secs(30), SignedDuration::from_secs(10));
    let plan = Plan { spec: &spec, release_uid: "uid", attempt: 7, protected: &[], second_count, poll };
    next(&plan, facts, look, at(now)).then
}

fn waits(facts: &Facts, look: &Look, now: i64) -> String {
    match decided(facts, look, now) {
        Then::Wait(wait) => wait.why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_under_way_is_told_with_its_rows_and_its_end_and_no_more_often_than_it_changes() {
    let running = Look { base: active("Running"), ..Look::default() };
    let told = format!("95 rows are answered by {BASE} (Running); gives up at 00:30:00Z");
    assert_eq!(waits(&facts(None), &running, 10), told);
    assert_eq!(waits(&facts(None), &running, 1700), told, "the same at every look");
    let completed = Some(state(RunStatus::Completed, None));
    let judging = Look { base: completed, judge: active("Running"), ..Look::default() };
    let told = format!("95 of 95 rows answered; {JUDGE} scores them; gives up at 00:30:00Z");
    assert_eq!(waits(&facts(Some(JUDGE)), &judging, 20), told);
}

#[test]
fn an_evaluation_that_is_late_says_how_far_it_came() {
    let partial = Partial { total: 95, user_errors: 30, system_errors: 4, ..Partial::default() };
    for (base, came) in [
        (active("Running"), format!("95 rows are answered by {BASE} (Running)")),
        (Some(state(RunStatus::Completed, Some(partial))), format!("61 of 95 rows answered by {BASE}")),
    ] {
        let Then::Ask(Wish::Withdraw(cause), why) = decided(&facts(None), &Look { base, ..Look::default() }, 1800)
        else {
            panic!("it is late");
        };
        assert_eq!(cause, Cause::EvalInfraError);
        assert_eq!(why, format!("the evaluation did not end within 30m: {came}"));
    }
}

#[test]
fn the_run_that_is_stopped_is_the_one_that_nobody_waits_for_any_more() {
    assert_eq!(under_way(&facts(None)), Some(BASE));
    assert_eq!(under_way(&facts(Some(JUDGE))), Some(JUDGE), "the other one is over");
    assert_eq!(under_way(&Facts::default()), None);
    let mut judged = facts(Some(JUDGE));
    judged.evaluation.as_mut().expect("some").verdict = Some("Fail".into());
    assert_eq!(under_way(&judged), None);
}
