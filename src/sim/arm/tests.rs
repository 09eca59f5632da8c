use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};

use super::{NewDeployment, handle};
use crate::sim::{
    Sim,
    faults::{Effect, OperationFault},
    lock,
    testing::{Answer, QA, arm, arm_with, in_workspace, request, sim, token},
};

const ENDPOINT: &str = "/onlineEndpoints/qa-prod";
const D3: &str = "/onlineEndpoints/qa-prod/deployments/d-3";

/// The body of a write to `qa-prod`.
fn split(traffic: Value) -> Value {
    json!({"location": "eastus2", "identity": {"type": "SystemAssigned"}, "tags": {"seq": "1"},
        "properties": {"authMode": "AADToken", "traffic": traffic}})
}

fn deployment() -> Value {
    json!({"location": "eastus2", "sku": {"name": "Default", "capacity": 2},
        "properties": {"endpointComputeType": "Managed", "requestSettings": {"requestTimeout": "PT60S"}}})
}

fn failing(code: &str) -> Effect {
    let operation = OperationFault { code: Some(code.into()), ..OperationFault::default() };
    Effect { operation: Some(operation), ..Effect::default() }
}

async fn get(sim: &Arc<Sim>, path: &str) -> Answer {
    arm(sim, "GET", path, Value::Null).await
}

async fn state(sim: &Arc<Sim>, path: &str) -> String {
    let answer = get(sim, path).await;
    answer.body["properties"]["provisioningState"].as_str().unwrap_or_default().to_owned()
}

/// Lets time pass and looks until the resource is not moving any more; its state, empty if it is gone.
async fn settled(sim: &Arc<Sim>, path: &str) -> String {
    sim.clock.advance(Duration::from_secs(3));
    for _ in 0..10 {
        let state = state(sim, path).await;
        if !state.ends_with("ing") {
            return state;
        }
    }
    panic!("{path} does not settle");
}

fn live(sim: &Sim) -> Vec<(String, u8)> {
    lock(&sim.arm).live("qa-prod")
}

fn only(name: &str) -> Vec<(String, u8)> {
    vec![(name.to_owned(), 100)]
}

#[tokio::test]
async fn a_put_is_answered_before_it_is_applied_and_seen_to_run_by_two_polls() {
    let sim = sim(QA);
    let put = arm(&sim, "PUT", ENDPOINT, split(json!({"d-1": 90, "d-2": 10}))).await;
    assert_eq!((put.status, &put.body["properties"]["provisioningState"]), (201, &json!("Updating")));
    assert_eq!(put.header("x-ms-async-operation-timeout"), Some("PT1H"));
    let operation = put.header("azure-asyncoperation").unwrap().to_owned();
    assert!(operation.contains("/locations/eastus2/mfeOperationsStatus/oeidp:"), "{operation}");
    assert_eq!(put.body["properties"]["properties"]["AzureAsyncOperationUri"], operation.as_str());
    assert_eq!(live(&sim), only("d-1"));

    sim.clock.advance(Duration::from_secs(1));
    assert_eq!(live(&sim), [("d-1".to_owned(), 90), ("d-2".to_owned(), 10)]);
    for _ in 0..2 {
        let poll = get(&sim, &operation).await;
        assert_eq!((poll.status, &poll.body["status"]), (200, &json!("InProgress")));
        assert_eq!(poll.header("retry-after"), Some("1"));
    }
    assert_eq!(get(&sim, &operation).await.body["status"], "Succeeded");
    let endpoint = get(&sim, ENDPOINT).await.body;
    assert_eq!(endpoint["properties"]["provisioningState"], "Succeeded");
    assert_eq!(endpoint["properties"]["traffic"], json!({"d-1": 90, "d-2": 10}));
    assert_eq!(endpoint["tags"], json!({"seq": "1"}));
}

#[tokio::test]
async fn what_a_running_write_shows_is_a_knob() {
    for (accepted, shown) in [(false, json!({"d-1": 100})), (true, json!({"d-2": 100}))] {
        let sim = sim(QA);
        lock(&sim.arm).knobs.show_accepted = accepted;
        arm(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100}))).await;
        assert_eq!(get(&sim, ENDPOINT).await.body["properties"]["traffic"], shown);
        assert_eq!(live(&sim), only("d-1"));
    }
}

