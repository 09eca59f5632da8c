//! The body of a submission, and what it points at.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::fault::Fault;
use crate::sim::{blob::Place, settings::Settings};

const STORE: &str = "workspaceblobstore";

/// As Microsoft's client sends it; what the simulator does not use is let pass.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Submission {
    pub run_id: String,
    #[serde(default)]
    pub run_display_name: Option<String>,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    pub flow_definition_data_store_name: String,
    pub flow_definition_blob_path: String,
    #[serde(default)]
    pub batch_data_input: Option<DataInput>,
    #[serde(default)]
    pub inputs_mapping: Map<String, Value>,
    /// The run that is judged.
    #[serde(default)]
    pub variant_run_id: Option<String>,
    /// Node to what is overridden there.
    #[serde(default)]
    pub connections: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    pub runtime_name: Option<String>,
    #[serde(default)]
    pub session_id: Option<String>,
    #[serde(default)]
    pub flow_lineage_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DataInput {
    pub data_uri: String,
}

impl Submission {
    pub fn parse(body: &[u8]) -> Result<Self, Fault> {
        let submission: Self = serde_json::from_slice(body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        check_id(&submission.run_id)?;
        if submission.runtime_name.is_none() {
            return Err(Fault::bad_request("runtimeName is missing"));
        }
        Ok(submission)
    }

    /// Where the flow's graph is.
    pub fn graph(&self, settings: &Settings) -> Result<Place, Fault> {
        if !self.flow_definition_data_store_name.eq_ignore_ascii_case(STORE) {
            return Err(Fault::no_flow(&self.flow_definition_blob_path));
        }
        Ok(Place::in_datastore(settings, &self.flow_definition_blob_path))
    }

    /// Where the data is, if there is any in the workspace's datastore.
    pub fn data(&self, settings: &Settings) -> Option<Place> {
        Place::of_uri(settings, &self.batch_data_input.as_ref()?.data_uri)
    }

    pub fn is_judge(&self) -> bool {
        self.variant_run_id.is_some()
    }
}

/// Whether a run may be called so.
pub(super) fn check_id(id: &str) -> Result<(), Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=255).contains(&id.len()) && id.chars().all(plain) {
        return Ok(());
    }
    Err(Fault::bad_request(&format!("runId {id:?} must be 1 to 255 letters, digits, dashes and underscores")))
}
