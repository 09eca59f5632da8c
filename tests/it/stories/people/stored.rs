//! Objects in the store that today's CRD would refuse, as ones from before it was tightened.

use serde_json::{Value, json};

use super::steps::{event, gone, kubectl, mid_canary_with, notice, other_says, patient, second};
use crate::{
    ground::{TEAM, wait_for},
    stories::team::{ENDPOINT, RELEASE, Team},
};

const CRD: &str = "customresourcedefinition/promptreleases.promptrelease.io";
const REFUSED: &str = "Warning WriteRefused status or finalizers are not taken: PromptRelease.promptrelease.io \
                       \"support-assistant\" is invalid:";
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

async fn set_schema(team: &Team, schema: &Value) {
    let patch = json!([{"op": "replace", "path": SCHEMA, "value": schema}]).to_string();
    kubectl(team, &["patch", CRD, "--type=json", "-p", &patch]).await;
}

async fn try_patch(team: &Team, release: &str, spec: &Value, more: &[&str]) -> Result<String, String> {
    let patch = json!({"spec": spec}).to_string();
    let args = ["patch", "-n", TEAM, "promptrelease", release, "--type=merge", "-p", &patch];
    team.story.ground().try_kubectl(&[&args, more].concat(), "").await
}

/// Puts a part of a spec into the store that today's CRD refuses.
async fn store(team: &Team, releases: &[&str], spec: &Value) {
    let crd = team.story.ground().get(TEAM, CRD).await;
    let today = crd.pointer(SCHEMA).expect("a schema");
    let any =
        |known: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": known});
    // `endpointRef.name` is a selectable field, which a CRD must describe.
    let endpoint_ref = any(json!({"name": {"type": "string"}}));
    set_schema(team, &any(json!({"spec": any(json!({"endpointRef": endpoint_ref}))}))).await;
    for release in releases {
        wait_for("the loose CRD takes it", async || try_patch(team, release, spec, &[]).await).await;
    }
    set_schema(team, today).await;
    let refused = json!({"canary": {"analysis": {"onInconclusive": "Guess"}}});
    wait_for("the tight CRD is back", async || {
        match try_patch(team, releases[0], &refused, &["--dry-run=server"]).await {
            Err(_) => Ok(()),
            Ok(taken) => Err(taken),
        }
    })
    .await;
}

/// Returns when the traffic is back.
async fn is_back(team: &Team) {
    wait_for("the traffic is back", async || {
        let live = team.live();
        if live == json!({"d-1427": 100}) { Ok(()) } else { Err(live.to_string()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_release_that_does_not_parse_loses_its_traffic_and_stops_no_other() {
    let team = mid_canary_with("broken-release", patient().flag("--unreadable", "3s")).await;
    store(&team, &[RELEASE], &json!({"canary": {"analysis": {"onInconclusive": "Ask"}}})).await;

    let page = notice(&team, "InvalidSpec").await;
    assert_eq!((&page["version"], &page["blame"]), (&json!("1429"), &json!("Release")), "{page:#}");
    let told = wait_for("Ready says what does not parse", async || {
        let release = team.story.ground().get(TEAM, &format!("promptrelease/{RELEASE}")).await;
        let conditions = release["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|c| c["type"] == "Ready").unwrap_or_default();
        if ready["reason"] == "InvalidSpec" { Ok(ready) } else { Err(format!("{ready:#}")) }
    })
    .await;
    assert!(told["message"].as_str().is_some_and(|message| message.contains("Ask")), "{told:#}");
    is_back(&team).await;

    let mut lost = second(&team.manifest("1427"), "lost");
    lost["spec"]["endpointRef"]["name"] = json!("nowhere");
    team.apply(&lost).await;
    let nowhere = "EndpointNotFound: PromptEndpoint nowhere does not exist in namespace assistant";
    other_says(&team, "lost", ("EndpointNotFound", nowhere)).await;

    kubectl(&team, &["delete", "promptrelease", RELEASE, "--timeout=20s"]).await;
    gone(&team, "promptrelease/support-assistant").await;
}

/// Where a rule of the CRD meets a value of the wrong type, the API server takes no change of the object at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_release_of_the_wrong_type_that_is_deleted_loses_its_traffic_and_goes_when_it_is_mended() {
    let team = mid_canary_with("wrong-type", patient().flag("--unreadable", "600s")).await;
    // Another one that waits for the same endpoint is as broken, which holds nobody up either.
    team.apply(&second(&team.manifest("1429"), "hotfix")).await;
    let claimed =
        format!("EndpointClaimed: PromptRelease {RELEASE} already releases to {ENDPOINT}; an endpoint has one");
    other_says(&team, "hotfix", ("EndpointClaimed", &claimed)).await;
    store(&team, &[RELEASE, "hotfix"], &json!({"canary": {"steps": "all at once"}})).await;
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}), "a person has ten minutes to mend it");

    kubectl(&team, &["delete", "promptrelease", RELEASE, "--wait=false"]).await;
    is_back(&team).await;
    let page = notice(&team, "Deleted").await;
    assert_eq!((&page["version"], &page["outcome"]), (&json!("1429"), &json!("Aborted")), "{page:#}");
    event(&team, &format!("{REFUSED} spec.canary: ")).await;

    let mended = json!({"canary": {"steps": [{"weight": 10, "duration": "10m"}]}});
    try_patch(&team, RELEASE, &mended, &[]).await.expect("today's CRD takes it");
    gone(&team, "promptrelease/support-assistant").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_status_the_crd_refuses_can_be_deleted_in_mid_canary() {
    let team = mid_canary_with("refused-status", patient()).await;
    let today = team.story.ground().get(TEAM, CRD).await;
    let mut schema = today.pointer(SCHEMA).expect("a schema").clone();
    schema["properties"]["status"]["properties"]["stage"]["maxLength"] = json!(4);
    set_schema(&team, &schema).await;
    let stage = json!({"status": {"stage": "RollingBack"}}).to_string();
    let args = ["patch", "-n", TEAM, "promptrelease", RELEASE, "--subresource=status", "--type=merge", "-p", &stage];
    wait_for("the CRD refuses the next stage", async || {
        match team.story.ground().try_kubectl(&[&args[..], &["--dry-run=server"]].concat(), "").await {
            Err(_) => Ok(()),
            Ok(taken) => Err(taken),
        }
    })
    .await;

    kubectl(&team, &["delete", "promptrelease", RELEASE, "--wait=false"]).await;
    gone(&team, "promptrelease/support-assistant").await;
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let page = notice(&team, "Deleted").await;
    assert_eq!((&page["version"], &page["outcome"]), (&json!("1429"), &json!("Aborted")), "{page:#}");
    event(&team, &format!("{REFUSED} [status.stage: ")).await;
}
