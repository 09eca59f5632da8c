//! The simulator, asked for one reply of each kind that was recorded.

use std::{fs, path::Path};

use promptrelease::sim::{self, scenario::Scenario};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use url::Url;

use super::{
    super::{office::Office, shape::Shapes},
    cassette::parsed,
    kind::{document, kind},
};

/// A connection of each kind that was recorded.
const WORLD: &str =
    "connections: [{name: model, target: 'https://model.openai.azure.com'}, {name: own, category: CustomKeys}]";
/// The run that ends well, in part, as a failure; and the one that is cancelled.
const RUNS: [&str; 4] = ["well", "partly", "wrongly", "cancelled"];
/// States of a run that is over.
const OVER: &[&str] = &["Completed", "Failed", "Canceled"];

/// Asks the simulator, and keeps the shapes of what it says.
struct Asker {
    office: Office,
    http: Client,
    shapes: Shapes,
}

impl Asker {
    async fn new() -> Self {
        let office = Office::open(WORLD, "runs: {looks: 1}").await;
        let ca = reqwest::Certificate::from_pem(office.running.ca_pem.as_bytes()).expect("a certificate");
        let proxy = reqwest::Proxy::https(&office.running.proxy_url).expect("an address");
        let http = Client::builder().proxy(proxy).tls_certs_only([ca]).build().expect("a client");
        Self { office, http, shapes: Shapes::new() }
    }

    fn token(&self, resource: &str) -> String {
        self.office.running.sim.entra.mint(&self.office.world.federated[0], resource).expect("a token")
    }

    fn bearer(&self, resource: &str) -> String {
        format!("Bearer {}", self.token(resource))
    }

    async fn ask(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: String) -> Value {
        let url = Url::parse(url).expect("an address");
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).expect("a method"), url.clone());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let reply = request.body(body).send().await.expect("a reply");
        let status = reply.status().as_u16();
        let value = |v: &reqwest::header::HeaderValue| v.to_str().unwrap_or_default().to_owned();
        let headers: Vec<_> = reply.headers().iter().map(|(name, v)| (name.as_str().to_owned(), value(v))).collect();
        let body = parsed(&reply.text().await.expect("a body"));
        if let Some(kind) = kind(method, &url, status, &body) {
            self.shapes.entry(kind).or_default().add(&document(status, headers.into_iter(), body.clone()));
        }
        body
    }

    fn workspace(&self) -> String {
        let world = &self.office.world;
        format!(
            "subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}",
            world.subscription, world.resource_group, world.workspace
        )
    }

    async fn arm(&mut self, method: &str, path: &str) {
        let url = format!("https://management.azure.com/{}{path}?api-version=2024-10-01", self.workspace());
        let bearer = self.bearer("https://management.azure.com");
        self.ask(method, &url, &[("authorization", &bearer)], String::new()).await;
    }

    async fn flow(&mut self, method: &str, service: &str, path: &str, body: Value) -> Value {
        let location = &self.office.world.location;
        let url = format!("https://{location}.api.azureml.ms/{service}/{}/{path}", self.workspace());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let (bearer, user) = (self.bearer("https://management.azure.com"), self.token("https://ml.azure.com"));
        let headers =
            [("content-type", "application/json"), ("authorization", &bearer), ("aml-user-token", user.as_str())];
        self.ask(method, &url, &headers, body).await
    }

    async fn blob(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let world = &self.office.world;
        let url = format!("https://{}.blob.core.windows.net/{}/{path}", world.storage_account, world.container);
        let bearer = self.bearer("https://storage.azure.com");
        let headers = [headers, &[("authorization", &bearer), ("x-ms-version", "2023-11-03")]].concat();
        self.ask(method, &url, &headers, body.to_owned()).await;
    }

    /// One event, with the instrumentation key alone, as the clients send theirs.
    async fn track(&mut self) {
        let world = &self.office.world;
        let url = format!("https://{}-3.in.applicationinsights.azure.com/v2.1/track", world.location);
        let event = json!({"ver": 1, "name": "Microsoft.ApplicationInsights.Event", "time": "2026-11-27T01:00:00Z",
            "iKey": world.application_insights.instrumentation_key,
            "data": {"baseType": "EventData", "baseData": {"ver": 2, "name": "asked", "properties": {}}}});
        self.ask("POST", &url, &[("content-type", "application/json")], json!([event]).to_string()).await;
    }

    /// A judgement that may be one token long, so that it ends as the recorded one does.
    async fn complete(&mut self) {
        let connection = &self.office.world.connections[0];
        let url = format!(
            "{}/openai/deployments/{}/chat/completions?api-version=2024-10-21",
            connection.target, connection.deployments[0]
        );
        let key = connection.key();
        let body = json!({"temperature": 0.0, "max_tokens": 1, "response_format": {"type": "text"}, "messages": [
            {"role": "system", "content": "You are a judge. Score the answer from 0 to 3, by the rubric."},
            {"role": "user", "content": "Question: why?\n\nAnswer: because."}]});
        self.ask("POST", &url, &[("content-type", "application/json"), ("api-key", &key)], body.to_string()).await;
    }

    async fn submit(&mut self, id: &str, input: &str) {
        let body = json!({"runId": id, "runDisplayName": id, "runtimeName": "automatic", "sessionId": "4eb97efc",
            "flowLineageId": "af1a6951", "flowDefinitionDataStoreName": "workspaceblobstore",
            "flowDefinitionBlobPath": "LocalUpload/ab/answer/flow.dag.yaml",
            "batchDataInput": {"dataUri": "azureml://datastores/workspaceblobstore/paths/LocalUpload/ab/q.jsonl"},
            "inputsMapping": {"question": input}});
        self.flow("POST", "flow/api", "BulkRuns/submit", body).await;
    }

    /// Looks at a run until it is in one of these states.
    async fn watch(&mut self, id: &str, until: &[&str]) {
        for _ in 0..10 {
            let wanted = json!({"runId": id, "selectRunMetadata": true});
            let state = self.flow("POST", "history/v1.0", "rundata", wanted).await;
            self.flow("GET", "flow/api", &format!("BulkRuns/{id}"), Value::Null).await;
            if state["runMetadata"]["status"].as_str().is_some_and(|status| until.contains(&status)) {
                return;
            }
        }
        panic!("{id} does not come to {until:?}");
    }

    fn scenario(&self, text: &str) {
        let scenario = Scenario::parse(text).expect("a scenario");
        *sim::lock(&self.office.running.sim.scenario) = scenario;
    }
}

