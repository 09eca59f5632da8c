//! The CRDs on a real API server: what it takes, what it refuses and in which words, and that a withdrawal always passes.

mod refused;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use promptrelease::api::{PromptEndpoint, PromptRelease, PromptReleaseSpec, schema};
use serde_json::{Value, json};

use crate::ground::{Ground, MANIFESTS, objects};

/// One kind in one namespace, spoken to in plain JSON: what Rust's types would fill in or leave out is not wanted here.
pub struct Kind {
    client: Client,
    path: String,
}

impl Kind {
    pub async fn new(ground: &Ground, namespace: &str, plural: &str) -> Self {
        let path = format!("/apis/promptrelease.io/v1alpha1/namespaces/{namespace}/{plural}");
        Self { client: ground.client().await, path }
    }

    /// The endpoint for the kind of `object`.
    pub async fn of(ground: &Ground, namespace: &str, object: &Value) -> Self {
        let kind = object["kind"].as_str().expect("a kind");
        Self::new(ground, namespace, &format!("{}s", kind.to_lowercase())).await
    }

    async fn send(&self, method: &str, path: &str, object: &Value) -> Result<Value, String> {
        let request = hyper::Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(object.to_string().into_bytes()).expect("a request");
        match self.client.request(request).await {
            Ok(reply) => Ok(reply),
            Err(kube::Error::Api(status)) => Err(status.message),
            Err(other) => panic!("{other}"),
        }
    }

    /// As `kubectl apply` does it: a field that nobody knows is an error, not dropped.
    pub async fn create(&self, object: &Value) -> Result<Value, String> {
        self.send("POST", &format!("{}?fieldValidation=Strict", self.path), &here(object)).await
    }

    /// Asks what [`Kind::create`] would answer.
    pub async fn try_create(&self, object: &Value) -> Result<Value, String> {
        self.send("POST", &format!("{}?fieldValidation=Strict&dryRun=All", self.path), &here(object)).await
    }

    /// Asks what an edit of the stored object would be answered.
    pub async fn try_replace(&self, object: &Value) -> Result<Value, String> {
        let name = object["metadata"]["name"].as_str().expect("a name");
        self.send("PUT", &format!("{}/{name}?fieldValidation=Strict&dryRun=All", self.path), object).await
    }

    /// A status write as the operator makes it.
    pub async fn put_status(&self, object: &Value) -> Result<Value, String> {
        let name = object["metadata"]["name"].as_str().expect("a name");
        self.send("PUT", &format!("{}/{name}/status", self.path), object).await
    }
}

/// The object without its namespace, so that it fits into any.
fn here(object: &Value) -> Value {
    let mut object = object.clone();
    object["metadata"].as_object_mut().expect("metadata").remove("namespace");
    object
}

/// The sample's release with everything in it.
pub fn full_release() -> Value {
    objects(&format!("{MANIFESTS}/release-1428.yaml")).remove(0)
}

/// The sample's endpoint with everything in it.
pub fn full_endpoint() -> Value {
    objects(&format!("{MANIFESTS}/endpoint.yaml")).remove(0)
}

/// What a team writes that is content with every default.
fn minimal_release() -> Value {
    let full = full_release();
    let archive = &full["spec"]["artifact"]["promptFlow"]["archive"];
    let image = &full["spec"]["artifact"]["promptFlow"]["environmentImage"];
    json!({
        "apiVersion": "promptrelease.io/v1alpha1",
        "kind": "PromptRelease",
        "metadata": {"name": "minimal"},
        "spec": {
            "endpointRef": {"name": "support-assistant-prod"},
            "version": "1428",
            "artifact": {"promptFlow": {"archive": archive, "environmentImage": image}},
            "evaluation": {"dataset": {"path": "eval/eval-set.jsonl"}, "promptFlow": {"judge": {"path": "eval/eval-flow"}}},
            "metrics": [{"name": "groundedness", "type": "Integer", "scale": {"min": 0, "max": 3}}],
            "criteria": [{"class": "*", "metric": "groundedness", "minimum": 2.85}],
        },
    })
}

fn minimal_endpoint() -> Value {
    json!({
        "apiVersion": "promptrelease.io/v1alpha1",
        "kind": "PromptEndpoint",
        "metadata": {"name": "minimal"},
        "spec": {
            "azure": {
                "subscriptionID": "7f0c2a51-4a0b-4d3e-9c61-2b1f8d0e6a34",
                "resourceGroup": "rg",
                "workspace": "mlw",
                "endpoint": "qa-prod",
            },
            "serviceAccountName": "release",
        },
    })
}

#[tokio::test]
async fn both_kinds_are_established_and_without_complaint() {
    let ground = Ground::shared().await;
    let crds: Api<CustomResourceDefinition> = Api::all(ground.client().await);
    for (plural, _) in schema::crds() {
        let crd = crds.get(&format!("{plural}.promptrelease.io")).await.expect("installed");
        let conditions = crd.status.and_then(|status| status.conditions).expect("conditions");
        let is = |kind: &str| conditions.iter().find(|c| c.type_ == kind).map(|c| c.status == "True");
        assert_eq!(is("Established"), Some(true), "{plural}: {conditions:#?}");
        assert_eq!(is("NamesAccepted"), Some(true), "{plural}: {conditions:#?}");
        assert_ne!(is("NonStructuralSchema"), Some(true), "{plural}: {conditions:#?}");
    }
}

