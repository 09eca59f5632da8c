//! The two runs on the Prompt flow service: what is submitted, and what comes back.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::connections;
use crate::{
    api::{
        PromptReleaseSpec,
        release::PromptFlowRunner,
        status::{Build, VerdictOn},
    },
    azure::{
        self, Azure, BulkRun, DataInput, Datastore, RunState, RunStatus, Submitted,
        troubles::{self, Trouble},
    },
    policy::{
        completeness,
        dataset::{Dataset, MAX_ROWS},
        digest,
    },
    stage::build::{
        archive,
        flow::{self, Flow},
        mapping::{self, Feeds},
    },
    view::sentence,
};

/// What both submissions need of what was uploaded.
pub struct Ready {
    store: Datastore,
    folder: String,
    dataset_path: String,
    runner: PromptFlowRunner,
    main_path: String,
    main: Flow,
    judge: Flow,
    feeds: Feeds,
    /// Of the data set's bytes, and of the judge's graph and files.
    dataset_digest: String,
    rubric: String,
}

/// Reads what was uploaded: the graphs, and the data set.
///
/// # Errors
/// Azure's, and what it holds that cannot be read.
pub async fn prepare(azure: &Azure, spec: &PromptReleaseSpec, build: &Build) -> azure::Result<Ready> {
    let missing = |what: &str| azure::Error::NotSent { call: "submit".into(), reason: format!("{what} is not known") };
    let store = azure.default_datastore().await?.value;
    let folder = build.folder.clone().ok_or_else(|| missing("the uploaded folder"))?;
    let dataset_path = build.dataset.clone().ok_or_else(|| missing("the uploaded data set"))?;
    let runner = spec.evaluation.as_ref().and_then(|e| e.prompt_flow.clone()).ok_or_else(|| missing("the runner"))?;
    let path = spec.artifact.prompt_flow.as_ref().and_then(|f| f.path.clone());
    let main_path = path.clone().unwrap_or_default();
    let rows = azure.get_blob(&store, &dataset_path, crate::policy::dataset::MAX_BYTES).await?;
    let unreadable = |reason: String| azure::Error::Malformed { call: format!("GET {dataset_path}"), reason };
    let dataset = Dataset::parse(&rows).map_err(|e| unreadable(e.to_string()))?;
    let main = graph(azure, &store, &folder, &main_path).await?.0;
    let (judge, judge_text) = graph(azure, &store, &folder, &runner.judge.path).await?;
    let judge_folder = format!("{folder}/{}", archive::normal(&runner.judge.path));
    let rubric = rubric(azure, &store, &judge_folder, &judge, &judge_text).await?;
    let dataset_digest = digest::hex8(&rows);
    // The archive was checked by the same function before it was uploaded, so this is not the release's fault.
    let feeds = mapping::feeds(path.as_deref(), &main, &judge, &dataset, &runner);
    let feeds = feeds.map_err(|e| azure::Error::NotSent { call: "submit".into(), reason: e.to_string() })?;
    Ok(Ready { store, folder, dataset_path, runner, main_path, main, judge, feeds, dataset_digest, rubric })
}

fn file(folder: &str, path: &str) -> String {
    format!("{folder}/{}", flow::file(path))
}

async fn graph(azure: &Azure, store: &Datastore, folder: &str, path: &str) -> azure::Result<(Flow, Bytes)> {
    let path = file(folder, path);
    let text: Bytes = azure.get_blob(store, &path, flow::MAX_BYTES).await?;
    let flow = serde_saphyr::from_str(&String::from_utf8_lossy(&text))
        .map_err(|e| azure::Error::Malformed { call: format!("GET {path}"), reason: e.to_string() })?;
    Ok((flow, text))
}

/// Of the judge's graph and of every file that its nodes name, in the order of their names.
async fn rubric(azure: &Azure, store: &Datastore, folder: &str, judge: &Flow, text: &[u8]) -> azure::Result<String> {
    let mut all = digest::sha256_hex(text);
    for source in judge.sources() {
        let path = format!("{folder}/{}", archive::normal(source));
        let bytes = azure.get_blob(store, &path, crate::policy::dataset::MAX_BYTES).await?;
        all.push_str(&format!("\n{source} {}", digest::sha256_hex(&bytes)));
    }
    Ok(digest::hex8(all.as_bytes()))
}