#[tokio::test]
async fn the_document_of_an_operation_may_run_ahead_of_its_resource_and_is_not_kept_for_ever() {
    let sim = sim(QA);
    lock(&sim.arm).knobs.state_lag_looks = 2;
    let put = arm(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100}))).await;
    let operation = put.header("azure-asyncoperation").unwrap().to_owned();
    sim.clock.advance(Duration::from_secs(1));
    while get(&sim, &operation).await.body["status"] == "InProgress" {}
    assert_eq!(state(&sim, ENDPOINT).await, "Updating");
    assert_eq!(state(&sim, ENDPOINT).await, "Updating");
    assert_eq!(state(&sim, ENDPOINT).await, "Succeeded");
    sim.clock.advance(Duration::from_secs(3600));
    assert_eq!(get(&sim, &operation).await.status, 404);
}

#[tokio::test]
async fn while_an_endpoint_is_updating_every_write_is_refused() {
    for status in [409, 400] {
        let sim = sim(QA);
        lock(&sim.arm).knobs.busy_status = status;
        arm(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100}))).await;
        // Time alone does not end it: somebody has to look.
        sim.clock.advance(Duration::from_secs(1));
        let create = arm(&sim, "PUT", D3, deployment()).await;
        assert_eq!(create.status, status);
        let text = "Cannot create a deployment in endpoint qa-prod because it is in Updating provisioning state.";
        assert!(create.message().contains(text), "{create:?}");
        assert_eq!(arm(&sim, "PUT", ENDPOINT, split(json!({"d-1": 100}))).await.status, status);
        assert_eq!(arm(&sim, "DELETE", "/onlineEndpoints/qa-prod/deployments/d-1", Value::Null).await.status, 202);
    }
}

#[tokio::test]
async fn splits_that_azure_does_not_take_are_refused_in_words_and_change_nothing() {
    let sim = sim(QA);
    for (traffic, why) in [
        (json!({"d-1": 90}), "must be 0 or 100, but it is 90"),
        (json!({"d-1": 60, "d-2": 60}), "but it is 120"),
        (json!({"d-9": 100}), "Deployment d-9 does not exist in endpoint qa-prod"),
        (json!({"d-1": 99.5, "d-2": 0.5}), "a whole number from 0 to 100"),
        (json!(["d-1"]), "must map deployment names to percentages"),
    ] {
        let answer = arm(&sim, "PUT", ENDPOINT, split(traffic)).await;
        assert_eq!((answer.status, answer.code()), (400, "BadRequest"));
        assert!(answer.message().contains(why), "{answer:?}");
    }
    arm(&sim, "PUT", D3, deployment()).await;
    let early = arm(&sim, "PUT", ENDPOINT, split(json!({"d-3": 100}))).await;
    assert!(early.message().contains("because it is in Creating provisioning state"), "{early:?}");
    let mut mirrored = split(json!({"d-1": 100}));
    mirrored["properties"]["mirrorTraffic"] = json!({"d-2": 51});
    assert!(arm(&sim, "PUT", ENDPOINT, mirrored).await.message().contains("At most 50 percent"));
    assert_eq!((state(&sim, ENDPOINT).await.as_str(), live(&sim)), ("Succeeded", only("d-1")));
}

#[tokio::test]
async fn a_put_replaces_the_tags_and_a_patch_neither_does_that_nor_moves_traffic() {
    let sim = sim(QA);
    arm(&sim, "PUT", ENDPOINT, split(json!({"d-1": 100}))).await;
    settled(&sim, ENDPOINT).await;
    assert_eq!(get(&sim, ENDPOINT).await.body["tags"], json!({"seq": "1"}));
    let patch = json!({"tags": {"team": "x"}, "properties": {"traffic": {"d-2": 100}}});
    let patched = arm(&sim, "PATCH", ENDPOINT, patch).await;
    assert_eq!((patched.status, patched.header("retry-after")), (202, Some("1")));
    settled(&sim, ENDPOINT).await;
    assert_eq!(get(&sim, ENDPOINT).await.body["tags"], json!({"seq": "1", "team": "x"}));
    assert_eq!(live(&sim), only("d-1"));
}

#[tokio::test]
async fn what_a_put_without_traffic_does_is_a_knob() {
    for (knob, expected) in [("clear", Vec::new()), ("keep", only("d-1"))] {
        let sim = sim(&format!("{QA}\nknobs: {{absentTraffic: {knob}}}"));
        let mut body = split(json!({}));
        body["properties"].as_object_mut().unwrap().remove("traffic");
        arm(&sim, "PUT", ENDPOINT, body).await;
        settled(&sim, ENDPOINT).await;
        assert_eq!(live(&sim), expected);
    }
}

