//! PromptRelease: what the product team writes.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{Duration, status::PromptReleaseStatus};

/// Says which version of an LLM flow an endpoint should serve, and what it must prove on the way to 100 %.
///
/// One long-lived object per PromptEndpoint: a release is a commit, a rollback is a revert. `version`, `artifact` and
/// `deployment` together are the revision; only a new `version` starts one.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "promptrelease.io",
    version = "v1alpha1",
    kind = "PromptRelease",
    plural = "promptreleases",
    shortname = "prel",
    category = "prompts",
    namespaced,
    status = "PromptReleaseStatus",
    derive = "PartialEq",
    doc = "PromptRelease says which version of an LLM flow an endpoint should serve, and what it must prove on the way to 100 %.",
    printcolumn(name = "Version", type_ = "string", json_path = ".spec.version"),
    printcolumn(name = "Stage", type_ = "string", json_path = ".status.stage"),
    printcolumn(name = "Traffic", type_ = "string", json_path = ".status.traffic"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Since", type_ = "date", json_path = ".status.stageStartedAt"),
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.endpointRef.name", priority = 1),
    printcolumn(name = "Stable", type_ = "string", json_path = ".status.stable.version", priority = 1),
    printcolumn(name = "Hash", type_ = "string", json_path = ".status.revision.hash", priority = 1),
    printcolumn(name = "Attempt", type_ = "integer", json_path = ".status.revision.attempt", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp", priority = 1),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    selectable = ".spec.endpointRef.name"
)]
#[x_kube(
    validation = Rule::new("self.version != oldSelf.version || (self.artifact == oldSelf.artifact && has(self.deployment) == has(oldSelf.deployment) && (!has(self.deployment) || self.deployment == oldSelf.deployment))")
        .message("`artifact` and `deployment` may change only together with `version`: what runs under a version never changes")
        .reason(Reason::FieldValueForbidden).field_path(".version"),
    validation = Rule::new("!has(self.criteria) || self.criteria.all(c, has(self.metrics) && self.metrics.exists(m, m.name == c.metric))")
        .message("every criterion must name a metric declared in `metrics`").field_path(".criteria"),
    validation = Rule::new("!has(self.criteria) || !has(self.metrics) || self.criteria.all(c, self.metrics.all(m, m.name != c.metric || ((has(m.scale) ? m.scale.min : 0.0) <= c.minimum && c.minimum <= (has(m.scale) ? m.scale.max : 1.0))))")
        .message("every `minimum` must lie within its metric's `scale` (0 to 1 where absent)").field_path(".criteria"),
    validation = Rule::new("!has(self.criteria) || !has(self.evaluation) || !has(self.evaluation.dataset.classes) || self.criteria.all(c, c.class == '*' || self.evaluation.dataset.classes.exists(k, k.name == c.class))")
        .message("every criterion's `class` must be `*` or a class declared in `evaluation.dataset.classes`").field_path(".criteria"),
    validation = Rule::new("!has(self.evaluation) || has(self.criteria)")
        .message("an evaluation without `criteria` decides nothing: add at least one").field_path(".criteria")
)]
#[serde(rename_all = "camelCase")]
pub struct PromptReleaseSpec {
    /// The PromptEndpoint in this namespace to release to. It has one release: the oldest that refers to it.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("endpointRef is immutable: another endpoint is another PromptRelease")
        .reason(Reason::FieldValueForbidden))]
    pub endpoint_ref: EndpointRef,
    /// Names the revision; the Azure deployment is d-<version>. Quote it: an unquoted 1428 is a number.
    #[x_kube(validation = Rule::new("type(self) == string && self.matches('^[a-z0-9]+(-[a-z0-9]+)*$')")
        .message("must be a quoted string of lower-case letters, digits and single dashes between them, as in version: \"1428\""))]
    #[schemars(schema_with = "version_schema")]
    pub version: String,
    /// What is released. Part of the revision.
    pub artifact: Artifact,
    /// How Azure runs it. Part of the revision. No defaults are written here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Deployment>,
    /// Instances, 1 to 50. Not part of the revision: changed in place. Absent: as many as stable has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 50))]
    pub instance_count: Option<i64>,
    /// The questions, and the judge that scores the answers. May be absent only where the endpoint's policy allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    /// What the judge measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub metrics: Vec<Metric>,
    /// What must hold, read by the gate and by the canary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["class".into(), "metric".into()]))]
    pub criteria: Vec<Criterion>,
    /// How it gets its first traffic. An edit applies to the next attempt.
    #[serde(default)]
    pub canary: Canary,
    /// What happens at 100 %. An edit applies to the next attempt.
    #[serde(default)]
    pub promotion: Promotion,
}

