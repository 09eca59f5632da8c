//! Recorded replies of the real Azure against the simulator's, field by field. `PROMPTRELEASE_RECORDINGS` names a folder of
//! recordings (YAML of vcrpy); they are third parties' and not part of this project, so without it the test does nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use promptrelease::sim::{self, http::percent_decoded, scenario::Scenario};
use reqwest::{Client, Method};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    clients::Asked,
    differences::{self, Found},
    office::Office,
    shape::Shapes,
};

/// Of the connection, not of the service.
const OF_TRANSPORT: [&str; 7] =
    ["connection", "content-length", "content-encoding", "date", "keep-alive", "transfer-encoding", "vary"];
/// A connection of each kind that was recorded.
const WORLD: &str = "connections: [{name: model}, {name: own, category: CustomKeys}]";
/// The run that ends well, in part, as a failure; and the one that is cancelled.
const RUNS: [&str; 4] = ["well", "partly", "wrongly", "cancelled"];
/// States of a run that is over.
const OVER: &[&str] = &["Completed", "Failed", "Canceled"];

#[derive(Deserialize)]
struct Cassette {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: RecordedRequest,
    response: RecordedReply,
}

#[derive(Deserialize)]
struct RecordedRequest {
    method: String,
    uri: String,
}

/// In one of vcrpy's two spellings: that of the client `requests`, or that of `httpx`.
#[derive(Deserialize)]
#[serde(untagged)]
enum RecordedReply {
    Requests { body: RecordedBody, headers: BTreeMap<String, Vec<String>>, status: Status },
    Httpx { content: String, headers: BTreeMap<String, Vec<String>>, status_code: u16 },
}

#[derive(Deserialize)]
struct RecordedBody {
    #[serde(default)]
    string: String,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
}

impl RecordedReply {
    fn status(&self) -> u16 {
        match self {
            Self::Requests { status, .. } => status.code,
            Self::Httpx { status_code, .. } => *status_code,
        }
    }

    /// Status, headers and body.
    fn parts(self) -> (u16, BTreeMap<String, Vec<String>>, Value) {
        match self {
            Self::Requests { body, headers, status } => (status.code, headers, parsed(&body.string)),
            Self::Httpx { content, headers, status_code } => (status_code, headers, parsed(&content)),
        }
    }
}

/// What a request is for and how it was answered; None for what is not Azure's.
fn kind(method: &str, url: &Url, status: u16, body: &Value) -> Option<String> {
    let host = url.host_str()?;
    if host.ends_with(".blob.core.windows.net") {
        return Some(format!("{method} blob, {status}"));
    }
    let (_, rest) = url.path().split_once("/Microsoft.MachineLearningServices/workspaces/")?;
    let rest: Vec<&str> = rest.split('/').skip(1).collect();
    let what = match rest.as_slice() {
        [] => "workspace",
        ["datastores"] => "datastores",
        ["datastores", _] => "datastore",
        ["datastores", _, "listSecrets"] => "datastore secrets",
        ["connections", _, "listsecrets"] => "connection secrets",
        ["TraceSessions"] => "TraceSessions",
        ["BulkRuns", "submit"] => "submit",
        ["BulkRuns", _] => "run",
        ["BulkRuns", _, part @ ("cancel" | "childRuns" | "logContent")] => part,
        ["rundata"] => {
            let run = &body["runMetadata"];
            let errors = if run["error"].is_null() { "" } else { " with errors" };
            return Some(format!("rundata, {}{errors}", run["status"].as_str().unwrap_or_default()));
        }
        _ => return None,
    };
    Some(format!("{method} {what}"))
}

/// A reply as one document.
fn document(status: u16, headers: impl Iterator<Item = (String, String)>, body: Value) -> Value {
    let mut headers: Map<String, Value> =
        headers.map(|(name, value)| (name.to_lowercase(), Value::String(value))).collect();
    headers.retain(|name, _| !OF_TRANSPORT.contains(&name.as_str()));
    json!({"status": status, "headers": headers, "body": body})
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Where the recordings are, if somebody has them.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("PROMPTRELEASE_RECORDINGS").map(PathBuf::from)
}

fn interactions(folder: &Path) -> Vec<(RecordedRequest, Url, RecordedReply)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|problem| panic!("{}: {problem}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a file");
        let cassette: Cassette = serde_saphyr::from_str(&text)
            .unwrap_or_else(|problem| panic!("{} is no recording: {problem}", path.display()));
        all.extend(cassette.interactions.into_iter().map(|Interaction { request, response }| {
            let url = Url::parse(&request.uri).expect("an address");
            (request, url, response)
        }));
    }
    assert!(!all.is_empty(), "{} has no recordings", folder.display());
    all
}

/// What was asked and answered when it was recorded.
pub fn answered(folder: &Path) -> BTreeSet<Asked> {
    let all = interactions(folder).into_iter().filter(|(_, _, reply)| reply.status() < 300);
    all.map(|(request, url, _)| {
        (url.host_str().unwrap_or_default().to_owned(), request.method, percent_decoded(url.path()))
    })
    .collect()
}

fn recorded(folder: &Path) -> Shapes {
    let mut shapes = Shapes::new();
    for (request, url, response) in interactions(folder) {
        let (status, headers, body) = response.parts();
        if let Some(kind) = kind(&request.method, &url, status, &body) {
            let headers = headers.into_iter().map(|(name, values)| (name, values.join(", ")));
            shapes.entry(kind).or_default().add(&document(status, headers, body));
        }
    }
    shapes
}

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

    async fn ask(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: String) -> Value {
        let url = Url::parse(url).expect("an address");
        let blob = url.path().starts_with("/azureml-blobstore");
        let token = self.token(if blob { "https://storage.azure.com" } else { "https://management.azure.com" });
        let user = self.token("https://ml.azure.com");
        let mut request = self.http.request(Method::from_bytes(method.as_bytes()).expect("a method"), url.clone());
        request = request.bearer_auth(token).header("aml-user-token", user).header("x-ms-version", "2023-11-03");
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
        self.ask(method, &url, &[], String::new()).await;
    }

    async fn flow(&mut self, method: &str, service: &str, path: &str, body: Value) -> Value {
        let location = &self.office.world.location;
        let url = format!("https://{location}.api.azureml.ms/{service}/{}/{path}", self.workspace());
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.ask(method, &url, &[("content-type", "application/json")], body).await
    }

    async fn blob(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let world = &self.office.world;
        let url = format!("https://{}.blob.core.windows.net/{}/{path}", world.storage_account, world.container);
        self.ask(method, &url, headers, body.to_owned()).await;
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
async fn asked() -> Shapes {
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

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_answers_as_azure_was_recorded_to_answer() {
    let Some(folder) = folder() else {
        eprintln!("PROMPTRELEASE_RECORDINGS is not set: nothing is compared");
        return;
    };
    let (recorded, answered) = (recorded(&folder), asked().await);
    let mut found = Found::new();
    for (kind, model) in &recorded {
        let ours = answered.get(kind).unwrap_or_else(|| {
            let known: BTreeSet<&String> = answered.keys().collect();
            panic!("{kind} was recorded, and the simulator was not asked; it was asked {known:?}")
        });
        found.extend(model.differences(ours).into_iter().map(|(path, what)| (kind.clone(), path, what)));
    }
    differences::check_recordings(&found);
}
