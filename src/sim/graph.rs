//! `flow.dag.yaml`, as far as executing it needs it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, Deserialize)]
pub struct Graph {
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    #[serde(default)]
    pub outputs: BTreeMap<String, Output>,
    #[serde(default)]
    pub nodes: Vec<Node>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    #[serde(rename = "type", default)]
    pub type_: String,
    #[serde(default)]
    pub default: Value,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    #[serde(rename = "type", default)]
    pub type_: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    pub name: String,
    #[serde(rename = "type", default)]
    pub type_: String,
    #[serde(default)]
    pub source: Source,
    #[serde(default)]
    pub connection: Option<String>,
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
}

/// Where a node's code is.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Source {
    #[serde(default)]
    pub path: Option<String>,
}

/// Name of the file.
pub const FILE: &str = "flow.dag.yaml";

impl Graph {
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
        serde_saphyr::from_str(text).map_err(|e| e.to_string().lines().next().unwrap_or_default().to_owned())
    }

    /// The node that a scripted failure is put down to: the first that asks a model, else the first.
    pub fn failing_node(&self) -> &str {
        let llm = self.nodes.iter().find(|node| node.type_ == "llm");
        llm.or(self.nodes.first()).map_or("flow", |node| node.name.as_str())
    }
}
