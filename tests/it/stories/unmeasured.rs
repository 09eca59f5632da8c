//! No data is never a pass and never a failure: what live answers do not show neither promotes nor blames a release.

use serde_json::{Value, json};

use super::{
    steps::{condition, kubectl, notice, play, ready, served_already, status, told},
    team::{ENDPOINT, Team},
};
use crate::ground::Setup;

/// The version's manifest, with windows of one second and a canary of three.
fn short(team: &Team, version: &str, lateness: &str, hold_timeout: &str) -> Value {
    let mut manifest = team.manifest(version);
    let canary = &mut manifest["spec"]["canary"];
    canary["steps"] = json!([{"weight": 10, "duration": "3s"}]);
    canary["analysis"]["window"] = json!("1s");
    canary["analysis"]["lateness"] = json!(lateness);
    canary["holdTimeout"] = json!(hold_timeout);
    manifest
}

/// The traffic is back, on-call is paged, and nobody says that the release is bad.
async fn is_taken_back_without_blame(team: &Team) -> Value {
    assert_eq!(team.ends("1429").await, ("Failed".into(), "CanaryUnmeasurable".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let page = notice(team, "CanaryUnmeasurable").await;
    assert_eq!((&page["severity"], &page["blame"]), (&json!("page"), &json!("Environment")), "{page:#}");
    let release = team.seen().await;
    assert_eq!(status(&release).rejected, [], "it may be released again");
    assert_eq!(condition(&release, "Stalled").0, "CanaryUnmeasurable");
    page
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_without_scores_is_held_and_taken_back_when_its_time_is_over() {
    let team = served_already("no-scores", Setup::default()).await;
    // Users go on to ask, but nothing that is judged.
    play(&team, |scenario| scenario["traffic"][0]["classes"] = json!({"ambiguous": 1}));
    team.release_as("1429", &short(&team, "1429", "5s", "12s")).await;

    let release = team.until("it is held", |release| ready(release).0 == "Held").await;
    let (_, message) = ready(&release);
    assert!(message.starts_with("held at 10 %: no scores in "), "{message}");
    assert!(message.contains(", so neither good nor bad (is the sampler running?); "), "{message}");
    assert!(message.contains(" if nothing changes it is withdrawn as CanaryUnmeasurable at "), "{message}");
    assert_eq!(team.live(), json!({"d-1427": 90, "d-1429": 10}), "it is not promoted");

    let page = is_taken_back_without_blame(&team).await;
    let evidence = page["evidence"].as_str().unwrap_or_default();
    assert!(evidence.starts_with("no verdict after 12s of at most 12s: "), "{evidence}");
    assert!(evidence.contains("factual: groundedness has 0 of 2 samples"), "{evidence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_nobody_measures_are_errors_and_the_fifth_in_a_row_takes_the_traffic_back() {
    let team = served_already("no-window-events", Setup::default()).await;
    play(&team, |scenario| scenario["sampler"] = json!({"oneIn": 2, "windowEvents": false}));
    team.release_as("1429", &short(&team, "1429", "1s", "1m")).await;
    let release = team
        .until("it is said that windows are not measured", |release| {
            condition(release, "CanaryHealthy").0 == "WindowsUnmeasured"
        })
        .await;
    let (_, message) = condition(&release, "CanaryHealthy");
    assert!(message.ends_with(" in a row could not be measured, 5 withdraw"), "{message}");

    let page = is_taken_back_without_blame(&team).await;
    let evidence = page["evidence"].as_str().unwrap_or_default();
    assert!(evidence.starts_with("5 windows in a row could not be measured"), "{evidence}");
    assert!(evidence.ends_with("; neither good nor bad"), "{evidence}");
    let release = team.seen().await;
    for window in 1..=5 {
        let line = format!("window {window} not measured: no window event came: is the sampler running?");
        assert!(told(&release, &line), "{line}: {:#?}", status(&release).timeline);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_begins_where_live_answers_could_not_be_judged() {
    let team = served_already("no-insights", Setup::default()).await;
    let component = team.endpoint().await.spec.application_insights.expect("a component").name;
    let insights = async |value: Value| {
        let change = json!({"spec": {"applicationInsights": value}}).to_string();
        kubectl(&team, &["patch", "promptendpoint", ENDPOINT, "--type=merge", "-p", &change]).await;
    };
    insights(Value::Null).await;
    team.release_as("1429", &short(&team, "1429", "5s", "12s")).await;
    let message = "names no `applicationInsights`, so live answers could not be judged";
    let release = team.until("it is refused", |release| ready(release).1.contains(message)).await;
    assert_eq!(ready(&release).0, "CanaryUnmeasurable");
    let remedy = format!("set `applicationInsights.name` on PromptEndpoint {ENDPOINT}");
    assert!(condition(&release, "Stalled").1.contains(&remedy), "{:#?}", release.status);
    assert_eq!(status(&release).history, [], "no attempt was made");

    insights(json!({"name": component})).await;
    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
}
