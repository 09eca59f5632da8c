//! The state of a bulk run, and its lines.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Flows, Result, endpoints::or_default, error::optional, reply::Reply, wire::Outgoing};

/// A run as the history service sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct RunState {
    pub status: RunStatus,
    /// Why it failed; or, of a run that `Completed`, why some of its lines did.
    pub error: Option<Fault>,
    /// A run whose lines failed in part, or in whole, still ends `Completed`; then this counts them.
    pub partial: Option<Partial>,
    pub source: RunSource,
}

/// What a run is of, from the properties that the service keeps of its submission. Absent where it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RunSource {
    /// As in [`super::DataInput::data_uri`].
    #[serde(default, rename = "azureml.promptflow.input_data")]
    pub data: Option<String>,
    /// As in [`super::BulkRun::flow_definition_blob_path`].
    #[serde(default, rename = "azureml.promptflow.flow_definition_blob_path")]
    pub flow: Option<String>,
    /// As in [`super::BulkRun::variant_run_id`].
    #[serde(default, rename = "azureml.promptflow.input_run_id")]
    pub base: Option<String>,
}

impl RunSource {
    /// The first thing that a run of another source differs in, as it has it. What the service does not say differs in
    /// nothing.
    pub fn differs_from(&self, run: &super::BulkRun) -> Option<&str> {
        // The service may name the datastore in full.
        let path = |uri: &str| uri.rsplit_once("/paths/").map_or(uri, |(_, path)| path).to_owned();
        let other_data = |data: &&str| path(data) != path(&run.batch_data_input.data_uri);
        let other_flow = |flow: &&str| *flow != run.flow_definition_blob_path;
        let other_base = |base: &&str| Some(*base) != run.variant_run_id.as_deref();
        let data = self.data.as_deref().filter(other_data);
        let flow = || self.flow.as_deref().filter(other_flow);
        data.or_else(flow).or_else(|| self.base.as_deref().filter(other_base))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// Not at an end, in the service's own word, e.g. `Preparing`.
    Active(String),
    Completed,
    Failed,
    Canceled,
}

/// Counts of lines, from the `messageFormat` of a completed run's error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Partial {
    #[serde(rename = "totalChildRuns")]
    pub total: u64,
    #[serde(default, rename = "userErrorChildRuns")]
    pub user_errors: u64,
    #[serde(default, rename = "systemErrorChildRuns")]
    pub system_errors: u64,
    #[serde(default, rename = "errorDetails")]
    pub details: Vec<ErrorCount>,
}

/// One kind of error and how many lines ended in it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorCount {
    /// E.g. `UserError/ToolExecutionError`.
    pub code: String,
    #[serde(default)]
    pub message_format: String,
    #[serde(default)]
    pub count: u64,
}

/// One row of the data set, run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Line {
    /// The row, from 0.
    pub index: u64,
    /// `Completed`, `Failed`, and so on.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    #[serde(default)]
    pub inputs: Value,
    /// Null where the line failed.
    #[serde(default)]
    pub output: Value,
    #[serde(default, deserialize_with = "fault")]
    pub error: Option<Fault>,
}

fn fault<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Fault>, D::Error> {
    let value = Value::deserialize(d)?;
    if value.is_null() {
        return Ok(None);
    }
    Ok(Some(Fault::from_value(&value).unwrap_or_else(|| Fault::new("Unknown", "the service gave no reason"))))
}

/// Lines of a page, as Microsoft's client asks for them.
const PAGE: usize = 25;

impl Flows {
    /// The state of a run, or `None` if there is none of this id.
    pub async fn run_state(&self, run_id: &str) -> Result<Option<RunState>> {
        let request = self.request(Method::POST, &["history", "v1.0"], &["rundata"], format!("run {run_id}"))?;
        let body = json!({
            "runId": run_id, "selectRunMetadata": true, "selectRunDefinition": false, "selectJobSpecification": false,
        });
        let reply = optional(self.azure().send(request.json(&body)).await)?;
        reply.map(|reply| run_state(&reply)).transpose()
    }

