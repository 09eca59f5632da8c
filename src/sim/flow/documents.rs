//! Runs and lines as the services show them.

use std::fmt::Write;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    call::Call,
    fault::Root,
    run::{Line, LineFailure, Run, Times},
    submission::DataInput,
    tool_error,
};
use crate::sim::{clock, digest::hash};

const RUNTIME_VERSION: &str = "20240429.v8";
const RUNTIME: &str = "promptflow-runtime/20240429.v8";
/// Of base runs and of judges alike.
const RUN_TYPE: &str = "azureml.promptflow.FlowRun";
/// Fields of the history service that are null in a bulk run.
const UNUSED: [&str; 21] = [
    "token",
    "tokenExpiryTimeUtc",
    "warnings",
    "parentRunUuid",
    "cancelationReason",
    "parentRunId",
    "scheduleId",
    "name",
    "scriptName",
    "target",
    "runDefinition",
    "jobSpecification",
    "primaryMetricName",
    "createdFrom",
    "cancelUri",
    "completeUri",
    "diagnosticsUri",
    "computeRequest",
    "compute",
    "queueingInfo",
    "inputs",
];

/// `rundata` of the history service.
pub(super) fn state(call: &Call<'_>, run: &Run) -> Value {
    let (id, s, times) = (&run.submission.run_id, &call.sim.settings, run.times());
    let asset = |output: &str| {
        json!({"type": "UriFolder", "assetId": format!(
            "azureml://locations/{}/workspaces/{}/data/azureml_{id}_output_data_{output}/versions/1",
            s.location, s.workspace_id)})
    };
    let seconds = times.started.zip(times.ended).map(|(from, to)| to.duration_since(from).as_secs_f64());
    let duration = seconds.map(|seconds| format!("00:{:02}:{:05.2}", (seconds / 60.0).trunc(), seconds % 60.0));
    let error = error(run).map(|root| {
        let mut error = root.to_json();
        if let Some(failure) = first_failure(run)
            && let Some(node) = &failure.node
        {
            tool_error::explain(&mut error, &failure.root, node);
        }
        json!({"error": error, "correlation": null, "environment": null, "location": null,
            "time": times.ended.map(clock::iso), "componentName": RUNTIME})
    });
    let by = submitter(run);
    let begun = run.word() != "NotStarted";
    let outputs = begun.then(|| json!({"debug_info": asset("debug_info"), "flow_outputs": asset("flow_outputs")}));
    let compute = begun.then_some("AmlcDsi");
    // Of a run that is under way; afterwards there is the duration.
    let (since, so_far) = match times.ended {
        None => (times.started.map(clock::iso), Some("00:00:00")),
        Some(_) => (None, None),
    };
    let (uuid, changed) = (guid(id), times.ended.or(times.started).unwrap_or(times.created));
    let mut metadata = json!({
        "runNumber": times.created.as_second(), "rootRunId": id, "createdUtc": clock::iso(times.created),
        "createdBy": by, "userId": run.by.oid, "error": error, "revision": 1, "statusRevision": 0, "runUuid": uuid,
        "rootRunUuid": uuid, "computeDuration": duration, "lastModifiedBy": by, "lastModifiedUtc": clock::iso(changed),
        "duration": duration, "currentAttemptId": 1, "runId": id, "experimentId": guid("Default"),
        "status": run.word(), "startTimeUtc": times.started.map(clock::iso), "endTimeUtc": times.ended.map(clock::iso),
        "displayName": run.notes.display_name, "dataContainerId": format!("dcid.{id}"),
        "description": run.notes.description, "hidden": run.notes.hidden, "runType": RUN_TYPE,
        "runTypeV2": {"orchestrator": null, "traits": [], "attribution": "PromptFlow", "computeType": compute},
        "properties": properties(run), "parameters": {}, "actionUris": {}, "uniqueChildRunComputeTargets": [],
        "tags": run.notes.tags, "settings": {}, "services": {}, "inputDatasets": [], "outputDatasets": [],
        "retainForLifetimeOfWorkspace": false, "outputs": outputs, "currentComputeTime": so_far,
        "lastStartTimeUtc": since, "effectiveStartTimeUtc": since,
    });
    UNUSED.iter().for_each(|field| metadata[*field] = Value::Null);
    json!({"runMetadata": metadata, "runDefinition": null, "jobSpecification": null, "systemSettings": null})
}

