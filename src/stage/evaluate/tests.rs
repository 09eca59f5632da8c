//! What people read while an evaluation is under way, and which run is stopped when it is given up.

use bytes::Bytes;
use jiff::SignedDuration;
use serde_json::json;

use super::*;
use crate::{
    api::{
        Cause, PromptReleaseSpec,
        status::{EvaluationStatus, StableSeen},
    },
    azure::{Partial, RunSource, RunState, RunStatus},
    endpoint::Wish,
    policy::completeness::Line,
    stage::Then,
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
    let plan = Plan { spec: &spec, release_uid: "uid", attempt: 7, protected: &[], stable: None, second_count, poll };
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
    let mut recalled = facts(Some(JUDGE));
    recalled.evaluation.as_mut().expect("some").evaluated_as = Some("1427".into());
    assert_eq!(under_way(&recalled), None, "it is another evaluation's");
}

/// A release of two questions of class `a`, whose mean must be at least 2.
fn judged_spec(evaluation: &serde_json::Value) -> PromptReleaseSpec {
    let mut spec = json!({
        "endpointRef": {"name": "e"}, "version": "1428", "artifact": {},
        "evaluation": {"dataset": {"path": "eval.jsonl"}, "timeout": "30m"},
        "metrics": [{"name": "g", "scale": {"min": 0, "max": 3}}],
        "criteria": [{"class": "a", "metric": "g", "minimum": 2}],
    });
    for (key, value) in evaluation.as_object().into_iter().flatten() {
        spec["evaluation"][key] = value.clone();
    }
    serde_json::from_value(spec).expect("valid")
}

fn decide(evaluation: &serde_json::Value, facts: &Facts, look: &Look, now: i64) -> crate::stage::Decision<Step> {
    beside(None, evaluation, facts, look, now)
}

fn beside(
    stable: Option<&StableSeen>,
    evaluation: &serde_json::Value,
    facts: &Facts,
    look: &Look,
    now: i64,
) -> crate::stage::Decision<Step> {
    let spec = judged_spec(evaluation);
    let (second_count, poll) = (SignedDuration::from_secs(30), SignedDuration::from_secs(10));
    let plan = Plan { spec: &spec, release_uid: "uid", attempt: 7, protected: &[], stable, second_count, poll };
    next(&plan, facts, look, at(now))
}

fn known(decision: &crate::stage::Decision<Step>) -> EvaluationStatus {
    decision.facts.evaluation.clone().unwrap_or_default()
}

fn scored(scores: &[i64]) -> Vec<Line> {
    let line = |(row, score): (usize, &i64)| Line {
        index: i64::try_from(row).expect("small"),
        status: if *score < 0 { "Failed".into() } else { "Completed".into() },
        outputs: json!({"g": score}).as_object().cloned().unwrap_or_default(),
        ..Line::default()
    };
    scores.iter().enumerate().map(line).collect()
}

fn complete(base: &[i64], judge: Option<&[i64]>) -> Look {
    Look {
        base: Some(state(RunStatus::Completed, None)),
        judge: judge.map(|_| state(RunStatus::Completed, None)),
        base_lines: Some(scored(base)),
        judge_lines: judge.map(scored),
        dataset: Some(Bytes::from_static(b"{\"class\":\"a\"}\n{\"class\":\"a\"}\n")),
        ..Look::default()
    }
}

#[test]
fn a_run_that_failed_is_made_once_more_under_another_id_until_the_budget_is_spent() {
    let failed = |code: &str| {
        let error = Some(azure::Fault::new(code, "no"));
        Look { base: Some(RunState { error, ..state(RunStatus::Failed, None) }), ..Look::default() }
    };
    let first = decide(&json!({"retries": 1}), &facts(None), &failed("AutomaticRuntimeFailed"), 5);
    let after = known(&first);
    assert_eq!((after.base_run, after.retried), (None, Some(1)));
    let why = after.retried_for.unwrap_or_default();
    assert!(why.starts_with("base run failed: AutomaticRuntimeFailed: no; no compute session"), "{why}");
    assert_eq!(first.told.len(), 1);
    let Then::Wait(wait) = &first.then else { panic!("{:?}", first.then) };
    assert!(wait.why.ends_with("; run once more, 1 of 1") && wait.retry == Some(Cause::EvalInfraError), "{}", wait.why);
    let submits = decide(&json!({"retries": 1}), &first.facts, &Look::default(), 15);
    assert_eq!(submits.then, Then::Do(Step::SubmitBase));

    let mut second = first.facts.clone();
    second.evaluation.as_mut().expect("some").base_run = Some("eval-1428-other".into());
    for (evaluation, facts, look) in [
        (json!({"retries": 1}), &second, failed("AutomaticRuntimeFailed")),
        (json!({"retries": 0}), &facts(None), failed("AutomaticRuntimeFailed")),
        (json!({"retries": 5}), &facts(None), failed("ApplyInputMappingError")),
        (json!({"retries": 5}), &facts(None), Look { base: Some(state(RunStatus::Canceled, None)), ..Look::default() }),
    ] {
        let then = decide(&evaluation, facts, &look, 20).then;
        assert!(matches!(then, Then::Ask(Wish::Withdraw(Cause::EvalInfraError), _)), "{then:?}");
    }
}

