//! One release, in a namespace and an Azure of its own.

use std::sync::Arc;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, PostParams},
};
use promptrelease::{
    api::{PromptEndpoint, PromptRelease},
    samples, sim,
};
use serde_json::{Value, json};

use super::call::{self, Call, Ending};
use crate::{
    ground::{
        Cable, ENDPOINT, Ground, MANIFESTS, OPERATOR, OPERATOR_NAMESPACE, Operator, Setup, Simulator, Tap, objects,
        sample_world_of, wait_for,
    },
    stories::{intact, team::RELEASE},
};

/// What has all traffic when a release begins.
pub const STABLE: &str = "d-1400";

/// What live answers show of the release, and so how it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    TakenBack,
    Promoted,
}

/// What all runs have in common.
pub struct Given {
    ground: Ground,
    /// With an administrator's rights, and with the operator's.
    clients: (Client, Client),
    /// Of the version.
    archive: Vec<u8>,
    /// What the platform team and the product team apply, in this order.
    manifests: Vec<Value>,
}

pub struct Case {
    pub namespace: String,
    pub azure: Simulator,
    pub tap: Tap,
    client: Client,
    given: Arc<Given>,
    fate: Fate,
    operator: Option<Operator>,
    /// Between operator and tap, where it is to be cut.
    cable: Option<Cable>,
    /// So many operators were started.
    started: u32,
}

impl Given {
    pub async fn new() -> Self {
        let archive = intact::small_archive();
        let files = ["tenant", "secret.example", "demo/endpoint"].map(|name| format!("{MANIFESTS}/{name}.yaml"));
        let mut manifests: Vec<Value> = files.iter().flat_map(|file| objects(file)).chain(lease_role()).collect();
        for endpoint in manifests.iter_mut().filter(|object| object["kind"] == "PromptEndpoint") {
            endpoint["spec"]["settle"] = json!("1500ms");
        }
        manifests.push(release(&archive));
        let ground = Ground::start("crash").await;
        let clients = (ground.client().await, ground.client_of(OPERATOR_NAMESPACE, OPERATOR).await);
        Self { ground, clients, archive, manifests }
    }
}

/// The sample's release with three questions of one class, one criterion, and a canary of two windows of which one that fails is enough.
fn release(archive: &[u8]) -> Value {
    let mut release = objects(&format!("{MANIFESTS}/demo/release-1428.yaml")).remove(0);
    let spec = &mut release["spec"];
    spec["artifact"]["promptFlow"]["archive"]["digest"] = json!(samples::digest(archive));
    spec["evaluation"]["dataset"]["classes"] = json!([{"name": "multi_hop", "rows": 3}]);
    spec["metrics"] = json!([{"name": "groundedness", "type": "Integer", "scale": {"min": 0, "max": 3}}]);
    spec["criteria"] = json!([{"class": "multi_hop", "metric": "groundedness", "minimum": 2.85}]);
    spec["canary"]["steps"] = json!([{"weight": 30, "duration": "2s"}]);
    spec["canary"]["analysis"]["window"] = json!("1s");
    spec["canary"]["analysis"]["consecutiveFailures"] = json!(1);
    spec["promotion"]["keepPreviousFor"] = json!("1s");
    release
}

/// The operator's right to its Lease, which it has in its own namespace only: here that is the team's.
fn lease_role() -> impl Iterator<Item = Value> {
    let own = objects("deploy/operator.yaml").into_iter();
    let own = own.filter(|object| object["metadata"]["namespace"] == OPERATOR_NAMESPACE);
    own.filter(|object| object["kind"] == "Role" || object["kind"] == "RoleBinding").map(|mut object| {
        object["metadata"]["name"] = json!("lease");
        if object["roleRef"].is_object() {
            object["roleRef"]["name"] = json!("lease");
        }
        object
    })
}

