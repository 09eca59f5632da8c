//! What a run leaves in the workspace's datastore, and how it is found: `run download` of Microsoft's client reads it.
//! Places, files and replies are those of the recordings in that client's test suite.
//!
//! A copy of the flow is below `runs/<run>/` from the submission on; `promptflow/PromptFlowArtifacts/<run>/` is written
//! when the run is over.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{call::Call, documents, fault::Fault, run::Run, store::Flow};
use crate::sim::{
    blob::{Blobs, Place},
    clock,
    http::Response,
    mutex::lock,
    settings::Settings,
};

/// Lines of one file in `flow_artifacts`.
const BATCH: usize = 25;

fn folder(run: &str) -> String {
    format!("promptflow/PromptFlowArtifacts/{run}/")
}

/// Keeps the flow as it is now.
pub(super) fn keep_flow(call: &Call<'_>, blobs: &mut Blobs, run: &Run) {
    let above = run.graph.name.rsplit_once('/').map_or("", |(above, _)| above);
    let files = blobs.below(&Place { name: above.to_owned(), ..run.graph.clone() });
    let files: Vec<_> = files.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.clone())).collect();
    for (path, bytes) in files {
        blobs.put(&snapshot(&call.sim.settings, &run.submission.run_id, &path), bytes, call.now);
    }
}

fn snapshot(settings: &Settings, run: &str, path: &str) -> Place {
    Place::in_datastore(settings, &format!("runs/{run}/{path}"))
}

/// Writes down what a run that is over made of its lines.
pub(super) fn write(call: &Call<'_>, run: &Run) {
    let (id, lines, times) = (&run.submission.run_id, run.lines(), run.times());
    let mut files = vec![("meta.json".to_owned(), json!({"batch_size": BATCH}).to_string())];
    for batch in lines.chunk_by(|one, next| one.index / BATCH == next.index / BATCH) {
        let first = batch[0].index / BATCH * BATCH;
        let records = batch.iter().map(|line| {
            let info = documents::line(id, &times, line);
            json!({"line_number": line.index, "start_time": info["start_time"], "end_time": info["end_time"],
                "name": "", "description": "", "status": info["status"], "tags": null, "run_info": info})
        });
        files.push((format!("flow_artifacts/{first:09}_{:09}.jsonl", first + BATCH - 1), jsonl(records)));
    }
    let outputs = lines.iter().filter_map(|line| Some(numbered(line.index, line.result.as_ref().ok()?)));
    files.push(("flow_outputs/output.jsonl".to_owned(), jsonl(outputs)));
    let results = lines.iter().map(|line| {
        let mut row = Map::from_iter([("line_number".to_owned(), json!(line.index))]);
        row.insert("status".into(), json!(if line.result.is_ok() { "Completed" } else { "Failed" }));
        row.extend(line.inputs.iter().map(|(name, value)| (format!("inputs.{name}"), value.clone())));
        row.extend(line.result.iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
        Value::Object(row)
    });
    files.push(("instance_results.jsonl".to_owned(), jsonl(results)));
    let mut blobs = lock(&call.sim.blobs);
    for (path, text) in files {
        blobs.put(&Place::in_datastore(&call.sim.settings, &(folder(id) + &path)), text, call.now);
    }
}

fn numbered(index: usize, outputs: &Map<String, Value>) -> Value {
    let mut row = Map::from_iter([("line_number".to_owned(), json!(index))]);
    row.extend(outputs.clone());
    Value::Object(row)
}

fn jsonl(rows: impl Iterator<Item = Value>) -> String {
    rows.map(|row| format!("{row}\n")).collect()
}

#[derive(Deserialize)]
struct Asset {
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Snapshot {
    snapshot_or_asset_id: String,
}

impl Flow {
    /// `dataversion/getByAssetId` of the data service: where an output of a run is.
    pub(super) fn asset(&self, call: &Call<'_>) -> Result<Response, Fault> {
        let Asset { value: id } =
            serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        let name = id.split("/data/").nth(1).and_then(|rest| rest.split("/versions/").next()).unwrap_or_default();
        let (run, output) = name
            .strip_prefix("azureml_")
            .and_then(|rest| rest.split_once("_output_data_"))
            .and_then(|(run, output)| Some((self.runs.get(run)?, output)))
            .ok_or_else(|| Fault::no_asset(&id))?;
        let path = match output {
            "debug_info" => folder(&run.submission.run_id),
            _ => format!("{}{output}/", folder(&run.submission.run_id)),
        };
        let s = &call.sim.settings;
        let uri = format!(
            "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}/datastores/workspaceblobstore/paths/{path}",
            s.subscription, s.resource_group, s.workspace
        );
        let version = json!({
            "assetId": id, "dataContainerName": name, "dataType": "UriFolder", "dataUri": uri, "versionId": "1",
            "mutableProps": {"dataExpiryTime": null, "description": null, "tags": null, "isArchived": false,
                "stage": "Logged", "autoDeleteSetting": null},
            "referencedDataUris": null, "properties": null, "initialAssetId": id, "isRegistered": false,
            "runId": run.submission.run_id, "originAssetId": null,
        });
        let made = clock::iso(run.times().created);
        let entity = json!({"etag": "\"7802aaea-0000-0100-0000-6641dab00000\"", "createdTime": made, "modifiedTime": made,
            "createdBy": documents::submitter(run), "modifiedBy": null});
        Ok(Response::json(
            200,
            &json!({"dataVersion": version, "entityMetadata": entity, "legacyDatasetId": documents::guid(name),
                "isV2": true, "legacyDatasetType": null, "legacyDataflowType": null, "legacyDataflow": null,
                "legacySavedDatasetId": null, "putAssetLROResponseDto": null}),
        ))
    }

    /// `snapshots/sas` of the content service: the files of a run's flow.
    pub(super) fn snapshot(&self, call: &Call<'_>) -> Result<Response, Fault> {
        let Snapshot { snapshot_or_asset_id: id } =
            serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        let run = self.runs.keys().find(|run| documents::snapshot_id(run) == id).ok_or_else(|| Fault::no_asset(&id))?;
        let blobs = lock(&call.sim.blobs);
        let place = snapshot(&call.sim.settings, run, "");
        let mut root = entry("", "Directory", None, 0);
        for (path, bytes) in blobs.below(&place) {
            let url =
                format!("https://{}.blob.core.windows.net/{}/{}{path}", place.account, place.container, place.name);
            add(&mut root, path, &url, bytes.len());
        }
        Ok(Response::json(200, &root))
    }
}

/// Puts a file into the tree of folders.
fn add(folder: &mut Value, path: &str, url: &str, size: usize) {
    match path.split_once('/') {
        None => folder["children"][path] = entry(path, "File", Some(url), size),
        Some((name, rest)) => {
            if folder["children"][name].is_null() {
                folder["children"][name] = entry(name, "Directory", None, 0);
            }
            add(&mut folder["children"][name], rest, url, size);
        }
    }
}

/// Without hash and signed address, which no client reads.
fn entry(name: &str, kind: &str, url: Option<&str>, size: usize) -> Value {
    json!({"name": name, "hash": null, "type": kind, "timestamp": "0001-01-01T00:00:00+00:00", "sasUrl": null,
        "absoluteUrl": url, "sizeBytes": size, "sizeSet": url.is_some(), "children": {}})
}
