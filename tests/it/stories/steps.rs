//! Steps that stories share: how they begin, what Azure plays, and what people look at.

use promptrelease::{
    api::{PromptRelease, PromptReleaseStatus},
    sim,
};
use serde_json::{Value, json};

use super::team::{ENDPOINT, Team};
use crate::ground::{Setup, TEAM, file, wait_for};

/// Nobody takes over in these stories, so a long lease costs no time, and it outlasts the pauses of a busy machine.
pub fn patient() -> Setup {
    Setup::default().flag("--lease", "40s").flag("--lease-deadline", "30s").flag("--lease-call", "5s")
}

/// An endpoint where d-1427 has served since before there was an operator.
pub async fn served_already(name: &str, setup: Setup) -> Team {
    let endpoint = json!({"name": ENDPOINT, "deployments": [{"name": "d-1427"}], "traffic": {"d-1427": 100}});
    Team::begin_in(name, &json!({"endpoints": [endpoint]}), setup).await
}

/// The demo's scenario, but for `change`.
pub fn play(team: &Team, change: impl FnOnce(&mut Value)) {
    let text = std::fs::read_to_string(file("deploy/samples/support-assistant/demo/scenario.yaml"));
    let mut scenario: Value = serde_saphyr::from_str(&text.expect("the demo's scenario")).expect("YAML");
    change(&mut scenario);
    team.story.azure().play(scenario);
}

/// What the content of a version does with the questions of each class.
pub fn classes<'s>(scenario: &'s mut Value, version: &str) -> &'s mut Value {
    let contents = scenario["contents"].as_array_mut().into_iter().flatten();
    let mut named = contents.filter(|content| content["name"].as_str().is_some_and(|name| name.contains(version)));
    &mut named.next().unwrap_or_else(|| panic!("the demo's scenario says nothing of {version}"))["classes"]
}

/// A manifest whose canary lasts longer than a story.
pub fn slow(team: &Team, version: &str) -> Value {
    let mut manifest = team.manifest(version);
    manifest["spec"]["canary"]["steps"] = json!([{"weight": 10, "duration": "10m"}]);
    manifest["spec"]["canary"]["holdTimeout"] = json!("30m");
    manifest
}

/// An endpoint where the canary of 1429 has traffic, and keeps it until somebody does something.
pub async fn mid_canary(name: &str) -> Team {
    mid_canary_with(name, patient()).await
}

pub async fn mid_canary_with(name: &str, setup: Setup) -> Team {
    let team = served_already(name, setup).await;
    team.release_as("1429", &slow(&team, "1429")).await;
    team.canary_has_traffic("1429").await;
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}));
    team
}

pub fn status(release: &PromptRelease) -> PromptReleaseStatus {
    release.status.clone().unwrap_or_default()
}

/// Reason and message of a condition.
pub fn condition(release: &PromptRelease, kind: &str) -> (String, String) {
    let found = status(release).conditions.into_iter().find(|c| c.type_ == kind);
    found.map(|c| (c.reason, c.message)).unwrap_or_default()
}

pub fn ready(release: &PromptRelease) -> (String, String) {
    condition(release, "Ready")
}

pub fn told(release: &PromptRelease, what: &str) -> bool {
    status(release).timeline.iter().any(|line| line.contains(what))
}

/// Returns the page or notice about `reason` when the receiver has accepted it, and so its signature.
pub async fn notice(team: &Team, reason: &str) -> Value {
    wait_for(&format!("a page about {reason}"), async || {
        let inbox = sim::lock(&team.story.azure().sim().webhook);
        let pages: Vec<Value> =
            inbox.deliveries().filter(|d| d.status == 204).filter_map(sim::webhook::Delivery::json).collect();
        pages.iter().find(|page| page["reason"] == reason).cloned().ok_or_else(|| format!("{pages:#?}"))
    })
    .await
}

/// Writes to Azure's management API after request number `since`.
pub fn writes(team: &Team, since: u64) -> Vec<String> {
    let requests = team.story.azure().requests(since).into_iter();
    let writes = requests.filter(|r| r.host.starts_with("management.") && r.method != "GET");
    writes.map(|r| format!("{} {} {}", r.method, r.path, r.why.unwrap_or_default())).collect()
}

/// Returns when a Kubernetes Event begins so and holds this part.
pub async fn event(team: &Team, begins: &str, part: &str) {
    const EACH: &str = "jsonpath={range .items[*]}{.type} {.reason} {.message}{\"\\n\"}";
    wait_for(&format!("an Event: {begins} {part}"), async || {
        let all = kubectl(team, &["get", "events", "-o", EACH]).await;
        if all.lines().any(|event| event.starts_with(begins) && event.contains(part)) { Ok(()) } else { Err(all) }
    })
    .await;
}

pub async fn kubectl(team: &Team, args: &[&str]) -> String {
    team.story.ground().kubectl(&[&["-n", TEAM], args].concat(), "").await
}

pub async fn gone(team: &Team, what: &str) {
    wait_for(&format!("{what} is gone"), async || {
        let found = kubectl(team, &["get", what, "--ignore-not-found", "-o", "yaml"]).await;
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
}

/// A second PromptRelease, which says the same.
pub fn second(manifest: &Value, name: &str) -> Value {
    let mut second = manifest.clone();
    second["metadata"]["name"] = json!(name);
    second
}

/// Returns when Ready of another release says this.
pub async fn other_says(team: &Team, name: &str, wanted: (&str, &str)) {
    wait_for(&format!("{name} says {wanted:?}"), async || {
        let object = team.story.ground().get(TEAM, &format!("promptrelease/{name}")).await;
        let release: PromptRelease = serde_json::from_value(object).expect("a PromptRelease");
        let (reason, message) = ready(&release);
        if (reason.as_str(), message.as_str()) == wanted { Ok(()) } else { Err(format!("{reason}: {message}")) }
    })
    .await;
}
