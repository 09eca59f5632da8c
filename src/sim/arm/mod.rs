//! Azure Resource Manager: the workspace, its assets, its online endpoints and their deployments.

use std::{collections::BTreeMap, sync::Arc};

use jiff::Timestamp;
use serde_json::Value;

use super::{Sim, http};

/// All resources, and the operations on them.
pub struct Arm {
    endpoints: BTreeMap<String, ()>,
}

/// A deployment as other services see it.
pub struct DeploymentDoc {
    pub name: String,
    pub tags: BTreeMap<String, String>,
    /// The resource's `properties` as accepted last.
    pub properties: serde_json::Map<String, Value>,
    /// Instances.
    pub capacity: u32,
    ready_at: Option<Timestamp>,
}

impl DeploymentDoc {
    /// ARM id of the model version.
    pub fn model(&self) -> Option<&str> {
        self.properties.get("model")?.as_str()
    }

    pub fn environment_variables(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// Whether it has been provisioned and answers requests.
    pub fn ready(&self, now: Timestamp) -> bool {
        self.ready_at.is_some_and(|at| at <= now)
    }
}

impl Arm {
    /// The split that serves right now (applied, not merely accepted), entries of weight 0 left out.
    pub fn live(&self, _endpoint: &str) -> Vec<(String, u8)> {
        Vec::new()
    }

    /// The tag `promptrelease.split` as applied, verbatim.
    pub fn split_tag(&self, _endpoint: &str) -> Option<String> {
        None
    }

    pub fn deployment(&self, _endpoint: &str, _name: &str) -> Option<&DeploymentDoc> {
        None
    }

    /// `modelUri` of a registered model version.
    pub fn model_uri(&self, _model_arm_id: &str) -> Option<String> {
        None
    }

    pub fn endpoints(&self) -> Vec<String> {
        self.endpoints.keys().cloned().collect()
    }
}

/// Answers for `management.azure.com`.
pub async fn handle(_sim: &Arc<Sim>, _req: &http::Request) -> http::Response {
    http::Response::empty(404)
}