/// A PromptEndpoint in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct EndpointRef {
    /// Name of the PromptEndpoint.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Exactly one kind of artifact.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.promptFlow)").message("must have an artifact: `promptFlow`"))]
#[serde(rename_all = "camelCase")]
pub struct Artifact {
    /// A Prompt flow: a folder with a flow.dag.yaml.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_flow: Option<PromptFlow>,
}

/// A flow in an archive, and the image that runs it.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PromptFlow {
    /// The archive that CI packed.
    pub archive: Archive,
    /// Folder of the flow in the archive. Absent: its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub path: Option<String>,
    /// Image of the serving environment.
    #[x_kube(validation = Rule::new("self.matches('@sha256:[a-f0-9]{64}$')")
        .message("must be pinned by digest, as in registry/name@sha256:<64 hex digits>; a tag can change under you"))]
    #[schemars(length(max = 512))]
    pub environment_image: String,
}

/// A gzipped tar, by URL and digest.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Archive {
    /// Where it is. Read with the endpoint's identity if the host is the cloud's blob storage, else without credentials.
    #[x_kube(
        validation = Rule::new("isURL(self) && url(self).getScheme() == 'https' && url(self).getHost() != ''")
            .message("must be an https URL"),
        validation = Rule::new("!self.contains('sig=') && !self.matches('^https://[^/]*@')")
            .message("must not carry a credential (SAS signature or user:password): the operator reads it with the endpoint's identity")
    )]
    #[schemars(length(max = 2048))]
    pub url: String,
    /// Of the archive's bytes.
    #[x_kube(validation = Rule::new("self.matches('^sha256:[a-f0-9]{64}$')")
        .message("must be a digest, as in sha256:<64 hex digits>"))]
    #[schemars(length(max = 71))]
    pub digest: String,
}

/// The Azure deployment's settings.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// VM size. Absent: Standard_DS3_v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub instance_type: Option<String>,
    /// Absent: 60 s, one request at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_settings: Option<RequestSettings>,
    /// Absent: Azure's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Probe>,
    /// Absent: Azure's defaults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Probe>,
    /// Environment of the container. Azure shows it to every reader: secrets belong in workspace connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// Requests and responses collected to the workspace's storage. Absent: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<Switch>,
    /// Whether the container may reach the public network. Absent: Enabled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_public_network_access: Option<Switch>,
    /// The team's own tags on the Azure deployment; those of promptrelease.* are the operator's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    pub tags: BTreeMap<String, String>,
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    Enabled,
    Disabled,
}

/// Limits of one request.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct RequestSettings {
    /// Seconds, at most 300, Azure's limit for flows. Absent: 60.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 300))]
    pub timeout_seconds: Option<i64>,
    /// Absent: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max_concurrent_requests_per_instance: Option<i64>,
}

/// A probe, in Kubernetes' words.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Seconds before the first probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 3600))]
    pub initial_delay_seconds: Option<i64>,
    /// Seconds between probes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: Option<i64>,
    /// Seconds that a probe may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: Option<i64>,
    /// Failures in a row before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub failure_threshold: Option<i64>,
    /// Successes in a row before it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub success_threshold: Option<i64>,
}

/// One variable of the container's environment.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct EnvVar {
    /// Its name.
    #[schemars(length(min = 1, max = 128), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub name: String,
    /// Its value.
    #[schemars(length(max = 4096))]
    pub value: String,
}

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
    /// How long both runs may take together.
    #[serde(default = "default_evaluation_timeout")]
    pub timeout: Duration,
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

