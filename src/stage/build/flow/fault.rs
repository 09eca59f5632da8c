//! What is wrong with a flow.

use super::{FILE, FLEX_FILE};

/// What is wrong with a flow, in words for its author.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FlowError {
    #[error("`{0}` is not in the archive: `path` must name a folder with a {FILE}")]
    Missing(String),
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: String, error: String },
    #[error("`{0}` is a flex flow: a release takes a flow of nodes, in a {FILE} without `entry`")]
    Flex(String),
    #[error("`{0}` holds both `{FILE}` and `{FLEX_FILE}`: Prompt flow does not know which is meant, remove one")]
    TwoKinds(String),
    #[error(
        "`additional_includes` names {0}: an archive is uploaded as it was released, so put such files into the flow's \
         folder and remove the key"
    )]
    Includes(String),
    /// A key outside of the nodes.
    #[error("{key} {says}")]
    Key { key: String, says: String },
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
    #[error(
        "node `{node}`: `{reference}` refers to aggregation node `{to}`, which runs once, after all lines; only another \
         aggregation node can use it"
    )]
    Aggregated { node: String, reference: String, to: String },
    #[error("node `{0}`: `activate` needs both `when` and `is`")]
    Activate(String),
    #[error("output `{output}`: `{reference}` refers to `{to}`, which is no node or input of the flow")]
    UnknownOutput { output: String, reference: String, to: String },
    #[error("output `{0}` must refer to a node or an input, as in ${{answer.output}}")]
    NoReference(String),
    #[error("node `{node}`: file `{path}` is not in the flow's folder{hint}")]
    NoFile { node: String, path: String, hint: String },
    #[error("node `{0}` has neither `source` nor variants, so nothing to run")]
    NoSource(String),
    #[error("node `{0}` has no `type`; say python, llm, prompt or custom_llm")]
    NoType(String),
    #[error("node `{node}` is of type `{type_}`; there are python, llm, prompt and custom_llm")]
    NodeType { node: String, type_: String },
    #[error("node `{node}`: its source is of type `{type_}`; there are code, package and package_with_prompt")]
    SourceType { node: String, type_: String },
    #[error("node `{0}`: its source has no `path`")]
    NoPath(String),
    #[error("node `{0}`: its source names no `tool`")]
    NoTool(String),
    #[error("node `{node}`: `{path}` {says}")]
    Code { node: String, path: String, says: String },
    #[error("node `{node}`: default variant `{variant}` does not exist")]
    NoVariant { node: String, variant: String },
    #[error("llm node `{0}` names no connection")]
    NoConnection(String),
    #[error("llm node `{node}` {has}: say chat or completion")]
    Api { node: String, has: String },
    #[error(
        "node `{0}` is of type custom_llm, which runs a package's tool: its source must be of type package_with_prompt"
    )]
    CustomLlm(String),
    #[error("nodes {0} wait for each other in a circle")]
    Circle(String),
}
