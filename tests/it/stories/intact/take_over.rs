//! One operator after the other: killed, frozen, asked to stop.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{Team, done, pages, sim, written};
use crate::ground::Setup;

/// 1427 has all traffic, and 1428 its first.
async fn in_mid_canary(team: &Team) -> u64 {
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    let since = team.story.azure().last_request();
    team.release("1428").await;
    team.canary_has_traffic("1428").await;
    since
}

/// 1428 is taken back, told to on-call, and none of it was done twice.
async fn ends_as_it_would_have(team: &Team, since: u64) {
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let mut done = done(team, since, None);
    done.retain(|what, _| !what.ends_with("blob"));
    let once = [
        "PUT deployments",
        "PUT environments",
        "PUT models",
        "PUT onlineendpoints Raise",
        "PUT onlineendpoints Withdraw",
    ];
    let mut expected = BTreeMap::from(once.map(|what| (what.to_owned(), 1)));
    expected.insert("submit".to_owned(), 2);
    assert_eq!(done, expected);
    let about: Vec<_> = pages(team, "1428").into_iter().map(|page| page["reason"].clone()).collect();
    assert!(about.contains(&json!("CanaryFailed")), "{about:?}");
    let timeline = team.seen().await.status.unwrap_or_default().timeline;
    let clocks = timeline.iter().filter(|line| line.contains("the canary clock starts")).count();
    assert_eq!(clocks, 1, "{timeline:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_goes_on_under_the_operator_after_the_one_that_was_killed() {
    let mut team = Team::begin("killed").await;
    let since = in_mid_canary(&team).await;
    team.operator.kill();
    team.operator.ended().await;
    let clock = |status: Option<promptrelease::api::PromptReleaseStatus>| status?.canary?.clock_started_at;
    let started = clock(team.seen().await.status);
    team.operator = team.story.operator("operator-2", Setup::default()).await;
    ends_as_it_would_have(&team, since).await;
    assert_eq!(clock(team.seen().await.status), started, "the canary began anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_that_hangs_is_followed_by_the_next_and_writes_nothing_when_it_wakes_up() {
    let mut team = Team::begin("frozen").await;
    let mut second = team.story.operator("operator-2", Setup::default()).await;
    second.stands_by().await;
    let since = in_mid_canary(&team).await;
    team.operator.freeze();
    second.leads().await;
    ends_as_it_would_have(&team, since).await;

    let (before, log) = (team.story.azure().last_request(), team.endpoint().await.status.and_then(|s| s.log));
    let told = team.seen().await.status;
    team.operator.thaw();
    assert_ne!(team.operator.ended().await, 0, "a lease that was lost is no clean end");
    let writes: Vec<_> = team.story.azure().requests(before).iter().filter_map(written).collect();
    assert_eq!(writes, Vec::<String>::new());
    assert_eq!(team.endpoint().await.status.and_then(|s| s.log), log);
    assert_eq!(team.seen().await.status, told);
    let repeats: u32 = sim::lock(&team.story.azure().sim().webhook).deliveries().map(|page| page.repeats).sum();
    assert_eq!(repeats, 0, "a page came twice");

    let mut third = team.story.operator("operator-3", Setup::default()).await;
    third.stands_by().await;
    let asked = Instant::now();
    assert_eq!(second.terminate().await, 0);
    third.leads().await;
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}: the lease of 9 s was waited for", asked.elapsed());
}
