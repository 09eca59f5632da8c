//! The figures of docs/benchmarks.md, on the same parts as the stories. `make bench` prints them; nothing is asserted but
//! that what is measured took place.

use std::{collections::BTreeMap, env, path::Path, time::Duration};

use jiff::SignedDuration;
use kube::{Api, runtime::wait::await_condition};
use promptrelease::{
    api::PromptRelease,
    samples,
    sim::{self, requests::Entry, scenario::Scenario},
};
use serde_json::{Value, json};

use crate::{
    ground::{MANIFESTS, SAMPLE, Setup, TEAM, file, objects, wait_for},
    stories::team::{ENDPOINT, Team},
};

/// A number from the environment, to measure more or less.
fn number(name: &str, default: usize) -> usize {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn profile() -> &'static str {
    if cfg!(debug_assertions) { "dev" } else { "release" }
}

/// A team whose endpoint serves already, so that each release has a canary.
async fn serving(name: &str, scenario: &str, times: &Value) -> Team {
    serving_all(name, &[ENDPOINT.to_owned()], scenario, times).await
}

/// The same with several online endpoints.
async fn serving_all(name: &str, endpoints: &[String], scenario: &str, times: &Value) -> Team {
    let serving =
        |name: &String| json!({"name": name, "deployments": [{"name": "d-1400"}], "traffic": {"d-1400": 100}});
    let endpoints: Vec<Value> = endpoints.iter().map(serving).collect();
    let team = Team::begin_in(name, &json!({"endpoints": endpoints, "times": times}), Setup::default()).await;
    *sim::lock(&team.story.azure().sim().scenario) = Scenario::parse(scenario).expect("a scenario");
    team
}

/// Releases that are rolled back one after the other, on one endpoint of the team.
struct Lane<'a> {
    team: &'a Team,
    releases: Api<PromptRelease>,
    /// Name of the online endpoint, of the PromptEndpoint and of the PromptRelease.
    name: String,
}

impl Lane<'_> {
    /// Its endpoint may have releases without a gate.
    async fn open(&self) {
        let mut endpoint = objects(&format!("{MANIFESTS}/demo/endpoint.yaml")).remove(0);
        endpoint["metadata"]["name"] = json!(self.name);
        endpoint["spec"]["azure"]["endpoint"] = json!(self.name);
        endpoint["spec"]["policy"]["requireEvaluation"] = json!(false);
        self.team.apply(&endpoint).await;
    }

    /// A release without a gate, whose canary is judged in windows of a second.
    fn ungated(&self, version: &str) -> Value {
        let mut manifest = self.team.manifest("1427");
        manifest["metadata"]["name"] = json!(self.name);
        let spec = &mut manifest["spec"];
        spec["endpointRef"]["name"] = json!(self.name);
        spec["version"] = json!(version);
        spec.as_object_mut().expect("a spec").remove("evaluation");
        spec["criteria"] = json!([{"class": "multi_hop", "metric": "groundedness", "minimum": 2.85}]);
        spec["canary"]["steps"] = json!([{"weight": 10, "duration": "10m"}]);
        spec["canary"]["analysis"]["window"] = json!("1s");
        spec["canary"]["analysis"]["lateness"] = json!("10m");
        spec["canary"]["holdTimeout"] = json!("1h");
        // Azure has room for 20 deployments, and what was rolled back is kept as long as what served before.
        spec["promotion"]["keepPreviousFor"] = json!("1s");
        manifest
    }

    /// Releases and waits for the end; milliseconds from the reply that decided to the write.
    async fn roll_back(&self, version: &str) -> f64 {
        let since = self.team.story.azure().last_request();
        // Every version is the same archive, uploaded once.
        self.team.apply(&self.ungated(version)).await;
        let ended = |release: Option<&PromptRelease>| {
            let history = &release?.status.as_ref()?.history;
            history.iter().find(|ended| ended.version == version).map(|ended| ended.reason.clone())
        };
        // A watch: kubectl for each of ten endpoints, several times a second, would be most of what is measured.
        let wanted = |release: Option<&PromptRelease>| ended(release).is_some();
        let waits = await_condition(self.releases.clone(), &self.name, wanted);
        // One that waits for its rows takes longer than anything that a story waits for.
        let release = tokio::time::timeout(Duration::from_secs(600), waits).await.expect("it ends").expect("a watch");
        assert_eq!(ended(release.as_ref()).flatten().as_deref(), Some("CanaryFailed"));
        self.reply_to_put(&self.team.story.azure().requests(since))
    }

    /// Milliseconds from the reply of Application Insights that closes the third failed window until the withdrawal's PUT
    /// is received.
    fn reply_to_put(&self, requests: &[Entry]) -> f64 {
        let path = format!("/onlineendpoints/{}", self.name);
        let is_ours = |entry: &Entry| entry.path.to_ascii_lowercase().ends_with(&path);
        let put =
            requests.iter().position(|e| e.why.as_deref() == Some("Withdraw") && is_ours(e)).expect("a withdrawal");
        let quoted = format!("\"{}\"", self.name);
        let asks = |entry: &&Entry| entry.query.as_ref().is_some_and(|query| query.contains(&quoted));
        let query = requests[..put].iter().rfind(asks).expect("a query");
        let replied = query.received_us + query.took_us.expect("a reply");
        SignedDuration::from_micros(requests[put].received_us - replied).as_secs_f64() * 1000.0
    }
}

/// Every answer of a canary scores 1 of 3.
fn bad(endpoints: &[String]) -> String {
    let users = |name: &String| json!({"endpoint": name, "requestsPerSecond": 40, "classes": {"multi_hop": 1}});
    let scores = json!({"groundedness": 1, "citation_correctness": 1.0});
    json!({
        "default": {"classes": {"*": {"scores": scores}}},
        "traffic": endpoints.iter().map(users).collect::<Vec<_>>(),
        "sampler": {"oneIn": 1},
    })
    .to_string()
}

