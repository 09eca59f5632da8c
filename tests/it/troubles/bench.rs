//! A simulated Azure with one endpoint, and the operator's client to it.

use std::{future::ready, sync::Arc, time::Duration};

use azure_core::{
    credentials::{AccessToken, TokenCredential},
    time::OffsetDateTime,
};
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use promptrelease::{
    api::{
        At, Cause, PromptReleaseSpec,
        status::{Build, ClassRows, EvaluationStatus},
    },
    azure::{
        self, AssetKind, Azure, BulkRun, CloudName, CustomEvent, DataInput, Error, Ingestion, ModelBody,
        OperationStatus, Timeouts, WorkspaceId,
        troubles::{self, Trouble},
    },
    endpoint::Wish,
    sim::{
        self, Options, Running,
        entra::{Federated, Misissue},
        faults,
        scenario::Scenario,
        world::World,
    },
    stage::{
        Facts, Then,
        deploy::failure::{self, Failure},
        evaluate,
    },
};
use serde_json::{Value, json};
use url::Url;

use crate::ground::{Cluster, wait_for};

pub const ARM: &str = "https://management.azure.com";
pub const STORAGE: &str = "https://storage.azure.com";
pub const INSIGHTS: &str = "https://api.applicationinsights.io";
pub const INGESTION: &str = "https://monitor.azure.com";
pub const MACHINE_LEARNING: &str = "https://ml.azure.com";

const SUBJECT: &str = "system:serviceaccount:team:release";
const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
const FOLDER: &str = "LocalUpload/trouble";

/// The simulator, which runs in the test's own process, and the key of the cluster that it trusts.
pub struct Bench {
    running: Arc<Running>,
    cluster: Arc<Cluster>,
    who: Federated,
}

/// An assertion, and to whom it is shown.
pub struct Shown {
    claims: Value,
    cluster: Arc<Cluster>,
    tenant: String,
    client: String,
}

impl Shown {
    pub fn of(mut self, subject: &str) -> Self {
        self.claims["sub"] = json!(subject);
        self
    }

    pub fn expired(mut self) -> Self {
        self.claims["exp"] = json!(Timestamp::now().as_second() - 3600);
        self
    }

    pub fn signed_by_another(mut self) -> Self {
        self.cluster = Arc::new(Cluster::new());
        self
    }

    pub fn for_client(self, client: &str) -> Self {
        Self { client: client.to_owned(), ..self }
    }

    pub fn for_tenant(self, tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), ..self }
    }
}

struct Jwt(String);

impl azure::Assertion for Jwt {
    fn token(&self) -> BoxFuture<'_, Result<String, azure::BoxError>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

/// A deployment that failed.
pub struct Failed {
    pub row: Option<&'static Trouble>,
    pub cause: Cause,
    pub text: String,
}

/// What differs from an evaluation that runs cleanly.
pub struct Evaluated {
    pub scenario: Value,
    /// Of the flow's node.
    pub connection: &'static str,
    /// Node of which the connection is replaced; empty: of none.
    pub overrides: &'static str,
    /// What feeds the flow's input.
    pub from: &'static str,
    /// The run is judged, and how the judge's run ends is what counts.
    pub judges: bool,
}

impl Default for Evaluated {
    fn default() -> Self {
        let (connection, overrides, from) = ("azure-openai-prod", "", "${data.question}");
        Self { scenario: json!({}), connection, overrides, from, judges: false }
    }
}

impl Bench {
    pub async fn start() -> Self {
        let cluster = Arc::new(Cluster::new());
        let mut world = json!({
            "endpoints": [{"name": "qa-prod", "deployments": [{"name": "d-1"}], "traffic": {"d-1": 100}}],
            "times": {"endpointOperation": "1ms", "deploymentOperation": "1ms"},
        });
        let tenant = World::default().tenant;
        world["federated"] = json!([{"tenant": tenant, "client": CLIENT, "subject": SUBJECT}]);
        let world = World::parse(&world.to_string()).expect("a world");
        let who = world.federated[0].clone();
        let running = cluster.azure(Options { world, ..Options::default() }).await;
        Self { running: Arc::new(running), cluster, who }
    }

