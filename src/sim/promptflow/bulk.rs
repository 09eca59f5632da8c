//! Bulk runs: `pf run create`, and what it leaves in its folder.

use std::{collections::BTreeMap, fs, io, path::Path};

use anyhow::{Context, ensure};
use serde_json::{Map, Value, json};

use super::{Files, PromptFlow};

/// One run to execute.
pub struct Bulk {
    /// Unique in this installation; a judge names its base run by it.
    pub name: String,
    pub flow: Files,
    /// JSON lines.
    pub data: Vec<u8>,
    pub mapping: Map<String, Value>,
    /// The run that it judges.
    pub base: Option<String>,
    /// Node to what is overridden there.
    pub connections: BTreeMap<String, BTreeMap<String, String>>,
}

/// What became of it, in Prompt flow's own JSON.
#[derive(Debug, Default)]
pub struct Executed {
    /// `Completed` says only that it ran: lines may have failed.
    pub status: String,
    pub error: Option<Value>,
    /// `run_info` of each line that was run, by index.
    pub lines: Vec<Value>,
    /// What the flow logged in an aggregation node.
    pub metrics: Map<String, Value>,
}

impl PromptFlow {
    /// Executes a run, one at a time.
    ///
    /// # Errors
    /// `pf` could not be started or left nothing that can be read. A run that failed is no error.
    pub async fn execute(&self, bulk: &Bulk) -> anyhow::Result<Executed> {
        let _one = self.running.lock().await;
        let flow = self.unpack(&format!("{}-flow", bulk.name), &bulk.flow)?;
        let input =
            self.unpack(&format!("{}-input", bulk.name), &vec![("data.jsonl".into(), bulk.data.clone().into())])?;
        let file = input.join("run.yaml");
        // JSON is YAML, and needs no quoting of ours.
        fs::write(&file, description(bulk, &flow, &input.join("data.jsonl")).to_string())?;
        let args = ["run", "create", "--file"].map(Into::into).into_iter().chain([file.into_os_string()]);
        let output = self.environment.run("pf", &args.collect::<Vec<_>>()).await?;
        // Why it did not begin is on either stream, by what refused it.
        let Some(report) = report(&output.stdout) else {
            return Ok(not_begun(&format!("{}\n{}", output.stderr, output.stdout)));
        };
        let folder = self.home.path().join(".promptflow/.runs").join(&bulk.name);
        read(&report, &folder)
    }
}

fn description(bulk: &Bulk, flow: &Path, data: &Path) -> Value {
    let mut run = json!({
        "name": bulk.name, "flow": flow, "data": data, "column_mapping": bulk.mapping,
    });
    if let Some(base) = &bulk.base {
        run["run"] = json!(base);
    }
    if !bulk.connections.is_empty() {
        run["connections"] = json!(bulk.connections);
    }
    run
}

/// The run's JSON, on lines of its own among those of a log.
fn report(stdout: &str) -> Option<Value> {
    let starts = stdout.match_indices('{').map(|(at, _)| at).filter(|at| *at == 0 || stdout[..*at].ends_with('\n'));
    let mut objects = starts.filter_map(|at| {
        let mut values = serde_json::Deserializer::from_str(&stdout[at..]).into_iter::<Value>();
        values.next()?.ok()
    });
    objects.find(|object| object["status"].is_string())
}

/// `pf.run.create failed with ConnectionNotFoundError: …`: nothing was recorded.
fn not_begun(said: &str) -> Executed {
    let why = said.lines().rev().find_map(|line| line.split_once(" failed with "));
    let (code, message) = why.and_then(|(_, rest)| rest.split_once(": ")).unwrap_or(("Unknown", said.trim()));
    let error = json!({"code": "UserError", "message": message, "innerError": {"code": code, "innerError": null}});
    Executed { status: "Failed".into(), error: Some(error), ..Executed::default() }
}

fn read(report: &Value, folder: &Path) -> anyhow::Result<Executed> {
    let status = report["status"].as_str().context("a run without a status")?.to_owned();
    let metrics = optional(&folder.join("metrics.json"))?.unwrap_or_else(|| "{}".into());
    let mut lines = Vec::new();
    if folder.join("flow_artifacts").is_dir() {
        for entry in fs::read_dir(folder.join("flow_artifacts"))? {
            let text = fs::read_to_string(entry?.path())?;
            for line in text.lines().filter(|line| !line.trim().is_empty()) {
                let mut line: Value = serde_json::from_str(line).context("flow_artifacts")?;
                lines.push(line["run_info"].take());
            }
        }
    }
    ensure!(lines.iter().all(|line| line["index"].is_u64()), "a line without an index in {}", folder.display());
    lines.sort_by_key(|line| line["index"].as_u64());
    Ok(Executed {
        status,
        error: report.get("error").filter(|error| error.is_object()).cloned(),
        lines,
        metrics: serde_json::from_str(&metrics).context("metrics.json")?,
    })
}

fn optional(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_is_found_among_the_lines_of_a_log() {
        let stdout = "2026 INFO Process {7} ended.\n{\n  \"status\": \"Completed\"\n}\n{a line}\n";
        assert_eq!(report(stdout), Some(json!({"status": "Completed"})));
        assert_eq!(report("nothing"), None);
    }

    #[test]
    fn what_was_refused_before_it_began_is_a_failed_run_with_prompt_flows_code() {
        let said = "some warning\npf.run.create failed with ConnectionNotFoundError: Connection 'x' is not found.\n";
        let executed = not_begun(said);
        assert_eq!(executed.status, "Failed");
        let error = executed.error.unwrap();
        assert_eq!(
            (&error["innerError"]["code"], &error["message"]),
            (&json!("ConnectionNotFoundError"), &json!("Connection 'x' is not found."))
        );
    }
}