/// The nearest-rank percentile.
fn percentile(sorted: &[f64], p: usize) -> f64 {
    sorted[(sorted.len() * p).div_ceil(100).max(1) - 1]
}

/// So many rollbacks, on so many endpoints beside each other.
async fn measure_rollbacks(name: &str, rollbacks: usize, lanes: usize, ingestion: &str) {
    let times = json!({"endpointOperation": "100ms", "deploymentOperation": "100ms", "ingestionDelay": ingestion});
    let names: Vec<String> = (0..lanes.min(rollbacks)).map(|lane| format!("assistant-{lane}")).collect();
    let team = serving_all(name, &names, &bad(&names), &times).await;
    let archive = samples::archive(Path::new(&file(SAMPLE)), "1427").expect("the sample packs");
    team.upload(&team.manifest("1427"), archive).await;
    let releases: Api<PromptRelease> = Api::namespaced(team.story.ground().client().await, TEAM);
    let one_lane = async |lane: usize| {
        let mut took = Vec::new();
        let road = Lane { team: &team, releases: releases.clone(), name: names[lane].clone() };
        road.open().await;
        for n in (lane..rollbacks).step_by(names.len()) {
            took.push(road.roll_back(&format!("b{n}")).await);
            eprintln!("{name} {n}: {:.1} ms", took[took.len() - 1]);
        }
        took
    };
    let mut took = futures::future::join_all((0..names.len()).map(one_lane)).await.concat();
    took.sort_unstable_by(f64::total_cmp);
    let (p50, p99, max) = (percentile(&took, 50), percentile(&took, 99), percentile(&took, 100));
    println!(
        "BENCH reply that closes the third failed window -> PUT received, ingestion {ingestion}, {rollbacks} rollbacks on {} \
         endpoints, profile {}: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms",
        names.len(),
        profile()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by make bench"]
async fn rollbacks() {
    measure_rollbacks("bench-rollbacks", number("BENCH_ROLLBACKS", 50), 1, "0s").await;
}

/// One takes more than two minutes, so ten endpoints take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by make bench"]
async fn rollbacks_with_late_rows() {
    measure_rollbacks("bench-late", number("BENCH_LATE_ROLLBACKS", 50), 10, "120s").await;
}

/// Writes to our kinds so far, by resource, subresource and verb, as the API server counts requests.
async fn writes(team: &Team) -> BTreeMap<String, f64> {
    let metrics = team.story.ground().kubectl(&["get", "--raw", "/metrics"], "").await;
    let mut writes = BTreeMap::new();
    for line in metrics.lines().filter(|line| line.starts_with("apiserver_request_total{")) {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value)
        };
        let write = matches!(label("verb"), Some("POST" | "PUT" | "PATCH" | "APPLY" | "DELETE"));
        if label("group") != Some("promptrelease.io") || !write {
            continue;
        }
        let [verb, resource, subresource] = ["verb", "resource", "subresource"].map(|name| label(name).unwrap_or(""));
        let count: f64 = line.rsplit(' ').next().and_then(|n| n.parse().ok()).expect("a count");
        *writes.entry(format!("{verb} {resource}/{subresource}")).or_default() += count;
    }
    writes
}

fn more<N: Copy + std::ops::Sub<Output = N> + Default + PartialEq>(
    after: &BTreeMap<String, N>,
    before: &BTreeMap<String, N>,
) -> BTreeMap<String, N> {
    let grown = after.iter().map(|(key, n)| (key.clone(), *n - before.get(key).copied().unwrap_or_default()));
    grown.filter(|(_, n)| *n != N::default()).collect()
}

const GOOD: &str = r#"
default:
  classes: {"*": {scores: {groundedness: 3, citation_correctness: 1.0, refusal: 3, refusal_correct: true}}}
traffic:
  - {endpoint: support-assistant-prod, requestsPerSecond: 200, classes: {factual: 3, procedural: 2, edge: 2, multi_hop: 2}}
sampler: {oneIn: 1}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by make bench"]
async fn a_release_and_an_idle_operator() {
    let times = json!({"endpointOperation": "300ms", "deploymentOperation": "500ms"});
    let team = serving("bench-release", GOOD, &times).await;
    wait_for("the endpoint was looked at", async || {
        let traffic = team.endpoint().await.status.and_then(|status| status.traffic);
        traffic.filter(|traffic| traffic == "d-1400=100").ok_or_else(|| "not yet".to_owned())
    })
    .await;
    println!("BENCH resident memory of an idle operator, profile {}: {} KiB", profile(), team.operator.resident_kib());

    let counts = || sim::lock(&team.story.azure().sim().requests).counts().clone();
    let (before, asked) = (writes(&team).await, counts());
    let mut manifest = team.manifest("1427");
    manifest["spec"]["canary"]["steps"] = json!([{"weight": 10, "duration": "20s"}]);
    manifest["spec"]["canary"]["analysis"]["window"] = json!("1s");
    team.release_as("1427", &manifest).await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    let (written, asked) = (more(&writes(&team).await, &before), more(&counts(), &asked));
    let windows = team.seen().await.status.and_then(|s| s.canary).map(|canary| canary.windows);
    println!("BENCH one release with gate and {windows:?} windows, profile {}", profile());
    println!(
        "BENCH writes to our kinds, kubectl's own apply among them: {} {written:?}",
        written.values().sum::<f64>()
    );
    println!("BENCH requests to Azure, those of users and sampler among them: {asked:?}");
    println!("BENCH resident memory after it: {} KiB", team.operator.resident_kib());
}
