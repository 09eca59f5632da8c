//! An object in the store that today's CRD would refuse.

use serde_json::{Value, json};

use super::steps::{gone, kubectl, mid_canary_with, notice, other_says, patient, second};
use crate::{
    ground::{TEAM, wait_for},
    stories::team::{RELEASE, Team},
};

/// Puts a spec into the store that today's CRD refuses, as one from before the CRD was tightened.
async fn store_broken_spec(team: &Team) {
    const CRD: &str = "customresourcedefinition/promptreleases.promptrelease.io";
    const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";
    let crd = team.story.ground().get(TEAM, CRD).await;
    let schema = crd.pointer(SCHEMA).expect("a schema");
    let set = async |schema: &Value| {
        let patch = json!([{"op": "replace", "path": SCHEMA, "value": schema}]).to_string();
        kubectl(team, &["patch", CRD, "--type=json", "-p", &patch]).await;
    };
    let any =
        |known: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": known});
    // `endpointRef.name` is a selectable field, which a CRD must describe.
    let endpoint_ref = any(json!({"name": {"type": "string"}}));
    set(&any(json!({"spec": any(json!({"endpointRef": endpoint_ref}))}))).await;
    let broken = json!({"spec": {"canary": {"analysis": {"onInconclusive": "Ask"}}}}).to_string();
    let patch = ["patch", "-n", TEAM, "promptrelease", RELEASE, "--type=merge", "-p"];
    let loose = async || team.story.ground().try_kubectl(&[&patch[..], &[&broken]].concat(), "").await;
    wait_for("the loose CRD takes it", loose).await;
    set(schema).await;
    let another = json!({"spec": {"canary": {"analysis": {"onInconclusive": "Guess"}}}}).to_string();
    let tight = [&patch[..], &[&another, "--dry-run=server"]].concat();
    wait_for("the tight CRD is back", async || match team.story.ground().try_kubectl(&tight, "").await {
        Err(_) => Ok(()),
        Ok(taken) => Err(taken),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_release_that_does_not_parse_loses_its_traffic_and_stops_no_other() {
    let team = mid_canary_with("broken-release", patient().flag("--unreadable", "3s")).await;
    store_broken_spec(&team).await;

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
    assert_eq!(team.live(), json!({"d-1427": 100}));

    let mut lost = second(&team.manifest("1427"), "lost");
    lost["spec"]["endpointRef"]["name"] = json!("nowhere");
    team.apply(&lost).await;
    let nowhere = "EndpointNotFound: PromptEndpoint nowhere does not exist in namespace assistant";
    other_says(&team, "lost", ("EndpointNotFound", nowhere)).await;

    kubectl(&team, &["delete", "promptrelease", RELEASE, "--timeout=20s"]).await;
    gone(&team, "promptrelease/support-assistant").await;
}