#[tokio::test]
async fn a_write_needs_location_identity_and_the_auth_mode_that_is() {
    let sim = sim(QA);
    let spoilt = |how: &dyn Fn(&mut Value)| {
        let mut body = split(json!({"d-2": 100}));
        how(&mut body);
        body
    };
    for (body, hint) in [
        (spoilt(&|b| b["location"] = Value::Null), "location property is required"),
        (spoilt(&|b| b["location"] = json!("westus")), "must be \"eastus2\""),
        (spoilt(&|b| b["identity"] = Value::Null), "Identity field is required"),
        (spoilt(&|b| b["identity"]["principalId"] = json!("x")), "read-only"),
        (spoilt(&|b| b["properties"]["authMode"] = json!("Key")), "cannot be changed"),
    ] {
        let answer = arm(&sim, "PUT", ENDPOINT, body).await;
        assert_eq!(answer.status, 400);
        assert!(answer.message().contains(hint), "{answer:?}");
    }
}

#[tokio::test]
async fn a_failed_write_leaves_the_split_and_the_next_write_mends_the_endpoint() {
    let sim = sim(QA);
    let put = arm_with(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100})), &failing("InternalServerError")).await;
    let operation = put.header("azure-asyncoperation").unwrap().to_owned();
    assert_eq!((put.status, settled(&sim, ENDPOINT).await.as_str()), (201, "Failed"));
    let document = get(&sim, &operation).await;
    assert_eq!((document.status, &document.body["status"]), (200, &json!("Failed")));
    assert_eq!(document.code(), "InternalServerError");
    assert_eq!(get(&sim, ENDPOINT).await.body["tags"], json!({"team": "assistant"}));
    assert_eq!(live(&sim), only("d-1"));
    arm(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100}))).await;
    assert_eq!((settled(&sim, ENDPOINT).await.as_str(), live(&sim)), ("Succeeded", only("d-2")));
}

#[tokio::test]
async fn tags_of_a_failed_write_may_stick_and_a_slow_one_takes_its_time() {
    let sim = sim(QA);
    let mut effect = failing("OperationCanceled");
    if let Some(operation) = &mut effect.operation {
        (operation.canceled, operation.apply_tags, operation.ms) = (true, Some(true), Some(60_000));
    }
    arm_with(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100})), &effect).await;
    sim.clock.advance(Duration::from_secs(59));
    for _ in 0..5 {
        assert_eq!(state(&sim, ENDPOINT).await, "Updating");
    }
    assert_eq!(settled(&sim, ENDPOINT).await, "Canceled");
    assert_eq!(get(&sim, ENDPOINT).await.body["tags"], json!({"seq": "1"}));
    assert_eq!(live(&sim), only("d-1"));
}

#[tokio::test]
async fn a_deployment_is_created_scaled_and_deleted() {
    let sim = sim(QA);
    let put = arm(&sim, "PUT", D3, deployment()).await;
    assert_eq!((put.status, &put.body["properties"]["provisioningState"]), (201, &json!("Creating")));
    assert!(put.header("azure-asyncoperation").unwrap().contains("/odidp:"));
    assert!(!lock(&sim.arm).deployment("qa-prod", "d-3").unwrap().ready(sim.clock.now()));
    assert_eq!(settled(&sim, D3).await, "Succeeded");
    assert!(lock(&sim.arm).deployment("qa-prod", "d-3").unwrap().ready(sim.clock.now()));
    let read = get(&sim, D3).await.body;
    assert_eq!(read["properties"]["requestSettings"]["requestTimeout"], "PT1M");
    assert_eq!(read["properties"]["livenessProbe"]["period"], "PT10S");
    assert_eq!(live(&sim), only("d-1"));

    let scale = arm(&sim, "PATCH", D3, json!({"sku": {"name": "Default", "capacity": 5}})).await;
    assert_eq!((scale.status, state(&sim, D3).await.as_str()), (202, "Scaling"));
    assert_eq!(settled(&sim, D3).await, "Succeeded");
    assert_eq!(get(&sim, D3).await.body["sku"]["capacity"], 5);

    let delete = arm(&sim, "DELETE", D3, Value::Null).await;
    assert_eq!((delete.status, state(&sim, D3).await.as_str()), (202, "Deleting"));
    let location = delete.header("location").unwrap().to_owned();
    assert_eq!(get(&sim, &location).await.status, 202);
    assert_eq!(settled(&sim, D3).await, "");
    assert_eq!(get(&sim, &location).await.status, 204);
    assert_eq!(get(&sim, D3).await.code(), "NotFound");
    assert_eq!(arm(&sim, "DELETE", D3, Value::Null).await.status, 204);
}

