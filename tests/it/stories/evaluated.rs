//! What an evaluation may use, how often its runs are made, what it is compared with, and where its results go.

mod recalled;
mod retried;

use std::collections::BTreeMap;

use jiff::Timestamp;
use promptrelease::{
    api::PromptRelease,
    sim::{self, insights},
};
use serde_json::{Value, json};

use super::{
    intact::replace,
    steps::{classes, condition, play, served_already, status, told},
    team::{ENDPOINT, RELEASE, Team},
};
use crate::ground::{Setup, TEAM, wait_for};

/// Runs that were submitted.
fn submitted(team: &Team) -> usize {
    let requests = team.story.azure().requests(0);
    requests.iter().filter(|r| r.method == "POST" && r.path.contains("BulkRuns/submit")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_connection_is_refused_before_a_run_is_submitted() {
    let team = served_already("protected", Setup::default()).await;
    let before = submitted(&team);
    let mut manifest = team.manifest("1428");
    let overrides = manifest["spec"]["evaluation"]["promptFlow"]["connectionOverrides"].as_array_mut().expect("two");
    overrides.retain(|line| line["from"] != "content-safety-prod");
    team.release_as("1428", &manifest).await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "PolicyViolation".into()));
    let release = team.seen().await;
    let message = release.status.as_ref().and_then(|s| s.history.first()).and_then(|h| h.message.clone());
    let message = message.expect("a message");
    assert!(message.contains("would use content-safety-prod; add `{from: content-safety-prod, to: "), "{message}");
    assert_eq!(submitted(&team), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_question_may_be_asked_several_times_and_the_results_are_in_application_insights() {
    let team = served_already("repeats", Setup::default()).await;
    play(&team, |scenario| classes(scenario, "1428")["multi_hop"]["offline"] = json!({"groundedness": [3, 3, 2]}));
    let mut manifest = team.manifest("1428");
    manifest["spec"]["evaluation"]["repeats"] = json!(2);
    team.release_as("1428", &manifest).await;
    assert_eq!(team.ends("1428").await, ("Rejected".into(), "EvalRegression".into()));
    let evaluation = team.seen().await.status.and_then(|s| s.evaluation).expect("an evaluation");
    assert_eq!(evaluation.repeats.len(), 1, "and the last one");
    assert!(evaluation.base_run.as_deref().is_some_and(|run| run.starts_with("eval-1428-r2-")), "{evaluation:#?}");
    let result = evaluation.results.iter().find(|r| r.class == "multi_hop" && r.metric == "groundedness");
    let result = result.expect("judged");
    assert_eq!((result.samples, result.failing, result.value.as_deref()), (17, Some(5), Some("2.706")));
    let comparison = evaluation.comparison.expect("said");
    assert!(comparison.note.is_some_and(|note| note.starts_with("no comparison: no evaluation of d-1427 ")));
    wait_for("the results are sent", async || {
        let requests = team.story.azure().requests(0);
        let sent = requests.iter().find(|r| r.method == "POST" && r.path == "/v2.1/track" && r.status == Some(200));
        let paths: Vec<Value> = requests.iter().rev().take(5).map(|r| json!([r.path, r.status])).collect();
        sent.map(|_| ()).ok_or_else(|| format!("{paths:?}"))
    })
    .await;
}

/// All that Application Insights was sent about evaluations.
fn results(team: &Team) -> Vec<insights::Event> {
    let insights = sim::lock(&team.story.azure().sim().insights);
    insights.visible(Timestamp::MAX).filter(|event| event.name == "promptrelease.evaluation").cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_that_are_sent_twice_by_a_restart_are_told_apart_by_their_id() {
    let mut team = served_already("results", Setup::default()).await;
    play(&team, |scenario| classes(scenario, "1428")["multi_hop"]["offline"] = json!({"groundedness": [3, 3, 2]}));
    let taken = json!({"lose": "reply", "holdReplyMs": 1000});
    let taken = team.story.azure().fault(json!({"match": {"method": "POST", "path": "/v2.1/track"}, "do": taken}));
    team.release("1428").await;
    team.story.azure().strikes(&taken).await;
    replace(&mut team, "operator-2").await;
    assert_eq!(team.ends("1428").await, ("Rejected".into(), "EvalRegression".into()));

    let sent = results(&team);
    let mut by_id: BTreeMap<String, Vec<&insights::Event>> = BTreeMap::new();
    for event in &sent {
        by_id.entry(event.dimensions["eventId"].as_str().expect("an id").to_owned()).or_default().push(event);
    }
    let evaluation = status(&team.seen().await).evaluation.expect("an evaluation");
    assert_eq!((by_id.len(), sent.len()), (5, 10), "a class each, by both operators: {by_id:#?}");
    for (id, events) in &by_id {
        let same = |event: &&insights::Event| (event.dimensions.clone(), event.measurements.clone());
        assert!(events.iter().map(same).all(|event| event == same(&events[0])), "{id}: {events:#?}");
    }
    let multi_hop = sent.iter().find(|event| event.dimensions["class"] == "multi_hop").expect("a class");
    let wanted = json!({
        "namespace": TEAM, "release": RELEASE, "endpoint": ENDPOINT, "version": "1428", "verdict": "Fail", "attempt": "1",
        "baseRun": evaluation.base_run, "judgeRun": evaluation.judge_run, "evaluatedAs": "1428",
        "verdictKey": evaluation.verdict_on.expect("known").key,
    });
    for (name, value) in wanted.as_object().expect("an object") {
        assert_eq!(&multi_hop.dimensions[name], value, "{name}");
    }
    let numbers = json!({
        "rows": 17.0, "ok": 17.0, "flowErrors": 0.0, "judgeErrors": 0.0, "notJudged": 0.0, "groundedness": 2.706,
        "groundedness.minimum": 2.85, "groundedness.failing": 5.0, "citation_correctness": 1.0,
        "citation_correctness.minimum": 0.9, "citation_correctness.failing": 0.0,
    });
    assert_eq!(*multi_hop.measurements, numbers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_released_is_compared_with_what_serves_question_by_question() {
    let team = Team::begin("compared").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await.0, "Promoted");
    let (_, message) = condition(&team.seen().await, "EvaluationPassed");
    assert!(!message.contains("against"), "nothing served before it: {message}");

    play(&team, |scenario| classes(scenario, "1428")["multi_hop"]["offline"] = json!({"groundedness": 1}));
    let mut manifest = team.manifest("1428");
    for criterion in manifest["spec"]["criteria"].as_array_mut().expect("criteria") {
        criterion["minimum"] = json!(0.5);
    }
    team.release_as("1428", &manifest).await;
    let passed = |release: &PromptRelease| {
        let version = status(release).revision.map(|revision| revision.version);
        version.as_deref() == Some("1428") && condition(release, "EvaluationPassed").0 == "AllCriteriaMet"
    };
    let release = team.until("1428 passes", passed).await;
    let comparison = status(&release).evaluation.and_then(|known| known.comparison).expect("compared");
    assert_eq!((comparison.with.as_deref(), comparison.note), (Some("1427"), None));
    let differs = comparison.metrics.iter().find(|differs| differs.metric == "groundedness").expect("compared");
    assert_eq!((differs.worse, differs.worse + differs.same + differs.better), (17, 84), "of those with a criterion");
    assert_eq!(differs.worse_rows.len(), 10, "the worst");
    // What chance does not explain is in the condition, everything else in the timeline.
    let (_, message) = condition(&release, "EvaluationPassed");
    assert!(message.ends_with(&format!("; against 1427: groundedness worse (p={})", differs.p)), "{message}");
    assert!(message.len() < 256, "{message}");
    let counts = format!("{} better, 17 worse, {} same (p={})", differs.better, differs.same, differs.p);
    assert!(told(&release, &format!("; against 1427: groundedness {counts}")), "{:#?}", status(&release).timeline);
}
