//! What stands between an evaluation and all traffic without being the release's fault or the endpoint's: Azure refuses,
//! somebody edits the canary, another version takes the place of one that is being evaluated.

use promptrelease::sim::{self, scenario::Ending};
use serde_json::{Value, json};

use super::{
    page::received,
    steps::{ready, served_already, slow, status},
    team::{ENDPOINT, Team},
};
use crate::ground::{Setup, wait_for};

/// Azure refuses to create this version's deployment, until it is healed.
fn refuse(team: &Team, version: &str, code: &str, message: &str) {
    let body = json!({"error": {"code": code, "message": message}});
    team.story.azure().fault(json!({
        "match": {"method": "PUT", "path": format!("/deployments/d-{version}")}, "times": 0,
        "do": {"answer": {"status": 400, "body": body}},
    }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_azure_refuses_is_told_with_its_code_and_what_to_do() {
    let team = served_already("refused-deployment", Setup::default()).await;
    refuse(&team, "1428", "BadArgument", "The instance type is not known here.");
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "DeploymentFailed".into()));
    let (reason, message) = ready(&team.seen().await);
    assert_eq!(reason, "DeploymentFailed");
    let said = "d-1428 was refused: BadArgument: The instance type is not known here; Azure refuses a setting of the \
                deployment";
    assert!(message.contains(said), "{message}");

    refuse(&team, "1429", "OutOfQuota", "Not enough cores.");
    team.release("1429").await;
    let said = "OutOfQuota: Not enough cores; the subscription has no room for it: ask for more quota, or delete \
                deployments that are not used";
    team.until("the quota is told", |release| ready(release).1.contains(said)).await;
    team.story.azure().heal();
    team.canary_has_traffic("1429").await;
}

/// As an answer of Microsoft's support has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_azure_that_gives_a_new_deployment_all_traffic_has_it_taken_back_and_on_call_is_paged() {
    let served = json!({"name": ENDPOINT, "deployments": [{"name": "d-1427"}], "traffic": {"d-1427": 100}});
    let world = json!({"endpoints": [served], "knobs": {"newDeployment": "all"}});
    let team = Team::begin_in("takes-all", &world, Setup::default()).await;
    team.release("1429").await;
    assert_eq!(team.ends("1429").await, ("Aborted".into(), "Drift".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(received(&team, "Drift").await.body["severity"], "page");
}

/// Where the first deployment gets all traffic by being created, users meet it before it has run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_deployment_that_fails_with_all_traffic_has_it_taken_back_and_is_explained() {
    let team = Team::begin_in("first-fails", &json!({"knobs": {"newDeployment": "first"}}), Setup::default()).await;
    let crash =
        json!({"operation": {"code": "ResourceNotReady", "log": "ModuleNotFoundError: No module named 'kb'\n"}});
    let creation = json!({"method": "PUT", "path": "/deployments/d-1427"});
    team.story.azure().fault(json!({"match": creation, "times": 0, "do": crash}));
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Failed".into(), "DeploymentFailed".into()));
    assert_eq!(team.live(), json!({}));
    let (_, message) = ready(&team.seen().await);
    assert!(message.contains("d-1427 failed: ResourceNotReady"), "{message}");
}

/// A release whose first traffic comes to the same each time ends, and what may have been written of it is taken back.
async fn raised_in_vain(team: &Team, version: &str, each_time: Value) {
    let rule = team.story.azure().fault(json!({"match": {"why": "Raise"}, "times": 0, "do": each_time}));
    team.release(version).await;
    assert_eq!(team.ends(version).await, ("Failed".into(), "EndpointFailed".into()));
    assert!(team.story.azure().struck(&rule) > 1, "it is tried again first");
    let writes = team.story.azure().traffic_writes();
    assert_eq!(writes.last(), Some(&("Withdraw".to_owned(), json!({"d-1427": 100}))), "{writes:#?}");
    assert_eq!(team.live(), json!({"d-1427": 100}));
    team.story.azure().heal();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raise_that_azure_never_takes_ends_by_a_withdrawal_and_a_page() {
    let team = served_already("never-raised", Setup::default().flag("--promotion-deadline", "3s")).await;
    raised_in_vain(&team, "1428", json!({"busy": true})).await;
    let page = received(&team, "EndpointFailed").await.body;
    assert_eq!((&page["severity"], &page["blame"]), (&json!("page"), &json!("Environment")));
    let evidence = page["evidence"].as_str().unwrap_or_default();
    let tried = evidence.starts_with("d-1427=90 d-1428=10 was tried ") && evidence.contains("times and not read back");
    assert!(tried && evidence.contains("in Updating provisioning state"), "{evidence}");
    assert!(ready(&team.seen().await).1.contains(evidence), "{evidence}");

    raised_in_vain(&team, "1429", json!({"operation": {"code": "InternalServerError"}})).await;
    let rejected = status(&team.seen().await).rejected;
    assert_eq!(rejected, [], "it is not the release's fault");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_azure_never_takes_ends_before_anything_is_deployed() {
    let team = served_already("never-claimed", Setup::default().flag("--deploy-deadline", "2s")).await;
    team.story.azure().fault(json!({"match": {"why": "Claim"}, "times": 0, "do": {"forbid": true}}));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "DeploymentUnavailable".into()));
    let message = ready(&team.seen().await).1;
    assert!(
        message.contains("the endpoint could not be claimed within 2s: ") && message.contains("not allowed"),
        "{message}"
    );
    let writes = team.story.azure().traffic_writes();
    assert!(writes.iter().all(|(why, split)| why == "Claim" && *split == json!({"d-1427": 100})), "{writes:#?}");
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(received(&team, "DeploymentUnavailable").await.body["severity"], "notice", "no user has met it");
}

/// A person has requests mirrored like this.
fn mirror(team: &Team, mirrored: &Value) {
    let sim = team.story.azure().sim();
    let mirrored = serde_json::from_value(mirrored.clone()).expect("percentages");
    sim::lock(&sim.arm).hand_mirrors(&sim.settings, ENDPOINT, mirrored).unwrap_or_else(|problem| panic!("{problem}"));
}

/// Returns when the operator has read all deployments so many times more.
async fn looks(team: &Team, times: usize) {
    let since = team.story.azure().last_request();
    wait_for("it looks again", async || {
        let requests = team.story.azure().requests(since).into_iter();
        let looks = requests.filter(|r| r.method == "GET" && r.path.ends_with("/deployments")).count();
        if looks >= times { Ok(()) } else { Err(format!("{looks} looks")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_requests_are_mirrored_to_gets_no_traffic_and_is_not_deleted() {
    let team = served_already("mirrored", Setup::default()).await;
    let creation = json!({"method": "PUT", "path": "/deployments/d-1429"});
    team.story.azure().fault(json!({"match": creation, "do": {"operation": {"ms": 2_000}}}));
    let mut manifest = slow(&team, "1429");
    manifest["spec"]["promotion"]["keepPreviousFor"] = json!("2s");
    team.release_as("1429", &manifest).await;
    team.until("it deploys", |release| status(release).revision.is_some_and(|r| r.deployment.is_some())).await;
    mirror(&team, &json!({"d-1429": 10}));
    let says = "10 % of the requests are mirrored to d-1429, and Azure gives such a deployment no traffic; end it: ";
    team.until("it waits for a person", |release| ready(release).1.starts_with(says)).await;
    let endpoint = team.endpoint().await.status.unwrap_or_default();
    let stalled = endpoint.conditions.iter().find(|c| c.type_ == "Stalled").expect("a condition");
    assert_eq!((stalled.status.as_str(), stalled.reason.as_str()), ("True", "MirrorConflict"));
    looks(&team, 2).await;
    let whys: Vec<String> = team.story.azure().traffic_writes().into_iter().map(|(why, _)| why).collect();
    assert_eq!(whys, ["Claim"], "nothing was tried that Azure would refuse");

    mirror(&team, &json!({}));
    team.canary_has_traffic("1429").await;
    team.annotate("promptrelease/support-assistant", "promptrelease.io/abort=1429").await;
    assert_eq!(team.ends("1429").await, ("RolledBack".into(), "AbortRequested".into()));
    mirror(&team, &json!({"d-1429": 50}));
    let kept = async || {
        let seen = team.endpoint().await.status.unwrap_or_default().deployments;
        seen.into_iter().find(|seen| seen.name == "d-1429").and_then(|seen| seen.keep_until)
    };
    wait_for("the time of d-1429 is over", async || match kept().await {
        Some(until) if until.get() <= jiff::Timestamp::now() => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    looks(&team, 2).await;
    let deletions = || team.story.azure().requests(0).into_iter().filter(|r| r.method == "DELETE").count();
    assert_eq!(deletions(), 0, "users' requests are copied there");
    mirror(&team, &json!({}));
    wait_for("it is deleted", async || if deletions() > 0 { Ok(()) } else { Err("not yet".into()) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_somebody_edited_is_not_promoted() {
    let team = served_already("edited-canary", Setup::default()).await;
    team.release("1429").await;
    team.canary_has_traffic("1429").await;
    let sim = team.story.azure().sim();
    let other = serde_json::from_value(json!({"name": "d-1429"})).expect("a deployment");
    sim::lock(&sim.arm).hand_on_deployment(&sim.settings, ENDPOINT, &other).expect("Azure takes it");
    assert_eq!(team.ends("1429").await, ("Aborted".into(), "Drift".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let page = received(&team, "Drift").await.body;
    let evidence = page["evidence"].as_str().unwrap_or_default();
    assert!(evidence.starts_with("d-1429 is not what was evaluated any more: "), "{evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evaluation_whose_version_is_replaced_is_stopped() {
    let team = served_already("stopped-evaluation", Setup::default()).await;
    sim::lock(&team.story.azure().sim().scenario).runs.base = Ending::Stick;
    team.release("1428").await;
    let says = |message: &str| {
        message.contains("95 rows are answered by eval-1428-") && message.contains("(Running); gives up at ")
    };
    team.until("it is evaluated", |release| says(&ready(release).1)).await;
    team.apply(&team.manifest("1427")).await;
    assert_eq!(team.ends("1428").await, ("Aborted".into(), "Superseded".into()));
    let cancels = || {
        let requests = team.story.azure().requests(0).into_iter();
        requests
            .filter(|r| r.path.ends_with("/cancel") && r.path.contains("/eval-1428-") && r.status == Some(200))
            .count()
    };
    assert!(cancels() > 0, "the run goes on for nobody");
}

/// When the writes of the split for this reason were received, in seconds.
fn sent(team: &Team, why: &str) -> Vec<f64> {
    let requests = team.story.azure().requests(0).into_iter().filter(|entry| entry.why.as_deref() == Some(why));
    requests.map(|entry| jiff::SignedDuration::from_micros(entry.received_us).as_secs_f64()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_throttled_write_waits_as_long_as_azure_asks_but_a_withdrawal_does_not() {
    let team = served_already("throttled", Setup::default()).await;
    for (why, seconds) in [("Raise", "4"), ("Withdraw", "300")] {
        let body = json!({"error": {"code": "TooManyRequests", "message": "Too many requests."}});
        let answer = json!({"status": 429, "headers": {"Retry-After": seconds}, "body": body});
        team.story.azure().fault(json!({"match": {"why": why}, "times": 1, "do": {"answer": answer}}));
    }
    team.release("1428").await;
    team.until("it is told", |release| ready(release).1.contains("Azure throttles writes: the next one goes out at "))
        .await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    let raises = sent(&team, "Raise");
    assert!(matches!(raises[..], [first, second] if second - first >= 4.0), "{raises:?}");
    let withdrawals = sent(&team, "Withdraw");
    assert!(matches!(withdrawals[..], [first, second] if second - first < 100.0), "{withdrawals:?}");
}