/// Who submitted a run: an application.
pub(super) fn submitter(run: &Run) -> Value {
    json!({"userObjectId": run.by.oid, "userPuId": null, "userIdp": run.by.iss, "userAltSecId": null,
        "userIss": run.by.iss, "userTenantId": run.by.tid, "userName": run.by.appid, "upn": null})
}

/// A run in a listing.
pub(super) fn entity(call: &Call<'_>, run: &Run) -> Value {
    let of_history = &state(call, run)["runMetadata"];
    let metrics = json!({});
    json!({
        "type": "runs",
        "annotations": {"archived": run.notes.hidden, "tags": run.notes.tags, "displayName": run.notes.display_name,
            "status": run.word(), "description": run.notes.description, "metrics": metrics},
        "properties": {"runId": of_history["runId"], "runType": RUN_TYPE, "experimentName": "Default",
            "creationContext": {"createdTime": of_history["createdUtc"], "createdBy": of_history["createdBy"]},
            "startTime": of_history["startTimeUtc"], "endTime": of_history["endTimeUtc"],
            "duration": of_history["duration"], "userProperties": of_history["properties"]},
    })
}

/// A GUID that goes with a name.
pub(super) fn guid(name: &str) -> String {
    Uuid::from_u64_pair(hash(name.as_bytes()), hash(format!("{name}.").as_bytes())).to_string()
}

/// Of the copy of a run's flow.
pub(super) fn snapshot_id(run: &str) -> String {
    guid(&format!("snapshot of {run}"))
}

