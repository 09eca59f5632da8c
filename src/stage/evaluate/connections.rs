//! The connections of an evaluation: what takes the place of the flow's own, and which of them no run may use.

use std::collections::BTreeMap;

use crate::{api::release::ConnectionOverride, stage::build::flow::Flow};

/// Uses that one message names; the others are counted.
const NAMED: usize = 3;

/// By node and key: what replaces each connection that is named in `from`.
pub fn overridden(flow: &Flow, overrides: &[ConnectionOverride]) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for node in &flow.nodes {
        for ConnectionOverride { from, to } in overrides {
            for key in flow.keys_of_connection(node, from) {
                all.entry(node.name.clone()).or_default().insert(key.to_owned(), to.clone());
            }
        }
    }
    all
}

/// What a run of this flow would really use, by node: texts that are connections and texts that are none, for Prompt flow
/// does not mark them either.
fn used<'a>(flow: &'a Flow, overrides: &'a [ConnectionOverride]) -> impl Iterator<Item = Use<'a>> {
    flow.nodes.iter().flat_map(move |node| {
        flow.texts(node).map(move |(_, own)| {
            // Of two lines for one connection the later one is sent; see `overridden`.
            let line = overrides.iter().rev().find(|line| line.from == own);
            Use { node: &node.name, own, name: line.map_or(own, |line| line.to.as_str()) }
        })
    })
}

/// Inputs that name the model in an LLM node: of Azure OpenAI, and of others.
const MODEL: [&str; 2] = ["deployment_name", "model"];

/// What answers for each node of the judge that names a model: `score: gpt-4o on aoai-eval`, joined by semicolons.
pub fn models(judge: &Flow, overrides: &[ConnectionOverride]) -> String {
    let of_node = |node| {
        let texts: BTreeMap<&str, &str> = judge.texts(node).collect();
        let model = MODEL.iter().find_map(|key| texts.get(key))?;
        let own = texts.get("connection").copied().unwrap_or_default();
        let connection = overrides.iter().rev().find(|line| line.from == own).map_or(own, |line| line.to.as_str());
        Some(format!("{}: {model} on {connection}", node.name))
    };
    judge.nodes.iter().filter_map(of_node).collect::<Vec<_>>().join("; ")
}

struct Use<'a> {
    node: &'a str,
    /// As the flow says it.
    own: &'a str,
    /// After the overrides.
    name: &'a str,
}

impl Use<'_> {
    fn told(&self, flow: &str) -> String {
        let Self { node, own, name } = self;
        if own == name {
            let mend = format!("add `{{from: {own}, to: <another connection>}}` to `connectionOverrides`");
            format!("node `{node}` of {flow} would use {name}; {mend}")
        } else {
            let mend = format!("change `to` in `{{from: {own}, to: {name}}}` of `connectionOverrides`");
            format!("node `{node}` of {flow} would use {name}; {mend}")
        }
    }
}

/// Why these flows may not run: each node that would use a protected connection, and the line of `connectionOverrides`
/// that mends it. Names are compared without regard to case, as Azure compares them.
pub fn refused(flows: &[(&str, &Flow)], overrides: &[ConnectionOverride], protected: &[String]) -> Option<String> {
    let is_protected = |name: &str| protected.iter().any(|p| p.eq_ignore_ascii_case(name));
    let wrong = flows.iter().flat_map(|(path, flow)| {
        used(flow, overrides).filter(|found| is_protected(found.name)).map(|found| found.told(path))
    });
    let wrong: Vec<String> = wrong.collect();
    let named = wrong.get(..wrong.len().min(NAMED)).filter(|named| !named.is_empty())?.join("; ");
    let more = wrong.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    Some(format!("an evaluation may not use a connection in `policy.protectedConnections`: {named}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(yaml: &str) -> Flow {
        serde_saphyr::from_str(yaml).expect("flow")
    }

    fn line(from: &str, to: &str) -> ConnectionOverride {
        ConnectionOverride { from: from.into(), to: to.into() }
    }

    #[test]
    fn an_override_reaches_every_node_of_the_connection() {
        let yaml = "
nodes:
- {name: draft, type: llm, connection: prod}
- {name: check, type: llm, connection: safety}
- {name: retell, type: llm, use_variants: true}
- {name: safety, type: python, inputs: {client: prod, text: '${draft.output}'}}
- {name: format, type: python}
node_variants:
  retell: {default_variant_id: one, variants: {one: {node: {type: llm, connection: prod}}}}
";
        let flow: Flow = serde_saphyr::from_str(yaml).expect("flow");
        let to_eval = ConnectionOverride { from: "prod".into(), to: "eval".into() };
        let got = overridden(&flow, &[to_eval]);
        let key = |key: &str| BTreeMap::from([(key.to_owned(), "eval".to_owned())]);
        let wanted = [("draft", key("connection")), ("retell", key("connection")), ("safety", key("client"))];
        assert_eq!(got, BTreeMap::from(wanted.map(|(node, keys)| (node.to_owned(), keys))));
    }

    #[test]
    fn a_judge_is_told_by_model_and_connection_as_it_runs() {
        let judge = flow(
            "nodes: [{name: score, type: llm, connection: prod, inputs: {deployment_name: gpt-4o}}, {name: read, type: python}]",
        );
        assert_eq!(models(&judge, &[line("prod", "eval")]), "score: gpt-4o on eval");
        assert_eq!(models(&judge, &[]), "score: gpt-4o on prod");
    }

    #[test]
    fn a_node_that_would_use_what_is_protected_is_named_with_the_line_that_mends_it() {
        let main = flow(
            "nodes: [{name: draft, type: llm, connection: Prod}, {name: safety, type: python, inputs: {client: safe}}]",
        );
        let judge = flow(
            "nodes: [{name: score, use_variants: true}]\nnode_variants: {score: {default_variant_id: a, variants: {a: {node: {type: llm, connection: prod}}, b: {node: {type: llm, connection: other}}}}}",
        );
        let flows = [("flows/qa", &main), ("eval/judge", &judge)];
        let told = |overrides: &[ConnectionOverride], protected: &[&str]| {
            let protected: Vec<String> = protected.iter().map(|name| (*name).to_owned()).collect();
            refused(&flows, overrides, &protected)
        };
        let rule = "an evaluation may not use a connection in `policy.protectedConnections`: ";
        // As it is spelled in the flow: an override of another spelling is none.
        let wanted = "node `draft` of flows/qa would use Prod; add `{from: Prod, to: <another connection>}` to `connectionOverrides`";
        assert_eq!(told(&[line("prod", "eval")], &["PROD"]), Some(format!("{rule}{wanted}")));
        let wanted = "node `safety` of flows/qa would use safe; add `{from: safe, to: <another connection>}` to `connectionOverrides`";
        assert_eq!(told(&[], &["safe"]), Some(format!("{rule}{wanted}")));
        let both = [line("Prod", "eval"), line("prod", "eval"), line("safe", "PROD")];
        let wanted = "node `safety` of flows/qa would use PROD; change `to` in `{from: safe, to: PROD}` of `connectionOverrides`";
        assert_eq!(told(&both, &["prod"]), Some(format!("{rule}{wanted}")));
        assert_eq!(told(&both, &["safe", "other"]), None, "a variant that does not run uses nothing");
        assert_eq!(told(&[], &[]), None);
    }
}
