//! Instances follow the spec of the version that serves, and of no other.

use serde_json::{Value, json};

use super::{
    steps::{classes, play, status, writes},
    team::{ENDPOINT, Team},
};
use crate::ground::wait_for;

/// Instances of a deployment, as Azure has them.
fn instances(team: &Team, deployment: &str) -> Value {
    let arm = team.story.azure().arm();
    let endpoints = arm["endpoints"].as_array().into_iter().flatten().filter(|e| e["name"] == ENDPOINT);
    let mut found = endpoints.flat_map(|e| e["deployments"].as_array().into_iter().flatten());
    found.find(|d| d["name"] == deployment).map(|d| d["instances"].clone()).unwrap_or_default()
}

/// Writes of the number of instances after request number `since`.
fn scalings(team: &Team, since: u64) -> Vec<String> {
    let patches = writes(team, since).into_iter().filter(|write| write.starts_with("PATCH "));
    patches.map(|write| write.trim_end().rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

fn sized(team: &Team, version: &str, instances: i64) -> Value {
    let mut manifest = team.manifest(version);
    manifest["spec"]["instanceCount"] = json!(instances);
    manifest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stable_is_scaled_by_an_edit_of_its_own_version_and_never_by_a_release_that_was_refused() {
    let team = Team::begin("instances").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await.0, "Promoted");
    assert_eq!(instances(&team, "d-1427"), json!(2));

    let since = team.story.azure().last_request();
    team.apply(&sized(&team, "1427", 4)).await;
    let scaled = async || match instances(&team, "d-1427") {
        four if four == json!(4) => Ok(()),
        other => Err(format!("{other}")),
    };
    wait_for("d-1427 has 4 instances", scaled).await;
    assert_eq!(scalings(&team, since), ["d-1427"], "once");

    let since = team.story.azure().last_request();
    play(&team, |scenario| classes(scenario, "1428")["multi_hop"]["offline"] = json!({"groundedness": [3, 3, 2]}));
    team.release_as("1428", &sized(&team, "1428", 1)).await;
    assert_eq!(team.ends("1428").await, ("Rejected".into(), "EvalRegression".into()));
    // A pass tells that it has seen an edit after it has written what it wanted.
    team.apply(&sized(&team, "1428", 3)).await;
    team.until("the edit is seen", |release| status(release).observed_generation == release.metadata.generation).await;
    assert_eq!(scalings(&team, since), Vec::<String>::new());
    assert_eq!((instances(&team, "d-1427"), team.live()), (json!(4), json!({"d-1427": 100})));
}
