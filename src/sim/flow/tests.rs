use std::{collections::BTreeMap, io::Read, path::Path};

use super::*;
use crate::{
    samples,
    sim::{
        blob::Place,
        scenario::Scenario,
        testing::{Answer, in_workspace, request, sim, token},
    },
};

const HOST: &str = "eastus2.api.azureml.ms";
const DATA: &str = "eval/eval-set.jsonl";
const JUDGE_MAPPING: [(&str, &str); 8] = [
    ("question", "${data.question}"),
    ("class", "${data.class}"),
    ("gold_answer", "${data.gold_answer}"),
    ("expected_citations", "${data.expected_citations}"),
    ("should_refuse", "${data.should_refuse}"),
    ("context", "${run.outputs.context}"),
    ("predicted_answer", "${run.outputs.answer}"),
    ("predicted_citations", "${run.outputs.citations}"),
];

/// The service as its client sees it.
struct Service {
    sim: Arc<Sim>,
}

impl Service {
    /// With the sample's files uploaded, as this version has them.
    fn with_sample(version: &str, scenario: &str) -> Self {
        let sim = sim("{}");
        *lock(&sim.scenario) = Scenario::parse(scenario).unwrap();
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant");
        let packed = samples::archive(&sample, version).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            lock(&sim.blobs).put(&place(&sim, &path), content, sim.clock.now());
        }
        Self { sim }
    }

    fn scenario(&self, text: &str) {
        *lock(&self.sim.scenario) = Scenario::parse(text).unwrap();
    }

    fn edit(&self, path: &str, edit: impl Fn(String) -> String) {
        let place = place(&self.sim, path);
        let old = lock(&self.sim.blobs).get(&place).unwrap().bytes.clone();
        let new = edit(String::from_utf8(old.to_vec()).unwrap());
        lock(&self.sim.blobs).put(&place, new, self.sim.clock.now());
    }

    fn request(&self, call: &str, body: &Value) -> Request {
        let (method, path) = call.split_once(' ').unwrap();
        let (service, rest) = path.split_once("/…").unwrap();
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let path = format!("/{service}{}", in_workspace(&self.sim, rest));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut req = request(HOST, method, &path, body);
        req.query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        req.headers.push(("authorization".into(), format!("Bearer {}", token(&self.sim, AUDIENCE))));
        req.headers.push(("aml-user-token".into(), token(&self.sim, USER_AUDIENCE)));
        req
    }

    async fn call(&self, call: &str, body: Value) -> Answer {
        Answer::new(handle(&self.sim, &self.request(call, &body)).await)
    }

    async fn submit(&self, body: Value) -> Answer {
        self.call("POST flow/api/…/BulkRuns/submit", body).await
    }

    async fn state(&self, id: &str) -> Value {
        let answer = self.call("POST history/v1.0/…/rundata", json!({"runId": id, "selectRunMetadata": true})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["runMetadata"].clone()
    }

    /// Looks until the run is over, or its state has not changed for long.
    async fn ended(&self, id: &str) -> Value {
        let mut last = Value::Null;
        for _ in 0..20 {
            last = self.state(id).await;
            if ["Completed", "Failed", "Canceled"].contains(&last["status"].as_str().unwrap()) {
                break;
            }
        }
        last
    }

    /// All lines by index, read in pages as the client does.
    async fn lines(&self, id: &str) -> BTreeMap<u64, Value> {
        let mut all = BTreeMap::new();
        for start in (0..).step_by(25) {
            let call = format!("GET flow/api/…/BulkRuns/{id}/childRuns?startIndex={start}&endIndex={}", start + 24);
            let page = self.call(&call, Value::Null).await.body;
            let page = page.as_array().unwrap();
            assert!(page.len() <= 25);
            if page.is_empty() {
                break;
            }
            all.extend(page.iter().map(|line| (line["index"].as_u64().unwrap(), line.clone())));
        }
        all
    }

    /// Base run `b` and judge run `j`, both to their ends.
    async fn evaluate(&self) -> Evaluation {
        assert_eq!(self.submit(base()).await.body, "b");
        let base = self.ended("b").await;
        assert_eq!(self.submit(judge()).await.body, "j");
        let judge = self.ended("j").await;
        let (answers, scores) = (self.lines("b").await, self.lines("j").await);
        Evaluation { base, judge, answers, scores }
    }
}