impl Ready {
    /// Which node would use a protected connection, and what would mend it.
    pub fn protected(&self, protected: &[String]) -> Option<String> {
        let main = if self.main_path.is_empty() { flow::FILE } else { &self.main_path };
        let flows = [(main, &self.main), (self.runner.judge.path.as_str(), &self.judge)];
        connections::refused(&flows, &self.runner.connection_overrides, protected)
    }

    /// What a verdict on these runs would be a verdict on.
    pub fn on(&self, spec: &PromptReleaseSpec) -> VerdictOn {
        let artifact = spec.artifact.prompt_flow.as_ref().map(|flow| flow.archive.digest.clone()).unwrap_or_default();
        let judge_model = connections::models(&self.judge, &self.runner.connection_overrides);
        let (dataset, rubric) = (self.dataset_digest.clone(), self.rubric.clone());
        // An archive may hold several flows.
        let flow = archive::normal(&self.main_path);
        let key = digest::verdict_key(&[&artifact, &flow, &dataset, &rubric, &judge_model, &digest::test_hash(spec)]);
        VerdictOn { artifact, dataset, judge_model: sentence::evidence(&judge_model), key, rubric }
    }

    /// The flow answers every question.
    pub fn base_run(&self, azure: &Azure, id: &str) -> BulkRun {
        self.run(azure, &self.main, &self.main_path, id, &self.feeds.flow, None)
    }

    /// The judge scores every answer of the base run.
    pub fn judge_run(&self, azure: &Azure, base: &str, id: &str) -> BulkRun {
        self.run(azure, &self.judge, &self.runner.judge.path, id, &self.feeds.judge, Some(base))
    }

    fn run(
        &self,
        azure: &Azure,
        flow: &Flow,
        path: &str,
        id: &str,
        mapping: &BTreeMap<String, String>,
        base: Option<&str>,
    ) -> BulkRun {
        let definition = file(&self.folder, path);
        let lineage = digest::sha256_hex(format!("{}/{path}", azure.workspace_id().arm_id()).as_bytes());
        BulkRun {
            run_id: id.to_owned(),
            run_display_name: id.to_owned(),
            flow_definition_data_store_name: self.store.name.clone(),
            session_id: digest::sha256_hex(format!("{lineage}/{definition}").as_bytes()).chars().take(48).collect(),
            flow_definition_blob_path: definition,
            batch_data_input: DataInput {
                data_uri: format!("azureml://datastores/{}/paths/{}", self.store.name, self.dataset_path),
            },
            inputs_mapping: mapping.clone(),
            variant_run_id: base.map(str::to_owned),
            connections: connections::overridden(flow, &self.runner.connection_overrides),
            flow_lineage_id: lineage,
            ..BulkRun::default()
        }
    }
}

/// Submits a run; one of its id that exists already is no error if it is the same.
pub async fn submit(azure: &Azure, run: &BulkRun) -> azure::Result<()> {
    let workspace = azure.get_workspace().await?.value;
    let flows = azure.flows(workspace.discovery()?)?;
    if flows.submit(run).await? == Submitted::Created {
        return Ok(());
    }
    // Ours, if an earlier reply was lost. Somebody else's would have its lines taken for answers to our questions.
    let found = flows.run_state(&run.run_id).await?;
    match found.as_ref().and_then(|found| found.source.differs_from(run)) {
        None => Ok(()),
        Some(other) => {
            let reason =
                format!("a run of this id exists already and is of {other}; delete it, or ship another version");
            Err(azure::Error::NotSent { call: format!("run {}", run.run_id), reason })
        }
    }
}