    fn http(&self) -> reqwest::Client {
        let ca = reqwest::Certificate::from_pem(self.running.ca_pem.as_bytes()).expect("a certificate");
        let proxy = reqwest::Proxy::https(&self.running.proxy_url).expect("a proxy");
        let builder = reqwest::Client::builder().proxy(proxy).tls_certs_only([ca]);
        builder.retry(reqwest::retry::never()).redirect(reqwest::redirect::Policy::none()).build().expect("a client")
    }

    fn client(&self, credential: Arc<dyn TokenCredential>) -> Azure {
        let World { subscription, resource_group, workspace, .. } = World::default();
        let id = WorkspaceId { subscription, resource_group, workspace };
        let long = Duration::from_secs(30);
        let timeouts = Timeouts { read: long, write: long, query: long, slow: long };
        Azure::new(self.http(), CloudName::AzurePublic, credential, id, timeouts, None)
    }

    /// A client that has no token yet.
    pub fn azure(&self) -> Azure {
        let (running, who) = (self.running.clone(), self.who.clone());
        self.client(azure::answering(move |scope| {
            let token = running.sim.entra.mint(&who, scope.trim_end_matches("/.default")).expect("a token");
            let end = OffsetDateTime::now_utc() + azure_core::time::Duration::hours(1);
            Box::pin(ready(Ok(AccessToken::new(token, end))))
        }))
    }

    /// A good assertion.
    pub fn assertion(&self) -> Shown {
        let (claims, cluster) = (Cluster::claims(&self.who), self.cluster.clone());
        Shown { claims, cluster, tenant: self.who.tenant.clone(), client: CLIENT.into() }
    }

    /// A client that exchanges this assertion.
    pub fn federated(&self, shown: &Shown) -> Azure {
        let jwt = shown.cluster.sign(&shown.claims);
        let (http, cloud) = (self.http(), CloudName::AzurePublic);
        let credential = azure::federated(http, cloud, &shown.tenant, &shown.client, Arc::new(Jwt(jwt)));
        self.client(credential.expect("a credential"))
    }

    pub fn misissue(&self, resource: &str, how: Option<Misissue>) {
        self.running.sim.entra.set_misissue(resource, how);
    }

    /// The identity has no role in this API.
    pub fn deny(&self, resource: Option<&str>) {
        let denied = resource.map(str::to_owned).into_iter().collect();
        self.running.sim.entra.set_federated(vec![Federated { denied, ..self.who.clone() }]);
    }

    /// The error of a call while requests that match are spoilt so.
    pub async fn spoilt<T: std::fmt::Debug>(
        &self,
        matches: Value,
        effect: Value,
        call: impl Future<Output = azure::Result<T>>,
    ) -> Error {
        let rule = serde_json::from_value(json!({"match": matches, "times": 0, "do": effect})).expect("a rule");
        sim::lock(&self.running.sim.faults).add(rule).expect("a rule");
        let result = call.await;
        sim::lock(&self.running.sim.faults).clear();
        result.expect_err("it is spoilt")
    }

    pub async fn get_endpoint(&self) -> azure::Result<()> {
        self.azure().get_endpoint("qa-prod").await.map(|_| ())
    }

    fn deployment_body(&self) -> Value {
        json!({"location": World::default().location, "kind": "Managed", "sku": {"name": "Default", "capacity": 1},
            "properties": {"endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2"}})
    }

    pub async fn put_deployment(&self, name: &str) -> azure::Result<azure::Accepted> {
        self.azure().put_deployment("qa-prod", name, &self.deployment_body()).await
    }

    pub async fn put_blob(&self, azure: &Azure) -> azure::Result<()> {
        let store = azure::Datastore {
            name: "workspaceblobstore".into(),
            account: World::default().storage_account,
            container: World::default().container,
            endpoint_suffix: "core.windows.net".into(),
        };
        azure.put_if_absent(&store, "LocalUpload/x", Bytes::from_static(b"x")).await.map(|_| ())
    }

    pub async fn query(&self, azure: &Azure) -> azure::Result<()> {
        let app = World::default().application_insights.app_id;
        let (from, to) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        azure.query(&app, "customEvents | take 1", from, to).await.map(|_| ())
    }

