//! Wrong manifests: each is one change to a good one, and the answer must say what is allowed.

use serde_json::{Value, json};

use super::{Kind, full_endpoint, full_release};
use crate::ground::Ground;

/// Name, JSON pointer below `spec`, what is put there (null takes it away), and a part of the answer.
type Wrong = (&'static str, &'static str, Value, &'static str);

#[expect(clippy::too_many_lines, reason = "one table")]
fn wrong_releases() -> Vec<Wrong> {
    let pinned = "must be pinned by digest, as in registry/name@sha256:<64 hex digits>";
    let version =
        "must be a quoted string of lower-case letters, digits and single dashes between them, as in version: \"1428\"";
    let span = "should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$'";
    let criterion =
        |class: &str, metric: &str, minimum: f64| json!([{"class": class, "metric": metric, "minimum": minimum}]);
    let step = |weight: i64, duration: &str| json!({"weight": weight, "duration": duration});
    vec![
        ("a version without quotes", "/version", json!(1428), version),
        ("a version in capitals", "/version", json!("V1428"), version),
        ("a version with two dashes, which number re-creations", "/version", json!("1428--2"), version),
        ("a version that ends in a dash", "/version", json!("1428-"), version),
        ("an empty version", "/version", json!(""), version),
        (
            "a version that makes no deployment name",
            "/version",
            json!("123456789012345678901234567"),
            "spec.version: Too long: may not be more than 26 bytes",
        ),
        ("no version", "/version", Value::Null, "spec.version: Required value"),
        ("no endpoint", "/endpointRef", Value::Null, "spec.endpointRef: Required value"),
        ("no artifact", "/artifact", Value::Null, "spec.artifact: Required value"),
        ("an artifact of no kind", "/artifact", json!({}), "must have an artifact: `promptFlow`"),
        (
            "an archive over http",
            "/artifact/promptFlow/archive/url",
            json!("http://example.com/a.tgz"),
            "must be an https URL",
        ),
        ("an archive at no URL", "/artifact/promptFlow/archive/url", json!("a.tgz"), "must be an https URL"),
        (
            "a SAS signature in the URL",
            "/artifact/promptFlow/archive/url",
            json!("https://x.blob.core.windows.net/a.tgz?sv=1&sig=abc"),
            "must not carry a credential (SAS signature or user:password): the operator reads it with the endpoint's identity",
        ),
        (
            "a password in the URL",
            "/artifact/promptFlow/archive/url",
            json!("https://user:password@example.com/a.tgz"),
            "must not carry a credential",
        ),
        (
            "a digest that is none",
            "/artifact/promptFlow/archive/digest",
            json!("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            "must be a digest, as in sha256:<64 hex digits>",
        ),
        ("an image by tag", "/artifact/promptFlow/environmentImage", json!("mcr.microsoft.com/x/y:latest"), pinned),
        ("no evaluation runner", "/evaluation/promptFlow", Value::Null, "must have a runner: `promptFlow`"),
        ("no data set", "/evaluation/dataset", Value::Null, "spec.evaluation.dataset: Required value"),
        (
            "a class without rows",
            "/evaluation/dataset/classes/0/rows",
            json!(0),
            "should be greater than or equal to 1",
        ),
        ("a class twice", "/evaluation/dataset/classes/1/name", json!("factual"), "Duplicate value"),
        ("an evaluation without criteria", "/criteria", Value::Null, "decides nothing: add at least one"),
        (
            "a criterion of an unknown metric",
            "/criteria",
            criterion("factual", "politeness", 0.5),
            "every criterion must name a metric declared in `metrics`",
        ),
        (
            "a criterion of an unknown class",
            "/criteria",
            criterion("weather", "groundedness", 2.5),
            "every criterion's `class` must be `*` or a class declared in `evaluation.dataset.classes`",
        ),
        (
            "a minimum that no score reaches",
            "/criteria",
            criterion("factual", "groundedness", 3.5),
            "every `minimum` must lie within its metric's `scale` (0 to 1 where absent)",
        ),
        (
            "a minimum above the scale that is not written",
            "/criteria",
            criterion("factual", "citation_correctness", 2.0),
            "every `minimum` must lie within its metric's `scale` (0 to 1 where absent)",
        ),
        ("a minimum as a string", "/criteria/0/minimum", json!("2.85"), "must be of type number"),
        ("a criterion twice", "/criteria/1/metric", json!("groundedness"), "Duplicate value"),
        ("a word for live", "/criteria/0/live", json!("Maybe"), "supported values: \"Enforce\", \"Ignore\""),
        ("a metric twice", "/metrics/1/name", json!("groundedness"), "Duplicate value"),
        ("a metric with a dash", "/metrics/0/name", json!("multi-hop"), "should match '^[a-z][a-z0-9_]*$'"),
        (
            "a word for a type",
            "/metrics/0/type",
            json!("Float"),
            "supported values: \"Number\", \"Integer\", \"Boolean\"",
        ),
        ("a scale upside down", "/metrics/0/scale", json!({"min": 3, "max": 0}), "`min` must be less than `max`"),
        ("more instances than Azure gives", "/instanceCount", json!(51), "should be less than or equal to 50"),
        ("no instances", "/instanceCount", json!(0), "should be greater than or equal to 1"),
        (
            "a request longer than a flow may take",
            "/deployment/requestSettings/timeoutSeconds",
            json!(301),
            "should be less than or equal to 300",
        ),
        ("a variable without a name", "/deployment/env/0/name", json!("2X"), "should match '^[A-Za-z_][A-Za-z0-9_]*$'"),
        ("a variable twice", "/deployment/env/1/name", json!("PROMPTFLOW_WORKER_NUM"), "Duplicate value"),
        (
            "a switch that is a bool",
            "/deployment/dataCollection",
            json!(true),
            "supported values: \"Enabled\", \"Disabled\"",
        ),
        ("a canary without a step", "/canary/steps", json!([]), "should have at least 1 items"),
        ("two steps", "/canary/steps", json!([step(10, "20m"), step(50, "20m")]), "must have at most 1 item"),
        ("a step without traffic", "/canary/steps", json!([step(0, "20m")]), "should be greater than or equal to 1"),
        ("a step with all traffic", "/canary/steps", json!([step(100, "20m")]), "should be less than or equal to"),
        (
            "a step that ends before it could fail",
            "/canary/steps",
            json!([step(10, "2m")]),
            "every step must last at least `analysis.window` times `analysis.consecutiveFailures`, or the canary could never fail",
        ),
        (
            "a step whose windows are fewer than they look",
            "/canary",
            json!({"steps": [step(10, "3s")], "analysis": {"window": "1500ms", "consecutiveFailures": 3}}),
            "must be in whole seconds, as in 90s, 20m or 1h30m",
        ),
        (
            "a step with a fraction of a second",
            "/canary/steps",
            json!([step(10, "20m500ms")]),
            "must be in whole seconds",
        ),
        (
            "a canary that ends before its step does",
            "/canary/holdTimeout",
            json!("10m"),
            "must be at least a step's `duration` plus `analysis.window` plus `analysis.lateness`",
        ),
        (
            "a canary that ends before its last window can be judged",
            "/canary/holdTimeout",
            json!("30m"),
            "must be at least a step's `duration` plus `analysis.window` plus `analysis.lateness`",
        ),
        ("a step of a day, by its letter", "/canary/steps", json!([step(10, "1d")]), span),
        ("a window shorter than a second", "/canary/analysis/window", json!("500ms"), "must be between 1s and 1h"),
        ("a window longer than an hour", "/canary/analysis/window", json!("61m"), "must be between 1s and 1h"),
        ("a time without a unit", "/canary/analysis/lateness", json!("600"), span),
        ("no samples", "/canary/analysis/minSamples", json!(0), "should be greater than or equal to 1"),
        ("no failure at all", "/canary/analysis/consecutiveFailures", json!(0), "should be greater than or equal to 1"),
        (
            "a word for what is inconclusive",
            "/canary/analysis/onInconclusive",
            json!("Pause"),
            "supported values: \"Hold\", \"RollBack\", \"Promote\"",
        ),
        ("a time that is a number", "/promotion/keepPreviousFor", json!(24), "must be of type string"),
        ("a misspelt field", "/canray", json!({}), "unknown field \"spec.canray\""),
    ]
}

fn wrong_endpoints() -> Vec<Wrong> {
    let receivers = |n: usize| -> Value {
        let secret = |key: &str| json!({"name": "oncall-webhook", "key": key});
        let webhook = json!({"urlSecretRef": secret("url"), "hmacSecretRef": secret("hmac")});
        (0..n).map(|i| json!({"name": format!("r{i}"), "webhook": webhook})).collect()
    };
    vec![
        ("a subscription by its name", "/azure/subscriptionID", json!("production"), "should match '^[0-9a-fA-F]{8}"),
        ("no workspace", "/azure/workspace", Value::Null, "spec.azure.workspace: Required value"),
        ("a resource group that ends in a dot", "/azure/resourceGroup", json!("rg."), "should match"),
        ("an endpoint's name that Azure would not take", "/azure/endpoint", json!("1qa"), "should match '^[a-zA-Z]"),
        ("an endpoint's name that is too short", "/azure/endpoint", json!("qa"), "should be at least 3 chars long"),
        (
            "a cloud that there is not",
            "/azure/cloud",
            json!("AzureGermany"),
            "supported values: \"AzurePublic\", \"AzureChina\", \"AzureUSGovernment\"",
        ),
        ("no identity", "/serviceAccountName", Value::Null, "spec.serviceAccountName: Required value"),
        ("no time for a lost write to land", "/settle", json!("0s"), "must be between 1s and 1h"),
        ("more than an hour for it", "/settle", json!("2h"), "must be between 1s and 1h"),
        ("a policy in words", "/policy/requireEvaluation", json!("yes"), "must be of type boolean"),
        ("a receiver of no kind", "/notifications/0/webhook", Value::Null, "must have a receiver: `webhook`"),
        (
            "a webhook without a signature",
            "/notifications/0/webhook/hmacSecretRef",
            Value::Null,
            "hmacSecretRef: Required value",
        ),
        ("a receiver twice", "/notifications", json!([receivers(1)[0], receivers(1)[0]]), "Duplicate value"),
        ("nine receivers", "/notifications", receivers(9), "must have at most 8 items"),
        ("no telemetry by name", "/applicationInsights", json!({}), "spec.applicationInsights.name: Required value"),
        ("a misspelt field", "/notification", json!([]), "unknown field \"spec.notification\""),
    ]
}

/// Edits of a stored release.
fn wrong_edits_of_a_release() -> Vec<Wrong> {
    let together =
        "`artifact` and `deployment` may change only together with `version`: what runs under a version never changes";
    vec![
        (
            "another endpoint",
            "/endpointRef/name",
            json!("other"),
            "endpointRef is immutable: another endpoint is another PromptRelease",
        ),
        ("other content under the same version", "/artifact/promptFlow/path", json!("flows/other"), together),
        ("another machine under the same version", "/deployment/instanceType", json!("Standard_F4s_v2"), together),
        ("the deployment taken away", "/deployment", Value::Null, together),
    ]
}

fn wrong_edits_of_an_endpoint() -> Vec<Wrong> {
    let immutable = "azure is immutable: another endpoint is another PromptEndpoint";
    vec![("another endpoint", "/azure/endpoint", json!("other-prod"), immutable)]
}

/// The good object with one change.
fn changed(good: &Value, pointer: &str, value: &Value) -> Value {
    let mut object = good.clone();
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    match object.pointer_mut(&format!("/spec{parent}")).unwrap_or_else(|| panic!("no {parent} in the good object")) {
        Value::Object(fields) if value.is_null() => {
            assert!(fields.remove(last).is_some(), "{pointer} is not in the good object");
        }
        Value::Object(fields) => drop(fields.insert(last.to_owned(), value.clone())),
        other => *other.pointer_mut(&format!("/{last}")).expect("an item") = value.clone(),
    }
    object
}

/// What is wrong with the answer, if anything.
fn judged(name: &str, answer: Result<Value, String>, expected: &str) -> Option<String> {
    match answer {
        Ok(_) => Some(format!("{name}: accepted")),
        Err(message) if message.contains(expected) => None,
        Err(message) => Some(format!("{name}:\n    answered {message}\n    expected {expected}")),
    }
}

async fn all_are_refused(what: &str, good: Value, wrong: Vec<Wrong>, stored: bool) {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("refused").await;
    let kind = Kind::of(ground, &namespace, &good).await;
    let good = if stored { kind.create(&good).await.expect("the good one is good") } else { good };
    let mut complaints = Vec::new();
    for (name, pointer, value, expected) in &wrong {
        let object = changed(&good, pointer, value);
        let answer = if stored { kind.try_replace(&object).await } else { kind.try_create(&object).await };
        complaints.extend(judged(name, answer, expected));
    }
    assert!(complaints.is_empty(), "{} of {} {what}:\n{}", complaints.len(), wrong.len(), complaints.join("\n"));
}

#[tokio::test]
async fn a_wrong_release_is_refused_in_words_that_help() {
    all_are_refused("releases", full_release(), wrong_releases(), false).await;
}

#[tokio::test]
async fn a_wrong_endpoint_is_refused_in_words_that_help() {
    all_are_refused("endpoints", full_endpoint(), wrong_endpoints(), false).await;
}

#[tokio::test]
async fn what_runs_under_a_version_cannot_be_changed() {
    all_are_refused("edits of a release", full_release(), wrong_edits_of_a_release(), true).await;
    all_are_refused("edits of an endpoint", full_endpoint(), wrong_edits_of_an_endpoint(), true).await;
}

#[tokio::test]
async fn a_new_version_may_bring_new_content() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("edits").await;
    let kind = Kind::of(ground, &namespace, &full_release()).await;
    let stored = kind.create(&full_release()).await.expect("accepted");
    let next = changed(&stored, "/version", &json!("1429"));
    let next = changed(&next, "/artifact/promptFlow/path", &json!("flows/other"));
    let next = changed(&next, "/deployment", &Value::Null);
    kind.try_replace(&next).await.expect("accepted");
    let scaled = changed(&stored, "/instanceCount", &json!(3));
    kind.try_replace(&scaled).await.expect("instances are not part of the revision");
}
