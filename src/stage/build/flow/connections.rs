//! Which connections of the workspace a flow's nodes name.

use super::{
    Flow,
    graph::{OF_PACKAGE, running},
    python,
};
use crate::stage::build::archive::Folder;

/// What tools of Prompt flow's own packages call the input that takes a connection.
const INPUT_OF_PACKAGE: &str = "connection";

/// One node's use of one connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub node: String,
    pub connection: String,
}

/// `connection` of a node; inputs of a Python tool that its file declares as a connection; `connection` of a package's
/// tool. Others cannot be told from text without running the tool, but for those that somebody says are connections
/// (`known`). `folder`: the flow's own.
pub fn named(flow: &Flow, folder: &Folder, known: &[&str]) -> Vec<Named> {
    let mut all = Vec::new();
    for node in &flow.nodes {
        let Ok(runs) = running(flow, node) else { continue };
        let from_package = runs.source.and_then(|s| s.type_.as_deref()).is_some_and(|kind| OF_PACKAGE.contains(&kind));
        let file = runs.source.filter(|_| !from_package && runs.type_ == Some("python"));
        let file = file.and_then(|source| folder.get(source.path.as_deref()?));
        let text = file.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default();
        let mut keys = python::connections(text);
        keys.extend(from_package.then_some(INPUT_OF_PACKAGE));
        let inputs = keys.into_iter().filter_map(|key| runs.inputs.get(key)?.as_str());
        let names = runs.connection.into_iter().chain(inputs).filter(|name| !name.is_empty() && !name.contains("${"));
        let names =
            names.chain(known.iter().copied().filter(|known| flow.keys_of_connection(node, known).next().is_some()));
        let name = node.name.as_str();
        all.extend(names.map(|connection| Named { node: name.to_owned(), connection: connection.to_owned() }));
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::build::flow;

    #[test]
    fn connections_are_found_where_nodes_name_them() {
        let yaml = "
inputs: {store: {type: string}}
nodes:
- {name: a, type: llm, source: {path: a.jinja2}, connection: aoai, api: chat}
- {name: b, type: python, source: {path: b.py}, inputs: {store: custom, text: aoi}}
- {name: c, type: python, source: {type: package, tool: x.y}, inputs: {connection: serp, query: q}}
- {name: d, type: python, source: {path: b.py}, inputs: {store: '${inputs.store}', text: x}}
- {name: e, use_variants: true}
node_variants:
  e: {default_variant_id: v, variants: {v: {node: {type: llm, source: {path: a.jinja2}, connection: second, api: chat}}}}
";
        let python = "@tool\ndef b(text: str, store: CustomConnection): pass\n";
        let folder = Folder::of([("flow.dag.yaml", yaml), ("a.jinja2", ""), ("b.py", python)]);
        let flow = flow::read(&folder, "").expect("a flow");
        let found = |known: &[&str]| -> Vec<(String, String)> {
            named(&flow, &folder, known).into_iter().map(|n| (n.node, n.connection)).collect()
        };
        let pairs =
            |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        assert_eq!(found(&[]), pairs(&[("a", "aoai"), ("b", "custom"), ("c", "serp"), ("e", "second")]));
        let with_q = [("a", "aoai"), ("b", "custom"), ("c", "q"), ("c", "serp"), ("e", "second")];
        assert_eq!(found(&["q", "aoa"]), pairs(&with_q), "an override says that it is one");
    }
}