/// Traffic for a part of the users, judged in windows.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!self.analysis.window.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || self.steps.all(s, !s.duration.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(s.duration).getSeconds() >= duration(self.analysis.window).getSeconds() * self.analysis.consecutiveFailures)")
    .message("every step must last at least `analysis.window` times `analysis.consecutiveFailures`, or the canary could never fail")
    .field_path(".steps"))]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// One step: 10 % for 20 minutes where absent.
    #[serde(default = "default_steps")]
    #[schemars(length(min = 1, max = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
    /// How live answers are judged.
    #[serde(default)]
    pub analysis: Analysis,
    /// Longest time that a canary may have traffic without a verdict; then it is withdrawn as CanaryUnmeasurable.
    #[serde(default = "default_hold_timeout")]
    pub hold_timeout: Duration,
}

fn default_steps() -> Vec<Step> {
    vec![Step { weight: 10, duration: Duration::from_secs(1200) }]
}

fn default_hold_timeout() -> Duration {
    Duration::from_secs(4 * 3600)
}

impl Default for Canary {
    fn default() -> Self {
        Self { steps: default_steps(), analysis: Analysis::default(), hold_timeout: default_hold_timeout() }
    }
}

/// A share of the traffic for a time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Step {
    /// Percent of the traffic, 1 to 99.
    #[schemars(range(min = 1, max = 99))]
    pub weight: i64,
    /// Its length divided by the window is the number of windows that must be counted.
    pub duration: Duration,
}

/// Windows and what they decide.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Length of a window, 1s to 1h. Windows lie on UTC multiples of it.
    #[serde(default = "default_window")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || (duration(self) >= duration('1s') && duration(self) <= duration('1h'))")
        .message("must be between 1s and 1h"))]
    pub window: Duration,
    /// How long after its end a window may still become complete; later it counts as an error.
    #[serde(default = "default_lateness")]
    pub lateness: Duration,
    /// Fewer judged answers of a class in a window are no data: neither a pass nor a failure.
    #[serde(default = "default_min_samples")]
    #[schemars(range(min = 1, max = 10_000))]
    pub min_samples: i64,
    /// Failed windows of one criterion in a row that roll back.
    #[serde(default = "default_consecutive_failures")]
    #[schemars(range(min = 1, max = 20))]
    pub consecutive_failures: i64,
    /// Windows in a row that could not be measured before the canary is withdrawn as CanaryUnmeasurable.
    #[serde(default = "default_consecutive_errors")]
    #[schemars(range(min = 1, max = 20))]
    pub consecutive_errors: i64,
    /// What happens when the step is over and a criterion has too few samples.
    #[serde(default)]
    pub on_inconclusive: OnInconclusive,
}

fn default_window() -> Duration {
    Duration::from_secs(60)
}

fn default_lateness() -> Duration {
    Duration::from_secs(600)
}

fn default_min_samples() -> i64 {
    4
}

fn default_consecutive_failures() -> i64 {
    3
}

fn default_consecutive_errors() -> i64 {
    5
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            window: default_window(),
            lateness: default_lateness(),
            min_samples: default_min_samples(),
            consecutive_failures: default_consecutive_failures(),
            consecutive_errors: default_consecutive_errors(),
            on_inconclusive: OnInconclusive::Hold,
        }
    }
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    #[default]
    Hold,
    RollBack,
    Promote,
}

/// At 100 %.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// How long the deployment that served before is kept with its instances.
    #[serde(default = "default_keep_previous_for")]
    pub keep_previous_for: Duration,
}

fn default_keep_previous_for() -> Duration {
    Duration::from_secs(24 * 3600)
}

impl Default for Promotion {
    fn default() -> Self {
        Self { keep_previous_for: default_keep_previous_for() }
    }
}

/// Numbers in people's units: `2.85` is what they type, a string would be one more trap.
fn number_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "number", "minimum": -1000, "maximum": 1000})
}

/// int-or-string, so that a bare 1428 is answered by the rule's sentence and not by two lines about types.
fn version_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 26})
}
