//! The operator as a process: how it starts, stands by, hands over and ends.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;

use crate::{
    ground::{Cable, ENDPOINT, LEASE, OPERATOR, OPERATOR_NAMESPACE, Setup, Story, TEAM, sample_world, wait_for},
    stories::team::Team,
};

async fn holder(story: &Story) -> Option<String> {
    let lease = story.ground().get(OPERATOR_NAMESPACE, &format!("lease/{OPERATOR}")).await;
    lease["spec"]["holderIdentity"].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_standby_takes_over_at_once_from_a_leader_that_is_asked_to_stop() {
    let story = Story::begin("handing-over", sample_world(&json!({}))).await;
    let mut one = story.operator("one", Setup::default()).await;
    one.leads().await;
    let mut two = story.operator("two", Setup::default()).await;
    two.stands_by().await;
    assert_eq!(
        (one.metric("promptrelease_leader").await, two.metric("promptrelease_leader").await),
        (Some(1.0), Some(0.0))
    );
    assert!(holder(&story).await.expect("a holder").starts_with("one_"));

    let asked = Instant::now();
    assert_eq!(one.terminate().await, 0, "{}", one.log());
    two.leads().await;
    assert!(asked.elapsed() < Duration::from_secs(9), "it waited for the lease to run out: {:?}", asked.elapsed());
    assert!(holder(&story).await.expect("a holder").starts_with("two_"));
}

#[tokio::test]
async fn a_standby_takes_over_from_a_leader_that_is_killed() {
    let story = Story::begin("killed", sample_world(&json!({}))).await;
    let mut one = story.operator("one", Setup::default()).await;
    one.leads().await;
    one.kill();
    let mut two = story.operator("two", Setup::default()).await;
    two.stands_by().await;
    two.leads().await;
    assert_eq!(two.terminate().await, 0, "{}", two.log());
    assert_eq!(holder(&story).await, None);
}

#[tokio::test]
async fn a_leader_that_was_frozen_ends_when_it_wakes_and_writes_nothing() {
    let story = Story::begin("frozen", sample_world(&json!({}))).await;
    let mut one = story.operator("one", Setup::default()).await;
    one.leads().await;
    one.freeze();
    let mut two = story.operator("two", Setup::default()).await;
    two.leads().await;
    one.thaw();
    assert_ne!(one.ended().await, 0, "somebody has to see that it was lost: {}", one.log());
    assert!(one.log().contains("leadership has ended"), "{}", one.log());
    assert!(holder(&story).await.expect("a holder").starts_with("two_"));
    two.leads().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_from_the_api_server_ends_before_its_lease() {
    let story = Story::begin("cut-off", sample_world(&json!({}))).await;
    let cable = Cable::lay(story.ground()).await;
    let cabled = cable.kubeconfig(&story.ground().operators_kubeconfig().await);
    let mut one = story.operator("one", Setup::default().env("KUBECONFIG", &cabled)).await;
    one.leads().await;
    let cut = Instant::now();
    cable.cut();
    assert_ne!(one.ended().await, 0);
    assert!(cut.elapsed() < LEASE, "{:?}", cut.elapsed());
    cable.mend();
    let mut again = story.operator("again", Setup::default().env("KUBECONFIG", &cabled)).await;
    again.leads().await;
}

/// An upload takes longer than a pod has between SIGTERM and SIGKILL.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_takes_long_is_cut_off_and_the_next_leader_repeats_it() {
    let mut team = Team::begin_in("cut-off-pass", &json!({}), Setup::default().flag("--stop-within", "1s")).await;
    let upload = json!({"method": "PUT", "path": "LocalUpload"});
    let rule = team.story.azure().fault(json!({"match": upload, "times": 0, "do": {"holdUntilReleased": true}}));
    team.release("1427").await;
    wait_for("an upload is under way", async || match team.story.azure().struck(&rule) {
        0 => Err("nothing is uploaded".to_owned()),
        _ => Ok(()),
    })
    .await;
    assert_eq!(team.operator.terminate().await, 0, "{}", team.operator.log());
    assert!(team.operator.log().contains("a pass that goes on is cut off"), "{}", team.operator.log());
    assert_eq!(holder(&team.story).await, None);
    team.story.azure().heal();
    team.operator = team.story.operator("next", Setup::default()).await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
}

/// A role that somebody took away must not keep the pod, and the lease with it, until the kubelet kills it.
#[tokio::test]
async fn a_leader_that_may_list_nothing_is_not_ready_and_still_stops_when_asked() {
    let story = Story::begin("no-role", sample_world(&json!({}))).await;
    let nothing_of_ours =
        ["patch", "clusterrole", OPERATOR, "--type=json", "-p", r#"[{"op": "remove", "path": "/rules/0"}]"#];
    story.ground().kubectl(&nothing_of_ours, "").await;
    let mut operator = story.operator("one", Setup::default()).await;
    let what = "it leads without having listed anything";
    wait_for(what, async || match operator.page("/readyz").await? {
        (StatusCode::SERVICE_UNAVAILABLE, text) if text.starts_with("leading, but") => Ok(()),
        (status, text) => Err(format!("{status}: {text}")),
    })
    .await;
    assert_eq!(operator.page("/livez").await.expect("it answers").0, StatusCode::OK, "a restart would not help");
    assert_eq!(operator.terminate().await, 0, "{}", operator.log());
    assert_eq!(holder(&story).await, None);
}

#[tokio::test]
async fn times_that_do_not_fit_together_are_refused_in_words() {
    let story = Story::begin("times", sample_world(&json!({}))).await;
    let mut unsafe_times = story.operator("unsafe", Setup::with_real_times().flag("--lease", "19s")).await;
    assert_ne!(unsafe_times.ended().await, 0);
    assert!(unsafe_times.log().contains("lease - deadline >= 4s"), "{}", unsafe_times.log());
}

/// The first thing that a platform team sees after `kubectl apply`.
#[tokio::test]
async fn an_endpoint_without_a_release_is_read_and_not_written() {
    let story = Story::begin("idle", sample_world(&json!({}))).await;
    let mut operator = story.operator("one", Setup::default()).await;
    operator.leads().await;
    story.ground().apply(&format!("{}/demo/endpoint.yaml", crate::ground::MANIFESTS)).await;
    wait_for("the endpoint has conditions", async || {
        let endpoint = story.ground().get(TEAM, &format!("pep/{ENDPOINT}")).await;
        match endpoint["status"]["conditions"].as_array() {
            Some(conditions) if !conditions.is_empty() => Ok(()),
            _ => Err(format!("{:#}", endpoint["status"])),
        }
    })
    .await;
    let requests = story.azure().requests(0);
    assert!(requests.iter().all(|request| request.method != "PUT"), "{requests:#?}");
    let (status, _) = operator.page("/livez").await.expect("it answers");
    assert_eq!(status, StatusCode::OK);
    assert_eq!(story.azure().last_page(), None);
}