struct Evaluation {
    base: Value,
    judge: Value,
    answers: BTreeMap<u64, Value>,
    scores: BTreeMap<u64, Value>,
}

impl Evaluation {
    fn mean(&self, class: &str, metric: &str) -> f64 {
        let number = |value: &Value| value.as_bool().map_or_else(|| value.as_f64().unwrap(), f64::from);
        let of_class = self.scores.values().filter(|line| line["inputs"]["class"] == class);
        let scores: Vec<f64> = of_class.map(|line| number(&line["output"][metric])).collect();
        scores.iter().sum::<f64>() / scores.len() as f64
    }

    /// Inputs and outputs of both runs, line by line.
    fn results(&self) -> BTreeMap<u64, String> {
        let of = |line: &Value| format!("{} {}", line["inputs"], line["output"]);
        self.answers
            .iter()
            .map(|(n, line)| (*n, format!("{} {}", of(line), self.scores.get(n).map(of).unwrap_or_default())))
            .collect()
    }
}

fn place(sim: &Sim, path: &str) -> Place {
    Place::in_datastore(&sim.settings, &format!("LocalUpload/ab/{path}"))
}

fn run(id: &str, flow: &str, mapping: &[(&str, &str)]) -> Value {
    let mapping: BTreeMap<&str, &str> = mapping.iter().copied().collect();
    json!({
        "runId": id, "runDisplayName": id, "runExperimentName": "",
        "flowDefinitionDataStoreName": "workspaceblobstore",
        "flowDefinitionBlobPath": format!("LocalUpload/ab/{flow}/flow.dag.yaml"),
        "batchDataInput": {"dataUri": format!("azureml://datastores/workspaceblobstore/paths/LocalUpload/ab/{DATA}")},
        "inputsMapping": mapping, "connections": {}, "environmentVariables": {}, "runtimeName": "automatic",
        "sessionId": "5e55", "sessionSetupMode": "SystemWait", "flowLineageId": "11ea", "disableTrace": false,
    })
}

fn base() -> Value {
    let mapping = [("question", "${data.question}"), ("conversation_history", "${data.conversation_history}")];
    run("b", "flows/support-assistant", &mapping)
}

fn judge() -> Value {
    let mut run = run("j", "eval/eval-flow", &JUDGE_MAPPING);
    run["variantRunId"] = json!("b");
    run
}