fn properties(run: &Run) -> Value {
    let submission = &run.submission;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let mut all = json!({
        "azureml.promptflow.runtime_name": text(&submission.runtime_name),
        "azureml.promptflow.inputs_mapping": Value::Object(submission.inputs_mapping.clone()).to_string(),
        "azureml.promptflow.definition_file_name": "flow.dag.yaml",
        "azureml.promptflow.flow_lineage_id": text(&submission.flow_lineage_id),
        "azureml.promptflow.session_id": text(&submission.session_id),
        "azureml.promptflow.flow_definition_datastore_name": submission.flow_definition_data_store_name,
        "azureml.promptflow.flow_definition_blob_path": submission.flow_definition_blob_path,
        "_azureml.evaluation_run": "promptflow.BatchRun",
    });
    if let Some(DataInput { data_uri }) = &submission.batch_data_input {
        all["azureml.promptflow.input_data"] = json!(data_uri);
    }
    if let Some(base) = &submission.variant_run_id {
        all["azureml.promptflow.input_run_id"] = json!(base);
    }
    if let Some(resumed) = &run.resumed {
        all["azureml.promptflow.resume_from_run_id"] = json!(resumed.from);
    }
    if run.word() != "NotStarted" || run.resumed.is_some() {
        all["azureml.promptflow.snapshot_id"] = json!(snapshot_id(run.snapshot_of()));
    }
    if run.word() != "NotStarted" {
        all["azureml.promptflow.runtime_version"] = json!(RUNTIME_VERSION);
    }
    if run.word() == "Completed" {
        let [prompt, completion] =
            run.lines().iter().map(tokens).fold([0, 0], |sum, line| [sum[0] + line[0], sum[1] + line[1]]);
        for (kind, count) in [("prompt", prompt), ("completion", completion), ("total", prompt + completion)] {
            all[format!("azureml.promptflow.{kind}_tokens")] = json!(count.to_string());
        }
        all["_azureml.evaluate_artifacts"] = json!(r#"[{"path": "instance_results.jsonl", "type": "table"}]"#);
    }
    all
}

/// Of a run that was executed.
fn first_failure(run: &Run) -> Option<&LineFailure> {
    if run.word() != "Completed" {
        return None;
    }
    run.lines().iter().find_map(|line| line.result.as_ref().err())
}

/// Of the run as a whole, or, of one that is Completed, a count of its lines' errors in the words of the first.
fn error(run: &Run) -> Option<Root> {
    if let Some(root) = run.failure() {
        return Some(root);
    }
    if run.word() != "Completed" {
        return None;
    }
    let failures: Vec<&Root> = run.lines().iter().filter_map(|line| Some(&*line.result.as_ref().err()?.root)).collect();
    let first = *failures.first()?;
    let mut kinds: Vec<(String, &str, u64)> = Vec::new();
    for root in &failures {
        let (path, format) = (root.path(), root.format.as_str());
        match kinds.iter_mut().find(|(known, text, _)| (known.as_str(), *text) == (&path, format)) {
            Some((.., count)) => *count += 1,
            None => kinds.push((path, format, 1)),
        }
    }
    let details: Vec<Value> =
        kinds.iter().map(|(code, format, n)| json!({"code": code, "messageFormat": format, "count": n})).collect();
    let counts = json!({"totalChildRuns": run.lines().len(), "userErrorChildRuns": failures.len(),
        "systemErrorChildRuns": 0, "errorDetails": details});
    // The counts stand in place of the message's format.
    Some(Root { said: Some(first.message()), format: counts.to_string(), ..first.clone() })
}

/// One line of `childRuns`.
pub(super) fn line(run: &str, times: &Times, line: &Line) -> Value {
    let started = times.started.unwrap_or(times.created);
    let made_up = 1.0 + f64::from(u8::try_from(hash(&line.index.to_be_bytes()) % 200).unwrap_or_default()) / 100.0;
    let seconds = line.measured.as_ref().and_then(|measured| measured["duration"].as_f64()).unwrap_or(made_up);
    let ended = clock::after(started, std::time::Duration::from_secs_f64(seconds));
    let [prompt, completion] = tokens(line);
    let (output, error) = match &line.result {
        Ok(output) => (Value::Object(output.clone()), Value::Null),
        Err(failure) => {
            let made_up = || tool_error::of_line(&failure.root, failure.node.as_deref());
            (Value::Null, failure.said.clone().unwrap_or_else(made_up))
        }
    };
    json!({
        "run_id": format!("{run}_{}", line.index), "status": if error.is_null() { "Completed" } else { "Failed" },
        "error": error, "inputs": line.inputs, "output": output, "metrics": null, "request": null,
        "parent_run_id": run, "root_run_id": run, "source_run_id": null, "flow_id": "default_flow_id",
        "start_time": clock::iso(started), "end_time": clock::iso(ended), "index": line.index, "api_calls": [],
        "variant_id": "", "name": "", "description": "", "tags": null,
        "system_metrics": {"duration": seconds, "prompt_tokens": prompt, "completion_tokens": completion,
            "total_tokens": prompt + completion},
        "result": output, "upload_metrics": false,
    })
}

/// Four characters a token, as a rule of thumb, where nothing was measured.
fn tokens(line: &Line) -> [u64; 2] {
    if let Some(measured) = &line.measured {
        return ["prompt_tokens", "completion_tokens"].map(|name| measured[name].as_u64().unwrap_or_default());
    }
    let of = |row: &Map<String, Value>| (Value::Object(row.clone()).to_string().len() / 4) as u64;
    [of(&line.inputs), line.result.as_ref().map_or(0, of)]
}

/// `BulkRuns/{id}`.
pub(super) fn info(call: &Call<'_>, run: &Run) -> Value {
    let (submission, s) = (&run.submission, &call.sim.settings);
    let id = &submission.run_id;
    let data = submission.batch_data_input.as_ref().map_or(json!({}), |data| json!({"dataUri": data.data_uri}));
    let page = |kind: &str| {
        let (subscription, group, workspace) = (&s.subscription, &s.resource_group, &s.workspace);
        format!(
            "https://ml.azure.com/{kind}/{id}?wsid=/subscriptions/{subscription}/resourcegroups/{group}/providers/\
             Microsoft.MachineLearningServices/workspaces/{workspace}"
        )
    };
    let mut info = json!({
        "flowRunResourceId": format!("azureml://locations/{}/workspaces/{}/flows/{id}/flowRuns/{id}", s.location,
            s.workspace_id),
        "flowRunId": id, "flowRunDisplayName": run.notes.display_name, "batchDataInput": data,
        "flowRunType": "FlowRun", "flowType": "Default", "runtimeName": submission.runtime_name,
        "inputsMapping": submission.inputs_mapping, "outputDatastoreName": "workspaceblobstore",
        "flowDagFileRelativePath": "flow.dag.yaml",
        "childRunBasePath": format!("promptflow/PromptFlowArtifacts/{id}/flow_artifacts"),
        "sessionId": submission.session_id,
        "studioPortalEndpoint": page("runs"), "studioPortalTraceEndpoint": page("prompts/trace/run"),
    });
    if run.word() != "NotStarted" || run.resumed.is_some() {
        info["flowSnapshotId"] = json!(snapshot_id(run.snapshot_of()));
    }
    info
}

/// The log, a line an event.
pub(super) fn log(run: &Run) -> String {
    let (id, times) = (&run.submission.run_id, run.times());
    let mut text = String::new();
    let mut say = |at: Timestamp, what: String| {
        let _infallible =
            writeln!(text, "{} +0000      49 promptflow-runtime INFO     {what}", at.strftime("%Y-%m-%d %H:%M:%S"));
    };
    say(times.created, format!("[{id}] Receiving v2 bulk run request"));
    if let Some(started) = times.started {
        say(started, format!("Updating {id} to Status.Running..."));
        for line in run.lines() {
            let end = match &line.result {
                Ok(_) => "Finished".to_owned(),
                Err(failure) => failure.root.message(),
            };
            say(started, format!("Line {}: {end}", line.index));
        }
    }
    if let Some(ended) = times.ended {
        let why = run.failure().map(|root| format!(" {}", root.message())).unwrap_or_default();
        say(ended, format!("Updating {id} to Status.{}...{why}", run.word()));
    }
    text
}

/// `lastvalues` of the metric service: what the flow logged, and what the runtime counts.
pub(super) fn metrics(run: &Run) -> Value {
    let (lines, id) = (run.lines(), &run.submission.run_id);
    let failed = lines.iter().filter(|line| line.result.is_err()).count();
    let of = |name: &str, value: &Value| {
        json!({"dataContainerId": format!("dcid.{id}"), "name": name, "columns": {name: "Double"},
            "properties": {"uxMetricType": "azureml.v1.scalar", "dataLocation": null}, "namespace": null,
            "standardSchemaId": null, "value": [{"metricId": format!("{id}-{name}"),
                "createdUtc": run.times().ended.map(clock::iso), "step": 0, "data": {name: value}}]})
    };
    let mut values: Vec<Value> = run.metrics().map(|(name, value)| of(name, value)).collect();
    if run.word() == "Completed" {
        values.push(of("__pf__.lines.completed", &json!(lines.len() - failed)));
        values.push(of("__pf__.lines.failed", &json!(failed)));
    }
    json!({"value": values})
}

/// `TraceSessions`: the workspace keeps no traces.
pub(super) fn no_traces(call: &Call<'_>) -> Value {
    json!({"entityId": call.sim.settings.workspace_id, "traceCosmosConfiguration": "None",
        "traceCosmosStatus": "Initialized", "accountEndpoint": "", "databaseName": "PromptFlowTraceSession",
        "resourceArmId": "", "resourceType": 1})
}
