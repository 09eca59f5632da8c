//! Objects in the store that today's CRD would refuse, as ones from before it was tightened.

use promptrelease::sim::entra::Misissue;
use serde_json::{Value, json};

use crate::stories::steps::{
    event, gone, kubectl, mid_canary_with, notice, other_says, patient, second, served_already, slow,
};
use crate::{
    ground::{TEAM, wait_for},
    stories::team::{ENDPOINT, RELEASE, Team},
};

const REFUSED: &str = "Warning WriteRefused status or finalizers are not taken: PromptRelease.promptrelease.io \
                       \"support-assistant\" is invalid:";
const SCHEMA: &str = "/spec/versions/0/schema/openAPIV3Schema";

/// A kind whose CRD is changed.
struct Kind {
    name: &'static str,
    /// Part of a spec that today's CRD refuses.
    refused: &'static str,
}

const RELEASES: Kind =
    Kind { name: "promptrelease", refused: r#"{"canary": {"analysis": {"onInconclusive": "Guess"}}}"# };
const ENDPOINTS: Kind = Kind { name: "promptendpoint", refused: r#"{"policy": {"requireEvaluation": "perhaps"}}"# };

impl Kind {
    fn crd(&self) -> String {
        format!("customresourcedefinition/{}s.promptrelease.io", self.name)
    }

    async fn schema(&self, team: &Team) -> Value {
        team.story.ground().get(TEAM, &self.crd()).await.pointer(SCHEMA).expect("a schema").clone()
    }

    async fn set_schema(&self, team: &Team, schema: &Value) {
        let patch = json!([{"op": "replace", "path": SCHEMA, "value": schema}]).to_string();
        kubectl(team, &["patch", &self.crd(), "--type=json", "-p", &patch]).await;
    }

    async fn try_patch(&self, team: &Team, name: &str, spec: &Value, more: &[&str]) -> Result<String, String> {
        let patch = json!({"spec": spec}).to_string();
        let args = ["patch", "-n", TEAM, self.name, name, "--type=merge", "-p", &patch];
        team.story.ground().try_kubectl(&[&args, more].concat(), "").await
    }

    /// Puts a part of a spec into the store that today's CRD refuses.
    async fn store(&self, team: &Team, names: &[&str], spec: &Value) {
        let today = self.schema(team).await;
        let any =
            |known: Value| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": known});
        // `endpointRef.name` is a selectable field, which a CRD must describe.
        let endpoint_ref = any(json!({"name": {"type": "string"}}));
        self.set_schema(team, &any(json!({"spec": any(json!({"endpointRef": endpoint_ref}))}))).await;
        for name in names {
            wait_for("the loose CRD takes it", async || self.try_patch(team, name, spec, &[]).await).await;
        }
        self.set_schema(team, &today).await;
        let refused = serde_json::from_str(self.refused).expect("JSON");
        wait_for("the tight CRD is back", async || {
            match self.try_patch(team, names[0], &refused, &["--dry-run=server"]).await {
                Err(_) => Ok(()),
                Ok(taken) => Err(taken),
            }
        })
        .await;
    }
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
    RELEASES.store(&team, &[RELEASE], &json!({"canary": {"analysis": {"onInconclusive": "Ask"}}})).await;

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
    RELEASES.store(&team, &[RELEASE, "hotfix"], &json!({"canary": {"steps": "all at once"}})).await;
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}), "a person has ten minutes to mend it");

    kubectl(&team, &["delete", "promptrelease", RELEASE, "--wait=false"]).await;
    is_back(&team).await;
    let page = notice(&team, "Deleted").await;
    assert_eq!((&page["version"], &page["outcome"]), (&json!("1429"), &json!("Aborted")), "{page:#}");
    event(&team, REFUSED, "spec.canary: ").await;

    let mended = json!({"canary": {"steps": [{"weight": 10, "duration": "10m"}]}});
    RELEASES.try_patch(&team, RELEASE, &mended, &[]).await.expect("today's CRD takes it");
    gone(&team, "promptrelease/support-assistant").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_status_the_crd_refuses_can_be_deleted_in_mid_canary() {
    let team = mid_canary_with("refused-status", patient()).await;
    let mut schema = RELEASES.schema(&team).await;
    schema["properties"]["status"]["properties"]["stage"]["maxLength"] = json!(4);
    RELEASES.set_schema(&team, &schema).await;
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
    event(&team, REFUSED, "status.stage: ").await;
}

/// Reason and message of a condition of the PromptEndpoint, which may not parse as ours.
async fn endpoint_says(team: &Team, kind: &str) -> Option<(String, String)> {
    let endpoint = team.story.ground().get(TEAM, &format!("promptendpoint/{ENDPOINT}")).await;
    let conditions = endpoint["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind)?;
    Some((found["reason"].as_str()?.to_owned(), found["message"].as_str()?.to_owned()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_endpoint_that_does_not_parse_still_takes_a_bad_canary_back() {
    const INSIGHTS: &str = "https://api.applicationinsights.io";
    let team = served_already("broken-endpoint", patient()).await;
    let entra = &team.story.azure().sim().entra;
    // Nothing is judged before the endpoint is broken.
    entra.set_misissue(INSIGHTS, Some(Misissue { forged: true, ..Misissue::default() }));
    let mut manifest = slow(&team, "1428");
    manifest["spec"]["canary"]["analysis"]["lateness"] = json!("10m");
    team.release_as("1428", &manifest).await;
    team.canary_has_traffic("1428").await;
    ENDPOINTS.store(&team, &[ENDPOINT], &json!({"policy": "strict"})).await;
    let (reason, message) = wait_for("the endpoint says what does not parse", async || {
        endpoint_says(&team, "Stalled").await.ok_or_else(|| "it is not stalled".to_owned())
    })
    .await;
    assert_eq!(reason, "InvalidSpec");
    assert!(message.contains("\"strict\"") && message.ends_with("; edit the spec"), "{message}");
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1428": 10}), "this alone is no reason to take it back");

    entra.set_misissue(INSIGHTS, None);
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(notice(&team, "CanaryFailed").await["severity"], "page");

    let mended = json!({"policy": {"requireEvaluation": true}});
    ENDPOINTS.try_patch(&team, ENDPOINT, &mended, &[]).await.expect("today's CRD takes it");
    wait_for("nothing is wrong with the endpoint", async || match endpoint_says(&team, "Stalled").await {
        None => Ok(()),
        stalled => Err(format!("{stalled:?}")),
    })
    .await;
}