    pub async fn track(&self, azure: &Azure) -> azure::Result<()> {
        let World { application_insights, location, .. } = World::default();
        let key = application_insights.instrumentation_key;
        let endpoint = format!("https://{location}-3.in.applicationinsights.azure.com/");
        let to = Ingestion::parse(&format!("InstrumentationKey={key};IngestionEndpoint={endpoint}")).expect("both");
        let (dimensions, measurements) = ([].into(), [].into());
        let event = CustomEvent { name: "qa".into(), at: Timestamp::now(), dimensions, measurements };
        azure.track(&to, &[event]).await
    }

    fn archive(&self, query: &str) -> Url {
        let account = World::default().storage_account;
        Url::parse(&format!("https://{account}.blob.core.windows.net/public/archive.tar.gz{query}"))
            .expect("an address")
    }

    pub async fn fetch_signed(&self) -> azure::Result<Bytes> {
        self.azure().fetch(&self.archive("?sig=old"), 10).await
    }

    pub async fn fetch_more_than_is_taken(&self) -> Error {
        let url = self.archive("");
        self.running.host_file(url.as_str(), b"more than ten bytes".to_vec()).await.expect("a file");
        self.azure().fetch(&url, 10).await.expect_err("too large")
    }

    /// Two contents under one version of a model.
    pub async fn registers_twice(&self) -> Error {
        let azure = self.azure();
        let id = azure.workspace_id();
        let model = |path: &str| {
            let uri = format!(
                "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}/datastores/workspaceblobstore/paths/{path}",
                id.subscription, id.resource_group, id.workspace
            );
            ModelBody { uri, properties: [].into(), tags: [].into() }.to_json()
        };
        let put = async |path: &str| azure.put_asset(AssetKind::Model, "qa", "1", &model(path)).await;
        put("LocalUpload/a").await.expect("it is new");
        put("LocalUpload/b").await.expect_err("it has another path")
    }

    /// A deployment whose operation goes wrong so, explained as its release would be told.
    pub async fn deploys(&self, name: &str, fault: Value) -> Failed {
        let matches = json!({"method": "PUT", "path": format!("/deployments/{name}")});
        let rule = serde_json::from_value::<faults::Rule>(json!({"match": matches, "do": {"operation": fault}}));
        sim::lock(&self.running.sim.faults).add(rule.expect("a rule")).expect("a rule");
        let azure = self.azure();
        let accepted = self.put_deployment(name).await.expect("accepted");
        let url = accepted.operation.expect("an address");
        let fault = wait_for("the operation ends", async || match azure.get_operation(&url).await {
            Ok(seen) => match seen.value {
                OperationStatus::Failed(fault) => Ok(fault),
                OperationStatus::Canceled(Some(fault)) => Ok(fault),
                other => Err(format!("{other:?}")),
            },
            Err(error) => Err(error.to_string()),
        })
        .await;
        let log_tail = azure.deployment_logs("qa-prod", name, 50).await.ok();
        let row = troubles::of_operation(&fault, log_tail.as_deref());
        let (cause, text) = failure::explain(name, &Failure { fault: Some(fault), log_tail });
        Failed { row, cause, text }
    }

    pub fn play(&self, scenario: &Value) {
        *sim::lock(&self.running.sim.scenario) = Scenario::parse(&scenario.to_string()).expect("a scenario");
    }

    /// Submits a run of a flow that is not there: enough to be refused.
    pub async fn submit(&self, azure: &Azure, id: &str) -> azure::Result<()> {
        let flows = azure.flows(azure.get_workspace().await?.value.discovery()?)?;
        flows.submit(&BulkRun { run_id: id.to_owned(), ..BulkRun::default() }).await.map(|_| ())
    }

