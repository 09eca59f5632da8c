//! When a person is needed though nothing has ended, and what keeps a release from users until somebody has acted.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    page::{all, received},
    steps::{classes, condition, mid_canary_with, notice, play, ready, served_already},
    team::{ENDPOINT, RELEASE, Team},
};
use crate::ground::{Setup, TEAM, wait_for};

/// Complete, so that it works in a shell that was set up for nothing.
const BY_HAND: &str = "By hand: az ml online-endpoint update --subscription 7f0c2a51-4a0b-4d3e-9c61-2b1f8d0e6a34 -g \
                       rg-assistant-prod-eus2 -w mlw-assistant-prod -n support-assistant-prod --traffic d-1427=100";

/// Returns when the release's condition Ready has this reason; its message.
async fn ready_says(team: &Team, wanted: &str) -> String {
    let release = team.until(&format!("Ready says {wanted}"), |release| ready(release).0 == wanted).await;
    ready(&release).1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_that_azure_refuses_is_paged_with_what_to_do_by_hand_and_goes_on() {
    let team = served_already("rollback-refused", Setup::default().flag("--rollback-alarm", "3s")).await;
    play(&team, |scenario| classes(scenario, "1428")["*"]["serverErrors"] = json!(1.0));
    let matches = json!({"method": "PUT", "service": "arm", "why": "Withdraw"});
    team.story.azure().fault(json!({"match": matches, "times": 0, "do": {"forbid": true}}));
    team.release("1428").await;

    let page = received(&team, "RollbackFailed").await.body;
    let summary = page["summary"].as_str().unwrap_or_default();
    assert!(summary.contains("ROLLBACK ") && summary.contains(BY_HAND), "{summary}");
    assert_eq!(page["severity"], "page");
    let message = ready_says(&team, "RollbackFailed").await;
    for part in ["ROLLBACK FAILED ", "grant the identity the role AzureML Data Scientist there", BY_HAND] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(condition(&team.seen().await, "Stalled").0, "RollbackFailed");

    team.story.azure().heal();
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "AvailabilityFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(ready(&team.seen().await).0, "AvailabilityFailed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azure_that_cannot_be_read_in_mid_canary_is_paged_and_forgotten_when_it_can() {
    let team = mid_canary_with("unreadable", Setup::default().flag("--unreadable", "1s")).await;
    let read = json!({"method": "GET", "service": "arm", "path": format!("onlineEndpoints/{ENDPOINT}")});
    let outage = json!({"match": read, "times": 0, "do": {"answer": {"status": 503}}});
    team.story.azure().fault(outage.clone());

    let summary = received(&team, "Unreadable").await.body["summary"].clone();
    assert!(summary.as_str().is_some_and(|text| text.contains("Azure cannot be read since ")), "{summary}");
    let message = ready_says(&team, "Unreadable").await;
    assert!(message.contains("503"), "{message}");

    team.story.azure().heal();
    let message = ready_says(&team, "Canary").await;
    assert!(message.starts_with("10 % for "), "{message}");
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}), "the canary went on meanwhile");

    wait_for("the outage is over", async || {
        let log = team.endpoint().await.status.and_then(|status| status.log).unwrap_or_default();
        if log.attempt.as_ref().is_some_and(|a| a.alarms.is_empty()) { Ok(()) } else { Err(format!("{log:#?}")) }
    })
    .await;
    team.story.azure().fault(outage);
    let keys = wait_for("another outage is paged anew", async || {
        let pages = all(&team).into_iter().filter(|message| message.body["reason"] == "Unreadable");
        let keys: BTreeSet<String> = pages.map(|message| message.id).collect();
        if keys.len() > 1 { Ok(keys) } else { Err(format!("{keys:?}")) }
    })
    .await;
    let ends: Vec<_> = keys.iter().filter_map(|key| key.rsplit('/').next()).collect();
    assert_eq!(ends, ["Unreadable", "Unreadable.2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_meet_nothing_new_before_on_call_can_be_paged() {
    let team = served_already("no-receiver", Setup::default()).await;
    let ground = team.story.ground();
    let secret: Value = ground.get(TEAM, "secret/oncall-webhook").await;
    ground.kubectl(&["delete", "secret", "-n", TEAM, "oncall-webhook"], "").await;
    team.release("1429").await;
    let waits =
        "gets no traffic before on-call can be paged: notification `oncall`: Secret oncall-webhook does not exist";
    team.until("it waits for the receiver", |release| ready(release).1 == waits).await;
    assert_eq!(team.live(), json!({"d-1427": 100}));

    let again = json!({"apiVersion": "v1", "kind": "Secret", "data": secret["data"],
        "metadata": {"name": "oncall-webhook", "namespace": TEAM}});
    ground.kubectl(&["apply", "-f", "-"], &again.to_string()).await;
    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_newer_operator_has_written_is_only_withdrawn() {
    let mut team = mid_canary_with("newer-format", Setup::default()).await;
    let newer = json!({"status": {"format": 99}}).to_string();
    let patch = ["patch", "promptendpoint", ENDPOINT, "-n", TEAM, "--subresource=status", "--type=merge", "-p", &newer];
    team.story.ground().kubectl(&patch, "").await;

    assert_eq!(team.ends("1429").await, ("Failed".into(), "StatusLost".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let wrote = team.story.azure().traffic_writes().len();
    team.release("1428").await;
    let message = ready_says(&team, "EndpointNotReady").await;
    assert!(message.contains("format 99, this operator knows 1"), "{message}");
    assert_eq!(team.story.azure().traffic_writes().len(), wrote, "nothing new has begun");
    let endpoint = team.endpoint().await.status.unwrap_or_default();
    assert!(endpoint.conditions.iter().any(|c| c.reason == "FormatUnknown"), "{:#?}", endpoint.conditions);
    let of = format!("promptendpoint/{ENDPOINT}");
    let events = team.story.ground().kubectl(&["events", "-n", TEAM, "--for", &of], "").await;
    assert!(events.contains("FormatUnknown"), "{events}");
    let stalled = format!("promptrelease_endpoint_stalled{{namespace=\"{TEAM}\",name=\"{ENDPOINT}\"}}");
    assert_eq!(team.operator.metric(&stalled).await, Some(1.0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_without_an_identity_says_so_pages_and_goes_on_when_it_has_one() {
    let mut team = mid_canary_with("no-identity", Setup::default()).await;
    team.operator.kill();
    let ground = team.story.ground();
    let account: Value = ground.get(TEAM, "serviceaccount/assistant-release").await;
    ground.kubectl(&["delete", "serviceaccount", "-n", TEAM, "assistant-release"], "").await;
    let _second = team.story.operator("operator-2", Setup::default()).await;

    let summary = received(&team, "Unreadable").await.body["summary"].clone();
    let why = "ServiceAccount assistant-release does not exist in this namespace";
    assert!(summary.as_str().is_some_and(|text| text.contains(why)), "{summary}");
    ground.kubectl(&["delete", "promptrelease", "-n", TEAM, RELEASE, "--wait=false"], "").await;
    let message = ready_says(&team, "Unreadable").await;
    assert!(message.contains(why), "{message}");
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}));

    let metadata = &account["metadata"];
    let again = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": metadata["name"],
        "namespace": TEAM, "annotations": metadata["annotations"]}});
    ground.kubectl(&["apply", "-f", "-"], &again.to_string()).await;
    ground.kubectl(&["wait", "--for=delete", "--timeout=120s", "-n", TEAM, "promptrelease", RELEASE], "").await;
    assert_eq!(team.live(), json!({"d-1427": 100}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_that_is_signed_with_another_secret_is_taken_by_nobody_until_the_secrets_agree() {
    let team = served_already("wrong-secret", Setup::default()).await;
    let sign_with = async |secret: &Value| {
        let change = json!({"data": {"hmac": secret}}).to_string();
        let args = ["patch", "secret", "oncall-webhook", "-n", TEAM, "--type=merge", "-p", &change];
        team.story.ground().kubectl(&args, "").await;
    };
    let known: Value = team.story.ground().get(TEAM, "secret/oncall-webhook").await;
    // base64 of `whsec_` and the base64 of 32 letters.
    sign_with(&json!("d2hzZWNfWVdGaFlXRmhZV0ZoWVdGaFlXRmhZV0ZoWVdGaFlXRmhZV0ZoWVdGaFlXRT0=")).await;
    play(&team, |scenario| classes(scenario, "1428")["*"]["serverErrors"] = json!(1.0));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "AvailabilityFailed".into()));
    team.until("the refusal is seen", |release| {
        let conditions = release.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|c| c.type_ == "Notified" && c.status == "False" && c.message.contains("401"))
    })
    .await;
    assert_eq!(team.story.azure().last_page(), None, "no page was accepted");

    sign_with(&known["data"]["hmac"]).await;
    assert_eq!(notice(&team, "AvailabilityFailed").await["severity"], "page");
    wait_for("nothing is owed", async || {
        let outbox = team.endpoint().await.status.and_then(|status| status.log).unwrap_or_default().outbox;
        if outbox.is_empty() { Ok(()) } else { Err(format!("{outbox:#?}")) }
    })
    .await;
}
