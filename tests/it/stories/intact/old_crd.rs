//! Somebody applies the CRDs of an older release while the operator runs.

use serde_json::{Value, json};

use super::{ENDPOINT, Team};
use crate::ground::{TEAM, objects, wait_for};

/// The CRD without what the log did not have once: what was read back, the write under way, the alarms.
fn older(mut crd: Value) -> Value {
    let log = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/log/properties";
    let mut drop = |within: &str, names: &[&str]| {
        let properties = crd.pointer_mut(&format!("{log}{within}")).and_then(Value::as_object_mut);
        let properties = properties.unwrap_or_else(|| panic!("no properties in {within}"));
        for name in names {
            assert!(properties.remove(*name).is_some(), "the CRD has no {name} in the log");
        }
    };
    drop("", &["verified", "intent"]);
    drop("/attempt/properties", &["alarms"]);
    crd
}

async fn apply_crd(team: &Team, crd: &Value) {
    let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    team.story.ground().kubectl(&args, &crd.to_string()).await;
}

async fn endpoint(team: &Team) -> Value {
    team.story.ground().get(TEAM, &format!("promptendpoint/{ENDPOINT}")).await
}

fn reason<'a>(endpoint: &'a Value, kind: &str) -> Option<&'a str> {
    let conditions = endpoint["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == kind)?["reason"].as_str()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_crd_prunes_the_log_and_the_withdrawal_goes_out_all_the_same() {
    let current = objects("crds/promptendpoints.yaml").remove(0);
    let team = Team::begin("older-crd").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    team.release("1428").await;
    team.canary_has_traffic("1428").await;
    assert!(endpoint(&team).await["status"]["log"]["verified"].is_object());

    apply_crd(&team, &older(current.clone())).await;
    wait_for("the log is pruned", async || match endpoint(&team).await["status"]["log"]["verified"].clone() {
        Value::Null => Ok(()),
        verified => Err(verified.to_string()),
    })
    .await;
    wait_for("the traffic is back", async || {
        if team.live() == json!({"d-1427": 100}) { Ok(()) } else { Err(team.live().to_string()) }
    })
    .await;
    let pruned = wait_for("the endpoint says why it is stuck", async || {
        let endpoint = endpoint(&team).await;
        match reason(&endpoint, "Stalled") {
            Some("CrdOutdated") => Ok(endpoint),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let log = &pruned["status"]["log"];
    assert!(log["verified"].is_null() && log["intent"].is_null(), "{log:#}");
    let raises = team.story.azure().traffic_writes().into_iter().filter(|(why, _)| why == "Raise").count();
    assert_eq!(raises, 1, "nothing is raised without its record");

    apply_crd(&team, &current).await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    wait_for("the endpoint is well again", async || {
        let endpoint = endpoint(&team).await;
        let verified = endpoint["status"]["log"]["verified"].is_object();
        match (reason(&endpoint, "Stalled"), verified) {
            (None, true) => Ok(()),
            (stalled, _) => Err(format!("Stalled {stalled:?}, verified: {verified}")),
        }
    })
    .await;
    team.release("1429").await;
    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
}
