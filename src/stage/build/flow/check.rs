//! The checks of a flow's nodes: what refers to what, and what they run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Flow, FlowError,
    circle::circle,
    graph::{OF_PACKAGE, Running, running},
    jinja,
    python::{self, Tools},
};
use crate::stage::build::archive::Folder;

/// Prompt flow's `ToolType`, without what it keeps for itself.
const NODE_TYPES: [&str; 5] = ["llm", "python", "csharp", "prompt", "custom_llm"];

/// What an LLM node can ask of a connection (promptflow-tools).
const APIS: [&str; 2] = ["chat", "completion"];

/// `folder`: the flow's own.
///
/// # Errors
/// The first thing that is wrong, by the name of its node.
pub(super) fn check(flow: &Flow, folder: &Folder) -> Result<(), FlowError> {
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
    check_variants(flow, folder)?;
    check_aggregation(flow)?;
    check_outputs(flow, &names)?;
    circle(&waits_for).map_or(Ok(()), |nodes| Err(FlowError::Circle(nodes)))
}

fn check_outputs(flow: &Flow, names: &BTreeSet<&str>) -> Result<(), FlowError> {
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
    Ok(())
}

/// Variants that are not the default must be there too: Prompt flow reads them all.
fn check_variants(flow: &Flow, folder: &Folder) -> Result<(), FlowError> {
    for node in flow.nodes.iter().filter(|node| node.use_variants) {
        let variants = flow.node_variants.get(&node.name).into_iter().flat_map(|variants| variants.variants.values());
        for variant in variants {
            check_source(&Running::of(node, &variant.node), folder)?;
        }
    }
    Ok(())
}

fn check_source(node: &Running<'_>, folder: &Folder) -> Result<(), FlowError> {
    let name = || node.name.to_owned();
    let Some(source) = node.source else { return Err(FlowError::NoSource(name())) };
    let type_ = node.type_.ok_or_else(|| FlowError::NoType(name()))?;
    if !NODE_TYPES.iter().any(|known| known.eq_ignore_ascii_case(type_)) {
        return Err(FlowError::NodeType { node: name(), type_: type_.to_owned() });
    }
    match source.type_.as_deref() {
        None | Some("code") => {
            if type_ == "custom_llm" {
                return Err(FlowError::CustomLlm(name()));
            }
            let path = source.path.as_deref().ok_or_else(|| FlowError::NoPath(name()))?;
            check_code(node, type_, path, folder)?;
        }
        Some(kind) if OF_PACKAGE.contains(&kind) => {
            source.tool.as_ref().ok_or_else(|| FlowError::NoTool(name()))?;
            if let Some(path) = &source.path {
                there(node, path, folder)?;
            }
        }
        Some(other) => return Err(FlowError::SourceType { node: name(), type_: other.to_owned() }),
    }
    if type_ == "llm" { check_llm(node) } else { Ok(()) }
}

fn check_llm(node: &Running<'_>) -> Result<(), FlowError> {
    let name = || node.name.to_owned();
    if node.connection.is_none_or(str::is_empty) {
        return Err(FlowError::NoConnection(name()));
    }
    match node.api {
        Some(api) if APIS.contains(&api) => Ok(()),
        Some(api) => Err(FlowError::Api { node: name(), has: format!("has the `api` `{api}`") }),
        None => Err(FlowError::Api { node: name(), has: "has no `api`".to_owned() }),
    }
}

fn there<'a>(node: &Running<'_>, path: &str, folder: &'a Folder) -> Result<&'a [u8], FlowError> {
    folder.get(path).map(|bytes| &bytes[..]).ok_or_else(|| {
        let hint = folder.why_left_out(path).unwrap_or_default();
        FlowError::NoFile { node: node.name.to_owned(), path: path.to_owned(), hint }
    })
}

/// What can be told of a file without running it.
fn check_code(node: &Running<'_>, type_: &str, path: &str, folder: &Folder) -> Result<(), FlowError> {
    let bytes = there(node, path, folder)?;
    let wrong = |says: &str| FlowError::Code { node: node.name.to_owned(), path: path.to_owned(), says: says.into() };
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    match type_ {
        "python" => match python::tools(text) {
            Tools::None => Err(wrong("has no function marked `@tool`")),
            Tools::Several => Err(wrong("has more than one function marked `@tool`; a node runs a file with one")),
            Tools::One | Tools::Unknown => Ok(()),
        },
        "llm" | "prompt" => jinja::check(text).map_err(|says| wrong(&says)),
        _ => Ok(()),
    }
}

/// The nodes that this one waits for.
fn check_references<'a>(
    flow: &Flow,
    names: &BTreeSet<&'a str>,
    node: &Running<'_>,
) -> Result<BTreeSet<&'a str>, FlowError> {
    if node.activate.is_some_and(|activate| activate.get("when").is_none() || activate.get("is").is_none()) {
        return Err(FlowError::Activate(node.name.to_owned()));
    }
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

/// What runs for each line cannot wait for what runs once at the end.
fn check_aggregation(flow: &Flow) -> Result<(), FlowError> {
    let late: BTreeSet<&str> = flow.nodes.iter().filter(|node| node.aggregation).map(|n| n.name.as_str()).collect();
    for node in flow.nodes.iter().filter(|node| !node.aggregation) {
        let node = running(flow, node)?;
        let mut all = node.inputs.values().chain(node.activate).flat_map(references);
        if let Some(Reference { text: reference, to, .. }) = all.find(|r| late.contains(r.to.as_str())) {
            return Err(FlowError::Aggregated { node: node.name.to_owned(), reference, to });
        }
    }
    Ok(())
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
