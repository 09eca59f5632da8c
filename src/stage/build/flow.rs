//! `flow.dag.yaml` as types, and the checks of its graph. A broken graph is refused by naming the node.

mod check;
mod circle;
pub mod connections;
mod fault;
mod jinja;
mod python;
mod schema;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::archive::{self, Folder};
pub use fault::FlowError;

/// Name of the file that makes a folder a flow.
pub const FILE: &str = "flow.dag.yaml";
/// Name of the file that makes it the other kind of flow, which is a function.
pub const FLEX_FILE: &str = "flow.flex.yaml";
/// Bytes of that file; a graph is text written by people.
pub const MAX_BYTES: usize = 1 << 20;

/// The flow's file for the flow's folder, as people write it: `flows/qa/flow.dag.yaml`.
pub fn file(path: &str) -> String {
    match archive::normal(path) {
        root if root.is_empty() => FILE.to_owned(),
        path => format!("{path}/{FILE}"),
    }
}

/// Prompt flow takes a key without a value for an empty one, and editors leave such keys behind.
fn or_empty<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(d: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

/// A DAG flow. Unknown keys are Prompt flow's business and stay in the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Flow {
    #[serde(default, deserialize_with = "or_empty")]
    pub inputs: BTreeMap<String, Input>,
    #[serde(default, deserialize_with = "or_empty")]
    pub outputs: BTreeMap<String, Output>,
    #[serde(default, deserialize_with = "or_empty")]
    pub nodes: Vec<Node>,
    #[serde(default, deserialize_with = "or_empty")]
    pub node_variants: BTreeMap<String, Variants>,
}

/// A flow's input.
#[derive(Clone, Debug, Deserialize)]
pub struct Input {
    #[serde(rename = "type")]
    pub type_: String,
    #[serde(default)]
    pub default: Option<Value>,
}

/// A flow's output.
#[derive(Clone, Debug, Deserialize)]
pub struct Output {
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
    #[serde(default)]
    pub reference: Value,
}

/// One node of the graph.
#[derive(Clone, Debug, Deserialize)]
pub struct Node {
    pub name: String,
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
    #[serde(default)]
    pub source: Option<Source>,
    #[serde(default, deserialize_with = "or_empty")]
    pub inputs: BTreeMap<String, Value>,
    #[serde(default)]
    pub connection: Option<String>,
    /// Of an LLM node: `chat` or `completion`.
    #[serde(default)]
    pub api: Option<String>,
    #[serde(default)]
    pub use_variants: bool,
    /// Runs once, after all lines.
    #[serde(default)]
    pub aggregation: bool,
    #[serde(default)]
    pub activate: Option<Value>,
}

/// Where a node's code is.
#[derive(Clone, Debug, Deserialize)]
pub struct Source {
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub tool: Option<String>,
}

/// Variants of one node.
#[derive(Clone, Debug, Deserialize)]
pub struct Variants {
    pub default_variant_id: String,
    #[serde(default, deserialize_with = "or_empty")]
    pub variants: BTreeMap<String, Variant>,
}

/// One variant: a node without a name.
#[derive(Clone, Debug, Deserialize)]
pub struct Variant {
    pub node: VariantNode,
}

#[derive(Clone, Debug, Deserialize)]
pub struct VariantNode {
    #[serde(rename = "type", default)]
    pub type_: Option<String>,
    #[serde(default)]
    pub source: Option<Source>,
    #[serde(default, deserialize_with = "or_empty")]
    pub inputs: BTreeMap<String, Value>,
    #[serde(default)]
    pub connection: Option<String>,
    /// Of an LLM node: `chat` or `completion`.
    #[serde(default)]
    pub api: Option<String>,
}

/// Reads and checks the flow in the folder `path` of an archive.
///
/// # Errors
/// The first thing that is wrong, by the name of its node.
pub fn read(folder: &Folder, path: &str) -> Result<Flow, FlowError> {
    let file = file(path);
    let own = folder.below(path);
    let flex = own.get(FLEX_FILE).is_some();
    let bytes = match folder.get(&file) {
        Some(_) if flex => return Err(FlowError::TwoKinds(archive::normal(path))),
        Some(bytes) => bytes,
        None if flex => return Err(FlowError::Flex(file.replace(FILE, FLEX_FILE))),
        None => return Err(FlowError::Missing(file)),
    };
    let unreadable = |error: String| FlowError::Unreadable { path: file.clone(), error };
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {} KiB", MAX_BYTES >> 10)));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))?;
    let words = |error: serde_saphyr::Error| unreadable(first_line(&error.to_string()));
    let keys: Map<String, Value> = serde_saphyr::from_str(text).map_err(words)?;
    if keys.contains_key("entry") {
        return Err(FlowError::Flex(file));
    }
    schema::check(&keys)?;
    let flow: Flow = serde_saphyr::from_str(text).map_err(words)?;
    check::check(&flow, &own)?;
    Ok(flow)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

impl Flow {
    /// Where the node names this connection: as its own, or as the input of a Python tool. The keys are those by which
    /// Prompt flow overrides it.
    pub fn keys_of_connection<'a>(&'a self, node: &'a Node, connection: &'a str) -> impl Iterator<Item = &'a str> {
        let runs = running(self, node).ok();
        let own = runs.as_ref().and_then(|runs| runs.connection).filter(|own| *own == connection);
        let inputs = runs.map(|runs| runs.inputs).into_iter().flatten();
        let inputs = inputs.filter(move |(_, value)| value.as_str() == Some(connection));
        own.map(|_| "connection").into_iter().chain(inputs.map(|(name, _)| name.as_str()))
    }
}

/// What a node really runs: itself, or its default variant.
struct Running<'a> {
    name: &'a str,
    type_: Option<&'a str>,
    source: Option<&'a Source>,
    inputs: &'a BTreeMap<String, Value>,
    connection: Option<&'a str>,
    api: Option<&'a str>,
    activate: Option<&'a Value>,
}

fn running<'a>(flow: &'a Flow, node: &'a Node) -> Result<Running<'a>, FlowError> {
    let name = node.name.as_str();
    if !node.use_variants {
        let Node { type_, source, inputs, connection, api, activate, .. } = node;
        let (type_, connection, api) = (type_.as_deref(), connection.as_deref(), api.as_deref());
        return Ok(Running {
            name,
            type_,
            source: source.as_ref(),
            inputs,
            connection,
            api,
            activate: activate.as_ref(),
        });
    }
    let variants = flow.node_variants.get(name).ok_or_else(|| FlowError::NoSource(name.to_owned()))?;
    let Variant { node: variant } = variants
        .variants
        .get(&variants.default_variant_id)
        .ok_or_else(|| FlowError::NoVariant { node: name.to_owned(), variant: variants.default_variant_id.clone() })?;
    Ok(Running::variant(node, variant))
}

impl<'a> Running<'a> {
    fn variant(node: &'a Node, variant: &'a VariantNode) -> Self {
        Self {
            name: &node.name,
            type_: variant.type_.as_deref(),
            source: variant.source.as_ref(),
            inputs: &variant.inputs,
            connection: variant.connection.as_deref(),
            api: variant.api.as_deref(),
            activate: node.activate.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests;