#[tokio::test]
async fn a_deployment_with_traffic_is_not_deleted() {
    let sim = sim(QA);
    let delete = arm(&sim, "DELETE", "/onlineEndpoints/qa-prod/deployments/d-1", Value::Null).await;
    assert_eq!(delete.status, 400);
    assert!(delete.message().contains("Set its traffic to 0"), "{delete:?}");
}

#[tokio::test]
async fn a_deployment_that_never_came_up_can_only_be_deleted() {
    let sim = sim(QA);
    let mut effect = failing("ResourceNotReady");
    if let Some(operation) = &mut effect.operation {
        operation.log = Some("ModuleNotFoundError: No module named 'flow'".into());
    }
    let put = arm_with(&sim, "PUT", D3, deployment(), &effect).await;
    let operation = put.header("azure-asyncoperation").unwrap().to_owned();
    assert_eq!(settled(&sim, D3).await, "Failed");
    let document = get(&sim, &operation).await;
    assert!(document.message().contains("User container has crashed or terminated"), "{document:?}");
    let logs =
        arm(&sim, "POST", &format!("{D3}/getLogs"), json!({"containerType": "InferenceServer", "tail": 1})).await;
    assert_eq!(logs.body["content"], "ModuleNotFoundError: No module named 'flow'");
    let again = arm(&sim, "PUT", D3, deployment()).await;
    assert!(again.message().contains("unrecoverable state. Delete and re-create"), "{again:?}");
    arm(&sim, "DELETE", D3, Value::Null).await;
    assert_eq!(settled(&sim, D3).await, "");
    assert_eq!(arm(&sim, "PUT", D3, deployment()).await.status, 201);
}

#[tokio::test]
async fn a_deployment_of_assets_that_are_not_registered_fails_when_it_is_provisioned() {
    let sim = sim(QA);
    let mut body = deployment();
    body["properties"]["model"] = json!(in_workspace(&sim, "/models/flow/versions/1"));
    assert_eq!(arm(&sim, "PUT", D3, body).await.status, 201);
    assert_eq!(settled(&sim, D3).await, "Failed");
}

#[tokio::test]
async fn an_endpoint_has_at_most_twenty_deployments() {
    let sim = sim(QA);
    for n in 3..=20 {
        assert_eq!(
            arm(&sim, "PUT", &format!("/onlineEndpoints/qa-prod/deployments/d-{n}"), deployment()).await.status,
            201
        );
    }
    let one_more = arm(&sim, "PUT", "/onlineEndpoints/qa-prod/deployments/d-21", deployment()).await;
    assert_eq!((one_more.status, one_more.code()), (400, "OutOfQuota"));
}

#[tokio::test]
async fn whether_a_new_deployment_gets_traffic_is_a_knob() {
    let idle = "endpoints: [{name: qa-prod}]";
    for (knob, world, after) in [
        (NewDeployment::Dark, idle, vec![]),
        (NewDeployment::Dark, QA, only("d-1")),
        (NewDeployment::First, idle, only("d-3")),
        (NewDeployment::First, QA, only("d-1")),
        (NewDeployment::All, QA, only("d-3")),
    ] {
        let sim = sim(world);
        lock(&sim.arm).knobs.new_deployment = knob;
        assert_eq!(arm(&sim, "PUT", D3, deployment()).await.status, 201);
        assert_eq!(live(&sim), after, "{knob:?} {world}");
    }
}

#[tokio::test]
async fn whether_a_version_drops_what_a_newer_one_has_written_is_a_knob() {
    for (hides, kept) in [(false, json!(7)), (true, Value::Null)] {
        let sim = sim(QA);
        let mut endpoint = split(json!({"d-1": 100}));
        endpoint["properties"]["newInNextYear"] = json!(7);
        assert_eq!(arm(&sim, "PUT", ENDPOINT, endpoint).await.status, 201);
        assert_eq!(settled(&sim, ENDPOINT).await, "Succeeded");
        lock(&sim.arm).knobs.hide_newer_fields = hides;
        // The other clients of these tests say 2024-10-01.
        let read = get(&sim, ENDPOINT).await.body;
        let mut back = split(json!({"d-1": 100}));
        back["properties"]["newInNextYear"] = read["properties"]["newInNextYear"].clone();
        assert_eq!(arm(&sim, "PUT", ENDPOINT, back).await.status, 201);
        assert_eq!(settled(&sim, ENDPOINT).await, "Succeeded");
        lock(&sim.arm).knobs.hide_newer_fields = false;
        assert_eq!(get(&sim, ENDPOINT).await.body["properties"]["newInNextYear"], kept);
    }
}