/// Code and message of an error, the code being the innermost one.
fn told(error: &Value) -> (String, String) {
    let mut at = error;
    while !at["innerError"].is_null() {
        at = &at["innerError"];
    }
    (at["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_run_is_polled_through_its_states_and_has_a_line_a_row() {
    let service = Service::with_sample("1427", "{}");
    assert_eq!(service.submit(base()).await.body, "b");
    let mut words = Vec::new();
    for _ in 0..5 {
        words.push(service.state("b").await["status"].as_str().unwrap().to_owned());
    }
    assert_eq!(words, ["NotStarted", "Preparing", "Running", "Completed", "Completed"]);
    assert_eq!(service.state("b").await["error"], Value::Null);
    let lines = service.lines("b").await;
    assert_eq!(lines.keys().copied().collect::<Vec<_>>(), (0..95).collect::<Vec<_>>());
    let first = &lines[&0];
    assert_eq!((first["status"].as_str(), first["run_id"].as_str()), (Some("Completed"), Some("b_0")));
    assert_eq!(first["inputs"]["question"], "What's the size limit of a shared mailbox?");
    let outputs: Vec<&String> = first["output"].as_object().unwrap().keys().collect();
    assert_eq!(outputs, ["answer", "citations", "context", "intent", "safety_verdict"], "those of flow.dag.yaml");
    assert!(first["output"]["citations"].is_array());

    let metrics = service.call("POST metric/v2.0/…/runs/b/lastvalues", json!({})).await.body;
    assert_eq!(metrics["value"][0]["value"][0]["data"], json!({"__pf__.lines.completed": 95}));
    let log = service.call("GET flow/api/…/BulkRuns/b/logContent", Value::Null).await.body;
    assert!(log.as_str().unwrap().contains("Line 94: Finished"));
    assert_eq!(service.call("GET flow/api/…/BulkRuns/b", Value::Null).await.body["flowRunId"], "b");
}

#[tokio::test]
async fn lines_come_in_no_order_and_the_first_half_while_the_run_is_running() {
    let service = Service::with_sample("1427", "{}");
    service.submit(base()).await;
    for _ in 0..3 {
        service.state("b").await;
    }
    assert_eq!(service.lines("b").await.len(), 47);
    service.ended("b").await;
    let page = service.call("GET flow/api/…/BulkRuns/b/childRuns?startIndex=0&endIndex=24", Value::Null).await.body;
    let read: Vec<u64> = page.as_array().unwrap().iter().map(|line| line["index"].as_u64().unwrap()).collect();
    assert_eq!(read.len(), 25);
    assert!(!read.is_sorted());
}

#[tokio::test]
async fn the_judge_reads_rows_and_answers_and_scores_as_the_scenario_says() {
    let scenario = "contents:
  - name: concise
    when: {file: draft_answer.jinja2, contains: Be concise}
    classes:
      '*': {scores: {groundedness: 3, citation_correctness: 1.0, refusal: 3, refusal_correct: true}}
      edge: {offline: {groundedness: [3, 1], refusal_correct: [true, false]}, live: {groundedness: 0}}
";
    let concise = Service::with_sample("1428", scenario).evaluate().await;
    assert_eq!((concise.mean("edge", "groundedness"), concise.mean("factual", "groundedness")), (23.0 / 11.0, 3.0));
    let line = &concise.scores[&0];
    let answer = &concise.answers[&0]["output"]["answer"];
    assert_eq!(&line["inputs"]["predicted_answer"], answer);
    assert!(answer.as_str().unwrap().contains("by concise: What's the size limit"), "{answer}");
    assert!(line["output"]["groundedness"].is_i64(), "an int output is an int: {}", line["output"]);
    assert!(line["output"]["refusal_correct"].is_boolean());
    let other = Service::with_sample("1427", scenario).evaluate().await;
    assert_eq!(other.mean("edge", "groundedness"), 3.0, "another prompt is other content");
}

#[tokio::test]
async fn a_judges_score_that_the_scenario_does_not_have_fails_the_line_and_says_so() {
    let service =
        Service::with_sample("1427", "default: {classes: {'*': {scores: {refusal: 3, refusal_correct: true}}}}");
    let error = service.evaluate().await.judge["error"]["error"].clone();
    let (code, message) = told(&error);
    assert_eq!(code, "ToolExecutionError");
    assert!(message.contains("the scenario has no score \"citation_correctness\" for class \"factual\""), "{message}");
}

const SPREAD: &str = "default: {classes: {'*': {scores: {refusal: 3, refusal_correct: true, groundedness: {draw: [0, 1, \
                      2, 3]}, citation_correctness: {draw: [0, 0.25, 0.5, 0.75, 1]}}}}}";

#[tokio::test]
async fn the_same_upload_gives_the_same_result() {
    let one = Service::with_sample("1427", SPREAD).evaluate().await;
    let other = Service::with_sample("1427", SPREAD).evaluate().await;
    assert_eq!(one.results(), other.results());
}

#[tokio::test]
async fn one_byte_of_the_set_changes_the_result_of_its_row_and_of_no_other() {
    let before = Service::with_sample("1427", SPREAD).evaluate().await;
    let mut other_means = 0;
    for row in (0..95).step_by(8) {
        let service = Service::with_sample("1427", SPREAD);
        service.edit(DATA, |data| {
            let edit = |(n, line): (usize, &str)| {
                // The last letter of the question.
                let end = line.find("\", \"conversation_history\"").unwrap();
                if n == row { format!("{}~{}", &line[..end - 1], &line[end..]) } else { line.to_owned() }
            };
            data.lines().enumerate().map(edit).collect::<Vec<_>>().join("\n")
        });
        let after = service.evaluate().await;
        let (before_results, after_results) = (before.results(), after.results());
        let changed: Vec<&u64> = after_results.keys().filter(|n| before_results[n] != after_results[n]).collect();
        assert_eq!(changed, [&(row as u64)]);
        let class = after.scores[&(row as u64)]["inputs"]["class"].as_str().unwrap().to_owned();
        let differs = |metric| before.mean(&class, metric) != after.mean(&class, metric);
        other_means += usize::from(differs("groundedness") || differs("citation_correctness"));
    }
    assert!(
        other_means >= 10,
        "{other_means} of 12 changes change a mean; 19 in 20 are expected where scores are drawn"
    );
}

#[tokio::test]
async fn a_dropped_row_is_a_line_less_and_a_renamed_column_ends_the_run() {
    let service = Service::with_sample("1427", "{}");
    service.edit(DATA, |data| data.lines().skip(1).collect::<Vec<_>>().join("\n"));
    let short = service.evaluate().await;
    assert_eq!((short.answers.len(), short.scores.len()), (94, 94));

    let service = Service::with_sample("1427", "{}");
    service.edit(DATA, |data| data.replace("\"gold_answer\"", "\"golden_answer\""));
    let renamed = service.evaluate().await;
    assert_eq!(
        (renamed.base["status"].as_str(), renamed.judge["status"].as_str()),
        (Some("Completed"), Some("Failed"))
    );
    let (code, message) = told(&renamed.judge["error"]["error"]);
    assert_eq!(code, "ApplyInputMappingError");
    assert!(message.contains("Couldn't find these mapping relations: ${data.gold_answer}."), "{message}");
    assert_eq!(renamed.scores.len(), 0);

    let service = Service::with_sample("1427", "{}");
    service.edit(DATA, |data| data.replacen("\"question\"", "\"query\"", 1));
    service.submit(base()).await;
    assert_eq!(service.ended("b").await["status"], "Failed", "one row without the column ends the whole run");
}

#[tokio::test]
async fn an_input_that_the_mapping_forgets_gets_its_default_silently() {
    let service = Service::with_sample("1427", "{}");
    service.submit(base()).await;
    service.ended("b").await;
    let mut forgetful = judge();
    forgetful["inputsMapping"].as_object_mut().unwrap().remove("gold_answer");
    service.submit(forgetful).await;
    assert_eq!(service.ended("j").await["status"], "Completed");
    assert_eq!(service.lines("j").await[&0]["inputs"]["gold_answer"], "");
}

#[tokio::test]
async fn a_completed_run_may_be_full_of_failures_and_its_judge_drops_those_lines() {
    let scenario = "default: {classes: {'*': {failedLines: 0.1, failedJudgements: 0.02, scores: {groundedness: 3, \
                    citation_correctness: 1, refusal: 3, refusal_correct: true}}}}";
    let done = Service::with_sample("1427", scenario).evaluate().await;
    // Tenths of 34, 22, 11, 17 and 11 rows, each rounded down.
    let failed: Vec<&Value> = done.answers.values().filter(|line| line["status"] == "Failed").collect();
    assert_eq!((done.base["status"].as_str(), done.answers.len(), failed.len()), (Some("Completed"), 95, 8));
    assert_eq!(failed[0]["output"], Value::Null);
    assert_eq!(told(&failed[0]["error"]).0, "ToolExecutionError");
    let error = &done.base["error"]["error"];
    let counts: Value = serde_json::from_str(error["messageFormat"].as_str().unwrap()).unwrap();
    assert_eq!((&counts["totalChildRuns"], &counts["userErrorChildRuns"]), (&json!(95), &json!(8)));
    assert_eq!(counts["errorDetails"][0]["code"], "UserError/ToolExecutionError");
    assert_eq!(counts["errorDetails"][0]["count"], 8);
    assert!(told(error).1.starts_with("Execution failure in 'intent_classifier': (ScriptedFailure)"), "{error}");
    assert_eq!(done.scores.len(), 87, "lines that failed upstream are dropped, not passed on as empty");
    assert!(failed.iter().all(|line| !done.scores.contains_key(&line["index"].as_u64().unwrap())));

    let all = "default: {classes: {'*': {failedLines: 1}}}";
    let done = Service::with_sample("1427", all).evaluate().await;
    assert_eq!((done.base["status"].as_str(), done.judge["status"].as_str()), (Some("Completed"), Some("Failed")));
    assert_eq!(told(&done.judge["error"]["error"]).0, "InputMappingError", "nothing survived");
}

#[tokio::test]
async fn a_value_of_another_type_fails_its_line_only() {
    let service = Service::with_sample("1427", "{}");
    service.edit(DATA, |data| data.replacen("\"conversation_history\": []", "\"conversation_history\": \"none\"", 1));
    service.submit(base()).await;
    assert_eq!(service.ended("b").await["status"], "Completed");
    let lines = service.lines("b").await;
    assert_eq!(told(&lines[&0]["error"]).0, "InputTypeError");
    assert_eq!(lines.values().filter(|line| line["status"] == "Failed").count(), 1);
}

#[tokio::test]
async fn the_last_line_may_be_late_although_the_run_is_completed() {
    let service = Service::with_sample("1427", "runs: {lateLines: 2}");
    service.submit(base()).await;
    service.ended("b").await;
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(service.lines("b").await.len());
    }
    assert_eq!(counts, [94, 94, 95]);
}

#[tokio::test]
async fn runs_end_as_the_scenario_says_at_the_time_of_their_submission() {
    let service = Service::with_sample("1427", "runs: {looks: 0, base: {fail: {}}}");
    service.submit(base()).await;
    service.scenario("{}");
    let failed = service.state("b").await;
    assert_eq!(failed["status"], "Failed");
    let (code, message) = told(&failed["error"]["error"]);
    assert_eq!(code, "AutomaticRuntimeFailed");
    assert!(message.starts_with("Failed to submit bulk run due to Automatic runtime provision failed"), "{message}");

    let service = Service::with_sample("1427", "runs: {base: stick}");
    service.submit(base()).await;
    assert_eq!(service.ended("b").await["status"], "Running");
    let call = "POST flow/api/…/BulkRuns/b/cancel";
    assert_eq!(service.call(call, Value::Null).await.status, 200);
    assert_eq!(service.state("b").await["status"], "CancelRequested");
    assert_eq!(service.state("b").await["status"], "Canceled");

    let service = Service::with_sample("1427", "runs: {base: cancel}");
    service.submit(base()).await;
    assert_eq!(service.ended("b").await["status"], "Canceled");
}

#[tokio::test]
async fn a_connection_that_the_workspace_does_not_have_ends_the_run_unless_it_is_overridden() {
    let service = Service::with_sample("1427", "{}");
    service.edit("flows/support-assistant/flow.dag.yaml", |text| text.replace("azure-openai-prod", "lost"));
    service.submit(base()).await;
    let failed = service.ended("b").await;
    let (code, message) = told(&failed["error"]["error"]);
    assert_eq!(code, "ConnectionNotFound");
    assert!(message.contains("'lost' of node 'intent_classifier'"), "{message}");
    let mut overridden = base();
    overridden["runId"] = json!("c");
    let eval = json!({"connection": "azure-openai-eval"});
    overridden["connections"] =
        json!({"intent_classifier": eval, "retrieval_summariser": eval, "answer_drafter": eval});
    service.submit(overridden.clone()).await;
    assert_eq!(service.ended("c").await["status"], "Completed");

    // A Python tool's connection is an input of its node.
    for (id, key, ends) in [("d", "connection", None), ("e", "client", Some("InvalidConnectionOverride"))] {
        overridden["runId"] = json!(id);
        overridden["connections"]["safety_check"] = json!({key: "azure-openai-eval"});
        service.submit(overridden.clone()).await;
        overridden["connections"].as_object_mut().expect("nodes").remove("safety_check");
        let ended = service.ended(id).await;
        let code = (ended["status"] == "Failed").then(|| told(&ended["error"]["error"]).0);
        assert_eq!(code.as_deref(), ends, "{id}");
    }
}

#[tokio::test]
async fn a_run_id_that_is_taken_is_a_conflict_or_the_same_run_by_the_knob() {
    let service = Service::with_sample("1427", "{}");
    service.submit(base()).await;
    service.ended("b").await;
    let again = service.submit(base()).await;
    assert_eq!((again.status, told(&again.body["error"]).0.as_str()), (409, "RunAlreadyExists"));
    service.scenario("runs: {repeatedSubmit: same}");
    let again = service.submit(base()).await;
    assert_eq!((again.status, again.body), (200, json!("b")));
    assert_eq!(service.state("b").await["status"], "Completed", "it goes on as it was");
}

#[tokio::test]
async fn calls_need_a_token_of_the_management_api_and_a_submission_one_of_machine_learning_too() {
    let service = Service::with_sample("1427", "{}");
    let submit = "POST flow/api/…/BulkRuns/submit";
    let with = |name: &str, value: Option<String>| {
        let mut req = service.request(submit, &base());
        req.headers.retain(|(known, _)| known != name);
        req.headers.extend(value.map(|value| (name.to_owned(), value)));
        req
    };
    let other = token(&service.sim, "https://storage.azure.com");
    for req in [
        with("authorization", None),
        with("authorization", Some(format!("Bearer {other}"))),
        with("aml-user-token", None),
        with("aml-user-token", Some(other)),
    ] {
        let refused = Answer::new(handle(&service.sim, &req).await);
        assert_eq!((refused.status, told(&refused.body["error"]).0.as_str()), (401, "Unauthorized"), "{refused:?}");
    }
    service.scenario("runs: {userToken: personOnly}");
    assert_eq!(service.submit(base()).await.status, 403);
    assert!(lock(&service.sim.flow).runs.is_empty(), "nothing was accepted");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_the_services_envelope() {
    let service = Service::with_sample("1427", "{}");
    let absent = service.call("POST history/v1.0/…/rundata", json!({"runId": "x"})).await;
    assert_eq!((absent.status, absent.body["componentName"].as_str()), (404, Some("run-history")));
    assert_eq!(told(&absent.body["error"]), ("NotFoundError".into(), "Run runId=x was not found".into()));
    let mut lost = base();
    lost["flowDefinitionBlobPath"] = json!("LocalUpload/cd/flow.dag.yaml");
    assert_eq!(service.submit(lost).await.status, 400);
    assert_eq!(service.submit(judge()).await.status, 404, "there is no run to be judged");
    let mut odd = base();
    odd["runId"] = json!("a b");
    assert_eq!(service.submit(odd).await.status, 400);
    let mut elsewhere = service.request("POST flow/api/…/BulkRuns/submit", &base());
    elsewhere.path = elsewhere.path.replace("mlw-assistant-prod", "mlw-assistant-test");
    assert_eq!(handle(&service.sim, &elsewhere).await.status, 404);
}