impl Case {
    /// Everything but an operator.
    pub async fn begin(given: Arc<Given>, fate: Fate, name: &str) -> Self {
        let (client, as_operator) = given.clients.clone();
        let namespace = Ground::namespace_by(client.clone(), name).await;
        let world = json!({
            "endpoints": [{"name": ENDPOINT, "deployments": [{"name": STABLE}], "traffic": {STABLE: 100}}],
            "times": {"endpointOperation": "100ms", "deploymentOperation": "200ms"},
        });
        let azure = Simulator::start(given.ground.plane(), sample_world_of(&namespace, &world)).await;
        let good = json!({"groundedness": 3, "citation_correctness": 1.0, "refusal": 3, "refusal_correct": true});
        let live = match fate {
            Fate::TakenBack => json!({"groundedness": 1}),
            Fate::Promoted => json!({"groundedness": 3}),
        };
        let scenario = json!({
            "default": {"classes": {"*": {"scores": good, "live": live}}},
            "traffic": [{"endpoint": ENDPOINT, "requestsPerSecond": 20, "classes": {"multi_hop": 1}}],
            "sampler": {"oneIn": 1},
        });
        azure.play(scenario);
        for object in &given.manifests {
            if let Some(url) = object["spec"]["artifact"]["promptFlow"]["archive"]["url"].as_str() {
                azure.host_file(url, given.archive.clone()).await;
            }
            create(&client, &namespace, object.clone()).await;
        }
        let tap = Tap::open(as_operator, &namespace).await;
        Self { namespace, azure, tap, client, given: given.clone(), fate, operator: None, cable: None, started: 0 }
    }

    /// Starts an operator in place of the one before it, if there was one: that one is killed.
    pub async fn start_operator(&mut self) {
        if let Some(mut before) = self.operator.take() {
            before.kill();
            // The next one need not wait for the lease of one that is known to be dead: that wait is another story's.
            let leases: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
            let deleted = leases.delete(OPERATOR, &DeleteParams::default()).await;
            assert!(deleted.is_ok(), "the lease of the one before: {deleted:?}");
        }
        self.started += 1;
        let ground = &self.given.ground;
        // Slower than other stories: here it is the number of looks that takes the machine's time.
        let times = [
            ("--lease-renew", "2s"),
            ("--look-exposed", "1s"),
            ("--look-unsettled", "400ms"),
            ("--look-withdrawing", "400ms"),
            ("--poll", "500ms"),
        ];
        let setup = times.into_iter().fold(Setup::default(), |setup, (flag, time)| setup.flag(flag, time));
        let straight = self.tap.kubeconfig(ground);
        let way = self.cable.as_ref().map_or_else(|| straight.clone(), |cable| cable.kubeconfig(&straight));
        let setup = setup.env("KUBECONFIG", way).env("POD_NAMESPACE", &self.namespace);
        let setup = self.azure.env().fold(setup, |setup, (name, value)| setup.env(name, value));
        let pod = format!("{}-{}", self.namespace, self.started);
        self.operator = Some(Operator::start(ground, &pod, &setup).await);
    }

    /// Makes the way to the API server one that can be cut.
    pub async fn lay_cable(&mut self) {
        self.cable = Some(Cable::to(self.tap.port()).await);
    }

    /// Cuts it until the operator has given up by itself, as it must when it loses its lease.
    pub async fn cut_cable(&mut self) {
        let (cable, operator) = (self.cable.as_ref().expect("a cable"), self.operator.as_mut().expect("an operator"));
        cable.cut();
        assert_ne!(operator.ended().await, 0, "a lease that was lost is no clean end");
        cable.mend();
    }

    /// Starts one that has ended again, as a kubelet does: on a machine that stands still for seconds a lease is lost.
    async fn keep_running(&mut self) {
        if self.operator.as_mut().is_some_and(|operator| operator.exited().is_some()) {
            eprintln!("crash: the operator of {} ended by itself", self.namespace);
            self.start_operator().await;
        }
    }

    /// Returns when the call is held, or when the release is over without it: whether it is held.
    pub async fn holds_or_rests(&mut self, call: &Call) -> bool {
        wait_for(&format!("{call} comes"), async || {
            self.keep_running().await;
            if call.is_held(self) { Ok(true) } else { self.is_at_rest().await.map(|()| false) }
        })
        .await
    }

    /// Returns when the attempt has ended, all is told, and nothing is left in Azure but what was there and what serves.
    pub async fn rests(&mut self) {
        wait_for(&format!("the release in {} ends", self.namespace), async || {
            self.keep_running().await;
            self.is_at_rest().await
        })
        .await;
    }

