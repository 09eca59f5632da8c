//! What a release must prove: questions, judge, metrics, criteria.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::Duration;

/// The gate: a data set, the flow's answers to it, and a judge.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.promptFlow)").message("must have a runner: `promptFlow`"))]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// The team's own questions.
    pub dataset: Dataset,
    /// Runs on the Prompt flow service of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_flow: Option<PromptFlowRunner>,
    /// How often every question is asked and judged, 1 to 5. A question counts with the mean of its scores, so that the
    /// gate depends less on chance. Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 5))]
    pub repeats: Option<i64>,
    /// How many runs may be made once more because they failed, or rows were not answered or scored. Scores are no reason.
    /// Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 10))]
    pub retries: Option<i64>,
    /// How long all runs may take together.
    #[serde(default = "default_evaluation_timeout")]
    pub timeout: Duration,
}

impl Evaluation {
    pub fn repeats(&self) -> i64 {
        self.repeats.unwrap_or(1).max(1)
    }

    pub fn retries(&self) -> i64 {
        self.retries.unwrap_or(1).max(0)
    }
}

fn default_evaluation_timeout() -> Duration {
    Duration::from_secs(1800)
}

/// A JSON-lines file in the archive with a column `class`.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Path in the archive.
    #[schemars(length(min = 1, max = 256))]
    pub path: String,
    /// Rows of each class. A file that has other counts is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub classes: Vec<Class>,
}

/// A class of questions.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Class {
    /// Value of the column `class`.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[A-Za-z0-9_.-]+$"))]
    pub name: String,
    /// How many rows have it.
    #[schemars(range(min = 1, max = 100_000))]
    pub rows: i64,
}

/// The main run and the judge run.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PromptFlowRunner {
    /// The evaluation flow.
    pub judge: Judge,
    /// Flow input to source, as in question: data.question. Absent inputs take the column of the same name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub column_mapping: BTreeMap<String, String>,
    /// Connections that the evaluation uses in place of the flow's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["from".into()]))]
    pub connection_overrides: Vec<ConnectionOverride>,
}

/// One connection in place of another.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ConnectionOverride {
    /// Connection that the flow names.
    #[schemars(length(min = 1, max = 128))]
    pub from: String,
    /// Connection to use.
    #[schemars(length(min = 1, max = 128))]
    pub to: String,
}

/// The evaluation flow.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Judge {
    /// Folder in the archive.
    #[schemars(length(min = 1, max = 256))]
    pub path: String,
    /// Judge input to source: data.<column> or run.outputs.<output>. Absent inputs take the column or output of the same
    /// name; where both exist a line is required.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    pub column_mapping: BTreeMap<String, String>,
}

/// A score that the judge gives to each answer.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name in criteria and messages.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z][a-z0-9_]*$"))]
    pub name: String,
    /// Output of the judge that carries it. Absent: the output of the same name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    pub output: Option<String>,
    /// Absent: 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Absent: Number. Boolean counts true as 1, so its mean is a rate.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    pub type_: Option<MetricType>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    Number,
    Integer,
    Boolean,
}

/// Lowest and highest score.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("self.min < self.max").message("`min` must be less than `max`"))]
pub struct Scale {
    /// Worst.
    #[schemars(schema_with = "number_schema")]
    pub min: f64,
    /// Best.
    #[schemars(schema_with = "number_schema")]
    pub max: f64,
}

/// A lower bound for the mean of one metric over one class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Criterion {
    /// A class of the data set, or * for every row.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^(\*|[A-Za-z0-9_.-]+)$"))]
    pub class: String,
    /// Whether it judges live answers too. Absent: Enforce. What needs a gold answer must be Ignore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<Live>,
    /// A metric of `metrics`.
    #[schemars(length(min = 1, max = 63))]
    pub metric: String,
    /// Lowest mean that passes, within the metric's scale.
    #[schemars(schema_with = "number_schema")]
    pub minimum: f64,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    Enforce,
    Ignore,
}

/// Numbers in people's units: `2.85` is what they type, a string would be one more trap.
fn number_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "minimum": -1000, "maximum": 1000})
}
