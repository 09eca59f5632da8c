//! PromptEndpoint: what the platform team writes.

#![expect(clippy::duplicated_attributes, reason = "each column of kube's derive has the same keys")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{At, Duration, log::Log};

/// Azure's limit of deployments on one endpoint ("Manage and increase quotas": online endpoints and deployments).
pub const MAX_DEPLOYMENTS: usize = 20;

/// Points at an Azure ML online endpoint that already exists, and says who may release to it and how.
///
/// It creates nothing in Azure and deletes no endpoint. Its status is the lock and the log of every write that the
/// operator makes to that endpoint and its deployments.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "promptrelease.io",
    version = "v1alpha1",
    kind = "PromptEndpoint",
    plural = "promptendpoints",
    shortname = "pep",
    category = "prompts",
    namespaced,
    status = "PromptEndpointStatus",
    derive = "PartialEq",
    doc = "PromptEndpoint points at an Azure ML online endpoint that already exists, and says who may release to it and how. It creates nothing in Azure.",
    printcolumn(name = "Endpoint", type_ = "string", json_path = ".spec.azure.endpoint"),
    printcolumn(name = "Traffic", type_ = "string", json_path = ".status.traffic"),
    printcolumn(name = "Release", type_ = "string", json_path = ".status.claimedBy.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message")
)]
#[serde(rename_all = "camelCase")]
pub struct PromptEndpointSpec {
    /// The online endpoint. It must exist already.
    #[x_kube(validation = Rule::new("self == oldSelf")
        .message("azure is immutable: another endpoint is another PromptEndpoint")
        .reason(Reason::FieldValueForbidden))]
    pub azure: AzureEndpoint,
    /// ServiceAccount in this namespace whose federated token the operator presents to Entra ID. Its annotations
    /// azure.workload.identity/client-id and azure.workload.identity/tenant-id name the identity.
    #[schemars(length(min = 1, max = 253))]
    pub service_account_name: String,
    /// Where the scores of live answers are read from. Without it a canary cannot be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application_insights: Option<ApplicationInsights>,
    /// Longest time between sending a write to Azure and its acceptance, after which a write without a reply counts as
    /// lost. Nothing is recorded as ended, and nothing is raised, while such a write could still land. It counts as no
    /// shorter than the operator's own time-out of a write, 8s unless a flag says otherwise.
    #[serde(default = "default_settle")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || (duration(self) >= duration('1s') && duration(self) <= duration('1h'))")
        .message("must be between 1s and 1h"))]
    pub settle: Duration,
    /// What every release to this endpoint must keep to.
    #[serde(default)]
    pub policy: Policy,
    /// Who is told. Every ending is sent, with its severity; route at the receiver.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub notifications: Vec<Notification>,
}

fn default_settle() -> Duration {
    Duration::from_secs(300)
}

/// The four names that make up the endpoint's ARM id, and the cloud it is in.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct AzureEndpoint {
    /// Azure subscription, a GUID.
    #[serde(rename = "subscriptionID")]
    #[schemars(length(max = 36), regex(pattern = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"))]
    pub subscription_id: String,
    /// Resource group of the workspace.
    #[schemars(length(min = 1, max = 90), regex(pattern = r"^[-\w._()]*[-\w_()]$"))]
    pub resource_group: String,
    /// Azure ML workspace.
    #[schemars(length(min = 3, max = 33), regex(pattern = r"^[a-zA-Z0-9][-\w]*$"))]
    pub workspace: String,
    /// Managed online endpoint in that workspace.
    #[schemars(length(min = 3, max = 32), regex(pattern = r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"))]
    pub endpoint: String,
    /// Cloud that holds the subscription. Tokens go to hosts of this cloud only.
    #[serde(default)]
    pub cloud: Cloud,
}

/// Names as in Azure's own SDKs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cloud {
    #[default]
    AzurePublic,
    AzureChina,
    AzureUSGovernment,
}

/// An Application Insights component.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationInsights {
    /// Name of the component.
    #[schemars(length(min = 1, max = 260))]
    pub name: String,
    /// Absent: that of `azure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 90))]
    pub resource_group: Option<String>,
}

/// Rules of the platform team.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Policy {
    /// A release without `evaluation` is refused. Where false, the gate of such a release is recorded as waived.
    #[serde(default = "yes")]
    pub require_evaluation: bool,
    /// Connections that serve users, by name, whatever its case. No evaluation may use one of them, so that its questions
    /// cost users no quota: a release whose flow or judge would is refused before a run is submitted, and has to name
    /// others in `connectionOverrides`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 128)), extend("x-kubernetes-list-type" = "atomic"))]
    pub protected_connections: Vec<String>,
}

fn yes() -> bool {
    true
}

impl Default for Policy {
    fn default() -> Self {
        Self { require_evaluation: true, protected_connections: Vec::new() }
    }
}

/// One receiver of pages and notices.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("has(self.webhook)").message("must have a receiver: `webhook`"))]
pub struct Notification {
    /// Name of the receiver in conditions and Events.
    #[schemars(length(min = 1, max = 63), regex(pattern = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"))]
    pub name: String,
    /// A webhook signed as in Standard Webhooks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
}

/// POST of a JSON body with the headers webhook-id, webhook-timestamp and webhook-signature.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Key of a Secret in this namespace that holds the https URL.
    pub url_secret_ref: SecretKeyRef,
    /// Key of a Secret in this namespace that holds the signing secret (whsec_ and base64, or plain text).
    pub hmac_secret_ref: SecretKeyRef,
}

/// One key of a Secret in the same namespace.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct SecretKeyRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Key in its data.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
}

/// What the operator saw and did. Written by the operator only.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PromptEndpointStatus {
    /// Layout of this status. An operator that meets a higher number than it knows only withdraws.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<i64>,
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, AccessVerified, TrafficUndisturbed, Notified, and Stalled when a person is needed.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The one PromptRelease that releases to this endpoint: the oldest that refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<ClaimedBy>,
    /// Deployments of the endpoint, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub deployments: Vec<DeploymentSeen>,
    /// Lock and log of all writes to the endpoint and its deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Log>,
    /// Where callers send requests.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "scoringURI")]
    pub scoring_uri: Option<String>,
    /// Split of the traffic as last verified, as in d-1427=90 d-1428=10.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
}

/// The release that holds the endpoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct ClaimedBy {
    /// Name of the PromptRelease.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Since when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<At>,
}

/// A deployment of the endpoint, ours or not.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentSeen {
    /// Name in Azure.
    pub name: String,
    /// Provisioning state as Azure spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Percent of live traffic.
    #[serde(default)]
    pub weight: i64,
    /// Instances it was created with or scaled to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<i64>,
    /// Version whose release created it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// First 8 hex digits of the revision's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Created by this operator for this endpoint.
    #[serde(default)]
    pub ours: bool,
    /// Whether it ever had live traffic.
    #[serde(default)]
    pub served: bool,
    /// When it is deleted unless it has traffic by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<At>,
}
