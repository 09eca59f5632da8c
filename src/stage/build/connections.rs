//! The connections that a release needs, and whether the workspace has them: a flow without one starts, answers nothing,
//! and says so late.

use std::collections::BTreeSet;

use super::{flow, flow::connections::Named};
use crate::api::release::PromptFlowRunner;

/// A connection that must exist, and who needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The flow's file, as in `flows/qa/flow.dag.yaml`.
    pub flow: String,
    pub node: String,
    pub connection: String,
    /// What the flow itself names, where the evaluation puts another in its place.
    pub instead_of: Option<String>,
}

/// What is wrong with a connection, in words for the release's author.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConnectionError {
    #[error("ConnectionNotFound: {what}, and workspace `{workspace}` has none of that name: {remedy}. It has {has}")]
    Lost { what: String, workspace: String, remedy: &'static str, has: String },
    #[error(
        "`connectionOverrides` names connection `{from}`, which no node of the flow or the judge uses; they use {has}"
    )]
    Idle { from: String, has: String },
}

/// What is needed by the flows (`named`: the deployed one first, then the judge, by folder): the deployed flow's own
/// connections, for it is deployed as it is; and those of the evaluation, overrides applied.
pub fn needed(named: &[(&str, Vec<Named>)], runner: Option<&PromptFlowRunner>) -> Vec<Use> {
    let overrides = runner.map(|runner| runner.connection_overrides.as_slice()).unwrap_or_default();
    let use_of = |flow: &str, named: &Named, to: Option<&str>| Use {
        flow: flow::file(flow),
        node: named.node.clone(),
        connection: to.unwrap_or(&named.connection).to_owned(),
        instead_of: to.map(|_| named.connection.clone()),
    };
    let mut all = Vec::new();
    for (n, (path, nodes)) in named.iter().enumerate() {
        for node in nodes {
            let to = overrides.iter().find(|o| o.from == node.connection).map(|o| o.to.as_str());
            let deployed = n == 0;
            if deployed || to.is_none() {
                all.push(use_of(path, node, None));
            }
            all.extend(to.map(|to| use_of(path, node, Some(to))));
        }
    }
    all
}

/// # Errors
/// The first that is not there.
pub fn check(needed: &[Use], there: &[String], workspace: &str) -> Result<(), ConnectionError> {
    let lost = needed.iter().find(|used| !there.iter().any(|name| name.eq_ignore_ascii_case(&used.connection)));
    let Some(Use { flow, node, connection, instead_of }) = lost else { return Ok(()) };
    let (what, remedy) = match instead_of {
        None => (
            format!("node `{node}` of {flow} names connection `{connection}`"),
            "create it there, or name another in the flow",
        ),
        Some(own) => (
            format!(
                "`connectionOverrides` puts connection `{connection}` in place of `{own}` of node `{node}` of {flow}"
            ),
            "create it there, or name another in `connectionOverrides`",
        ),
    };
    let has = list(there);
    Err(ConnectionError::Lost { what, workspace: workspace.to_owned(), remedy, has })
}

/// An override that replaces nothing is a slip of the pen, and the evaluation would spend what production needs.
///
/// # Errors
/// The first connection of `from` that nobody uses.
pub fn check_overrides(named: &[(&str, Vec<Named>)], from: &[&str]) -> Result<(), ConnectionError> {
    let used: BTreeSet<&str> = named.iter().flat_map(|(_, nodes)| nodes).map(|node| node.connection.as_str()).collect();
    from.iter().find(|from| !used.contains(*from)).map_or(Ok(()), |from| {
        let has = list(&used.iter().copied().collect::<Vec<_>>());
        Err(ConnectionError::Idle { from: (*from).to_owned(), has })
    })
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(nodes: &[(&str, &str)]) -> Vec<Named> {
        nodes
            .iter()
            .map(|(node, connection)| Named { node: (*node).into(), connection: (*connection).into() })
            .collect()
    }

    fn lost(overrides: &serde_json::Value, there: &[&str]) -> Option<String> {
        let runner = json!({"judge": {"path": "eval/judge"}, "connectionOverrides": overrides});
        let runner: PromptFlowRunner = serde_json::from_value(runner).expect("a runner");
        let flows = [("./flows/qa", named(&[("draft", "prod")])), ("eval/judge", named(&[("rubric", "judge")]))];
        let there: Vec<String> = there.iter().map(|name| (*name).to_owned()).collect();
        check(&needed(&flows, Some(&runner)), &there, "ws").err().map(|error| error.to_string())
    }

    #[test]
    fn a_connection_that_is_not_there_is_told_with_its_node_and_what_there_is() {
        assert_eq!(lost(&json!([]), &["Prod", "judge"]), None, "names are compared as Azure does");
        assert_eq!(
            lost(&json!([]), &["judge", "other"]).expect("lost"),
            "ConnectionNotFound: node `draft` of flows/qa/flow.dag.yaml names connection `prod`, and workspace `ws` has none of that name: \
             create it there, or name another in the flow. It has judge, other"
        );
        let judge = lost(&json!([]), &["prod"]).expect("lost");
        assert!(judge.contains("node `rubric` of eval/judge/flow.dag.yaml names connection `judge`"), "{judge}");
        assert!(lost(&json!([]), &[]).expect("lost").ends_with("It has none"));
    }

    #[test]
    fn overrides_must_be_there_too_and_stand_in_for_the_judges_own() {
        let overrides = json!([{"from": "prod", "to": "eval"}, {"from": "judge", "to": "eval"}]);
        assert_eq!(lost(&overrides, &["prod", "eval"]), None, "the judge's own is not used");
        let own = lost(&overrides, &["eval", "judge"]).expect("what is deployed needs its own");
        assert!(own.contains("node `draft`") && own.contains("connection `prod`"), "{own}");
        let other = lost(&overrides, &["prod", "judge"]).expect("lost");
        assert!(
            other.contains("`connectionOverrides` puts connection `eval` in place of `prod` of node `draft`"),
            "{other}"
        );
        assert!(other.contains("or name another in `connectionOverrides`"), "{other}");
    }

    #[test]
    fn an_override_that_replaces_nothing_is_told() {
        let flows = [("qa", named(&[("draft", "prod")])), ("judge", named(&[("rubric", "judge")]))];
        assert_eq!(check_overrides(&flows, &["prod", "judge"]), Ok(()));
        let told = check_overrides(&flows, &["prod", "prd"]).expect_err("idle").to_string();
        assert_eq!(
            told,
            "`connectionOverrides` names connection `prd`, which no node of the flow or the judge uses; they use judge, prod"
        );
    }
}
