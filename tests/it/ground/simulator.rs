//! The simulated Azure of a story.

use std::{ffi::OsString, fs};

use promptrelease::{
    plane::{self, ControlPlane},
    sim::{self, Options, Running, entra, faults, requests, world::World},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{MANIFESTS, TEAM, knobs, objects, wait_for};

/// The simulator, which runs in the test's own process.
pub struct Simulator {
    running: Running,
}

impl Simulator {
    /// Starts one that trusts the ServiceAccount tokens of `plane`, with the knob turned that the environment asks for.
    pub async fn start(plane: &ControlPlane, world: World) -> Self {
        let key = fs::read(plane.token_key()).expect("the control plane's key");
        let issuer = Some(entra::Issuer::new(plane::ISSUER, &key).expect("an RSA key"));
        let running = sim::start(Options { world, issuer, ..Options::default() }).await.expect("the simulator starts");
        let simulator = Self { running };
        knobs::turn(&simulator).await;
        simulator
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

    /// One request to its control API, as a person makes it with curl; panics with its words if it refuses. For what has
    /// no method here: other hands (`PUT /hand/endpoints/…`), knobs, times, the clock, a new scenario.
    pub async fn control(&self, method: Method, path: &str, body: &Value) -> Value {
        let url = format!("{}{path}", self.running.proxy_url);
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let reply = client.request(method, &url).body(body.to_string()).send().await;
        let reply = reply.unwrap_or_else(|problem| panic!("{url}: {problem}"));
        let (status, text) = (reply.status(), reply.text().await.unwrap_or_default());
        assert!(status.is_success(), "{url}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|problem| panic!("{url}: {problem}: {text}"))
    }

    /// All of its state, for what has no method here.
    pub fn sim(&self) -> &sim::Sim {
        &self.running.sim
    }

    /// Plays this scenario from now on.
    pub fn play(&self, scenario: Value) {
        *sim::lock(&self.sim().scenario) = knobs::scenario(scenario);
    }

    /// Adds a fault rule (JSON as its control API takes it) and returns its name.
    pub fn fault(&self, rule: Value) -> String {
        let rule: faults::Rule = serde_json::from_value(rule).expect("a rule");
        sim::lock(&self.sim().faults).add(rule).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// Lets go what the rule holds.
    pub fn release(&self, rule: &str) {
        assert!(sim::lock(&self.sim().faults).release(rule), "no rule {rule:?}");
    }

    /// Removes all rules.
    pub fn heal(&self) {
        sim::lock(&self.sim().faults).clear();
    }

    /// How often the rule struck.
    pub fn struck(&self, rule: &str) -> usize {
        sim::lock(&self.sim().faults).hits().iter().filter(|hit| hit.rule == rule).count()
    }

    /// Returns when the rule has struck.
    pub async fn strikes(&self, rule: &str) {
        let seen = async || if self.struck(rule) > 0 { Ok(()) } else { Err("not yet".to_owned()) };
        wait_for(&format!("the fault {rule:?} strikes"), seen).await;
    }

    /// Every request after number `since` (0: all), oldest first.
    pub fn requests(&self, since: u64) -> Vec<requests::Entry> {
        sim::lock(&self.sim().requests).since(since).cloned().collect()
    }

    /// Number of the newest request.
    pub fn last_request(&self) -> u64 {
        sim::lock(&self.sim().requests).last()
    }

    /// Writes of traffic, oldest first: `why` and the split that was asked for.
    pub fn traffic_writes(&self) -> Vec<(String, Value)> {
        let writes = self.requests(0).into_iter();
        writes.filter_map(|entry| Some((entry.why.unwrap_or_default(), entry.traffic?))).collect()
    }

    /// Puts a file where everybody can fetch it, as CI uploads an archive.
    pub async fn host_file(&self, url: &str, bytes: Vec<u8>) {
        self.running.host_file(url, bytes).await.unwrap_or_else(|problem| panic!("{problem:#}"));
    }

    /// Body of the last page or notice that any receiver accepted.
    pub fn last_page(&self) -> Option<Value> {
        self.running.last_page()
    }

    /// Endpoints and deployments as the management API would show them, and what is under way.
    pub fn arm(&self) -> Value {
        sim::lock(&self.sim().arm).describe()
    }
}

/// The world of the sample in agreement with its manifests: the endpoint that they name, empty, and an identity for the
/// team's ServiceAccount; on-call's receiver knows the secret. `more` is laid over it, in the words of a world file.
pub fn sample_world(more: &Value) -> World {
    sample_world_of(TEAM, more)
}

/// The same for a team in another namespace.
pub fn sample_world_of(namespace: &str, more: &Value) -> World {
    let endpoint = &objects(&format!("{MANIFESTS}/endpoint.yaml"))[0]["spec"];
    let tenant = objects(&format!("{MANIFESTS}/tenant.yaml"));
    let account = tenant.iter().find(|object| object["kind"] == "ServiceAccount").expect("a ServiceAccount");
    let annotation = |name: &str| &account["metadata"]["annotations"][format!("azure.workload.identity/{name}")];
    let account_name = endpoint["serviceAccountName"].as_str().expect("a name");
    let subject = format!("system:serviceaccount:{namespace}:{account_name}");
    let secret = &objects(&format!("{MANIFESTS}/secret.example.yaml"))[0]["stringData"];
    let receiver = secret["url"].as_str().and_then(|url| url.strip_prefix("https://")).expect("an address");
    let connections = ["azure-openai-prod", "azure-openai-eval", "content-safety-prod", "content-safety-eval"];
    let mut world = json!({
        "subscription": endpoint["azure"]["subscriptionID"],
        "resourceGroup": endpoint["azure"]["resourceGroup"],
        "workspace": endpoint["azure"]["workspace"],
        "applicationInsights": endpoint["applicationInsights"],
        "endpoints": [{"name": endpoint["azure"]["endpoint"]}],
        "tenant": annotation("tenant-id"),
        "federated": [{
            "tenant": annotation("tenant-id"),
            "client": annotation("client-id"),
            "subject": subject,
            "object": "c0ffee00-1111-4222-8333-444455556666",
        }],
        "receivers": [{"place": receiver, "secret": secret["hmac"]}],
        "connections": connections.map(|name| json!({"name": name})),
        "times": {"endpointOperation": "300ms", "deploymentOperation": "500ms"},
    });
    let (Some(world_fields), Some(more)) = (world.as_object_mut(), more.as_object()) else {
        panic!("a world is an object");
    };
    world_fields.extend(more.clone());
    World::parse(&world.to_string()).expect("a world")
}
