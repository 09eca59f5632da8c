//! The endpoint's log: the lock, the intents and what is owed. At most [`MAX_BYTES`].
//!
//! Every list is bounded by its writer and atomic in the schema; no field has an enum, a pattern or a maximum, since a
//! status that the API server refuses would stand between a failed window and the way back.

mod words;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::At;
pub use words::{Course, Kind, Reply, Why};

/// The layout that this operator writes; see [`super::PromptEndpointStatus::format`].
pub const FORMAT: i64 = 1;

/// Bytes of the log as JSON. The bound is ours, far below what the API server and etcd take (1.5 MiB a request): the log
/// is written whole before every write to Azure, held by every watch of the object, and no object may ever be refused for
/// its size, since that would stand between a failed window and the way back. A split of another hand may name all of
/// Azure's 20 deployments, and takes the more room for as long as it is in the log.
pub const MAX_BYTES: usize = 8 << 10;
/// Writes of the split are one entry; the others are of one deployment each.
pub const MAX_UNSETTLED: usize = 8;
/// What an attempt can add to what it may begin with: its decision, its three alarms, its ending. An alarm that is raised
/// again adds nothing while the first one is still owed.
pub const MAX_OUTBOX: usize = OUTBOX_FULL_FOR_ATTEMPTS - 1 + 5;
/// Of these, what still runs, and could go the fast way, is one.
pub const MAX_WITHDRAWN: usize = 8;
/// No attempt starts with as many entries undelivered.
pub const OUTBOX_FULL_FOR_ATTEMPTS: usize = 8;
/// Bytes.
pub const MAX_EVIDENCE: usize = 512;

/// Lock and log of one endpoint.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Log {
    /// Cluster, namespace and name of the PromptEndpoint; equals the tag promptrelease.owner on the Azure endpoint.
    #[serde(default)]
    pub owner: String,
    /// Last number given to an intent. Never decreases.
    #[serde(default)]
    pub seq: i64,
    /// What was last read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// When our owner tag was last put on the endpoint and read back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<At>,
    /// What has, or returns to, all traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Stable>,
    /// What served before, kept warm for the way back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Previous>,
    /// Content that was withdrawn here; it never takes the fast way to 100 %.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub withdrawn: Vec<Withdrawn>,
    /// The lock is an attempt without an ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Attempt>,
    /// The one write that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Writes whose outcome nobody knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub unsettled: Vec<Unsettled>,
    /// Pages and notices that not every receiver has accepted yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub outbox: Vec<Owed>,
}

/// A split that was read back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Verified {
    /// As in d-1427=90 d-1428=10; {} where nothing has traffic.
    pub split: String,
    /// Number in the endpoint's tags; 0 where there was none.
    #[serde(default)]
    pub seq: i64,
    /// When it was read.
    pub at: At,
    /// Why it was written: Claim, Raise, Promote, Withdraw or Repair. Absent where it was found and adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// A deployment that has all traffic outside a canary.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Stable {
    /// Name in Azure.
    pub deployment: String,
    /// Version that it runs; absent where it was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// First 8 hex digits of the revision's hash; absent where it was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Instances it was created with or scaled to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<i64>,
    /// When it was first seen with all traffic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<At>,
}

/// The deployment that was stable before.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Previous {
    /// Name in Azure.
    pub deployment: String,
    /// Version that it runs; absent where it was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// First 8 hex digits of the revision's hash; absent where it was adopted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Instances that it keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<i64>,
    /// When it is deleted, unless it has traffic by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_until: Option<At>,
}

/// Content that lost its traffic here.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Withdrawn {
    /// Version that lost its traffic.
    pub version: String,
    /// First 8 hex digits of its hash.
    pub hash: String,
    /// Number of the attempt that was withdrawn.
    pub attempt: i64,
}

/// One try to bring one revision to 100 %.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counted per endpoint, never reset.
    pub n: i64,
    /// Canary, Fast, Undo or Orphan.
    pub kind: String,
    /// The PromptRelease that it is made for.
    pub release: ReleaseRef,
    /// Version of the release when the attempt began.
    pub version: String,
    /// Of artifact and deployment, 8 hex digits.
    pub hash: String,
    /// Of data set, judge, metrics and criteria as the spec names them, 8 hex digits. A change of it ends the attempt.
    #[serde(default)]
    pub test_hash: String,
    /// Set by each CreateDeployment, frozen once raised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// Where a withdrawal sends all traffic; absent on a first release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_to: Option<String>,
    /// When the attempt was opened.
    pub started_at: At,
    /// Canary and promotion as they were when it began.
    pub plan: Plan,
    /// Append-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub raised: Vec<Raised>,
    /// Rises only: none, Promote, Withdraw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// What was paged about it besides decision and ending, each once as long as it stands: RollbackFailed, StableLost or
    /// Unreadable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub alarms: Vec<String>,
    /// How often Azure could be read again after Unreadable was paged: the next such page has a number of its own in its key.
    #[serde(default)]
    pub outages: i64,
    /// Repairs of a failed endpoint that were noted for it.
    #[serde(default)]
    pub repairs: i64,
    /// Written once; it frees the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// The release that an attempt is made for.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct ReleaseRef {
    /// Name of the PromptRelease.
    pub name: String,
    /// Its uid: a release created again under the same name is another one.
    pub uid: String,
}

