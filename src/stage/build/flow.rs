//! `flow.dag.yaml` as types, and the checks of its graph. A broken graph is refused by naming the node.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::archive::{self, Folder};

/// Name of the file that makes a folder a flow.
pub const FILE: &str = "flow.dag.yaml";
/// Bytes of that file; a graph is text written by people.
pub const MAX_BYTES: usize = 1 << 20;

/// The flow's file for the flow's folder, as people write it: `flows/qa/flow.dag.yaml`.
pub fn file(path: &str) -> String {
    match archive::normal(path) {
        root if root.is_empty() => FILE.to_owned(),
        path => format!("{path}/{FILE}"),
    }
}

/// A DAG flow. Unknown keys are Prompt flow's business and stay in the file.
#[derive(Clone, Debug, Deserialize)]
pub struct Flow {
    #[serde(default)]
    pub inputs: BTreeMap<String, Input>,
    #[serde(default)]
    pub outputs: BTreeMap<String, Output>,
    #[serde(default)]
    pub nodes: Vec<Node>,
    #[serde(default)]
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
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
    #[serde(default)]
    pub connection: Option<String>,
    #[serde(default)]
    pub use_variants: bool,
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
    #[serde(default)]
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
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
    #[serde(default)]
    pub connection: Option<String>,
}

/// What is wrong with a flow, in words for its author.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlowError {
    #[error("`{0}` is not in the archive: `path` must name a folder with a {FILE}")]
    Missing(String),
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: String, error: String },
    #[error("the flow has no nodes")]
    Empty,
    #[error("node `{0}` exists twice")]
    Twice(String),
    #[error("node `inputs`: the name is taken by the flow's own inputs")]
    Reserved,
    #[error("node `{node}`: `{reference}` refers to `{to}`, which is no node of the flow")]
    UnknownNode { node: String, reference: String, to: String },
    #[error("node `{node}`: `{reference}` refers to input `{to}`, which the flow does not have")]
    UnknownInput { node: String, reference: String, to: String },
    #[error("output `{output}`: `{reference}` refers to `{to}`, which is no node or input of the flow")]
    UnknownOutput { output: String, reference: String, to: String },
    #[error("output `{0}` must refer to a node or an input, as in ${{answer.output}}")]
    NoReference(String),
    #[error("node `{node}`: file `{path}` is not in the flow's folder")]
    NoFile { node: String, path: String },
    #[error("node `{0}` has neither `source` nor variants, so nothing to run")]
    NoSource(String),
    #[error("node `{node}`: default variant `{variant}` does not exist")]
    NoVariant { node: String, variant: String },
    #[error("llm node `{0}` names no connection")]
    NoConnection(String),
    #[error("nodes {0} wait for each other in a circle")]
    Circle(String),
}

/// Reads and checks the flow in the folder `path` of an archive.
///
/// # Errors
/// The first thing that is wrong, by the name of its node.
pub fn read(folder: &Folder, path: &str) -> Result<Flow, FlowError> {
    let file = file(path);
    let bytes = folder.get(&file).ok_or_else(|| FlowError::Missing(file.clone()))?;
    let unreadable = |error: String| FlowError::Unreadable { path: file.clone(), error };
    if bytes.len() > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {} KiB", MAX_BYTES >> 10)));
    }
    let text = std::str::from_utf8(bytes).map_err(|e| unreadable(e.to_string()))?;
    let flow: Flow = serde_saphyr::from_str(text).map_err(|e| unreadable(first_line(&e.to_string())))?;
    check(&flow, &folder.below(path))?;
    Ok(flow)
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What a node really runs: itself, or its default variant.
struct Running<'a> {
    name: &'a str,
    type_: Option<&'a str>,
    source: Option<&'a Source>,
    inputs: &'a BTreeMap<String, Value>,
    connection: Option<&'a str>,
    activate: Option<&'a Value>,
}

