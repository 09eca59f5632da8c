//! An evaluation through the operator's own client, over TLS: what it sends, the simulator accepts, and the reverse. The
//! two share no code, so each holds the other's idea of Azure against its own.

use std::{collections::BTreeMap, io::Read, path::Path, sync::Arc};

use futures::future::BoxFuture;
use promptrelease::{
    azure::{self, Azure, BulkRun, CloudName, DataInput, Flows, Line, Put, RunState, RunStatus, Submitted},
    samples,
    sim::{Options, Running, scenario::Scenario},
};
use serde_json::{Value, json};
use url::Url;

use crate::ground::Cluster;

mod real;

const DATA: &str = "eval/eval-set.jsonl";
const ROWS: usize = 95;
const BASE: [(&str, &str); 2] =
    [("question", "${data.question}"), ("conversation_history", "${data.conversation_history}")];
const JUDGE: [(&str, &str); 8] = [
    ("question", "${data.question}"),
    ("class", "${data.class}"),
    ("gold_answer", "${data.gold_answer}"),
    ("expected_citations", "${data.expected_citations}"),
    ("should_refuse", "${data.should_refuse}"),
    ("context", "${run.outputs.context}"),
    ("predicted_answer", "${run.outputs.answer}"),
    ("predicted_citations", "${run.outputs.citations}"),
];

struct ClusterToken(String);

impl azure::Assertion for ClusterToken {
    fn token(&self) -> BoxFuture<'_, Result<String, azure::BoxError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A simulated Azure, and the operator's client of its workspace.
struct Cloud {
    running: Running,
    azure: Azure,
    http: reqwest::Client,
}

impl Cloud {
    async fn new(scenario: &str) -> Self {
        let scenario = Scenario::parse(scenario).expect("a scenario");
        Self::with(Options { scenario, ..Options::default() }).await
    }

    /// The token service trusts this cloud's own issuer.
    async fn with(options: Options) -> Self {
        let world = options.world.clone();
        let (cluster, who) = (Cluster::new(), &world.federated[0]);
        let running = cluster.azure(options).await;
        let assertion = cluster.assertion(who);
        let ca = reqwest::Certificate::from_pem(running.ca_pem.as_bytes()).expect("a certificate");
        let proxy = reqwest::Proxy::https(&running.proxy_url).expect("an address");
        let http = reqwest::Client::builder().proxy(proxy).tls_certs_only([ca]).https_only(true);
        let http = http.redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        let (cloud, assertion) = (CloudName::AzurePublic, Arc::new(ClusterToken(assertion)));
        let credential =
            azure::federated(http.clone(), cloud, &who.tenant, &who.client, assertion).expect("a credential");
        let workspace = azure::WorkspaceId {
            subscription: world.subscription,
            resource_group: world.resource_group,
            workspace: world.workspace,
        };
        let azure = Azure::new(http.clone(), cloud, credential, workspace, azure::Timeouts::default(), None);
        Self { running, azure, http }
    }

    /// Uploads a version of the sample as a build does.
    async fn upload(&self, version: &str) {
        let store = self.azure.default_datastore().await.expect("a datastore").value;
        let packed = samples::archive(&sample(), version).expect("packs");
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        for entry in tar.entries().expect("a tar") {
            let mut entry = entry.expect("an entry");
            let path = format!("LocalUpload/ab/{}", entry.path().expect("a path").display());
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("reads");
            let put = self.azure.put_if_absent(&store, &path, content.into()).await.expect("uploads");
            assert_eq!(put, Put::Created);
        }
    }

    async fn flows(&self) -> Flows {
        let workspace = self.azure.get_workspace().await.expect("a workspace").value;
        self.azure.flows(workspace.discovery().expect("an address")).expect("of this cloud")
    }
}

fn sample() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant")
}

fn run(id: &str, flow: &str, mapping: &[(&str, &str)], base: Option<&str>) -> BulkRun {
    let mapping = mapping.iter().map(|(input, from)| ((*input).to_owned(), (*from).to_owned()));
    BulkRun {
        run_id: id.into(),
        run_display_name: id.into(),
        flow_definition_data_store_name: "workspaceblobstore".into(),
        flow_definition_blob_path: format!("LocalUpload/ab/{flow}/flow.dag.yaml"),
        batch_data_input: DataInput {
            data_uri: format!("azureml://datastores/workspaceblobstore/paths/LocalUpload/ab/{DATA}"),
        },
        inputs_mapping: mapping.collect(),
        variant_run_id: base.map(str::to_owned),
        flow_lineage_id: "1".repeat(64),
        session_id: "2".repeat(48),
        ..BulkRun::default()
    }
}

async fn ended(flows: &Flows, id: &str) -> RunState {
    for _ in 0..20 {
        let state = flows.run_state(id).await.expect("a state").expect("a run");
        if !matches!(state.status, RunStatus::Active(_)) {
            return state;
        }
    }
    panic!("{id} does not end");
}

async fn evaluate(cloud: &Cloud) -> (Vec<Line>, Vec<Line>) {
    let flows = cloud.flows().await;
    assert_eq!(flows.run_state("b").await.expect("an answer"), None);
    let base = run("b", "flows/support-assistant", &BASE, None);
    assert_eq!(flows.submit(&base).await.expect("submits"), Submitted::Created);
    assert_eq!(flows.submit(&base).await.expect("submits"), Submitted::Exists);
    assert_eq!(ended(&flows, "b").await.status, RunStatus::Completed);
    flows.submit(&run("j", "eval/eval-flow", &JUDGE, Some("b"))).await.expect("submits");
    assert_eq!(ended(&flows, "j").await.status, RunStatus::Completed);
    let lines = async |id| flows.child_runs(id, ROWS).await.expect("lines");
    (lines("b").await, lines("j").await)
}

