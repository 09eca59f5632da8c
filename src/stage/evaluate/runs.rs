//! The two runs on the Prompt flow service: what is submitted, and what comes back.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    api::{
        PromptReleaseSpec,
        release::{ConnectionOverride, PromptFlowRunner},
        status::Build,
    },
    azure::{
        self, Azure, BulkRun, DataInput, Datastore, RunState, RunStatus, Submitted,
        troubles::{self, Trouble},
    },
    policy::{completeness, dataset::Dataset, digest},
    stage::build::{
        flow::{self, Flow},
        mapping::{self, Feeds},
    },
};

/// What both submissions need of what was uploaded.
struct Uploaded {
    store: Datastore,
    folder: String,
    dataset_path: String,
    runner: PromptFlowRunner,
    main_path: String,
    main: Flow,
    judge: Flow,
    feeds: Feeds,
}

async fn uploaded(azure: &Azure, spec: &PromptReleaseSpec, build: &Build) -> azure::Result<Uploaded> {
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
    let main = graph(azure, &store, &folder, &main_path).await?;
    let judge = graph(azure, &store, &folder, &runner.judge.path).await?;
    // The archive was checked by the same function before it was uploaded, so this is not the release's fault.
    let feeds = mapping::feeds(path.as_deref(), &main, &judge, &dataset, &runner);
    let feeds = feeds.map_err(|e| azure::Error::NotSent { call: "submit".into(), reason: e.to_string() })?;
    Ok(Uploaded { store, folder, dataset_path, runner, main_path, main, judge, feeds })
}

fn file(folder: &str, path: &str) -> String {
    format!("{folder}/{}", flow::file(path))
}

async fn graph(azure: &Azure, store: &Datastore, folder: &str, path: &str) -> azure::Result<Flow> {
    let path = file(folder, path);
    let text: Bytes = azure.get_blob(store, &path, flow::MAX_BYTES).await?;
    let text = String::from_utf8_lossy(&text);
    serde_saphyr::from_str(&text)
        .map_err(|e| azure::Error::Malformed { call: format!("GET {path}"), reason: e.to_string() })
}

/// The flow answers every question.
pub async fn submit_base(azure: &Azure, spec: &PromptReleaseSpec, build: &Build, id: &str) -> azure::Result<()> {
    let up = uploaded(azure, spec, build).await?;
    submit(azure, &up, &up.main, &up.main_path, id, &up.feeds.flow, None).await
}

/// The judge scores every answer of the base run.
pub async fn submit_judge(
    azure: &Azure,
    spec: &PromptReleaseSpec,
    build: &Build,
    base: &str,
    id: &str,
) -> azure::Result<()> {
    let up = uploaded(azure, spec, build).await?;
    submit(azure, &up, &up.judge, &up.runner.judge.path, id, &up.feeds.judge, Some(base)).await
}

async fn submit(
    azure: &Azure,
    up: &Uploaded,
    flow: &Flow,
    path: &str,
    id: &str,
    mapping: &BTreeMap<String, String>,
    base: Option<&str>,
) -> azure::Result<()> {
    let definition = file(&up.folder, path);
    let lineage = digest::sha256_hex(format!("{}/{path}", azure.workspace_id().arm_id()).as_bytes());
    let run = BulkRun {
        run_id: id.to_owned(),
        run_display_name: id.to_owned(),
        flow_definition_data_store_name: up.store.name.clone(),
        session_id: digest::sha256_hex(format!("{lineage}/{definition}").as_bytes()).chars().take(48).collect(),
        flow_definition_blob_path: definition,
        batch_data_input: DataInput {
            data_uri: format!("azureml://datastores/{}/paths/{}", up.store.name, up.dataset_path),
        },
        inputs_mapping: mapping.clone(),
        variant_run_id: base.map(str::to_owned),
        connections: connections(flow, &up.runner.connection_overrides),
        flow_lineage_id: lineage,
        ..BulkRun::default()
    };
    let workspace = azure.get_workspace().await?.value;
    let flows = azure.flows(workspace.discovery()?)?;
    if flows.submit(&run).await? == Submitted::Created {
        return Ok(());
    }
    // Ours, if an earlier reply was lost. Somebody else's would have its lines taken for answers to our questions.
    let found = flows.run_state(id).await?;
    match found.as_ref().and_then(|found| found.source.differs_from(&run)) {
        None => Ok(()),
        Some(other) => {
            let reason =
                format!("a run of this id exists already and is of {other}; delete it, or ship another version");
            Err(azure::Error::NotSent { call: format!("run {id}"), reason })
        }
    }
}

/// By node and key: what replaces each connection that is named in `from`.
fn connections(flow: &Flow, overrides: &[ConnectionOverride]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for node in &flow.nodes {
        for ConnectionOverride { from, to } in overrides {
            for key in flow.keys_of_connection(node, from) {
                all.entry(node.name.clone()).or_default().insert(key.to_owned(), to.clone());
            }
        }
    }
    all
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::RunSource;

    #[test]
    fn an_override_reaches_every_node_of_the_connection() {
        let yaml = "
nodes:
- {name: draft, type: llm, connection: prod}
- {name: check, type: llm, connection: safety}
- {name: retell, type: llm, use_variants: true}
- {name: safety, type: python, inputs: {client: prod, text: '${draft.output}'}}
- {name: format, type: python}
node_variants:
  retell: {default_variant_id: one, variants: {one: {node: {type: llm, connection: prod}}}}
";
        let flow: Flow = serde_saphyr::from_str(yaml).expect("flow");
        let to_eval = ConnectionOverride { from: "prod".into(), to: "eval".into() };
        let got = connections(&flow, &[to_eval]);
        let key = |key: &str| BTreeMap::from([(key.to_owned(), "eval".to_owned())]);
        let wanted = [("draft", key("connection")), ("retell", key("connection")), ("safety", key("client"))];
        assert_eq!(got, BTreeMap::from(wanted.map(|(node, keys)| (node.to_owned(), keys))));
    }

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