fn running<'a>(flow: &'a Flow, node: &'a Node) -> Result<Running<'a>, FlowError> {
    let name = node.name.as_str();
    if !node.use_variants {
        let Node { type_, source, inputs, connection, activate, .. } = node;
        let (type_, connection) = (type_.as_deref(), connection.as_deref());
        return Ok(Running { name, type_, source: source.as_ref(), inputs, connection, activate: activate.as_ref() });
    }
    let variants = flow.node_variants.get(name).ok_or_else(|| FlowError::NoSource(name.to_owned()))?;
    let Variant { node: variant } = variants
        .variants
        .get(&variants.default_variant_id)
        .ok_or_else(|| FlowError::NoVariant { node: name.to_owned(), variant: variants.default_variant_id.clone() })?;
    Ok(Running {
        name,
        type_: variant.type_.as_deref(),
        source: variant.source.as_ref(),
        inputs: &variant.inputs,
        connection: variant.connection.as_deref(),
        activate: node.activate.as_ref(),
    })
}

fn check(flow: &Flow, folder: &Folder) -> Result<(), FlowError> {
    if flow.nodes.is_empty() {
        return Err(FlowError::Empty);
    }
    let mut names = BTreeSet::new();
    for node in &flow.nodes {
        if node.name == "inputs" {
            return Err(FlowError::Reserved);
        }
        if !names.insert(node.name.as_str()) {
            return Err(FlowError::Twice(node.name.clone()));
        }
    }
    let mut waits_for = BTreeMap::new();
    for node in &flow.nodes {
        let node = running(flow, node)?;
        check_source(&node, folder)?;
        waits_for.insert(node.name, check_references(flow, &names, &node)?);
    }
    for (name, output) in &flow.outputs {
        let references = references(&output.reference);
        let first = references.first().ok_or_else(|| FlowError::NoReference(name.clone()))?;
        let known = match first.to_input() {
            Some(input) => flow.inputs.contains_key(input),
            None => names.contains(first.to.as_str()),
        };
        if !known {
            let (reference, to) = (first.text.clone(), first.to.clone());
            return Err(FlowError::UnknownOutput { output: name.clone(), reference, to });
        }
    }
    circle(&waits_for).map_or(Ok(()), |nodes| Err(FlowError::Circle(nodes)))
}

fn check_source(node: &Running<'_>, folder: &Folder) -> Result<(), FlowError> {
    let Some(source) = node.source else { return Err(FlowError::NoSource(node.name.to_owned())) };
    if let Some(path) = &source.path {
        if folder.get(path).is_none() {
            return Err(FlowError::NoFile { node: node.name.to_owned(), path: path.clone() });
        }
    }
    if node.type_ == Some("llm") && node.connection.is_none_or(str::is_empty) {
        return Err(FlowError::NoConnection(node.name.to_owned()));
    }
    Ok(())
}

/// The nodes that this one waits for.
fn check_references<'a>(
    flow: &Flow,
    names: &BTreeSet<&'a str>,
    node: &Running<'_>,
) -> Result<BTreeSet<&'a str>, FlowError> {
    let mut waits_for = BTreeSet::new();
    for reference in node.inputs.values().chain(node.activate).flat_map(references) {
        if let Some(input) = reference.to_input() {
            if !flow.inputs.contains_key(input) {
                let to = input.to_owned();
                return Err(FlowError::UnknownInput { node: node.name.to_owned(), reference: reference.text, to });
            }
        } else if let Some(name) = names.get(reference.to.as_str()) {
            waits_for.insert(*name);
        } else {
            let Reference { text: reference, to, .. } = reference;
            return Err(FlowError::UnknownNode { node: node.name.to_owned(), reference, to });
        }
    }
    Ok(waits_for)
}

/// `${answer.output.text}` refers to node `answer`, `${inputs.question}` to the flow's input `question`.
struct Reference {
    text: String,
    to: String,
    rest: String,
}

impl Reference {
    fn to_input(&self) -> Option<&str> {
        (self.to == "inputs").then(|| self.rest.split(['.', '[']).next().unwrap_or_default())
    }
}