/// All lines of a run, in the words of the policy.
///
/// # Errors
/// Azure's.
pub async fn lines(flows: &azure::Flows, run: &str) -> azure::Result<Vec<completeness::Line>> {
    Ok(flows.child_runs(run, MAX_ROWS).await?.into_iter().map(line).collect())
}

/// A line in the words of the policy. `line_number` is Prompt flow's own and no output.
pub fn line(line: azure::Line) -> completeness::Line {
    let outputs = match line.output {
        serde_json::Value::Object(mut outputs) => {
            outputs.remove("line_number");
            outputs
        }
        _ => serde_json::Map::new(),
    };
    completeness::Line {
        index: i64::try_from(line.index).unwrap_or(i64::MAX),
        status: line.status,
        outputs,
        error_code: line.error.as_ref().map(|fault| fault.innermost().to_owned()),
        error_message: line.error.as_ref().map(|fault| fault.message.clone()),
    }
}

/// The service's own word.
pub fn word(status: &RunStatus) -> &str {
    match status {
        RunStatus::Active(word) => word,
        RunStatus::Completed => "Completed",
        RunStatus::Failed => "Failed",
        RunStatus::Canceled => "Canceled",
    }
}

/// What a run could be fed from, for the words of its failure. Empty where it was not read.
#[derive(Clone, Debug, Default)]
pub struct There {
    pub columns: Vec<String>,
    pub outputs: Vec<String>,
}

/// Why a run ended without lines, if it did, and what to do. A run that is Completed says nothing: its lines are counted.
pub fn failure(run: &str, state: &RunState, there: &There) -> Option<String> {
    let ended = match state.status {
        RunStatus::Failed => "failed",
        RunStatus::Canceled => "was canceled",
        RunStatus::Active(_) | RunStatus::Completed => return None,
    };
    let Some(fault) = &state.error else { return Some(format!("{run} {ended}: the service gave no reason")) };
    let missing = troubles::missing_sources(fault);
    let what = match missing.as_slice() {
        [] => troubles::brief(fault),
        // The service's sentence is long, and says it in the middle.
        some => format!("{}: there is no {}", fault.innermost(), troubles::cut(&some.join(", "), SHOWN)),
    };
    let remedy = troubles::of_run(fault).map(Trouble::told).unwrap_or_default();
    Some(format!("{run} {ended}: {what}{}", troubles::fill(&remedy, &[("columns", &wanted(&missing, there))])))
}

/// Characters of the names in such a sentence.
const SHOWN: usize = 80;

/// Where what is missing has to come from, and what there is.
fn wanted(missing: &[String], there: &There) -> String {
    let Some(first) = missing.first() else { return "give every row that column".to_owned() };
    let (what, has) = match first.strip_prefix("data.") {
        Some(column) => (format!("column `{column}` of the data set"), &there.columns),
        None => (format!("output `{}` of the flow", first.rsplit('.').next().unwrap_or(first)), &there.outputs),
    };
    let has = troubles::cut(&has.join(", "), SHOWN);
    let has = if has.is_empty() { String::new() } else { format!("; there are {has}") };
    format!("give every row {what}, or take another source{has}")
}

/// Whether another run may come to a better end. What a person ended, and what the inputs are to blame for, would not.
pub fn may_pass(state: &RunState) -> bool {
    const LASTING: [&str; 3] = ["ApplyInputMappingError", "InputMappingError", "EmptyInputsData"];
    let lasts = state.error.as_ref().is_some_and(|error| LASTING.contains(&error.innermost()));
    state.status == RunStatus::Failed && !lasts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::RunSource;

    #[test]
    fn a_run_that_completed_is_counted_not_believed() {
        let state = |status| RunState { status, error: None, partial: None, source: RunSource::default() };
        let failure = |run, state: &RunState| failure(run, state, &There::default());
        assert_eq!(failure("base run", &state(RunStatus::Completed)), None);
        assert_eq!(failure("base run", &state(RunStatus::Active("Preparing".into()))), None);
        let why = failure("judge run", &state(RunStatus::Failed));
        assert_eq!(why.as_deref(), Some("judge run failed: the service gave no reason"));
    }
}
