//! The product's main story: a good release gets through, a bad one is taken back.

use serde_json::json;

use super::team::Team;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_release_gets_all_traffic_and_a_bad_one_after_it_is_taken_back() {
    let mut team = Team::begin("main-story").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));

    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));

    team.release("1429").await;
    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
    assert_eq!(team.live(), json!({"d-1429": 100}));

    // What a dashboard is made of.
    for (series, least) in [
        (r#"promptrelease_attempt_endings_total{outcome="RolledBack",blame="Release",reason="CanaryFailed"}"#, 1.0),
        (r#"promptrelease_attempt_endings_total{outcome="Promoted",blame="Nobody",reason="Promoted"}"#, 2.0),
        // The three deployments.
        (r#"promptrelease_azure_requests_total{service="Arm",method="PUT",status="201"}"#, 3.0),
    ] {
        let value = team.operator.metric(series).await;
        assert!(value >= Some(least), "{series}: {value:?}");
    }
}