/// Canary and promotion as they were when the attempt began.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Percent that each step gives to the canary.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub weights: Vec<i64>,
    /// Windows that each step must count, one for one with `weights`.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Vec<i64>,
    /// Length of a window, in milliseconds.
    #[serde(default)]
    pub window_ms: i64,
    /// How long after its end a window may still become complete, in milliseconds.
    #[serde(default)]
    pub lateness_ms: i64,
    /// Judged answers of a class below which a window is no data.
    #[serde(default)]
    pub min_samples: i64,
    /// Failed windows of one criterion in a row that withdraw.
    #[serde(default)]
    pub consecutive_failures: i64,
    /// Windows in a row that could not be measured, after which the canary is withdrawn.
    #[serde(default)]
    pub consecutive_errors: i64,
    /// Hold, RollBack or Promote.
    #[serde(default)]
    pub on_inconclusive: String,
    /// Longest time with traffic and without a verdict, in milliseconds.
    #[serde(default)]
    pub hold_timeout_ms: i64,
    /// How long the deployment that served before is kept, in milliseconds.
    #[serde(default)]
    pub keep_previous_ms: i64,
}

/// Traffic given to the canary in one step.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Raised {
    /// Step of the plan, counted from 1.
    pub step: i64,
    /// Percent of the traffic that the canary was given.
    pub weight: i64,
    /// Number of the write that gave it.
    pub seq: i64,
    /// When its first write was noted: if none is read back in time, the attempt is withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted_at: Option<At>,
    /// When the split was read back; the canary's clock starts here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<At>,
}

/// What was decided, never taken back.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Decision {
    /// Promote or Withdraw.
    pub kind: String,
    /// Reason, as in the condition Ready: CanaryFailed, AbortRequested and so on.
    pub cause: String,
    /// One line, at most 512 bytes.
    #[serde(default)]
    pub evidence: String,
    /// When it was decided.
    pub at: At,
    /// Who, where a person decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
}

/// How an attempt ended.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Ending {
    /// Promoted, Rejected, RolledBack, Failed or Aborted.
    pub outcome: String,
    /// Reason, as in the condition Ready: CanaryFailed, AbortRequested and so on.
    pub reason: String,
    /// Release, Environment or Person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<String>,
    /// When it was recorded: the endpoint is free from then on.
    pub at: At,
}

/// One numbered write, noted before it is sent.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Intent {
    /// Number of the write; it travels in the endpoint's tags.
    pub seq: i64,
    /// SetTraffic, CreateDeployment, DeleteDeployment or ScaleDeployment.
    pub kind: String,
    /// Of SetTraffic: Claim, Raise, Promote, Withdraw or Repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// A split, or a deployment's name.
    pub target: String,
    /// What the look showed that it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// Of the request's body, hex.
    #[serde(default)]
    pub sha256: String,
    /// Process that sends it.
    #[serde(default)]
    pub by: String,
    /// Raised by each try, so that noting it again is never a no-op.
    #[serde(default)]
    pub tries: i64,
    /// Latest moment at which that process may still send it.
    pub deadline: At,
    /// accepted, busy, refused, notSent or failed; absent means nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

impl Log {
    /// The last write, if it was one that takes traffic back.
    pub fn withdrawal(&self) -> Option<&Intent> {
        self.intent.as_ref().filter(|intent| intent.is_for(Why::Withdraw))
    }
}

impl Attempt {
    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind.as_str()
    }
}

impl Decision {
    pub fn is(&self, course: Course) -> bool {
        self.kind == course.as_str()
    }
}

impl Intent {
    /// Whether it writes a split for this reason.
    pub fn is_for(&self, why: Why) -> bool {
        self.why.as_deref() == Some(why.as_str())
    }

    /// What became of it. A word that is not known means that nobody knows.
    pub fn reply(&self) -> Option<Reply> {
        self.outcome.as_deref().and_then(Reply::parse)
    }

    /// Whether it is under way or may still land. The last write that came to nothing stays on record until the next one.
    pub fn is_open(&self) -> bool {
        !matches!(self.reply(), Some(Reply::Busy | Reply::Refused | Reply::NotSent | Reply::Failed))
    }
}

/// Split and number that were live when an intent was noted.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Before {
    /// Split that was live, as in d-1427=90 d-1428=10.
    pub split: String,
    /// Number in the endpoint's tags; 0 where there was none.
    pub seq: i64,
}

/// A write of ours that may still land.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
pub struct Unsettled {
    /// Number of the write.
    pub seq: i64,
    /// SetTraffic, CreateDeployment, DeleteDeployment or ScaleDeployment.
    pub kind: String,
    /// A split, or a deployment's name.
    pub target: String,
    /// After this it cannot be accepted any more.
    pub until: At,
}

/// A page or notice that is owed.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Owed {
    /// De-duplication key.
    pub key: String,
    /// Reason that is told, as in the condition Ready.
    pub kind: String,
    /// When it was decided on.
    pub created_at: At,
    /// Deliveries that were tried.
    #[serde(default)]
    pub tries: i64,
    /// When the next delivery is due.
    pub next_at: At,
}
