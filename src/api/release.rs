//! PromptRelease: what the product team writes.

#![expect(clippy::duplicated_attributes, reason = "each column of kube's derive has the same keys")]

mod canary;
mod evaluation;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

pub use canary::{Analysis, Canary, OnInconclusive, Promotion, Step};
pub use evaluation::{
    Class, ConnectionOverride, Criterion, Dataset, Evaluation, Judge, Live, Metric, MetricType, PromptFlowRunner, Scale,
};

use super::status::PromptReleaseStatus;

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
    /// Instances of `version`, 1 to 50. Not part of the revision: changed in place. Absent: as many as stable has.
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

/// int-or-string, so that a bare 1428 is answered by the rule's sentence and not by two lines about types.
fn version_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-int-or-string": true, "maxLength": 26})
}