    /// An evaluation of two rows, up to its end; why the attempt is withdrawn.
    pub async fn evaluates(&self, id: &str, wanted: &Evaluated) -> String {
        self.play(&wanted.scenario);
        let azure = self.azure();
        let folder = format!("{FOLDER}/{id}");
        upload(&azure, &folder, wanted.connection).await;
        let (base, judge) = (format!("{id}-base"), format!("{id}-judge"));
        let flows =
            azure.flows(azure.get_workspace().await.expect("one").value.discovery().expect("one")).expect("one");
        flows.submit(&bulk_run(&folder, wanted, &base, None)).await.expect("it is taken");
        if wanted.judges {
            let over = async || match flows.run_state(&base).await {
                Ok(Some(state)) if state.status == azure::RunStatus::Completed => Ok(()),
                other => Err(format!("{other:?}")),
            };
            wait_for("the base run completes", over).await;
            flows.submit(&bulk_run(&folder, wanted, &judge, Some(&base))).await.expect("it is taken");
        }
        withdrawn(&azure, facts(&folder, base, wanted.judges.then_some(judge))).await
    }
}

async fn upload(azure: &Azure, folder: &str, connection: &str) {
    let store = azure.default_datastore().await.expect("a datastore").value;
    let flow = format!(
        "inputs: {{question: {{type: string}}}}\noutputs: {{answer: {{type: string, reference: '${{draft.output}}'}}}}\n\
         nodes: [{{name: draft, type: llm, connection: {connection}, inputs: {{question: '${{inputs.question}}'}}}}]\n"
    );
    let rows = "{\"class\": \"edge\", \"question\": \"a\"}\n{\"class\": \"edge\", \"question\": \"b\"}\n";
    for (name, text) in [("flow.dag.yaml", flow.as_str()), ("eval.jsonl", rows)] {
        let put = azure.put_if_absent(&store, &format!("{folder}/{name}"), Bytes::from(text.to_owned())).await;
        put.expect("it is stored");
    }
}

fn bulk_run(folder: &str, wanted: &Evaluated, id: &str, of: Option<&str>) -> BulkRun {
    let node = Some(wanted.overrides).filter(|node| !node.is_empty());
    let instead = |node: &str| (node.to_owned(), [("connection".to_owned(), wanted.connection.to_owned())].into());
    BulkRun {
        run_id: id.to_owned(),
        flow_definition_data_store_name: "workspaceblobstore".into(),
        flow_definition_blob_path: format!("{folder}/flow.dag.yaml"),
        batch_data_input: DataInput {
            data_uri: format!("azureml://datastores/workspaceblobstore/paths/{folder}/eval.jsonl"),
        },
        inputs_mapping: [("question".to_owned(), wanted.from.to_owned())].into(),
        variant_run_id: of.map(str::to_owned),
        connections: node.map(instead).into_iter().collect(),
        ..BulkRun::default()
    }
}

fn facts(folder: &str, base: String, judge: Option<String>) -> Facts {
    let build = Build {
        folder: Some(folder.to_owned()),
        dataset: Some(format!("{folder}/eval.jsonl")),
        rows: vec![ClassRows { class: "edge".into(), rows: 2 }],
        ..Build::default()
    };
    let evaluation = EvaluationStatus {
        base_run: Some(base),
        judge_run: judge,
        rows: 2,
        started_at: Some(Timestamp::now().into()),
        ..EvaluationStatus::default()
    };
    Facts { build: Some(build), evaluation: Some(evaluation), ..Facts::default() }
}

/// Looks and decides until the attempt is to be withdrawn.
async fn withdrawn(azure: &Azure, mut facts: Facts) -> String {
    let spec: PromptReleaseSpec = serde_json::from_value(json!({
        "endpointRef": {"name": "e"}, "version": "1428", "artifact": {},
        "evaluation": {"dataset": {"path": "eval.jsonl"}, "timeout": "30m", "retries": 0},
    }))
    .expect("a spec");
    let (none, now) = (SignedDuration::ZERO, At::from(Timestamp::now()));
    let plan = evaluate::Plan {
        spec: &spec,
        release_uid: "uid",
        attempt: 1,
        second_count: none,
        poll: none,
        protected: &[],
        stable: None,
    };
    for _ in 0..50 {
        let look = evaluate::look(azure, &plan, &facts).await.expect("it is read");
        let decision = evaluate::next(&plan, &facts, &look, now);
        facts = decision.facts;
        match decision.then {
            Then::Ask(Wish::Withdraw(cause), why) => {
                assert_eq!(cause, Cause::EvalInfraError, "{why}");
                return why;
            }
            Then::Wait(_) => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("it does not end: {facts:?}");
}
