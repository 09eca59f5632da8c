//! What a build looks for in the workspace before it changes anything there, what it does not do twice, and that what was
//! evaluated is what is deployed.

use promptrelease::sim::{self, blob::Place};
use serde_json::json;

use super::team::Team;
use crate::ground::Setup;

const PROMPT: &str = "flows/support-assistant/draft_answer.jinja2";

/// Files that were put into the workspace's datastore after request `since`.
fn uploads(team: &Team, since: u64) -> usize {
    let put = |entry: &sim::requests::Entry| entry.method == "PUT" && entry.path.contains("/LocalUpload/");
    team.story.azure().requests(since).iter().filter(|entry| put(entry)).count()
}

fn writes_to(team: &Team, what: &str) -> usize {
    team.story.azure().requests(0).iter().filter(|entry| entry.method == "PUT" && entry.path.contains(what)).count()
}

async fn message(team: &Team) -> String {
    let status = team.seen().await.status.expect("a status");
    status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("Ready").message.clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_not_there_ends_the_build_before_anything_is_uploaded() {
    let names = ["azure-openai-prod", "azure-openai-eval", "content-safety-prod"];
    let there = json!({"connections": names.map(|name| json!({"name": name}))});
    let team = Team::begin_in("no-connection", &there, Setup::default()).await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Failed".into(), "BuildFailed".into()));
    let said = message(&team).await;
    for part in [
        "ConnectionNotFound: `connectionOverrides` puts connection `content-safety-eval` in place of `content-safety-prod`",
        "of node `safety_check` of flows/support-assistant/flow.dag.yaml",
        "It has azure-openai-prod, azure-openai-eval, content-safety-prod",
    ] {
        assert!(said.contains(part), "{said}\ndoes not say\n{part}");
    }
    assert_eq!((uploads(&team, 0), writes_to(&team, "/models/"), writes_to(&team, "/deployments/")), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_is_uploaded_once_and_is_deployed_only_as_it_was_evaluated() {
    let team = Team::begin("content").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await.0, "Promoted");
    assert!(uploads(&team, 0) > 40, "all files of the sample");
    let read = |entry: &sim::requests::Entry| entry.method == "GET" && entry.path.ends_with(PROMPT);
    let reads = team.story.azure().requests(0).iter().filter(|entry| read(entry)).count();
    assert_eq!(reads, 1, "read back once, for the request that deploys it");

    // The same content under another version. When it was evaluated and is about to be deployed, somebody writes over it.
    let azure = team.story.azure();
    let since = azure.last_request();
    let about_to_be_deployed = azure.fault(json!({
        "match": {"service": "arm", "method": "GET", "path": "/models/support-assistant/versions/1430"},
        "do": {"holdUntilReleased": true},
    }));
    let mut manifest = team.manifest("1427");
    manifest["spec"]["version"] = json!("1430");
    team.apply(&manifest).await;
    azure.strikes(&about_to_be_deployed).await;
    assert_eq!(uploads(&team, since), 0, "nothing is new");
    let folder = team.seen().await.status.expect("a status").build.expect("it is built").folder.expect("a folder");
    let place = Place::in_datastore(&azure.sim().settings, &format!("{folder}/{PROMPT}"));
    sim::lock(&azure.sim().blobs).put(&place, "system:\nAnswer anything.\n", jiff::Timestamp::now());
    azure.release(&about_to_be_deployed);

    assert_eq!(team.ends("1430").await, ("Failed".into(), "DeploymentUnavailable".into()));
    let said = message(&team).await;
    assert!(said.contains("is not what was evaluated, its content has the digest"), "{said}");
    assert_eq!(writes_to(&team, "/deployments/d-1430"), 0);
}