/// References are whole values; prompts' own `{{ }}` are none.
fn references(value: &Value) -> Vec<Reference> {
    match value {
        Value::String(text) => {
            let inner = text.trim().strip_prefix("${").and_then(|t| t.strip_suffix('}'));
            inner.map(str::trim).map_or_else(Vec::new, |inner| {
                let (to, rest) = inner.split_once('.').unwrap_or((inner, ""));
                vec![Reference { text: text.trim().to_owned(), to: to.to_owned(), rest: rest.to_owned() }]
            })
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Object(fields) => fields.values().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// The nodes of a circle in order, `a -> b -> a`.
fn circle(waits_for: &BTreeMap<&str, BTreeSet<&str>>) -> Option<String> {
    let mut open: BTreeMap<&str, usize> = waits_for.iter().map(|(name, on)| (*name, on.len())).collect();
    let mut awaited_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, on) in waits_for {
        on.iter().for_each(|on| awaited_by.entry(on).or_default().push(name));
    }
    // Take away what waits for nothing until nothing of that kind is left: the rest is in, or behind, a circle.
    let mut free: Vec<&str> = open.iter().filter(|(_, on)| **on == 0).map(|(name, _)| *name).collect();
    while let Some(name) = free.pop() {
        open.remove(name);
        for waiting in awaited_by.get(name).into_iter().flatten() {
            let on = open.get_mut(waiting)?;
            *on -= 1;
            if *on == 0 {
                free.push(waiting);
            }
        }
    }
    let mut at = *open.keys().next()?;
    let (mut path, mut seen) = (Vec::new(), BTreeSet::new());
    while seen.insert(at) {
        path.push(at);
        at = waits_for.get(at)?.iter().find(|on| open.contains_key(*on)).copied()?;
    }
    let begins = path.iter().position(|name| *name == at)?;
    path.push(at);
    Some(path[begins..].join(" -> "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
inputs:
  question: {type: string}
outputs:
  answer: {type: string, reference: '${draft.output}'}
nodes:
- {name: find, type: python, source: {type: code, path: find.py}, inputs: {q: '${inputs.question}'}}
- {name: draft, type: llm, source: {type: code, path: draft.jinja2}, connection: aoai, inputs: {facts: '${find.output}'}}
";

    fn flow(yaml: &str) -> Result<Flow, FlowError> {
        let files = [("flow/flow.dag.yaml", yaml), ("flow/find.py", ""), ("flow/draft.jinja2", "")];
        read(&Folder::of(files), "flow")
    }

    #[test]
    fn a_good_flow() {
        let flow = flow(GOOD).expect("good");
        assert_eq!(flow.nodes.len(), 2);
        assert_eq!(flow.nodes[1].connection.as_deref(), Some("aoai"));
    }

    #[test]
    fn a_broken_one_names_the_node() {
        for (from, to, says) in [
            (
                "'${find.output}'",
                "'${finder.output}'",
                "node `draft`: `${finder.output}` refers to `finder`, which is no node",
            ),
            ("'${inputs.question}'", "'${inputs.query}'", "node `find`: `${inputs.query}` refers to input `query`"),
            ("'${inputs.question}'", "'${draft.output}'", "nodes draft -> find -> draft wait for each other"),
            ("path: find.py", "path: lost.py", "node `find`: file `lost.py` is not in the flow's folder"),
            ("name: draft", "name: find", "node `find` exists twice"),
            ("name: draft", "name: inputs", "taken by the flow's own inputs"),
            ("connection: aoai,", "", "llm node `draft` names no connection"),
            ("'${draft.output}'", "'${nobody.output}'", "output `answer`: `${nobody.output}` refers to `nobody`"),
            ("'${draft.output}'", "'text'", "output `answer` must refer to a node"),
            ("source: {type: code, path: find.py},", "", "node `find` has neither `source` nor variants"),
            ("nodes:", "other:", "the flow has no nodes"),
            ("nodes:", "nodes: [", "flow/flow.dag.yaml cannot be read"),
        ] {
            let error = flow(&GOOD.replacen(from, to, 1)).expect_err(says).to_string();
            assert!(error.contains(says), "{error}\n does not say\n{says}");
        }
        assert!(
            read(&Folder::of([("a", "")]), "flow").expect_err("missing").to_string().contains("`flow/flow.dag.yaml`")
        );
    }

    #[test]
    fn a_variant_stands_in_for_its_node() {
        let yaml = "
inputs: {question: {type: string}}
outputs: {answer: {reference: '${draft.output}'}}
nodes: [{name: draft, use_variants: true}]
node_variants:
  draft:
    default_variant_id: v1
    variants:
      v1: {node: {type: llm, source: {path: draft.jinja2}, connection: aoai, inputs: {q: '${inputs.question}'}}}
";
        flow(yaml).expect("good");
        let error = flow(&yaml.replace("default_variant_id: v1", "default_variant_id: v2")).expect_err("bad");
        assert_eq!(error.to_string(), "node `draft`: default variant `v2` does not exist");
    }
}
