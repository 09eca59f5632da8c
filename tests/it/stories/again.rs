//! What goes away and comes back: objects that were deleted and made again, and endpoints that are to be forgotten.

use serde_json::json;

use super::{steps::mid_canary_with, team::Team};
use crate::ground::{MANIFESTS, Setup, TEAM};

/// Requests that make something in the workspace: deployments, runs, models, environments.
fn made(team: &Team) -> usize {
    let requests = team.story.azure().requests(0);
    requests
        .iter()
        .filter(|r| r.path.contains("BulkRuns/submit") || r.method == "PUT" && r.path.contains("/versions/"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_made_again_with_its_endpoint_finds_itself_live() {
    let team = Team::begin("made-again").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await.0, "Promoted");
    let before = made(&team);
    let ground = team.story.ground();
    ground.kubectl(&["delete", "-n", TEAM, "promptrelease,promptendpoint", "--all", "--timeout=60s"], "").await;
    assert_eq!(team.live(), json!({"d-1427": 100}), "a promoted release touches nothing when it goes");

    ground.apply(&format!("{MANIFESTS}/demo/endpoint.yaml")).await;
    team.apply(&team.manifest("1427")).await;
    let release = team
        .until("Ready says AlreadyLive", |release| {
            let conditions = release.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True" && c.reason == "AlreadyLive")
        })
        .await;
    let stable = release.status.and_then(|status| status.stable).expect("what serves");
    assert_eq!((stable.deployment.as_str(), stable.version.as_deref()), ("d-1427", Some("1427")));
    assert_eq!(made(&team), before, "nothing was built or evaluated again");
    assert_eq!(team.live(), json!({"d-1427": 100}));

    // And it is a stable like any other.
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_whose_azure_is_gone_for_good_goes_when_a_person_says_so() {
    let team = mid_canary_with("forgotten", Setup::default()).await;
    let all = json!({"match": {"service": "arm"}, "times": 0, "do": {"answer": {"status": 503}}});
    let all = team.story.azure().fault(all);
    let ground = team.story.ground();
    ground.kubectl(&["delete", "-n", TEAM, "promptendpoint", "--all", "--wait=false"], "").await;
    team.story.azure().strikes(&all).await;
    let endpoint = team.endpoint().await;
    assert!(endpoint.metadata.deletion_timestamp.is_some(), "it stays as long as its canary has traffic");

    team.annotate("promptendpoint/support-assistant-prod", "promptrelease.io/forget=true").await;
    ground.kubectl(&["wait", "--for=delete", "-n", TEAM, "promptendpoint", "--all", "--timeout=60s"], "").await;
    ground.kubectl(&["delete", "-n", TEAM, "promptrelease", "--all", "--timeout=60s"], "").await;
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}), "its traffic stays as it is");
}