#[tokio::test]
async fn every_good_manifest_is_accepted_and_read_back_by_our_types() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("good").await;
    let mut manifests = vec![minimal_endpoint(), minimal_release()];
    for folder in [MANIFESTS.to_owned(), format!("{MANIFESTS}/demo")] {
        for name in ["endpoint", "release-1427", "release-1428", "release-1429"] {
            manifests.extend(objects(&format!("{folder}/{name}.yaml")));
        }
    }
    for manifest in manifests {
        let stored = Kind::of(ground, &namespace, &manifest).await.try_create(&manifest).await;
        let stored = stored.unwrap_or_else(|problem| panic!("{manifest:#}\n{problem}"));
        match manifest["kind"].as_str() {
            Some("PromptEndpoint") => drop(serde_json::from_value::<PromptEndpoint>(stored).expect("an endpoint")),
            _ => drop(serde_json::from_value::<PromptRelease>(stored).expect("a release")),
        }
    }
}

#[tokio::test]
async fn the_api_server_fills_in_the_defaults_that_our_types_have() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("defaults").await;

    let release = minimal_release();
    let stored = Kind::of(ground, &namespace, &release).await.try_create(&release).await.expect("accepted");
    let spec = &stored["spec"];
    assert_eq!(spec["canary"]["steps"], json!([{"weight": 10, "duration": "20m"}]));
    assert_eq!(spec["canary"]["holdTimeout"], "4h");
    let analysis = json!({
        "window": "1m", "lateness": "10m", "minSamples": 4, "consecutiveFailures": 3, "consecutiveErrors": 5,
        "onInconclusive": "Hold",
    });
    assert_eq!(spec["canary"]["analysis"], analysis);
    assert_eq!(spec["promotion"]["keepPreviousFor"], "24h");
    assert_eq!(spec["evaluation"]["timeout"], "30m");
    assert!(spec.get("deployment").is_none(), "`deployment` is part of the revision: a default would change it");
    let ours: PromptReleaseSpec = serde_json::from_value(release["spec"].clone()).expect("our type");
    let theirs: PromptReleaseSpec = serde_json::from_value(spec.clone()).expect("our type");
    assert_eq!(ours, theirs, "a default in the CRD differs from the one in Rust");

    let endpoint = minimal_endpoint();
    let stored = Kind::of(ground, &namespace, &endpoint).await.try_create(&endpoint).await.expect("accepted");
    assert_eq!(stored["spec"]["azure"]["cloud"], "AzurePublic");
    assert_eq!(stored["spec"]["settle"], "5m");
    assert_eq!(stored["spec"]["policy"], json!({"requireEvaluation": true}));
}

#[tokio::test]
async fn the_largest_release_is_judged_within_the_cost_that_cel_rules_may_have() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("large").await;
    let class = |i: usize| format!("c{i:062}");
    let metric = |i: usize| format!("m{i:062}");
    let mut release = full_release();
    let spec = &mut release["spec"];
    spec["evaluation"]["dataset"]["classes"] = (0..32).map(|i| json!({"name": class(i), "rows": 100_000})).collect();
    spec["metrics"] = (0..16).map(|i| json!({"name": metric(i), "scale": {"min": -1000, "max": 1000}})).collect();
    // The last class and the last metric, so that every rule looks through the whole of its list.
    let criterion = |i: usize| json!({"class": class(31 - i / 16), "metric": metric(15 - i % 16), "minimum": 999.999});
    spec["criteria"] = (0..64).map(criterion).collect();
    let long_url = format!("https://example.blob.core.windows.net/{}", "a".repeat(2048 - 38));
    spec["artifact"]["promptFlow"]["archive"]["url"] = json!(long_url);
    let kind = Kind::of(ground, &namespace, &release).await;
    let stored = kind.create(&release).await.expect("accepted");
    // An edit runs the transition rules too, over the artifact and over the deployment.
    kind.try_replace(&stored).await.expect("accepted");
}

#[tokio::test]
async fn kubectl_shows_the_columns_and_knows_the_short_names() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("columns").await;
    for manifest in [minimal_endpoint(), minimal_release()] {
        Kind::of(ground, &namespace, &manifest).await.create(&manifest).await.expect("accepted");
    }
    let releases = ground.kubectl(&["get", "-n", &namespace, "prel"], "").await;
    let header: Vec<&str> = releases.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(header, ["NAME", "VERSION", "STAGE", "TRAFFIC", "READY", "SINCE", "STATUS"], "{releases}");
    let endpoints = ground.kubectl(&["get", "-n", &namespace, "pep"], "").await;
    let header: Vec<&str> = endpoints.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(header, ["NAME", "ENDPOINT", "TRAFFIC", "RELEASE", "READY", "STATUS"], "{endpoints}");
    let both = ground.kubectl(&["get", "-n", &namespace, "prompts", "-o", "name"], "").await;
    assert_eq!(both.lines().count(), 2, "{both}");
    let selector = "spec.endpointRef.name=support-assistant-prod";
    let args = ["get", "-n", &namespace, "prel", "-o", "name", "--field-selector", selector];
    assert_eq!(ground.kubectl(&args, "").await.lines().count(), 1);
}