    /// What the operators have sent says first whether it is worth asking the API server.
    async fn is_at_rest(&self) -> Result<(), String> {
        let (Some(release), Some(endpoint)) = (self.tap.told("promptreleases"), self.tap.told("promptendpoints"))
        else {
            return Err("no status was written".to_owned());
        };
        let parsed = (serde_json::from_value(release), serde_json::from_value(endpoint));
        let (Ok(release), Ok(endpoint)) = parsed else { return Err(format!("{parsed:#?}")) };
        self.is_over(&release, &endpoint)?;
        let endpoints: Api<PromptEndpoint> = Api::namespaced(self.client.clone(), &self.namespace);
        self.is_over(&self.release().await, &endpoints.get(ENDPOINT).await.expect("the endpoint"))
    }

    fn is_over(&self, release: &PromptRelease, endpoint: &PromptEndpoint) -> Result<(), String> {
        let log = endpoint.status.as_ref().and_then(|status| status.log.clone()).unwrap_or_default();
        let ended = release.status.as_ref().is_some_and(|status| !status.history.is_empty());
        let settled = log.outbox.is_empty() && log.intent.is_none() && log.unsettled.is_empty();
        // What was there before is not ours to delete.
        let left = match self.fate {
            Fate::TakenBack => 1,
            Fate::Promoted => 2,
        };
        let tidy = self.endpoint()["deployments"].as_array().map_or(0, Vec::len) == left;
        if ended && settled && tidy {
            Ok(())
        } else {
            Err(format!("{:#?}\n{log:#?}\n{:#}", release.status, self.endpoint()))
        }
    }

    async fn release(&self) -> PromptRelease {
        let releases: Api<PromptRelease> = Api::namespaced(self.client.clone(), &self.namespace);
        releases.get(RELEASE).await.expect("the release")
    }

    /// The online endpoint as Azure has it.
    fn endpoint(&self) -> Value {
        self.azure.arm()["endpoints"][0].clone()
    }

    /// How it ended. `held` is the call that was carried out without a reply.
    pub async fn ending(&self, held: Option<&Call>) -> Ending {
        let status = self.release().await.status.unwrap_or_default();
        let attempts = status.history.iter().map(|ended| {
            let reason = ended.reason.clone().unwrap_or_else(|| ended.outcome.clone());
            (ended.outcome.clone(), reason)
        });
        let flow = sim::lock(&self.azure.sim().flow).describe();
        let runs = flow.as_object().into_iter().flat_map(|runs| runs.keys());
        let told = sim::lock(&self.azure.sim().webhook)
            .deliveries()
            .filter(|page| page.status == 204)
            .map(|page| {
                let key = page.id().unwrap_or_default().replace(&self.namespace, "");
                let reason = page.json().unwrap_or_default()["reason"].as_str().unwrap_or_default().to_owned();
                (key, reason)
            })
            .collect();
        Ending {
            attempts: attempts.collect(),
            live: self.endpoint()["serving"].clone(),
            runs: runs.filter_map(|id| Some(id.split('-').next()?.to_owned())).collect(),
            accepted: call::accepted(&self.azure.requests(0), held.is_some()),
            told,
            repeated: call::repeated(&status.timeline),
        }
    }
}

impl Drop for Case {
    /// A run that fails shows what it has asked for.
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("---- {} wrote to the API server ----\n{}", self.namespace, self.tap.writes().join("\n"));
            eprintln!("---- and to Azure ----");
            for entry in self.azure.requests(0).iter().filter(|entry| entry.method != "GET") {
                let (status, why) = (entry.status.unwrap_or(0), entry.why.as_deref().unwrap_or_default());
                eprintln!("{:5} {status:3} {} {} {why}", entry.n, entry.method, entry.path);
            }
        }
    }
}

/// Creates a manifest's object in this namespace instead of its own.
async fn create(client: &Client, namespace: &str, mut object: Value) {
    object["metadata"]["namespace"] = json!(namespace);
    let object: DynamicObject = serde_json::from_value(object).expect("an object");
    let types = object.types.clone().expect("a kind");
    let kind = ApiResource::from_gvk(&GroupVersionKind::try_from(&types).expect("a kind"));
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &kind);
    let created = api.create(&PostParams::default(), &object).await;
    created.unwrap_or_else(|problem| panic!("{} in {namespace}: {problem}", types.kind));
}
