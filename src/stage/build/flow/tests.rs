//! What flows are taken, and what is said of the others.

use proptest::prelude::*;

use super::*;

const GOOD: &str = "
inputs:
  question: {type: string}
outputs:
  answer: {type: string, reference: '${draft.output}'}
nodes:
- {name: find, type: python, source: {type: code, path: find.py}, inputs: {q: '${inputs.question}'}}
- {name: draft, type: llm, source: {type: code, path: draft.jinja2}, connection: aoai, api: chat, inputs: {facts: '${find.output}'}}
";

/// A Python file with a tool.
const FIND: &str = "@tool\ndef find(q: str): pass\n";

fn flow(yaml: &str) -> Result<Flow, FlowError> {
    let files = [("flow/flow.dag.yaml", yaml), ("flow/find.py", FIND), ("flow/draft.jinja2", "")];
    read(&Folder::of(files), "flow")
}

#[test]
fn a_good_flow() {
    let flow = flow(GOOD).expect("good");
    assert_eq!(flow.nodes.len(), 2);
    assert_eq!(flow.nodes[1].work.connection.as_deref(), Some("aoai"));
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
        ("api: chat,", "", "llm node `draft` has no `api`: say chat or completion"),
        ("api: chat,", "api: talk,", "llm node `draft` has the `api` `talk`: say chat or completion"),
        ("'${draft.output}'", "'${nobody.output}'", "output `answer`: `${nobody.output}` refers to `nobody`"),
        ("'${draft.output}'", "'text'", "output `answer` must refer to a node"),
        ("source: {type: code, path: find.py},", "", "node `find` has neither `source` nor variants"),
        ("nodes:", "other:", "the flow has no nodes"),
        ("nodes:", "nodes: [", "flow/flow.dag.yaml cannot be read"),
    ] {
        let error = flow(&GOOD.replacen(from, to, 1)).expect_err(says).to_string();
        assert!(error.contains(says), "{error}\n does not say\n{says}");
    }
    assert!(read(&Folder::of([("a", "")]), "flow").expect_err("missing").to_string().contains("`flow/flow.dag.yaml`"));
}

#[test]
fn a_variant_stands_in_for_its_node() {
    let yaml = "
inputs: {question: {type: string}}
outputs: {answer: {type: string, reference: '${draft.output}'}}
nodes: [{name: draft, use_variants: true}]
node_variants:
  draft:
    default_variant_id: v1
    variants:
      v1: {node: {type: llm, source: {path: draft.jinja2}, connection: aoai, api: chat, inputs: {q: '${inputs.question}'}}}
";
    flow(yaml).expect("good");
    let error = flow(&yaml.replace("default_variant_id: v1", "default_variant_id: v2")).expect_err("bad");
    assert_eq!(error.to_string(), "node `draft`: default variant `v2` does not exist");
}

#[test]
fn a_flow_is_found_as_people_write_its_folder() {
    let files = || Folder::of([("flow/flow.dag.yaml", GOOD), ("flow/find.py", FIND), ("flow/draft.jinja2", "")]);
    for path in ["flow", "./flow", "flow/", "/flow/."] {
        read(&files(), path).expect(path);
        assert_eq!(file(path), "flow/flow.dag.yaml", "{path}");
    }
    let root = Folder::of([("flow.dag.yaml", GOOD), ("find.py", FIND), ("draft.jinja2", "")]);
    for path in ["", ".", "./"] {
        read(&root, path).expect("the root");
    }
    assert_eq!(read(&files(), "../flow").expect_err("outside"), FlowError::Missing("../flow/flow.dag.yaml".into()));
}

#[test]
fn a_circle_is_told_without_what_only_waits_for_it() {
    let node = |name: &str, on: &str| {
        format!("- {{name: {name}, type: python, source: {{path: find.py}}, inputs: {{x: '${{{on}.output}}'}}}}\n")
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
    let empty = "nodes: [{name: find, type: python, source: {path: find.py}, inputs: }]\n";
    assert!(flow(empty).expect("a flow").inputs.is_empty());
    let told = flow(&format!("inputs:\n{empty}")).expect_err("as Prompt flow does").to_string();
    assert_eq!(told, "`inputs` has no value; give it one or remove the key");
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
    for yaml in ["", "[]", "a: [", "nodes: 7", "nodes: [{}]", "inputs: {q: {}}\nnodes: []", "&a [*a]", "nodes: *x"] {
        let error = flow(yaml).expect_err(yaml);
        assert!(
            matches!(error, FlowError::Unreadable { .. } | FlowError::Key { .. } | FlowError::Empty),
            "{yaml}: {error}"
        );
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