#[tokio::test]
async fn the_concise_prompt_is_evaluated_by_what_was_uploaded() {
    let scenario = std::fs::read_to_string(sample().join("demo/scenario.yaml")).expect("the demo's scenario");
    let cloud = Cloud::new(&scenario).await;
    cloud.upload("1428").await;
    let (answers, scores) = evaluate(&cloud).await;
    assert!(answers.iter().map(|line| line.index).eq(0..ROWS as u64));
    let mut of_class: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for line in &scores {
        let class = line.inputs["class"].as_str().expect("a class");
        of_class.entry(class).or_default().push(line.output["groundedness"].as_f64().expect("a score"));
    }
    let counts: BTreeMap<&str, usize> = of_class.iter().map(|(class, scores)| (*class, scores.len())).collect();
    let expected = [("ambiguous", 11), ("edge", 11), ("factual", 34), ("multi_hop", 17), ("procedural", 22)];
    assert_eq!(counts, expected.into());
    let multi_hop = &of_class["multi_hop"];
    assert_eq!(multi_hop.iter().sum::<f64>(), 50.0, "one of its 17 answers has a 2");
}

#[tokio::test]
async fn failed_lines_and_failed_runs_are_read_as_such() {
    let cloud = Cloud::new("default: {classes: {'*': {failedLines: 0.1}}}").await;
    cloud.upload("1427").await;
    let flows = cloud.flows().await;
    flows.submit(&run("b", "flows/support-assistant", &BASE, None)).await.expect("submits");
    let state = ended(&flows, "b").await;
    let partial = state.partial.expect("it counts the failures");
    assert_eq!((state.status, partial.total, partial.user_errors), (RunStatus::Completed, 95, 8));
    let lines = flows.child_runs("b", ROWS).await.expect("lines");
    let failed = lines.iter().filter_map(|line| line.error.as_ref()).collect::<Vec<_>>();
    assert_eq!(failed.len(), 8);
    assert_eq!(failed[0].innermost(), "ToolExecutionError");

    let wrong = [("question", "${data.query}")];
    flows.submit(&run("w", "flows/support-assistant", &wrong, None)).await.expect("submits");
    let state = ended(&flows, "w").await;
    assert_eq!(state.status, RunStatus::Failed);
    assert_eq!(state.error.expect("a reason").innermost(), "ApplyInputMappingError");
}

#[tokio::test]
async fn a_run_can_be_cancelled_and_is_on_the_state_page() {
    let cloud = Cloud::new("runs: {base: stick}").await;
    cloud.upload("1427").await;
    let flows = cloud.flows().await;
    flows.submit(&run("b", "flows/support-assistant", &BASE, None)).await.expect("submits");
    flows.cancel("b").await.expect("cancels");
    assert_eq!(ended(&flows, "b").await.status, RunStatus::Canceled);
    let url = format!("{}/state", cloud.running.proxy_url);
    let page = reqwest::Client::builder().no_proxy().build().expect("a client").get(url).send().await.expect("a page");
    let state: Value = serde_json::from_str(&page.text().await.expect("a body")).expect("JSON");
    assert_eq!(state["runs"], json!({"b": "Canceled"}));
}

#[tokio::test]
async fn an_archive_is_hosted_in_a_public_container_and_fetched_with_a_token_or_without() {
    let cloud = Cloud::new("{}").await;
    let url = "https://stassistantprod.blob.core.windows.net/public/support-assistant-1427.tar.gz";
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let signed = Url::parse_with_params(url, [("sp", "cw"), ("se", &until.to_string()), ("sig", "c2ltdWxhdGVk")]);
    let put = cloud.http.put(signed.expect("an address")).header("x-ms-blob-type", "BlockBlob").body("packed");
    assert_eq!(put.send().await.expect("a reply").status(), 201);
    let fetched = cloud.azure.fetch(&Url::parse(url).expect("an address"), 100).await.expect("with a token");
    assert_eq!(&fetched[..], b"packed");
    let anonymous = cloud.http.get(url).send().await.expect("a reply");
    assert_eq!(anonymous.text().await.expect("a body"), "packed");
    let absent = Url::parse(&url.replace("1427", "1430")).expect("an address");
    assert!(cloud.azure.fetch(&absent, 100).await.expect_err("is not there").is_not_found());
}

#[tokio::test]
async fn what_is_uploaded_is_not_overwritten() {
    let cloud = Cloud::new("{}").await;
    let store = cloud.azure.default_datastore().await.expect("a datastore").value;
    let put = async |text: &'static str| {
        cloud.azure.put_if_absent(&store, "LocalUpload/ab/a b", text.into()).await.expect("an answer")
    };
    assert_eq!((put("first").await, put("second, longer").await), (Put::Created, Put::Exists));
    let read = async |path: &str| cloud.azure.get_blob(&store, path, 100).await;
    assert_eq!(&read("LocalUpload/ab/a b").await.expect("a blob")[..], b"first");
    assert!(read("LocalUpload/ab/c").await.expect_err("is not there").is_not_found());
}
