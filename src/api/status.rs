//! What a PromptRelease reports. It may be lost: everything that protects users is in the endpoint's log.
//!
//! kubectl sorts keys and people read from the bottom, so what they want sorts last: stage, timeline, traffic.

mod evaluation;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

pub use evaluation::{
    ClassResult, Comparison, CriterionResult, Differs, Evaluated, EvaluationStatus, GateVerdict, MAX_CLASSES,
    MAX_ROWS_NAMED, Repeat, VerdictOn,
};

use super::At;

pub const MAX_TIMELINE: usize = 40;
pub const MAX_HISTORY: usize = 10;
pub const MAX_REJECTED: usize = 50;
pub const MAX_VERDICTS: usize = 10;

/// Facts of the attempt under way or last ended, and what happened before.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct PromptReleaseStatus {
    /// Generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What was uploaded and registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<Build>,
    /// What live answers showed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryStatus>,
    /// Ready, Reconciling, Stalled, Built, EvaluationComplete, EvaluationPassed, Deployed, TrafficVerified,
    /// CanaryHealthy, Notified.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// What the gate found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<EvaluationStatus>,
    /// What the gate found before, newest first, at most 10: the same content is not asked by the same test again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub gate_verdicts: Vec<GateVerdict>,
    /// Ended revisions, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub history: Vec<Ended>,
    /// Content that is not tried again until the test changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rejected: Vec<Rejected>,
    /// The revision under way or last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// What serves outside the canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<StableSeen>,
    /// For people; no logic reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// When the stage began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage_started_at: Option<At>,
    /// What happened to this revision, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub timeline: Vec<String>,
    /// Split of the endpoint's traffic as last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
}

/// The revision of an attempt.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Digest of the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_digest: Option<String>,
    /// Number of the attempt, counted per endpoint.
    #[serde(default)]
    pub attempt: i64,
    /// Its deployment in Azure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// When the deployment, or before it the claim of the endpoint, was first asked for; it has 60 minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploying_since: Option<At>,
    /// First 8 hex digits of the hash of artifact and deployment.
    #[serde(default)]
    pub hash: String,
    /// When the attempt was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<At>,
    /// Version that is released.
    #[serde(default)]
    pub version: String,
}

/// What serves outside the canary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct StableSeen {
    /// Name in Azure.
    #[serde(default)]
    pub deployment: String,
    /// Runs of its last evaluation, which the next one is compared with. Absent where it was never evaluated here, or this
    /// status was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<Evaluated>,
    /// First 8 hex digits of the revision's hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// When it was first seen with all traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<At>,
    /// Version that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// What was uploaded and registered.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Build {
    /// Size of the unpacked archive, in bytes.
    #[serde(default)]
    pub bytes: i64,
    /// Blob path of the data set in the workspace's datastore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Environment version registered in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// Blob path of the unpacked archive in the workspace's datastore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// Model version registered in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Rows of the data set, per class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub rows: Vec<ClassRows>,
}

/// Rows of one class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct ClassRows {
    /// Value of the column `class`.
    pub class: String,
    /// How many rows have it.
    pub rows: i64,
}

/// What live answers showed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStatus {
    /// Availability over the step's windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// When the split was read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_started_at: Option<At>,
    /// End of the last window that was closed; those before it are closed too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_through: Option<At>,
    /// Closed windows that were verified and count towards promotion.
    #[serde(default)]
    pub counted: i64,
    /// One entry a live criterion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub criteria: Vec<CriterionSeen>,
    /// Windows in a row that could not be measured.
    #[serde(default)]
    pub errors_in_a_row: i64,
    /// First moment at which the planned number of windows can have been counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earliest_promotion_at: Option<At>,
    /// Step of the plan, counted from 1.
    #[serde(default)]
    pub step: i64,
    /// Steps of the plan.
    #[serde(default)]
    pub steps: i64,
    /// Fail or Pass, once decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// Percent of the traffic that the canary has.
    #[serde(default)]
    pub weight: i64,
    /// Closed windows.
    #[serde(default)]
    pub windows: i64,
}

/// Requests and server errors over the step's windows.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Availability {
    /// Requests that the canary answered with 5xx.
    #[serde(default)]
    pub canary_errors: i64,
    /// Requests that the canary answered.
    #[serde(default)]
    pub canary_requests: i64,
    /// Requests that stable answered with 5xx.
    #[serde(default)]
    pub stable_errors: i64,
    /// Requests that stable answered.
    #[serde(default)]
    pub stable_requests: i64,
    /// Pass, Fail or NoData.
    #[serde(default)]
    pub verdict: String,
}

/// One live criterion: its last window, and all windows together.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct CriterionSeen {
    /// Class of the criterion; * is every answer.
    pub class: String,
    /// Failed windows in a row up to the last one; windows that say nothing are passed over.
    #[serde(default)]
    pub failures_in_a_row: i64,
    /// Windows that had enough scores to be judged: it passed or failed.
    #[serde(default)]
    pub judged: i64,
    /// Metric of the criterion.
    pub metric: String,
    /// Lowest mean that passes, as a decimal.
    pub minimum: String,
    /// Scores in the last window.
    #[serde(default)]
    pub samples: i64,
    /// Scores in all windows.
    #[serde(default)]
    pub total_samples: i64,
    /// Exact sum of all scores, in millionths, so that means can be extended without rounding twice.
    #[serde(default)]
    pub total_sum_millionths: i64,
    /// Mean over all windows, as a decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_value: Option<String>,
    /// Mean in the last window, as a decimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of the last window: Pass, Fail, NoData or Error.
    #[serde(default)]
    pub verdict: String,
}

/// A revision that ended.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Number of the attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i64>,
    /// When its ending was recorded.
    pub ended_at: At,
    /// First 8 hex digits of the revision's hash.
    pub hash: String,
    /// What was found, in one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Promoted, Rejected, RolledBack, Failed or Aborted.
    pub outcome: String,
    /// Why, as in the condition Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Version of the revision.
    pub version: String,
}

/// Content that failed a test.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Rejected {
    /// When it failed.
    pub at: At,
    /// First 8 hex digits of the revision's hash.
    pub hash: String,
    /// Rejected or RolledBack.
    pub outcome: String,
    /// Of the test that it failed.
    pub test_hash: String,
    /// Version of the revision.
    pub version: String,
}