    /// All lines of a run, in the order of the data set.
    ///
    /// The service answers in pages, in no order, and ends with an empty one; a page in between may be short. `most`
    /// bounds them: a run of a data set of n rows has at most n lines.
    ///
    /// # Errors
    /// [`super::Error::Malformed`] if there are more than `most`.
    pub async fn child_runs(&self, run_id: &str, most: usize) -> Result<Vec<Line>> {
        let mut lines = self.pages(run_id, 0, most).await?;
        lines.sort_by_key(|line| line.index);
        Ok(lines)
    }

    /// About how many lines a run that is under way has by now, for progress. Pages of the `known` ones are taken as full
    /// and only the last of them is read again.
    ///
    /// # Errors
    /// As [`Flows::child_runs`].
    pub async fn lines_by_now(&self, run_id: &str, known: usize, most: usize) -> Result<usize> {
        let before = known / PAGE * PAGE;
        Ok(before + self.pages(run_id, before, most.saturating_sub(before)).await?.len())
    }

    async fn pages(&self, run_id: &str, from: usize, most: usize) -> Result<Vec<Line>> {
        let mut lines: Vec<Line> = Vec::new();
        for start in (from..).step_by(PAGE) {
            let what = format!("lines of run {run_id}");
            let request = self.request(Method::GET, &["flow", "api"], &["BulkRuns", run_id, "childRuns"], what)?;
            let within = self.azure().timeouts().slow;
            let request = page(Outgoing { within, ..request }, start);
            let reply = self.azure().send(request).await?;
            let page: Vec<Line> = reply.seen()?.value;
            if page.is_empty() {
                break;
            }
            lines.extend(page);
            if lines.len() > most {
                return Err(reply.malformed(&format!("the run has more than {most} lines, the rows of its data set")));
            }
        }
        Ok(lines)
    }
}

