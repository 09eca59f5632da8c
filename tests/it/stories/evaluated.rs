//! What an evaluation may use, how often its runs are made, and where its results go.

use serde_json::{Value, json};

use super::{
    steps::{classes, play, served_already},
    team::Team,
};
use crate::ground::{Setup, wait_for};

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