#[test]
fn rows_that_are_missing_twice_are_counted_by_whose_error_it_is_and_only_their_run_is_made_again() {
    let evaluation = json!({"retries": 1});
    let look = complete(&[3, 3], Some(&[3, -1]));
    let once = decide(&evaluation, &facts(Some(JUDGE)), &look, 0);
    assert!(matches!(&once.then, Then::Wait(wait) if wait.why.ends_with("counting once more")), "{:?}", once.then);
    let again = known(&decide(&evaluation, &once.facts, &look, 30));
    assert_eq!((again.flow_errors, again.judge_errors, again.answered, again.judged), (Some(0), Some(1), 2, 1));
    let class = &again.classes[0];
    assert_eq!((class.rows, class.ok, class.judge_errors, class.error_rows.as_slice()), (2, 1, 1, &[1][..]));
    assert_eq!((again.base_run.as_deref(), again.judge_run), (Some(BASE), None), "the answers are there");

    let look = complete(&[3, -1], None);
    let once = decide(&evaluation, &facts(None), &look, 0);
    let again = known(&decide(&evaluation, &once.facts, &look, 30));
    assert_eq!((again.flow_errors, again.judge_errors, again.base_run.as_deref()), (Some(1), None, None));
    assert_eq!((again.not_judged, again.classes[0].not_judged), (Some(1), 1), "no judge was asked");
    let spent = Facts { evaluation: Some(EvaluationStatus { retried: Some(1), ..known(&once) }), ..Facts::default() };
    let given_up = decide(&evaluation, &spent, &look, 30);
    assert!(matches!(given_up.then, Then::Ask(Wish::Withdraw(Cause::EvalInfraError), _)), "{:?}", given_up.then);
    assert_eq!((known(&given_up).verdict.as_deref(), known(&given_up).flow_errors), (Some("Error"), Some(1)));
}

#[test]
fn lines_of_the_judge_may_be_late_though_those_of_the_flow_were() {
    let evaluation = json!({"retries": 1});
    let late = decide(&evaluation, &facts(None), &complete(&[3, -1], None), 0);
    let judged = decide(&evaluation, &late.facts, &complete(&[3, 3], None), 60);
    assert!(matches!(judged.then, Then::Do(Step::SubmitJudge)), "{:?}", judged.then);
    let submitted = EvaluationStatus { judge_run: Some(JUDGE.into()), ..known(&judged) };
    let submitted = Facts { evaluation: Some(submitted), ..Facts::default() };
    let late = decide(&evaluation, &submitted, &complete(&[3, 3], Some(&[3, -1])), 120);
    assert!(matches!(&late.then, Then::Wait(wait) if wait.why.ends_with("counting once more")), "{:?}", late.then);
}

#[test]
fn scores_are_no_reason_to_run_again() {
    let low = decide(&json!({"retries": 5}), &facts(Some(JUDGE)), &complete(&[3, 3], Some(&[3, 0])), 0);
    assert!(matches!(low.then, Then::Ask(Wish::Withdraw(Cause::EvalRegression), _)), "{:?}", low.then);
    assert_eq!((known(&low).results[0].failing_rows.as_slice(), known(&low).retried), (&[1][..], None));
}