fn page(mut request: Outgoing, start: usize) -> Outgoing {
    let (first, last) = (start.to_string(), (start + PAGE - 1).to_string());
    request.url.query_pairs_mut().append_pair("startIndex", &first).append_pair("endIndex", &last);
    request
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunData {
    run_metadata: RunMetadata,
}

#[derive(Deserialize)]
struct RunMetadata {
    status: String,
    #[serde(default)]
    error: Value,
    #[serde(default, deserialize_with = "or_default")]
    properties: RunSource,
}

fn run_state(reply: &Reply) -> Result<RunState> {
    let data: RunData = reply.seen()?.value;
    let RunMetadata { status, error, properties: source } = data.run_metadata;
    let status = match status.as_str() {
        "Completed" => RunStatus::Completed,
        "Failed" => RunStatus::Failed,
        "Canceled" | "Cancelled" => RunStatus::Canceled,
        _ => RunStatus::Active(status),
    };
    let format = error.pointer("/error/messageFormat").and_then(Value::as_str);
    let partial = format.and_then(|text| serde_json::from_str(text).ok());
    let error = if error.is_null() { None } else { Fault::from_value(&error) };
    Ok(RunState { status, error, partial, source })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::azure::{
        BulkRun, Class, DataInput,
        loopback::{self, Answer, Loopback, in_workspace},
    };

    fn flows(server: &Loopback) -> Flows {
        server
            .azure()
            .flows(&"https://eastus.api.azureml.ms/discovery".parse().expect("an address"))
            .expect("a service")
    }

    fn metadata(status: &str, error: &Value) -> Answer {
        loopback::json(
            200,
            &json!({
                "runMetadata": {"runId": "eval-1428", "rootRunId": "eval-1428", "status": status, "error": error, "tags": {},
                    "runType": "azureml.promptflow.FlowRun", "properties": {"azureml.promptflow.runtime_name": "automatic"}},
                "runDefinition": {}, "jobSpecification": null, "systemSettings": null,
            }),
        )
    }

    async fn state(status: &str, error: &Value) -> RunState {
        let server = Loopback::answering([metadata(status, error)]).await;
        flows(&server).run_state("eval-1428").await.expect("a reply").expect("a run")
    }

    #[tokio::test]
    async fn a_run_is_asked_for_at_the_history_service() {
        let server = Loopback::answering([metadata("Preparing", &Value::Null)]).await;
        flows(&server).run_state("eval-1428").await.expect("a reply");
        let got = server.only();
        assert_eq!(got.line(), format!("POST https://eastus.api.azureml.ms/history/v1.0{}", in_workspace("rundata")));
        assert_eq!(got.json()["runId"], "eval-1428");
        assert_eq!(got.json()["selectRunMetadata"], true);
    }

    #[tokio::test]
    async fn only_three_states_are_an_end() {
        for (word, wanted) in [
            ("Completed", RunStatus::Completed),
            ("Failed", RunStatus::Failed),
            ("Canceled", RunStatus::Canceled),
            ("Cancelled", RunStatus::Canceled),
            ("NotStarted", RunStatus::Active("NotStarted".into())),
            ("CancelRequested", RunStatus::Active("CancelRequested".into())),
            ("NotResponding", RunStatus::Active("NotResponding".into())),
        ] {
            let state = state(word, &Value::Null).await;
            assert_eq!(state, RunState { status: wanted, error: None, partial: None, source: RunSource::default() });
        }
    }

    #[test]
    fn a_run_of_another_source_is_told_from_ours() {
        let run = BulkRun {
            flow_definition_blob_path: "LocalUpload/ab/flow.dag.yaml".into(),
            batch_data_input: DataInput {
                data_uri: "azureml://datastores/store/paths/LocalUpload/ab/eval.jsonl".into(),
            },
            variant_run_id: Some("eval-1".into()),
            ..BulkRun::default()
        };
        let source = |change: &dyn Fn(&mut Value)| {
            let mut properties = json!({
                "azureml.promptflow.input_data": "azureml://subscriptions/s/datastores/store/paths/LocalUpload/ab/eval.jsonl",
                "azureml.promptflow.flow_definition_blob_path": "LocalUpload/ab/flow.dag.yaml",
                "azureml.promptflow.input_run_id": "eval-1", "azureml.promptflow.runtime_name": "automatic",
            });
            change(&mut properties);
            serde_json::from_value::<RunSource>(properties).expect("properties")
        };
        assert_eq!(source(&|_| ()).differs_from(&run), None);
        assert_eq!(source(&|p| *p = json!({})).differs_from(&run), None, "nothing is said");
        for (key, other) in [
            ("input_data", "azureml://datastores/store/paths/LocalUpload/cd/eval.jsonl"),
            ("flow_definition_blob_path", "LocalUpload/cd/flow.dag.yaml"),
            ("input_run_id", "eval-2"),
        ] {
            let found = source(&|p| p[format!("azureml.promptflow.{key}")] = json!(other));
            assert_eq!(found.differs_from(&run), Some(other));
        }
        let base = BulkRun { variant_run_id: None, ..run };
        assert_eq!(source(&|_| ()).differs_from(&base), Some("eval-1"));
    }

    #[tokio::test]
    async fn a_run_that_completed_with_failed_lines_counts_them() {
        let counts = json!({
            "totalChildRuns": 20, "userErrorChildRuns": 10, "systemErrorChildRuns": 0,
            "errorDetails": [{"code": "UserError/ToolExecutionError", "messageFormat": "Execution failure in '{node_name}'", "count": 10}],
        });
        let error = json!({
            "error": {
                "code": "UserError", "message": "Execution failure in 'draft': (Exception) no", "messageFormat": counts.to_string(),
                "referenceCode": "Tool/__pf_main__", "details": [], "innerError": {"code": "ToolExecutionError", "innerError": null},
            },
            "correlation": null, "componentName": "promptflow-runtime/1",
        });
        let state = state("Completed", &error).await;
        assert_eq!(state.status, RunStatus::Completed);
        let partial = state.partial.expect("counts");
        assert_eq!((partial.total, partial.user_errors, partial.system_errors), (20, 10, 0));
        assert_eq!(partial.details[0].code, "UserError/ToolExecutionError");
        assert_eq!(partial.details[0].count, 10);
        assert_eq!(state.error.expect("a fault").innermost(), "ToolExecutionError");
    }

    #[tokio::test]
    async fn a_run_that_failed_says_why() {
        let error = json!({"error": {
            "code": "UserError", "message": "Couldn't find these mapping relations: ${data.key}.",
            "messageFormat": "Couldn't find these mapping relations: {invalid_relations}.", "details": [],
            "innerError": {"code": "ValidationError", "innerError": {"code": "ApplyInputMappingError", "innerError": null}},
        }});
        let state = state("Failed", &error).await;
        assert_eq!(state.partial, None);
        assert_eq!(
            state.error.expect("a fault").to_string(),
            "ApplyInputMappingError: Couldn't find these mapping relations: ${data.key}."
        );
    }

    #[tokio::test]
    async fn a_run_that_is_not_there_is_none_and_a_proxy_is_not_believed() {
        let absent = json!({"error": {"code": "UserError", "message": "Run runId=x was not found",
            "innerError": {"code": "NotFoundError", "innerError": null}}, "componentName": "run-history", "statusCode": 404});
        let server = Loopback::answering([loopback::json(404, &absent), loopback::reply(404, &[], "")]).await;
        assert_eq!(flows(&server).run_state("x").await, Ok(None));
        assert_eq!(flows(&server).run_state("x").await.expect_err("a proxy").class(), Class::Unknown);
    }

    fn line(index: u64) -> Value {
        json!({"run_id": format!("r_{index}"), "index": index, "status": "Completed", "error": null,
            "inputs": {"question": "?", "line_number": index}, "output": {"answer": "!"}, "api_calls": [], "result": null})
    }

    fn page(indexes: impl IntoIterator<Item = u64>) -> Answer {
        loopback::json(200, &Value::Array(indexes.into_iter().map(line).collect()))
    }

    #[tokio::test]
    async fn lines_come_in_the_order_of_the_data_set_whatever_the_pages_hold() {
        // Short pages in between: the next one begins 25 further all the same.
        let pages = [page((0..10).rev()), page(25..35), page([60, 50, 55]), page([])];
        let server = Loopback::answering(pages).await;
        let lines = flows(&server).child_runs("r", 95).await.expect("lines");
        let indexes: Vec<u64> = lines.iter().map(|line| line.index).collect();
        assert_eq!(indexes, (0..10).chain(25..35).chain([50, 55, 60]).collect::<Vec<_>>());
        let asked: Vec<String> = server.seen().iter().map(|got| got.target.clone()).collect();
        let base = format!("/flow/api{}", in_workspace("BulkRuns/r/childRuns"));
        let pages = [(0, 24), (25, 49), (50, 74), (75, 99)];
        assert_eq!(asked, pages.map(|(first, last)| format!("{base}?startIndex={first}&endIndex={last}")));
    }

    #[tokio::test]
    async fn what_was_counted_is_not_read_again_to_see_how_far_a_run_is() {
        let server = Loopback::answering([page(50..75), page(75..80), page([])]).await;
        assert_eq!(flows(&server).lines_by_now("r", 60, 95).await, Ok(80));
        assert!(server.seen()[0].target.ends_with("startIndex=50&endIndex=74"));
    }

    #[tokio::test]
    async fn more_lines_than_rows_are_no_answer() {
        let server = Loopback::answering((0..100).map(|_| page(0..25))).await;
        let error = flows(&server).child_runs("r", 30).await.expect_err("endless");
        assert!(error.to_string().contains("more than 30 lines"), "{error}");
        assert_eq!(server.seen().len(), 2);
    }

    #[test]
    fn a_failed_line_keeps_its_reason() {
        let failed = json!({"run_id": "r_3", "index": 3, "status": "Failed", "inputs": {"question": "?"}, "output": null,
            "error": {"message": "Execution failure in 'draft': no", "messageFormat": "Execution failure in '{node_name}'",
                "code": "UserError", "innerError": {"code": "ToolExecutionError", "innerError": null}, "additionalInfo": []}});
        let line: Line = serde_json::from_value(failed).expect("a line");
        assert_eq!((line.index, line.status.as_str(), &line.output), (3, "Failed", &Value::Null));
        assert_eq!(line.error.expect("a fault").innermost(), "ToolExecutionError");
        let odd: Line = serde_json::from_value(json!({"index": 4, "status": null, "error": {}})).expect("a line");
        assert_eq!(odd.error, Some(Fault::new("Unknown", "the service gave no reason")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_lines_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = serde_json::from_slice::<Vec<Line>>(&bytes);
            let _ = serde_json::from_slice::<Partial>(&bytes);
        }
    }
}