/// One reply of each kind that was recorded.
pub async fn asked() -> Shapes {
    let mut asker = Asker::new().await;
    for path in ["", "/datastores", "/datastores/workspaceblobstore"] {
        asker.arm("GET", path).await;
    }
    asker.arm("POST", "/datastores/workspaceblobstore/listSecrets").await;
    for connection in ["model", "own"] {
        asker.arm("POST", &format!("/connections/{connection}/listsecrets")).await;
    }

    let flows = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/promptflow_azure/flows");
    let files = [
        ("LocalUpload/ab/answer/flow.dag.yaml", "answer/flow.dag.yaml"),
        ("LocalUpload/ab/answer/answer.py", "answer/answer.py"),
        ("LocalUpload/ab/q.jsonl", "questions.jsonl"),
    ];
    let uploaded = [
        ("x-ms-blob-type", "BlockBlob"),
        ("x-ms-meta-upload_status", "completed"),
        ("x-ms-meta-name", "n"),
        ("x-ms-meta-version", "1"),
    ];
    for (path, file) in files {
        asker.blob("HEAD", path, &[], "").await;
        asker.blob("PUT", path, &uploaded, &fs::read_to_string(flows.join(file)).expect("a file")).await;
        asker.blob("HEAD", path, &[], "").await;
    }

    asker.track().await;
    asker.complete().await;

    asker.flow("GET", "flow/api", "TraceSessions", Value::Null).await;
    let [well, partly, wrongly, cancelled] = RUNS;
    asker.submit(well, "${data.question}").await;
    asker.watch(well, OVER).await;
    asker.submit(wrongly, "${data.query}").await;
    asker.watch(wrongly, OVER).await;
    asker.scenario("default: {classes: {'*': {failedLines: 0.5}}}\nruns: {looks: 1}");
    asker.submit(partly, "${data.question}").await;
    asker.watch(partly, OVER).await;
    asker.scenario("runs: {looks: 1, base: stick}");
    asker.submit(cancelled, "${data.question}").await;
    asker.watch(cancelled, &["Running"]).await;
    asker.flow("POST", "flow/api", &format!("BulkRuns/{cancelled}/cancel"), Value::Null).await;
    asker.watch(cancelled, OVER).await;
    for id in [well, partly] {
        asker.flow("GET", "flow/api", &format!("BulkRuns/{id}/childRuns?startIndex=0&endIndex=24"), Value::Null).await;
        asker.flow("GET", "flow/api", &format!("BulkRuns/{id}/logContent"), Value::Null).await;
    }
    asker.shapes
}
