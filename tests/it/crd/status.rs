//! Nothing in the API may stand between a decision to withdraw and its record.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, api::PostParams};
use promptrelease::api::schema::crds;
use serde_json::{Value, json};

use super::{Kind, full_endpoint, full_release};
use crate::ground::{Ground, wait_for};

/// What may stand in a schema of a status: shapes, and nothing that refuses a value.
const HARMLESS: [&str; 9] = [
    "type",
    "description",
    "properties",
    "items",
    "additionalProperties",
    "default",
    "format",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
];

/// Everything in `schema` that could refuse a value, by its place.
fn refusers(schema: &Value, place: &str) -> Vec<String> {
    let Some(fields) = schema.as_object() else { return Vec::new() };
    let strict = |(key, value): (&String, &Value)| match key.as_str() {
        "format" => !["int64", "int32", "double"].contains(&value.as_str().unwrap_or_default()),
        // A set refuses duplicates; a map too, by its keys.
        "x-kubernetes-list-type" => value != "atomic",
        "x-kubernetes-list-map-keys" => true,
        key => !HARMLESS.contains(&key),
    };
    let mut found: Vec<String> =
        fields.iter().filter(|field| strict(*field)).map(|(key, value)| format!("{place}: {key} {value}")).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        // Kubernetes' own type, which the operator fills in by kube's.
        if name != "conditions" {
            found.extend(refusers(property, &format!("{place}.{name}")));
        }
    }
    found.extend(refusers(&schema["items"], &format!("{place}[]")));
    found.extend(refusers(&schema["additionalProperties"], &format!("{place}{{}}")));
    found
}

fn schema(crd: &Value) -> &Value {
    &crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
}

#[test]
fn no_status_has_a_rule_that_could_refuse_a_withdrawal() {
    for (name, crd) in crds() {
        let status = &schema(&crd)["properties"]["status"];
        assert!(status["properties"].is_object(), "{name} has a status");
        assert_eq!(refusers(status, "status"), Vec::<String>::new(), "{name}");
        // A rule on the root, or on metadata, runs with every write, status and annotations included.
        assert!(schema(&crd).get("x-kubernetes-validations").is_none(), "{name}");
        assert!(schema(&crd)["properties"].get("metadata").is_none(), "{name}");
    }
}

#[test]
fn a_rule_in_a_status_is_seen() {
    let strict = json!({
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "string", "enum": ["x"]},
            "b": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string", "format": "date-time"}},
            "c": {"type": "object", "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0}},
        },
    });
    let found = refusers(&strict, "status");
    for part in [
        "status: required",
        "status.a: enum",
        "status.b: x-kubernetes-list-type",
        "status.b[]: format",
        "status.c{}: minimum",
    ] {
        assert!(found.iter().any(|line| line.starts_with(part)), "{part} is not in {found:?}");
    }
}

#[tokio::test]
async fn a_status_with_fields_of_another_version_is_stored_without_them() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("status").await;
    for (object, status) in [
        (
            full_endpoint(),
            json!({"traffic": "d-1427=100", "log": {"seq": 41, "term": 7, "usedNames": ["d-1"]}, "queue": []}),
        ),
        (full_release(), json!({"stage": "Canary", "traffic": "d-1427=90 d-1428=10", "operation": {"kind": "Raise"}})),
    ] {
        let kind = Kind::of(ground, &namespace, &object).await;
        let mut stored = kind.create(&object).await.expect("accepted");
        stored["status"] = status.clone();
        let reply = kind.put_status(&stored).await.expect("accepted");
        assert_eq!(reply["status"]["traffic"], status["traffic"]);
        for unknown in ["/status/log/term", "/status/log/usedNames", "/status/queue", "/status/operation"] {
            assert!(reply.pointer(unknown).is_none(), "{reply:#}");
        }
    }
}

/// A copy of the CRD in a group of the test's own, changed by `change`.
async fn copy_of_the_crd(ground: &Ground, group: &str, change: impl FnOnce(&mut Value)) -> CustomResourceDefinition {
    let (_, mut crd) = crds().remove(0);
    crd["metadata"]["name"] = json!(format!("promptendpoints.{group}"));
    crd["spec"]["group"] = json!(group);
    crd["spec"]["names"].as_object_mut().expect("names").remove("shortNames");
    change(&mut crd);
    let api: Api<CustomResourceDefinition> = Api::all(ground.client().await);
    let crd: CustomResourceDefinition = serde_json::from_value(crd).expect("a CRD");
    let crd = match api.get_opt(&format!("promptendpoints.{group}")).await.expect("read") {
        None => api.create(&PostParams::default(), &crd).await,
        Some(old) => {
            let mut crd = crd;
            crd.metadata.resource_version = old.metadata.resource_version;
            api.replace(&format!("promptendpoints.{group}"), &PostParams::default(), &crd).await
        }
    };
    crd.expect("the CRD is accepted")
}

/// Somebody upgrades the CRD to one that would not take the stored endpoint any more, in the middle of a canary.
#[tokio::test]
async fn a_stored_endpoint_takes_its_status_also_under_a_stricter_crd() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("stricter").await;
    let group = "stricter.promptrelease.io";
    copy_of_the_crd(ground, group, |_| {}).await;
    let mut kind = Kind::new(ground, &namespace, "promptendpoints").await;
    kind.path = kind.path.replace("/apis/promptrelease.io/", &format!("/apis/{group}/"));
    let mut endpoint = full_endpoint();
    endpoint["apiVersion"] = json!(format!("{group}/v1alpha1"));
    let stored = wait_for("the copied kind is served", async || kind.create(&endpoint).await).await;

    copy_of_the_crd(ground, group, |crd| {
        let schema = crd.pointer_mut("/spec/versions/0/schema/openAPIV3Schema/properties/spec").expect("a schema");
        schema["properties"]["tier"] = json!({"type": "string"});
        schema["required"].as_array_mut().expect("a list").push(json!("tier"));
        schema["properties"]["azure"]["properties"]["workspace"]["maxLength"] = json!(4);
        schema["properties"]["serviceAccountName"]["enum"] = json!(["other"]);
    })
    .await;
    let mut other = endpoint.clone();
    other["metadata"]["name"] = json!("other");
    wait_for("the stricter CRD holds", async || match kind.try_create(&other).await {
        Err(message) if message.contains("tier") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;

    let mut withdrawn = stored;
    withdrawn["status"] =
        json!({"traffic": "d-1427=100", "log": {"seq": 42, "intent": {"kind": "SetTraffic", "why": "Withdraw"}}});
    let reply = kind.put_status(&withdrawn).await.expect("a withdrawal is recorded");
    assert_eq!(reply["status"]["log"]["intent"]["why"], "Withdraw");
}
