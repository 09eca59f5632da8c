//! Who executes a run: the real Prompt flow where there is one, else the scenario.

use serde_json::{Map, Value};

use super::{
    call::Call,
    connections,
    fault::Root,
    run::{Begun, Line, LineFailure, Outcome, Run},
    scripted,
};
use crate::sim::{
    blob::{Blobs, Place},
    mutex::lock,
    promptflow::{Bulk, Executed, Files, PromptFlow},
};

/// Begins a run. `base` is the run that it judges, if it judges one.
pub(super) fn begin(call: &Call<'_>, run: &Run, base: Option<&Run>) -> Begun {
    let Some(promptflow) = call.sim.promptflow.get() else {
        return Begun::Ended(scripted::play(call, &lock(&call.sim.blobs), run, base));
    };
    let bulk = match bulk(call, &lock(&call.sim.blobs), run) {
        Ok(bulk) => bulk,
        Err(root) => return Begun::Ended(Outcome::Failed(root)),
    };
    if bulk.base.is_some() {
        promptflow.judge_by(&bulk.flow, &bulk.mapping);
    }
    let (sim, promptflow) = (call.sim.clone(), promptflow.clone());
    let task = tokio::spawn(async move {
        let outcome = execute(&promptflow, &bulk).await;
        if let Ok(run) = lock(&sim.flow).run_mut(&bulk.name) {
            run.finish(outcome);
        }
    });
    Begun::Goes(task.abort_handle())
}

/// What Prompt flow needs of a submission. What the service itself refuses is refused here.
fn bulk(call: &Call<'_>, blobs: &Blobs, run: &Run) -> Result<Bulk, Root> {
    let submission = &run.submission;
    let graph = scripted::graph(blobs, run)?;
    connections::check(&graph, &submission.connections, call.connections)?;
    let folder = run.graph.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    let files = blobs.below(&Place { name: folder.to_owned(), ..run.graph.clone() });
    let flow: Files = files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.clone())).collect();
    let data = submission.data(&call.sim.settings).and_then(|place| blobs.get(&place));
    let data = data.map(|blob| blob.bytes.to_vec()).unwrap_or_default();
    Ok(Bulk {
        name: submission.run_id.clone(),
        flow,
        data,
        mapping: submission.inputs_mapping.clone(),
        base: submission.variant_run_id.clone(),
        connections: submission.connections.clone(),
    })
}

async fn execute(promptflow: &PromptFlow, bulk: &Bulk) -> Outcome {
    match promptflow.execute(bulk).await {
        Ok(executed) => outcome(executed),
        Err(problem) => {
            let codes = ["SystemError", "UnexpectedError"];
            Outcome::Failed(Root::new(&codes, "{why}", &[("why", &format!("{problem:#}"))], "Runtime"))
        }
    }
}

fn outcome(executed: Executed) -> Outcome {
    if executed.status != "Completed" {
        return Outcome::Failed(whole(&executed.error.unwrap_or_default()));
    }
    Outcome::Lines { lines: executed.lines.iter().filter_map(line).collect(), metrics: executed.metrics }
}

/// What `pf` says when nothing ran, and the service's code for it: `pf` names its own wrapper for all of them. The codes
/// are those of recorded runs and of Prompt flow's source.
const WHOLE: [(&str, &str); 4] = [
    ("Couldn't find these mapping relations", "ApplyInputMappingError"),
    ("Could not find one complete line", "InputMappingError"),
    ("Line numbers are not aligned", "InputMappingError"),
    ("Couldn't find any inputs data", "EmptyInputsData"),
];

/// The error of a run of which nothing ran.
fn whole(error: &Value) -> Root {
    let mut root = Root::of_json(error);
    let said = root.message();
    let said = said.strip_prefix("First error message is: ").unwrap_or(&said);
    if let Some((_, code)) = WHOLE.iter().find(|(text, _)| said.contains(text)) {
        root.codes = ["UserError", "ValidationError", code].map(str::to_owned).into();
        root.reference = "Core".into();
    }
    root.said = Some(said.to_owned());
    root
}

/// A line of Prompt flow's own; one that it does not number is none.
fn line(info: &Value) -> Option<Line> {
    let map = |name: &str| info[name].as_object().cloned();
    let result = match &info["error"] {
        Value::Null => Ok(map("output").unwrap_or_default()),
        error => Err(failure(error)),
    };
    Some(Line {
        index: usize::try_from(info["index"].as_u64()?).ok()?,
        inputs: map("inputs").unwrap_or_else(Map::new),
        result,
        measured: Some(info["system_metrics"].clone()),
    })
}

fn failure(error: &Value) -> LineFailure {
    let node = error.pointer("/messageParameters/node_name").and_then(Value::as_str).map(str::to_owned);
    LineFailure { root: Box::new(Root::of_json(error)), node, said: Some(error.clone()) }
}
