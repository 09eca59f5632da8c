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
        let mut lines: Vec<Line> = Vec::new();
        for start in (0..).step_by(PAGE) {
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
        lines.sort_by_key(|line| line.index);
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
}

fn run_state(reply: &Reply) -> Result<RunState> {
    let data: RunData = reply.seen()?.value;
    let RunMetadata { status, error } = data.run_metadata;
    let status = match status.as_str() {
        "Completed" => RunStatus::Completed,
        "Failed" => RunStatus::Failed,
        "Canceled" | "Cancelled" => RunStatus::Canceled,
        _ => RunStatus::Active(status),
    };
    let format = error.pointer("/error/messageFormat").and_then(Value::as_str);
    let partial = format.and_then(|text| serde_json::from_str(text).ok());
    let error = if error.is_null() { None } else { Fault::from_value(&error) };
    Ok(RunState { status, error, partial })
}

/// For callers that treat the two alike.
impl RunStatus {
    pub fn is_terminal(&self) -> bool {
        !matches!(self, Self::Active(_))
    }
}
