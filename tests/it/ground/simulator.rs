//! The simulated Azure of a story, spoken to through its control API, as people do it with curl.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use promptrelease::{
    plane::{self, ControlPlane},
    samples,
    sim::{self, Options, Running, Sim, entra::Issuer, world::World},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{MANIFESTS, SAMPLE, TEAM, file, objects, wait_for};

/// The simulator, which runs in the test's own process.
pub struct Simulator {
    running: Running,
    control: reqwest::Client,
}

impl Simulator {
    /// Starts one that trusts the ServiceAccount tokens of `plane`.
    pub async fn start(plane: &ControlPlane, world: World) -> Self {
        let key = fs::read(plane.token_key()).expect("the control plane's key");
        let issuer = Some(Issuer::new(plane::ISSUER, &key).expect("an RSA key"));
        let running = sim::start(Options { world, issuer, ..Options::default() }).await.expect("the simulator starts");
        Self { running, control: reqwest::Client::builder().no_proxy().build().expect("a client") }
    }

    /// `HTTPS_PROXY` and what belongs to it, for a child that shall take the simulator for Azure.
    pub fn env(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        self.running.env().into_iter()
    }

    /// A client in this process that takes the simulator for Azure.
    pub fn http(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem(self.running.ca_pem.as_bytes()).expect("a certificate");
        let proxy = reqwest::Proxy::https(&self.running.proxy_url).expect("a proxy");
        reqwest::Client::builder().proxy(proxy).tls_certs_only([ca]).build().expect("a client")
    }

    /// Its insides, for what must not wait.
    pub fn sim(&self) -> &Sim {
        &self.running.sim
    }

    /// One request to the control API; panics with its words if it refuses.
    pub async fn control(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.running.proxy_url);
        let request = self.control.request(method, &url);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let reply = request.send().await.unwrap_or_else(|problem| panic!("{url}: {problem}"));
        let status = reply.status();
        let text = reply.text().await.unwrap_or_else(|problem| panic!("{url}: {problem}"));
        assert!(status.is_success(), "{url}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{url}: {problem}: {text}"))
    }

    async fn read(&self, path: &str) -> Value {
        self.control(Method::GET, path, &Value::Null).await
    }

    async fn tell(&self, path: &str, body: &Value) {
        self.control(Method::POST, path, body).await;
    }

    /// Endpoints with their splits, tags and deployments; operations, users, telemetry, counts.
    pub async fn state(&self) -> Value {
        self.read("/state").await
    }

    /// The endpoint as Azure has it: `serving`, `tags`, `deployments`.
    pub async fn endpoint(&self, name: &str) -> Value {
        let mut state = self.state().await;
        let endpoints = state["endpoints"].as_array_mut().expect("a list");
        let found = endpoints.iter_mut().find(|endpoint| endpoint["name"] == name);
        found.unwrap_or_else(|| panic!("Azure has no endpoint {name}")).take()
    }

    /// Adds a fault rule and returns its name.
    pub async fn fault(&self, rule: &Value) -> String {
        let reply = self.control(Method::POST, "/faults", rule).await;
        reply["names"][0].as_str().expect("a name").to_owned()
    }

    /// Lets the requests go that the rule holds.
    pub async fn release(&self, rule: &str) {
        self.tell(&format!("/faults/{rule}/release"), &Value::Null).await;
    }

    /// Forgets all rules.
    pub async fn heal(&self) {
        self.control(Method::DELETE, "/faults", &Value::Null).await;
    }

    /// Returns when the rule has struck `times`.
    pub async fn strikes(&self, rule: &str, times: usize) {
        wait_for(&format!("fault {rule:?} strikes {times} times"), async || {
            let faults = self.read("/faults").await;
            let hits = faults["hits"].as_array().expect("a list");
            let struck = hits.iter().filter(|hit| hit["rule"] == rule).count();
            if struck >= times { Ok(()) } else { Err(format!("{struck} times")) }
        })
        .await;
    }

    /// Requests to Azure's host names after number `since` (0: all), oldest first.
    pub async fn requests(&self, since: u64) -> Vec<Value> {
        let mut reply = self.read(&format!("/requests?since={since}")).await;
        serde_json::from_value(reply["requests"].take()).expect("a list")
    }

    /// Writes of traffic, oldest first: why, and the split that was asked for.
    pub async fn traffic_writes(&self) -> Vec<(String, Value)> {
        let writes = self.requests(0).await.into_iter().filter(|request| request["traffic"].is_object());
        let why = |request: &Value| request["why"].as_str().unwrap_or_default().to_owned();
        writes.map(|mut request| (why(&request), request["traffic"].take())).collect()
    }

    /// Bodies of what the receiver of pages accepted, oldest first.
    pub async fn pages(&self) -> Vec<Value> {
        let mut inbox = self.read("/webhook").await;
        let deliveries = inbox["deliveries"].as_array_mut().expect("a list").iter_mut();
        deliveries.filter(|delivery| delivery["status"] == 204).map(|delivery| delivery["body"].take()).collect()
    }

    /// What flows answer and users do from now on.
    pub async fn scenario(&self, scenario: &Value) {
        self.tell("/scenario", scenario).await;
    }

    /// Moves Azure's clock forward.
    pub async fn advance(&self, by: Duration) {
        self.tell("/clock", &json!({"advance": format!("{}ms", by.as_millis())})).await;
    }

    /// Somebody else writes the endpoint: `{"traffic": {…}, "tags": {…}}`; what is absent stays.
    pub async fn by_hand(&self, endpoint: &str, write: &Value) {
        self.control(Method::PUT, &format!("/hand/endpoints/{endpoint}"), write).await;
    }

    /// Puts the sample's archive of `version` where its manifest says it is, as CI does.
    pub async fn upload(&self, version: &str) {
        let manifest = objects(&format!("{MANIFESTS}/release-{version}.yaml")).remove(0);
        let url = manifest["spec"]["artifact"]["promptFlow"]["archive"]["url"].as_str().expect("a URL");
        let archive = samples::archive(Path::new(&file(SAMPLE)), version).expect("an archive");
        self.running.host_file(url, archive).await.expect("uploaded");
    }
}