#[tokio::test]
async fn a_registered_version_keeps_its_content() {
    let sim = sim(QA);
    let model = |uri: &str| json!({"properties": {"modelUri": uri, "modelType": "custom_model"}});
    let first = arm(&sim, "PUT", "/models/flow/versions/1428", model("azureml://a")).await;
    assert_eq!((first.status, &first.body["properties"]["flavors"]), (201, &json!({})));
    assert_eq!(arm(&sim, "PUT", "/models/flow/versions/1428", model("azureml://a")).await.status, 200);
    let other = arm(&sim, "PUT", "/models/flow/versions/1428", model("azureml://b")).await;
    assert_eq!((other.status, other.code()), (400, "UserError"));
}

#[tokio::test]
async fn a_caller_without_a_good_token_is_not_let_in() {
    let sim = sim(QA);
    let ask = async |token: Option<String>| {
        let mut req = request("management.azure.com", "GET", &in_workspace(&sim, ENDPOINT), "");
        req.query.push(("api-version".into(), "2024-10-01".into()));
        req.headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        let answer = Answer::new(handle(&sim, &req, &Effect::default()).await);
        let challenge = answer.header("www-authenticate").unwrap_or_default().to_owned();
        (answer.status, answer.code().to_owned(), challenge.starts_with("Bearer "))
    };
    let refused = |code: &str| (401, code.to_owned(), true);
    let good = token(&sim, "https://management.azure.com");
    assert_eq!(ask(None).await, refused("AuthenticationFailed"));
    assert_eq!(ask(Some("x.y.z".into())).await, refused("InvalidAuthenticationToken"));
    let of_storage = token(&sim, "https://storage.azure.com");
    assert_eq!(ask(Some(of_storage)).await, refused("InvalidAuthenticationTokenAudience"));
    assert_eq!(ask(Some(good.clone())).await.0, 200);
    sim.clock.advance(Duration::from_secs(3600));
    assert_eq!(ask(Some(good)).await, refused("ExpiredAuthenticationToken"));
}

#[tokio::test]
async fn a_role_without_the_action_is_refused_by_its_name() {
    let sim = sim(QA);
    let deny = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write";
    lock(&sim.arm).role.not_actions = vec![deny.into()];
    let put = arm(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100}))).await;
    assert_eq!((put.status, put.code()), (403, "AuthorizationFailed"));
    assert!(put.message().contains(&format!("perform action '{deny}'")), "{put:?}");
    assert_eq!(get(&sim, ENDPOINT).await.status, 200);
}

#[tokio::test]
async fn reads_may_lag_and_an_empty_bucket_may_refuse() {
    let sim = sim(QA);
    lock(&sim.arm).knobs.read_lag_ms = 30_000;
    arm(&sim, "PUT", ENDPOINT, split(json!({"d-2": 100}))).await;
    sim.clock.advance(Duration::from_secs(1));
    for _ in 0..3 {
        assert_eq!(state(&sim, ENDPOINT).await, "Succeeded");
    }
    let shown = get(&sim, ENDPOINT).await.body["properties"]["traffic"].clone();
    assert_eq!((shown, live(&sim)), (json!({"d-1": 100}), only("d-2")));
    sim.clock.advance(Duration::from_secs(31));
    assert_eq!(get(&sim, ENDPOINT).await.body["properties"]["traffic"], json!({"d-2": 100}));

    // Every second read goes back in time.
    lock(&sim.arm).knobs.read_lag_ms = 0;
    lock(&sim.arm).knobs.unsteady_reads_ms = 60_000;
    let first = get(&sim, ENDPOINT).await.body["properties"]["traffic"].clone();
    let second = get(&sim, ENDPOINT).await.body["properties"]["traffic"].clone();
    let shown = [first, second];
    assert!(shown.contains(&json!({"d-1": 100})) && shown.contains(&json!({"d-2": 100})), "{shown:?}");

    lock(&sim.arm).knobs.enforce_rate_limit = true;
    // The bucket is full again.
    sim.clock.advance(Duration::from_secs(60));
    let mut codes = BTreeMap::new();
    for _ in 0..300 {
        let answer = get(&sim, "").await;
        *codes.entry((answer.status, answer.header("retry-after").map(str::to_owned))).or_insert(0) += 1;
    }
    assert!(codes[&(429, Some("1".into()))] > 0 && codes[&(200, None)] >= 250, "{codes:?}");
}
