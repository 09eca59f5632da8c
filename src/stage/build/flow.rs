//! `flow.dag.yaml` as types, and the checks of its graph. A broken graph is refused by naming the node.

mod circle;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::archive::{self, Folder};
use circle::circle;

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
    if let Some(path) = source.path.as_ref().filter(|path| folder.get(path).is_none()) {
        return Err(FlowError::NoFile { node: node.name.to_owned(), path: path.clone() });
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    #[test]
    fn a_flow_is_found_as_people_write_its_folder() {
        let files = || Folder::of([("flow/flow.dag.yaml", GOOD), ("flow/find.py", ""), ("flow/draft.jinja2", "")]);
        for path in ["flow", "./flow", "flow/", "/flow/."] {
            read(&files(), path).expect(path);
            assert_eq!(file(path), "flow/flow.dag.yaml", "{path}");
        }
        let root = Folder::of([("flow.dag.yaml", GOOD), ("find.py", ""), ("draft.jinja2", "")]);
        for path in ["", ".", "./"] {
            read(&root, path).expect("the root");
        }
        assert_eq!(read(&files(), "../flow").expect_err("outside"), FlowError::Missing("../flow/flow.dag.yaml".into()));
    }

    #[test]
    fn a_circle_is_told_without_what_only_waits_for_it() {
        let node = |name: &str, on: &str| {
            format!("- {{name: {name}, source: {{path: find.py}}, inputs: {{x: '${{{on}.output}}'}}}}\n")
        };
        let nodes = |list: &[(&str, &str)]| list.iter().map(|(name, on)| node(name, on)).collect::<String>();
        for (list, circle) in [
            (&[("a", "a")][..], "a -> a"),
            (&[("a", "b"), ("b", "c"), ("c", "b")], "b -> c -> b"),
            (&[("z", "y"), ("y", "x"), ("x", "z"), ("a", "x")], "x -> z -> y -> x"),
        ] {
            let error = flow(&format!("nodes:\n{}", nodes(list))).expect_err(circle);
            assert_eq!(error.to_string(), format!("nodes {circle} wait for each other in a circle"));
        }
    }

    #[test]
    fn references_are_found_wherever_a_value_may_stand() {
        for input in ["['${gone.output}']", "{a: {b: ' ${gone.output.x} '}}", "'${gone}'"] {
            let yaml = GOOD.replacen("'${find.output}'", input, 1);
            let error = flow(&yaml).expect_err(input).to_string();
            assert!(error.contains("node `draft`") && error.contains("`gone`"), "{input}: {error}");
        }
        let activated =
            GOOD.replacen("connection: aoai,", "connection: aoai, activate: {when: '${gone.output}', is: true},", 1);
        assert!(flow(&activated).expect_err("activate").to_string().contains("node `draft`"));
        for text in ["'{{question}}'", "'costs ${5}'", "'$'", "'${'", "7", "null", "[]"] {
            flow(&GOOD.replacen("'${find.output}'", text, 1)).expect(text);
        }
        flow(&GOOD.replacen("'${inputs.question}'", "'${inputs.question[0].text}'", 1)).expect("a part of an input");
    }

    /// As editors leave it behind: a key without a value.
    #[test]
    fn what_is_left_empty_is_empty() {
        let empty = "inputs:\noutputs:\nnodes: [{name: find, source: {path: find.py}, inputs: }]\nnode_variants:\n";
        assert!(flow(empty).expect("a flow").inputs.is_empty());
    }

    #[test]
    fn a_graph_has_a_size() {
        let mut yaml = GOOD.to_owned();
        yaml.extend(std::iter::repeat_n('#', MAX_BYTES + 1 - GOOD.len()));
        assert_eq!(
            flow(&yaml).expect_err("too large").to_string(),
            "flow/flow.dag.yaml cannot be read: it is larger than 1024 KiB"
        );
        yaml.pop();
        flow(&yaml).expect("just fits");
    }

    #[test]
    fn yaml_that_is_no_flow_is_told_in_one_line() {
        for yaml in ["", "[]", "a: [", "nodes: 7", "nodes: [{}]", "inputs: {q: {}}\nnodes: []", "&a [*a]", "nodes: *x"]
        {
            let error = flow(yaml).expect_err(yaml);
            assert!(matches!(error, FlowError::Unreadable { .. } | FlowError::Empty), "{yaml}: {error}");
            assert_eq!(error.to_string().lines().count(), 1, "{yaml}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_flow_or_an_error(yaml in ".{0,200}", cut in 0..GOOD.len(), insert in "[-:{}\\[\\]'&*!|>#\n a$]{0,6}") {
            let _ = flow(&yaml);
            let _ = flow(&format!("{}{insert}{}", &GOOD[..cut], &GOOD[cut..]));
        }
    }
}