#[test]
fn repeats_follow_each_other_and_are_judged_together() {
    let evaluation = json!({"repeats": 2});
    // By itself the first repeat fails.
    let first = decide(&evaluation, &facts(Some(JUDGE)), &complete(&[3, 3], Some(&[2, 1])), 0);
    assert_eq!(first.then, Then::Go);
    let after = known(&first);
    assert_eq!((after.base_run, after.judge_run, after.verdict), (None, None, None));
    assert_eq!((after.repeats[0].base_run.as_str(), after.repeats[0].judge_run.as_str()), (BASE, JUDGE));
    assert_eq!(decide(&evaluation, &first.facts, &Look::default(), 1).then, Then::Do(Step::SubmitBase));

    let mut second = first.facts.clone();
    let running = second.evaluation.as_mut().expect("some");
    (running.base_run, running.judge_run) = (Some("eval-1428-r2-1".into()), Some("judge-1428-r2-1".into()));
    let read = |earlier: &[i64]| Look {
        repeats: vec![(scored(&[3, 3]), scored(earlier))],
        ..complete(&[3, 3], Some(&[3, 2]))
    };
    let passed = decide(&evaluation, &second, &read(&[2, 1]), 2);
    assert_eq!((passed.then, passed.facts.gate_open()), (Then::Go, true));
    let result = &passed.facts.evaluation.as_ref().expect("some").results[0];
    assert_eq!((result.value.as_deref(), result.samples, result.failing_rows.as_slice()), (Some("2.000"), 2, &[1][..]));
    for unread in [read(&[2, -1]), complete(&[3, 3], Some(&[3, 2]))] {
        let then = decide(&evaluation, &second, &unread, 2).then;
        assert!(matches!(then, Then::Ask(Wish::Withdraw(Cause::EvalInfraError), _)), "{then:?}");
    }
}

#[test]
fn a_verdict_is_on_the_data_set_that_was_answered_and_on_no_other() {
    let mut facts = facts(Some(JUDGE));
    let on = crate::api::status::VerdictOn { dataset: "other".into(), ..Default::default() };
    facts.evaluation.as_mut().expect("some").verdict_on = Some(on);
    let anew = decide(&json!({}), &facts, &complete(&[3, 3], Some(&[3, 3])), 0);
    let known = known(&anew);
    assert_eq!((known.verdict, known.base_run, known.retried), (None, None, Some(1)));
    assert!(known.retried_for.expect("why").contains("the data set was changed"));
}

#[test]
fn what_serves_is_compared_question_by_question_or_it_is_said_why_not() {
    let dataset = crate::policy::digest::hex8(complete(&[], None).dataset.as_deref().expect("bytes"));
    let on = crate::api::status::VerdictOn { dataset: dataset.clone(), rubric: "r".into(), ..Default::default() };
    let mut facts = facts(Some(JUDGE));
    facts.evaluation.as_mut().expect("some").verdict_on = Some(on);
    let evaluated = |dataset: &str, rubric: &str| {
        let runs = ["judge-1427-1".to_owned()].into();
        let (dataset, rubric) = (dataset.to_owned(), rubric.to_owned());
        let found = crate::api::status::Evaluated {
            dataset,
            rubric,
            judge_runs: runs,
            version: "1427".into(),
            ..Default::default()
        };
        StableSeen { version: Some("1427".into()), evaluated: Some(found), ..StableSeen::default() }
    };
    let found = |stable: &StableSeen, read: Option<compare::Read>| {
        let look = Look { stable: read, ..complete(&[3, 3], Some(&[3, 2])) };
        let decision = beside(Some(stable), &json!({}), &facts, &look, 0);
        assert_eq!(decision.then, Then::Go, "it decides nothing");
        known(&decision).comparison.expect("a comparison")
    };
    let same = evaluated(&dataset, "r");
    let got = found(&same, Some(Ok(vec![scored(&[3, 3])])));
    assert_eq!((got.with.as_deref(), got.note), (Some("1427"), None));
    assert_eq!((got.metrics[0].worse, got.metrics[0].same, got.metrics[0].worse_rows.as_slice()), (1, 1, &[1][..]));
    let never = StableSeen { deployment: "d-bootstrap".into(), ..StableSeen::default() };
    for (stable, read, says) in [
        (&never, None, "no comparison: no evaluation of d-bootstrap is on record here"),
        (&evaluated("other", "r"), None, "no comparison: 1427 was evaluated on another data set"),
        (&evaluated(&dataset, "other"), None, "no comparison: 1427 was judged by another rubric"),
        (&same, Some(Err("GET lines: 404".to_owned())), "no comparison: GET lines: 404"),
        (&same, Some(Ok(vec![scored(&[3])])), "no comparison: the service does not have all scores of 1427 any more"),
    ] {
        let got = found(stable, read);
        assert_eq!((got.note.as_deref(), got.metrics.len()), (Some(says), 0));
    }
}
