//! What an exchange is for, and its reply as one document.

use serde_json::{Map, Value, json};
use url::Url;

/// Of the connection, not of the service.
const OF_TRANSPORT: [&str; 7] =
    ["connection", "content-length", "content-encoding", "date", "keep-alive", "transfer-encoding", "vary"];
/// The older of Azure OpenAI's host names serves the same API, and is the one that was recorded.
const OF_MODELS: [&str; 2] = [".openai.azure.com", ".api.cognitive.microsoft.com"];

/// What a request is for and how it was answered, such as `GET run, 200`; None for what is not simulated.
pub fn kind(method: &str, url: &Url, status: u16, body: &Value) -> Option<String> {
    let host = url.host_str()?;
    let what = if host.ends_with(".blob.core.windows.net") {
        "blob"
    } else if host.ends_with(".in.applicationinsights.azure.com") {
        (url.path() == "/v2.1/track").then_some("track")?
    } else if OF_MODELS.iter().any(|end| host.ends_with(end)) {
        url.path().ends_with("/chat/completions").then_some("chat completions")?
    } else {
        return Some(format!("{method} {}, {status}", of_workspace(url, body)?));
    };
    Some(format!("{method} {what}, {status}"))
}

/// Of the management API and of the Prompt flow service.
fn of_workspace(url: &Url, body: &Value) -> Option<String> {
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
            return Some(format!("rundata: {}{errors}", run["status"].as_str().unwrap_or_default()));
        }
        _ => return None,
    };
    Some(what.to_owned())
}

/// A reply as one document.
pub fn document(status: u16, headers: impl Iterator<Item = (String, String)>, body: Value) -> Value {
    let mut headers: Map<String, Value> =
        headers.map(|(name, value)| (name.to_lowercase(), Value::String(value))).collect();
    headers.retain(|name, _| !OF_TRANSPORT.contains(&name.as_str()));
    json!({"status": status, "headers": headers, "body": body})
}
