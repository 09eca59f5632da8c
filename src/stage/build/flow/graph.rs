//! `flow.dag.yaml` as types, and which variant of a node runs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::FlowError;

/// Kinds of a source whose code is in a package of the image, and so cannot be read.
pub(super) const OF_PACKAGE: [&str; 2] = ["package", "package_with_prompt"];
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
    #[serde(default)]
    pub use_variants: bool,
    /// Runs once, after all lines.
    #[serde(default)]
    pub aggregation: bool,
    #[serde(default)]
    pub activate: Option<Value>,
    /// Its own. Where it has variants, one of theirs runs.
    #[serde(flatten)]
    pub work: Work,
}

/// What a node or a variant of it does.
#[derive(Clone, Debug, Deserialize)]
pub struct Work {
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
    pub node: Work,
}

impl Flow {
    /// Where the node names this connection: as its own, or as the input of a Python tool. The keys are those by which
    /// Prompt flow overrides it.
    pub fn keys_of_connection<'a>(&'a self, node: &'a Node, connection: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts(node).filter(move |(_, text)| *text == connection).map(|(key, _)| key)
    }

    /// Files of the flow's folder that its nodes run, sorted.
    pub fn sources(&self) -> BTreeSet<&str> {
        let all = self.nodes.iter().filter_map(|node| running(self, node).ok()?.source?.path.as_deref());
        all.collect()
    }

    /// What may name a connection in this node, by its key: its own `connection`, and every input that is a text.
    pub fn texts<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = (&'a str, &'a str)> {
        let runs = running(self, node).ok();
        let own = runs.as_ref().and_then(|runs| runs.connection).map(|own| ("connection", own));
        let inputs = runs.map(|runs| runs.inputs).into_iter().flatten();
        own.into_iter().chain(inputs.filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))))
    }
}

/// What a node really runs: itself, or its default variant.
pub(super) struct Running<'a> {
    pub name: &'a str,
    pub type_: Option<&'a str>,
    pub source: Option<&'a Source>,
    pub inputs: &'a BTreeMap<String, Value>,
    pub connection: Option<&'a str>,
    pub api: Option<&'a str>,
    pub activate: Option<&'a Value>,
}

pub(super) fn running<'a>(flow: &'a Flow, node: &'a Node) -> Result<Running<'a>, FlowError> {
    let name = node.name.as_str();
    if !node.use_variants {
        return Ok(Running::of(node, &node.work));
    }
    let variants = flow.node_variants.get(name).ok_or_else(|| FlowError::NoSource(name.to_owned()))?;
    let Variant { node: variant } = variants
        .variants
        .get(&variants.default_variant_id)
        .ok_or_else(|| FlowError::NoVariant { node: name.to_owned(), variant: variants.default_variant_id.clone() })?;
    Ok(Running::of(node, variant))
}

impl<'a> Running<'a> {
    /// The node with its own work, or with that of a variant.
    pub(super) fn of(node: &'a Node, work: &'a Work) -> Self {
        Self {
            name: &node.name,
            type_: work.type_.as_deref(),
            source: work.source.as_ref(),
            inputs: &work.inputs,
            connection: work.connection.as_deref(),
            api: work.api.as_deref(),
            activate: node.activate.as_ref(),
        }
    }
}
