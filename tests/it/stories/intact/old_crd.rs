//! Somebody applies older CRDs while the operator runs: those in `older/`, which know neither what was read back nor what
//! was paged.

use serde_json::{Value, json};

use super::{ENDPOINT, Team};
use crate::ground::{TEAM, file, wait_for};

/// Both CRDs of a folder, as `kubectl apply -f` of a release would do.
async fn apply_crds(team: &Team, folder: &str) {
    for kind in ["promptendpoints", "promptreleases"] {
        let path = file(&format!("{folder}/{kind}.yaml"));
        team.story.ground().kubectl(&["apply", "--server-side", "--force-conflicts", "-f", &path], "").await;
    }
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
    let team = Team::begin("older-crd").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    team.release("1428").await;
    team.canary_has_traffic("1428").await;
    assert!(endpoint(&team).await["status"]["log"]["verified"].is_object());

    apply_crds(&team, "tests/it/stories/intact/older").await;
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
    for field in ["/verified", "/claimed", "/attempt/alarms", "/attempt/raised/0/notedAt"] {
        assert!(log.pointer(field).is_none(), "{field} is not pruned: {log:#}");
    }
    let raises = team.story.azure().traffic_writes().into_iter().filter(|(why, _)| why == "Raise").count();
    assert_eq!(raises, 1, "nothing is raised without its record");

    apply_crds(&team, "crds").await;
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
