//! What Azure refuses while a release is built: the release's own fault ends it at once, all else after a time.

use serde_json::{Value, json};

use super::team::Team;
use crate::ground::Setup;

/// Azure answers this to the registration of the model.
fn refuses_the_model(team: &Team, status: u16, code: &str, message: &str) -> String {
    let body = json!({"error": {"code": code, "message": message}});
    team.story.azure().fault(json!({
        "match": {"service": "arm", "method": "PUT", "path": "/models/"},
        "times": 1000,
        "do": {"answer": {"status": status, "body": body}},
    }))
}

async fn why(team: &Team) -> Value {
    let status = team.seen().await.status.expect("a status");
    let ready = status.conditions.iter().find(|condition| condition.type_ == "Ready").expect("Ready");
    json!([ready.status, ready.reason, ready.message])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_azure_finds_wrong_ends_the_build_at_once_and_what_may_be_mended_after_its_time() {
    let team = Team::begin_in("refused-build", &json!({}), Setup::default().flag("--build-deadline", "6s")).await;
    refuses_the_model(&team, 400, "ValidationError", "The tag is too long.");
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Failed".into(), "BuildFailed".into()));
    let said = why(&team).await;
    assert_eq!((&said[0], &said[1]), (&json!("False"), &json!("BuildFailed")));
    let message = said[2].as_str().expect("text");
    assert!(message.contains("what the release names is not taken: PUT models/"), "{message}");
    assert!(message.contains("refused with 400, ValidationError: The tag is too long."), "{message}");

    team.story.azure().heal();
    let rule = refuses_the_model(&team, 403, "RequestDisallowedByPolicy", "Models must have the tag cost-centre.");
    team.release("1428").await;
    assert_eq!(team.ends("1428").await, ("Failed".into(), "BuildUnavailable".into()));
    assert!(team.story.azure().struck(&rule) > 2, "it was tried again");
    let message = why(&team).await[2].as_str().expect("text").to_owned();
    assert!(message.contains("the build did not succeed within 6s: PUT models/"), "{message}");
    assert!(
        message.contains("RequestDisallowedByPolicy: Models must have the tag cost-centre; a policy of "),
        "{message}"
    );
    let history = team.seen().await.status.expect("a status").history;
    assert_eq!(history.len(), 2, "{history:?}");
}
