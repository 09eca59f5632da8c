//! How an attempt ends: at the gate, through no fault of its own, by what live answers show; and what is read about it.

use serde_json::{Value, json};

use super::{
    golden,
    page::{all, received},
    steps::{classes, play, served_already},
    team::Team,
};
use crate::ground::{Setup, wait_for};

/// Status, reason and message of a condition.
async fn condition(team: &Team, kind: &str) -> (String, String, String) {
    let release = team.seen().await;
    let conditions = release.status.unwrap_or_default().conditions;
    let found = conditions.iter().find(|c| c.type_ == kind).unwrap_or_else(|| panic!("no {kind} in {conditions:#?}"));
    (found.status.clone(), found.reason.clone(), found.message.clone())
}

fn deployments(team: &Team) -> Value {
    let arm = team.story.azure().arm();
    let names = arm["endpoints"][0]["deployments"].as_array().into_iter().flatten().map(|d| d["name"].clone());
    names.collect()
}

/// Runs that were submitted.
fn runs(team: &Team) -> usize {
    let requests = team.story.azure().requests(0);
    requests.iter().filter(|r| r.method == "POST" && r.path.contains("BulkRuns/submit")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gate_rejects_is_never_deployed_and_not_tried_again() {
    let team = served_already("rejected", Setup::default()).await;
    play(&team, |scenario| classes(scenario, "1428")["multi_hop"]["offline"] = json!({"groundedness": [3, 3, 2]}));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Rejected".into(), "EvalRegression".into()));

    let found = "multi_hop: groundedness=2.706 below threshold 2.850 (n=17)";
    let wanted = ("False".into(), "EvalRegression".into(), found.into());
    assert_eq!(condition(&team, "EvaluationPassed").await, wanted);
    let (ready, reason, message) = condition(&team, "Ready").await;
    assert_eq!((ready.as_str(), reason.as_str()), ("False", "EvalRegression"));
    assert!(message.contains(found), "{message}");
    let (stalled, _, message) = condition(&team, "Stalled").await;
    assert_eq!(stalled, "True");
    assert!(message.contains("ship other content under another version"), "{message}");
    assert_eq!((deployments(&team), team.live()), (json!(["d-1427"]), json!({"d-1427": 100})));
    let notice = received(&team, "EvalRegression").await;
    assert_eq!((&notice.body["severity"], &notice.body["blame"]), (&json!("notice"), &json!("Release")));
    assert_eq!(
        notice.body["criterion"],
        json!({"class": "multi_hop", "metric": "groundedness", "value": "2.706",
        "threshold": "2.850", "n": 17})
    );
    golden::check(&team, "rejected", "Notified").await;

    // Its verdict stands: applied again with something else changed, nothing is paid for twice.
    let before = runs(&team);
    let mut again = team.manifest("1428");
    again["spec"]["instanceCount"] = json!(3);
    team.apply(&again).await;
    let seen = team
        .until("the edit is seen", |release| {
            release.status.as_ref().and_then(|s| s.observed_generation) == release.metadata.generation
        })
        .await;
    let status = seen.status.unwrap_or_default();
    assert_eq!(status.history.len(), 1, "{:#?}", status.history);
    assert_eq!(status.stage.as_deref(), Some("Rejected"));
    assert_eq!((runs(&team), deployments(&team)), (before, json!(["d-1427"])));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_evaluation_that_did_not_run_cleanly_says_nothing_about_the_release() {
    let team = served_already("eval-infra", Setup::default()).await;
    play(&team, |scenario| scenario["runs"] = json!({"base": {"fail": {"code": "AutomaticRuntimeFailed"}}}));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "EvalInfraError".into()));
    let notice = received(&team, "EvalInfraError").await;
    assert_eq!((&notice.body["severity"], &notice.body["blame"]), (&json!("notice"), &json!("Environment")));
    let (complete, _, message) = condition(&team, "EvaluationComplete").await;
    assert_eq!(complete, "False");
    assert!(message.starts_with("base run failed: AutomaticRuntimeFailed"), "{message}");
    let wanted = ("Unknown".into(), "EvalInfraError".into(), "no criterion was judged".into());
    assert_eq!(condition(&team, "EvaluationPassed").await, wanted);

    // The service says Completed of a run whose lines failed.
    play(&team, |scenario| classes(scenario, "1429")["multi_hop"] = json!({"failedLines": 1.0}));
    team.release("1429").await;
    assert_eq!(team.ends("1429").await, ("Failed".into(), "EvalInfraError".into()));
    let (complete, reason, message) = condition(&team, "EvaluationComplete").await;
    assert_eq!((complete.as_str(), reason.as_str()), ("False", "EvalInfraError"));
    assert!(message.starts_with("17 of 95 rows have no answer"), "{message}");
    assert!(message.contains("; nothing was judged; the flow itself fails on such a row: "), "{message}");
    assert_eq!(condition(&team, "EvaluationPassed").await.0, "Unknown");
    assert_eq!((deployments(&team), team.live()), (json!(["d-1427"]), json!({"d-1427": 100})));
    let status = team.seen().await.status.unwrap_or_default();
    assert_eq!(status.rejected, [], "it may be released again under another version");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_does_not_start_is_explained() {
    let team = served_already("not-provisioned", Setup::default()).await;
    let log = "Loading the flow\nModuleNotFoundError: No module named 'retrieval'\n";
    let operation = json!({"code": "ResourceNotReady", "message": "User container has crashed or terminated.",
        "log": log});
    let matches = json!({"method": "PUT", "path": "/deployments/d-1428"});
    team.story.azure().fault(json!({"match": matches, "times": 0, "do": {"operation": operation}}));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "DeploymentFailed".into()));
    let (deployed, reason, message) = condition(&team, "Deployed").await;
    assert_eq!((deployed.as_str(), reason.as_str()), ("False", "DeploymentFailed"));
    for part in [
        "ResourceNotReady: User container has crashed or terminated; ",
        " | Loading the flow | ModuleNotFoundError: No module named 'retrieval'",
        "run the image locally",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(received(&team, "DeploymentFailed").await.body["blame"], "Release");
    assert_eq!(team.live(), json!({"d-1427": 100}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_whose_reply_is_lost_comes_again_under_the_same_id() {
    let team = served_already("page-repeated", Setup::default()).await;
    let lost = json!({"match": {"service": "webhook"}, "do": {"lose": "reply"}});
    let lost = team.story.azure().fault(lost);
    team.release("1428").await;
    team.story.azure().strikes(&lost).await;
    let pages = || all(&team).into_iter().filter(|message| message.id.ends_with("/CanaryFailed"));
    wait_for("the page comes again", async || match pages().count() {
        0 | 1 => Err(format!("{:#?}", all(&team))),
        _ => Ok(()),
    })
    .await;
    wait_for("nothing is owed", async || {
        let outbox = team.endpoint().await.status.and_then(|status| status.log).unwrap_or_default().outbox;
        if outbox.is_empty() { Ok(()) } else { Err(format!("{outbox:#?}")) }
    })
    .await;
    let pages: Vec<_> = pages().collect();
    assert_eq!(pages.len(), 2, "once it was accepted it is not sent any more: {pages:#?}");
    assert_eq!(pages[0].id, pages[1].id);
    assert_eq!(pages[0].body["key"], pages[0].id.as_str());
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_errors_are_taken_back_while_the_receiver_is_down_and_the_page_comes_later() {
    let team = served_already("receiver-down", Setup::default()).await;
    let down = json!({"match": {"service": "webhook"}, "times": 0, "do": {"answer": {"status": 503}}});
    let down = team.story.azure().fault(down);
    play(&team, |scenario| classes(scenario, "1428")["*"]["serverErrors"] = json!(1.0));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "AvailabilityFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    let (healthy, reason, message) = condition(&team, "CanaryHealthy").await;
    assert_eq!((healthy.as_str(), reason.as_str()), ("False", "AvailabilityFailed"));
    assert!(message.contains("server errors on 100.0 % ("), "{message}");
    team.story.azure().strikes(&down).await;
    assert_eq!(all(&team).len(), 0, "it was down");

    team.until("the failed delivery is seen", |release| {
        let conditions = release.status.iter().flat_map(|status| &status.conditions);
        conditions.into_iter().any(|c| c.type_ == "Notified" && c.status == "False" && c.message.contains("503"))
    })
    .await;

    // Meanwhile the team ships the next version; the page still speaks of the one that it is about.
    team.release("1429").await;
    team.until("1429 is under way", |release| {
        let revision = release.status.as_ref().and_then(|status| status.revision.as_ref());
        revision.is_some_and(|revision| revision.version == "1429")
    })
    .await;
    team.story.azure().heal();
    let page = received(&team, "AvailabilityFailed").await.body;
    assert_eq!((&page["severity"], &page["blame"]), (&json!("page"), &json!("Release")));
    assert_eq!(
        (&page["version"], &page["attempt"], &page["outcome"]),
        (&json!("1428"), &json!(1), &json!("RolledBack"))
    );
    assert_eq!(page["evidence"], message.as_str());
    let taken = team
        .until("that it was taken is seen", |release| {
            let conditions = release.status.iter().flat_map(|status| &status.conditions);
            conditions.into_iter().any(|c| c.type_ == "Notified" && c.status == "True")
        })
        .await;
    let timeline = taken.status.unwrap_or_default().timeline;
    assert!(!timeline.iter().any(|line| line.contains("paged")), "1429 is not what it is about: {timeline:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_third_failed_window_rolls_back_and_the_page_says_all() {
    let team = Team::begin("rolled-back").await;
    team.release("1427").await;
    assert_eq!(team.ends("1427").await.0, "Promoted");
    play(&team, |scenario| classes(scenario, "1428")["multi_hop"]["live"] = json!({"groundedness": 2}));
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));

    let (_, _, evidence) = condition(&team, "CanaryHealthy").await;
    assert!(evidence.ends_with("third failed window in a row"), "{evidence}");
    let page = received(&team, "CanaryFailed").await.body;
    assert_eq!((&page["severity"], &page["blame"]), (&json!("page"), &json!("Release")));
    assert_eq!(page["evidence"], evidence.as_str());
    let criterion = &page["criterion"];
    let figure = |name: &str| criterion[name].as_str().unwrap_or_default().to_owned();
    let said = format!(
        "{}: {}={} below threshold {} (n={}), third failed window in a row",
        figure("class"),
        figure("metric"),
        figure("value"),
        figure("threshold"),
        criterion["n"]
    );
    assert_eq!(said, evidence, "the figures that people read and those that programs read");
    assert_eq!((figure("class"), figure("threshold")), ("multi_hop".into(), "2.850".into()));
    let timeline: Vec<&str> = page["timeline"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for window in ["window 1 failed: ", "window 2 failed: ", "window 3 failed: "] {
        assert!(timeline.iter().any(|line| line.contains(window)), "{window}: {timeline:#?}");
    }
    golden::check(&team, "rolled-back", "RolledBack").await;

    play(&team, |_| ());
    // Windows are judged until the promotion is read back, which takes less time than one of these.
    let mut good = team.manifest("1429");
    good["spec"]["canary"]["analysis"]["window"] = json!("4s");
    team.release_as("1429", &good).await;
    assert_eq!(team.ends("1429").await, ("Promoted".into(), "Promoted".into()));
    assert_eq!(team.live(), json!({"d-1429": 100}));
    golden::check(&team, "promoted", "Notified").await;
}
