//! Two PromptEndpoints that name the same online endpoint: one writes, the other is told, and a person hands it over.

use promptrelease::api::{PromptEndpoint, PromptRelease};
use serde_json::json;

use super::{
    steps::{mid_canary, second, slow, status, writes},
    team::{ENDPOINT, Team},
};
use crate::ground::{MANIFESTS, TEAM, objects, wait_for};

/// Name of the second PromptEndpoint and of its release.
const COPY: &str = "copy";

/// The owner that the tag on the online endpoint names.
fn owner(team: &Team) -> String {
    let arm = team.story.azure().arm();
    let found = arm["endpoints"].as_array().into_iter().flatten().find(|endpoint| endpoint["name"] == ENDPOINT);
    let tag = found.and_then(|endpoint| endpoint["tags"]["promptrelease.owner"].as_str());
    tag.unwrap_or_default().to_owned()
}

/// Returns the message of the PromptEndpoint's condition Ready when it has this reason.
async fn endpoint_says(team: &Team, name: &str, reason: &str) -> String {
    wait_for(&format!("Ready of {name} says {reason}"), async || {
        let object = team.story.ground().get(TEAM, &format!("promptendpoint/{name}")).await;
        let endpoint: PromptEndpoint = serde_json::from_value(object).expect("a PromptEndpoint");
        let conditions = endpoint.status.map(|status| status.conditions).unwrap_or_default();
        let found = conditions.iter().find(|c| c.type_ == "Ready" && c.reason == reason);
        found.map(|c| c.message.clone()).ok_or_else(|| format!("{conditions:#?}"))
    })
    .await
}

async fn copys_release(team: &Team) -> PromptRelease {
    let object = team.story.ground().get(TEAM, &format!("promptrelease/{COPY}")).await;
    serde_json::from_value(object).expect("a PromptRelease")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_endpoint_of_the_same_name_in_azure_writes_nothing_until_it_is_handed_over() {
    let team = mid_canary("two-owners").await;
    let first = owner(&team);
    assert!(first.ends_with(&format!("/{TEAM}/{ENDPOINT}")), "{first}");
    let since = team.story.azure().last_request();

    let mut endpoint = objects(&format!("{MANIFESTS}/demo/endpoint.yaml")).remove(0);
    endpoint["metadata"]["name"] = json!(COPY);
    team.apply(&endpoint).await;
    let mut release = second(&slow(&team, "1428"), COPY);
    release["spec"]["endpointRef"]["name"] = json!(COPY);
    team.release_as("1428", &release).await;
    let message = endpoint_says(&team, COPY, "OtherOwner").await;
    assert!(message.starts_with(&format!("the endpoint belongs to {first}; nothing is written")), "{message}");
    let command = format!("promptrelease.io/take-over={first}");
    assert!(message.contains(&command), "{message}");
    wait_for("the copy's release is told", async || {
        let seen = copys_release(&team).await;
        let conditions = status(&seen).conditions;
        let ready = conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.message.clone());
        ready.filter(|message| message.contains(&first)).ok_or_else(|| format!("{conditions:#?}"))
    })
    .await;
    assert_eq!(status(&copys_release(&team).await).history, [], "no attempt of its own");

    // The first one's canary goes on as if nothing had been, and so does the way back.
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}));
    assert_eq!(writes(&team, since), Vec::<String>::new());
    team.annotate("promptrelease/support-assistant", "promptrelease.io/abort=1429").await;
    assert_eq!(team.ends("1429").await, ("RolledBack".into(), "AbortRequested".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(owner(&team), first);

    team.annotate(&format!("promptendpoint/{COPY}"), &command).await;
    wait_for("the copy's canary has traffic", async || match team.live() {
        live if live == json!({"d-1427": 90, "d-1428": 10}) => Ok(()),
        live => Err(format!("{live:#}\n{:#?}", copys_release(&team).await.status)),
    })
    .await;
    assert_eq!(owner(&team), first.replace(&format!("/{ENDPOINT}"), &format!("/{COPY}")));
    let message = endpoint_says(&team, ENDPOINT, "OtherOwner").await;
    assert!(message.contains(&owner(&team)), "{message}");
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1428": 10}), "who handed over changes nothing any more");
}