/// The world of the sample in agreement with its manifests: the endpoint that they name, empty, and an identity for the
/// team's ServiceAccount. `more` is laid over it, in the words of a world file.
pub fn sample_world(more: &Value) -> World {
    let endpoint = &objects(&format!("{MANIFESTS}/endpoint.yaml"))[0]["spec"];
    let tenant = objects(&format!("{MANIFESTS}/tenant.yaml"));
    let account = tenant.iter().find(|object| object["kind"] == "ServiceAccount").expect("a ServiceAccount");
    let annotation = |name: &str| &account["metadata"]["annotations"][format!("azure.workload.identity/{name}")];
    let subject = format!("system:serviceaccount:{TEAM}:{}", endpoint["serviceAccountName"].as_str().expect("a name"));
    let connections = ["azure-openai-prod", "azure-openai-eval", "content-safety-prod", "content-safety-eval"];
    let mut world = json!({
        "subscription": endpoint["azure"]["subscriptionID"],
        "resourceGroup": endpoint["azure"]["resourceGroup"],
        "workspace": endpoint["azure"]["workspace"],
        "applicationInsights": endpoint["applicationInsights"],
        "endpoints": [{"name": endpoint["azure"]["endpoint"]}],
        "tenant": annotation("tenant-id"),
        "federated": [{"tenant": annotation("tenant-id"), "client": annotation("client-id"), "subject": subject}],
        "connections": connections.map(|name| json!({"name": name})),
        "times": {"endpointOperation": "300ms", "deploymentOperation": "500ms"},
    });
    let (Some(facts), Some(more)) = (world.as_object_mut(), more.as_object()) else {
        panic!("a world is an object, not {more}");
    };
    facts.extend(more.clone());
    World::parse(&world.to_string()).unwrap_or_else(|problem| panic!("{problem}"))
}
