//! The connections of a run: what the submission puts in place of the flow's own, and whether the workspace has them. How
//! the real service words its refusals is not known; the codes are those of Prompt flow's source.

use std::collections::{BTreeMap, BTreeSet};

use super::fault::Root;
use crate::sim::graph::{Graph, Node};

/// By node: key and connection, or model.
type Overrides = BTreeMap<String, BTreeMap<String, String>>;

/// Keys of an LLM node. Only the first names a connection.
const OF_LLM: [&str; 3] = ["connection", "deployment_name", "model"];

/// Refuses what a run could not start with.
pub(super) fn check(graph: &Graph, overrides: &Overrides, known: &BTreeSet<String>) -> Result<(), Root> {
    overrides.iter().try_for_each(|(name, keys)| check_keys(graph, name, keys))?;
    graph.nodes.iter().try_for_each(|node| check_known(node, overrides.get(&node.name), known))
}

/// A Python tool takes its connection as an input, and only an input that the node has can be overridden.
fn check_keys(graph: &Graph, name: &str, keys: &BTreeMap<String, String>) -> Result<(), Root> {
    let Some(node) = graph.nodes.iter().find(|node| node.name == name) else {
        let text = "Node '{node_name}' of the connections is not found in the flow.";
        return Err(wrong("InvalidConnectionOverride", text, &[("node_name", name)]));
    };
    let takes = |key: &str| node.inputs.contains_key(key) || node.type_ != "python" && OF_LLM.contains(&key);
    keys.keys().find(|key| !takes(key)).map_or(Ok(()), |key| {
        let text = "Connection input '{key}' is not found in node '{node_name}'.";
        Err(wrong("InvalidConnectionOverride", text, &[("key", key), ("node_name", name)]))
    })
}

fn check_known(
    node: &Node,
    overrides: Option<&BTreeMap<String, String>>,
    known: &BTreeSet<String>,
) -> Result<(), Root> {
    let own = node.connection.iter().map(|own| ("connection", own.as_str()));
    let instead = overrides.into_iter().flatten().map(|(key, to)| (key.as_str(), to.as_str()));
    let used: BTreeMap<&str, &str> = own.chain(instead).filter(|(key, _)| !OF_LLM[1..].contains(key)).collect();
    let lost = used.into_values().find(|name| !known.iter().any(|known| known.eq_ignore_ascii_case(name)));
    lost.map_or(Ok(()), |name| {
        let text = "Connection '{connection}' of node '{node_name}' is not found in the workspace.";
        Err(wrong("ConnectionNotFound", text, &[("connection", name), ("node_name", &node.name)]))
    })
}

fn wrong(code: &str, text: &str, parameters: &[(&str, &str)]) -> Root {
    Root::new(&["UserError", "ValidationError", code], text, parameters, "Core")
}
