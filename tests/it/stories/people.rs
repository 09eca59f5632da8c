//! What people do in the middle of a release: abort, delete, ship another version, refer to the endpoint twice.

mod stored;

use std::time::{Duration, Instant};

use promptrelease::{api::PromptRelease, sim};
use serde_json::json;

use super::{
    steps::{
        condition, event, gone, kubectl, mid_canary, notice, other_says, patient, ready, second, served_already, slow,
        status, told, writes,
    },
    team::{ENDPOINT, RELEASE, Team},
};
use crate::ground::{Setup, TEAM};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_in_mid_canary_takes_the_traffic_back_and_one_that_cannot_be_read_is_told() {
    let team = mid_canary("abort-in-mid-canary").await;

    team.annotate("promptrelease/support-assistant", "promptrelease.io/abort=now!").await;
    let sentence = "the order promptrelease.io/abort is not understood: `now!` must be a version, as in 1428, or one \
                    attempt of it, as in 1428.7";
    let release = team.until("the order is refused", |release| ready(release).1.contains(sentence)).await;
    assert_eq!(ready(&release).0, "Canary", "it goes on: {:#?}", release.status);
    assert!(told(&release, sentence), "{:#?}", release.status);
    event(&team, "Warning NotUnderstood ", sentence).await;
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}));

    team.annotate("promptrelease/support-assistant", "promptrelease.io/abort=1429").await;
    assert_eq!(team.ends("1429").await, ("RolledBack".into(), "AbortRequested".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let why = "promptrelease.io/abort=1429 was set on PromptRelease support-assistant";
    let release = team.seen().await;
    assert_eq!(ready(&release), ("AbortRequested".into(), format!("rolled back to d-1427: {why}")));
    assert!(told(&release, &format!("AbortRequested: {why} (by annotation promptrelease.io/abort); rolling back")));
    let page = notice(&team, "AbortRequested").await;
    assert_eq!((&page["severity"], &page["blame"]), (&json!("notice"), &json!("Person")), "{page:#}");

    // The order stands: the same version does not begin again, and is told how to lift it.
    let release = team.seen().await;
    assert!(condition(&release, "Stalled").1.contains("promptrelease.io/abort-"), "{:#?}", release.status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_before_any_traffic_ends_the_attempt_and_changes_no_split() {
    let team = served_already("abort-before-traffic", Setup::default()).await;
    team.story.azure().fault(json!({"match": {"service": "flow"}, "times": 0, "do": {"answer": {"status": 503}}}));
    team.release_as("1428", &slow(&team, "1428")).await;
    team.until("it evaluates", |release| status(release).stage.as_deref() == Some("Evaluating")).await;
    team.annotate("promptrelease/support-assistant", "promptrelease.io/abort=1428").await;
    assert_eq!(team.ends("1428").await, ("Aborted".into(), "AbortRequested".into()));
    team.story.azure().heal();

    let slow_deployment =
        json!({"match": {"method": "PUT", "path": "/deployments/d-1429"}, "do": {"operation": {"ms": 600_000}}});
    team.story.azure().fault(slow_deployment);
    team.release_as("1429", &slow(&team, "1429")).await;
    let deploys = |release: &PromptRelease| status(release).revision.is_some_and(|r| r.deployment.is_some());
    team.until("it deploys", deploys).await;
    team.annotate("promptrelease/support-assistant", "promptrelease.io/abort=1429").await;
    assert_eq!(team.ends("1429").await, ("Aborted".into(), "AbortRequested".into()));

    let release = team.seen().await;
    assert!(told(&release, "ended Aborted (AbortRequested), it never had traffic"), "{:#?}", release.status);
    assert_eq!(notice(&team, "AbortRequested").await["severity"], "notice");
    let whys: Vec<String> = team.story.azure().traffic_writes().into_iter().map(|(why, _)| why).collect();
    assert_eq!(whys, ["Claim"], "the split was never changed");
    assert_eq!(team.live(), json!({"d-1427": 100}));
}

/// Deletes `what` while Azure refuses the way back, and returns when it is gone after Azure has taken it.
async fn deleted_in_mid_canary(team: &Team, what: &str) {
    let busy = team.story.azure().fault(json!({"match": {"why": "Withdraw"}, "times": 0, "do": {"busy": true}}));
    kubectl(team, &["delete", what, "--wait=false"]).await;
    team.story.azure().strikes(&busy).await;
    let deleting = team.story.ground().get(TEAM, what).await;
    assert!(
        deleting["metadata"]["deletionTimestamp"].is_string(),
        "it stays while its canary has traffic: {deleting:#}"
    );
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}));
    team.story.azure().heal();
    gone(team, what).await;
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let page = notice(team, "Deleted").await;
    assert_eq!((&page["severity"], &page["outcome"]), (&json!("notice"), &json!("Aborted")), "{page:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_is_deleted_in_mid_canary_goes_when_its_traffic_is_back() {
    let team = mid_canary("delete-release").await;
    deleted_in_mid_canary(&team, "promptrelease/support-assistant").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_deleted_in_mid_canary_goes_when_its_traffic_is_back() {
    let team = mid_canary("delete-endpoint").await;
    deleted_in_mid_canary(&team, "promptendpoint/support-assistant-prod").await;
    let went = Instant::now();
    let sentence = "EndpointNotFound: PromptEndpoint support-assistant-prod does not exist in namespace assistant";
    team.until("the release is told", |release| ready(release) == ("EndpointNotFound".into(), sentence.into())).await;
    assert!(went.elapsed() < Duration::from_secs(20), "told by the watch: {:?}", went.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_release_is_refused_and_takes_over_without_a_write_when_the_first_is_deleted() {
    let team = Team::begin("second-release").await;
    let first = team.manifest("1427");
    team.release_as("1427", &first).await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    let since = team.story.azure().last_request();

    let mut lost = second(&first, "lost");
    lost["spec"]["endpointRef"]["name"] = json!("nowhere");
    team.apply(&lost).await;
    let nowhere = "EndpointNotFound: PromptEndpoint nowhere does not exist in namespace assistant";
    other_says(&team, "lost", ("EndpointNotFound", nowhere)).await;

    team.apply(&second(&first, "hotfix")).await;
    let claimed = "EndpointClaimed: PromptRelease support-assistant already releases to support-assistant-prod; an \
                   endpoint has one";
    other_says(&team, "hotfix", ("EndpointClaimed", claimed)).await;

    // What it promoted stays, so it goes without asking Azure for anything.
    kubectl(&team, &["delete", "promptrelease", RELEASE, "--timeout=20s"]).await;
    gone(&team, "promptrelease/support-assistant").await;
    let live = "1427 serves 100 %; it already did, nothing was changed";
    other_says(&team, "hotfix", ("AlreadyLive", live)).await;
    let holder = team.endpoint().await.status.unwrap_or_default().claimed_by.map(|claim| claim.name);
    assert_eq!(holder.as_deref(), Some("hotfix"));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(writes(&team, since), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_version_in_mid_canary_takes_the_old_ones_place_and_a_revert_is_one_write() {
    let team = Team::begin_in("new-version", &json!({}), patient()).await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    team.release_as("1428", &slow(&team, "1428")).await;
    team.canary_has_traffic("1428").await;

    team.release("1429").await;
    assert_eq!(team.ends("1428").await, ("Aborted".into(), "Superseded".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    assert_eq!(notice(&team, "Superseded").await["version"], "1428");
    let from_build = |release: &PromptRelease| {
        let timeline = status(release).timeline;
        let at = |what: &str| timeline.iter().position(|line| line.contains(what));
        at("revision 1429 (") == Some(0) && at("built: model support-assistant:1429") == Some(1)
    };
    team.until("1429 begins with its build", from_build).await;
    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));

    let since = team.story.azure().last_request();
    team.release("1427").await;
    team.until("it is back", |release| ready(release).0 == "FastPromoted").await;
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let all = writes(&team, since);
    assert!(matches!(all.as_slice(), [one] if one.ends_with("Promote")), "{all:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revert_in_mid_canary_to_what_serves_needs_only_the_way_back() {
    let team = Team::begin("revert-in-mid-canary").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    team.release_as("1429", &slow(&team, "1429")).await;
    team.canary_has_traffic("1429").await;

    let since = team.story.azure().last_request();
    team.apply(&team.manifest("1427")).await;
    assert_eq!(team.ends("1429").await, ("Aborted".into(), "Superseded".into()));
    let live = "1427 serves 100 %; it already did, nothing was changed";
    team.until("1427 is live", |release| ready(release) == ("AlreadyLive".into(), live.into())).await;
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let all = writes(&team, since);
    assert!(matches!(all.as_slice(), [one] if one.ends_with("Withdraw")), "{all:#?}");
}

/// Somebody with `az` sets the split in mid-canary. Returns when the attempt has ended.
async fn somebody_sets(team: &Team, split: &[(&str, u8)]) -> PromptRelease {
    let sim = team.story.azure().sim();
    let traffic = split.iter().map(|(name, weight)| ((*name).to_owned(), *weight)).collect();
    sim::lock(&sim.arm).hand_on_endpoint(&sim.settings, ENDPOINT, Some(traffic), None).expect("Azure takes it");
    assert_eq!(team.ends("1429").await, ("Aborted".into(), "Drift".into()));
    let page = notice(team, "Drift").await;
    assert_eq!((&page["severity"], &page["blame"]), (&json!("page"), &json!("Person")), "{page:#}");
    let release = team.seen().await;
    assert_eq!(ready(&release).0, "Drift", "{:#?}", release.status);
    release
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_of_another_hand_in_mid_canary_is_taken_back_and_never_raised_again() {
    let team = mid_canary("drift").await;
    somebody_sets(&team, &[("d-1427", 50), ("d-1429", 50)]).await;
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let whys: Vec<String> = team.story.azure().traffic_writes().into_iter().map(|(why, _)| why).collect();
    assert_eq!(whys, ["Claim", "Raise", "Withdraw"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_of_another_hand_that_gives_the_canary_nothing_is_left_and_adopted() {
    let team = mid_canary("emergency").await;
    let sim = team.story.azure().sim();
    let emergency = serde_json::from_value(json!({"name": "d-emergency"})).expect("a deployment");
    sim::lock(&sim.arm).hand_on_deployment(&sim.settings, ENDPOINT, &emergency).expect("Azure takes it");
    somebody_sets(&team, &[("d-emergency", 100)]).await;
    assert_eq!(team.live(), json!({"d-emergency": 100}), "a person's emergency is not overwritten");
    let log = team.endpoint().await.status.and_then(|status| status.log).unwrap_or_default();
    assert_eq!(log.stable.map(|stable| stable.deployment).as_deref(), Some("d-emergency"));
}
