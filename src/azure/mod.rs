//! Azure's side of the wire: Resource Manager for Azure Machine Learning, the Prompt flow service, blobs, queries of
//! Application Insights, and tokens of Entra ID. It knows nothing of the rest of this crate and could be lifted out.
//!
//! Rules of this module:
//!
//! - **No client that is used for writes has a retry policy**, neither reqwest's (switched off in [`http::client`]) nor
//!   azure_core's (the credential's pipeline has none, and nothing else runs on that pipeline). One call is one request.
//!   Whoever calls decides what comes next, because only they know whether a second write is safe.
//! - An error says whether a write may have been applied ([`Error::may_have_landed`]): a reply with the service's own
//!   error body is its answer, anything else is not.
//! - A token goes to hosts of its cloud only; [`Cloud::admits`] is the one place that decides it.
//! - Every body is read up to a limit. No redirect is followed with credentials.
//! - Times are Azure's, from the `Date` header of the reply ([`Seen`]), where decisions depend on them.

mod arm;
mod assets;
mod blob;
mod cloud;
mod credential;
mod deployment_body;
mod deployments;
mod endpoints;
mod error;
mod fault;
mod flow_runs;
mod flows;
pub mod http;
mod insights;
mod iso8601;
#[cfg(test)]
mod loopback;
mod operations;
pub mod provisioning;
mod reply;
mod same;
mod table;
#[cfg(test)]
mod token_hosts;
mod tokens;
mod wire;
mod workspace;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use azure_core::credentials::TokenCredential;
use jiff::Timestamp;

pub use assets::{Asset, AssetKind, EnvironmentBody, ModelBody, Route};
pub use blob::Put;
pub use cloud::{Audience, Cloud, CloudName};
pub use credential::{Assertion, BoxError, federated};
pub use deployment_body::{DeploymentBody, Probe, serving_environment};
pub use deployments::{OnlineDeployment, Sku};
pub use endpoints::OnlineEndpoint;
pub use error::{Class, Error, Service, optional};
pub use fault::Fault;
pub use flow_runs::{ErrorCount, Line, Partial, RunSource, RunState, RunStatus};
pub use flows::{BulkRun, DataInput, Flows, Submitted};
pub use operations::{Operation, OperationStatus};
pub use same::{differences, same_body};
pub use table::{Column, Row, Table};
pub use wire::Meter;
pub use workspace::{Component, Datastore, Workspace};

use tokens::Tokens;

/// What every call answers.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Names an Azure Machine Learning workspace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WorkspaceId {
    /// A GUID.
    pub subscription: String,
    pub resource_group: String,
    pub workspace: String,
}

impl WorkspaceId {
    /// The ARM id: `/subscriptions/…/workspaces/<workspace>`. Compare ids without regard to case.
    pub fn arm_id(&self) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}",
            self.subscription, self.resource_group, self.workspace
        )
    }

    /// The ARM id of something in the workspace, such as `models/qa/versions/7`.
    pub fn child_id(&self, path: &str) -> String {
        format!("{}/{path}", self.arm_id())
    }
}

/// How long a call may take from asking for a token to the last byte of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Reads of ARM and of run states.
    pub read: Duration,
    /// Writes to ARM.
    pub write: Duration,
    /// Queries of Application Insights. While a canary has traffic they stand between a look at it and what follows from
    /// that, so a service that hangs must not keep a withdrawal waiting; one that times out is asked again.
    pub query: Duration,
    /// What is slow by nature and is named by content or by the caller, so that it may be repeated: submitting runs
    /// (recorded: 4.7 to 7.7 s), their lines, blobs.
    pub slow: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [read, write, query, slow] = [3, 8, 3, 30].map(Duration::from_secs);
        Self { read, write, query, slow }
    }
}

/// A value with the time at which Azure says that it answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<T> {
    pub value: T,
    /// The `Date` header of the reply, in whole seconds; absent if a proxy dropped it.
    pub date: Option<Timestamp>,
}

impl<T> Seen<T> {
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Seen<U> {
        Seen { value: f(self.value), date: self.date }
    }
}

/// A write that the service has accepted. It is done when the resource says so, or its operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// Where to poll with [`Azure::get_operation`]. Absent if the service named none, or one outside this cloud; then
    /// read the resource's provisioning state instead.
    pub operation: Option<url::Url>,
    /// How long the service asks to wait before the first poll.
    pub retry_after: Option<Duration>,
    pub date: Option<Timestamp>,
}

/// One workspace as one identity of its tenant sees it. Cheap to clone; clones share the token cache.
#[derive(Clone)]
pub struct Azure {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    cloud: &'static Cloud,
    tokens: Tokens,
    workspace: WorkspaceId,
    timeouts: Timeouts,
    /// A token was not given, or not accepted.
    mistrusted: AtomicBool,
    /// Something was forbidden since this was last asked.
    forbidden: AtomicBool,
    meter: Option<Arc<dyn Meter>>,
}

impl Azure {
    /// `http` must come from [`http::client`], or have neither retries nor redirects for another reason.
    pub fn new(
        http: reqwest::Client,
        cloud: CloudName,
        credential: Arc<dyn TokenCredential>,
        workspace: WorkspaceId,
        timeouts: Timeouts,
        meter: Option<Arc<dyn Meter>>,
    ) -> Self {
        let cloud = cloud.cloud();
        let (tokens, mistrusted, forbidden) =
            (Tokens::new(cloud, credential), AtomicBool::new(false), AtomicBool::new(false));
        Self { inner: Arc::new(Inner { http, cloud, tokens, workspace, timeouts, mistrusted, forbidden, meter }) }
    }

    /// Whether Entra ID refused a token, or a service one that it gave. What is kept may be the fault, here or in the
    /// credential, and lives up to an hour: make a new one.
    pub fn is_mistrusted(&self) -> bool {
        self.inner.mistrusted.load(Ordering::Relaxed)
    }

    /// Whether something was forbidden since the last call of this. The identity may lack a role, or be another one than
    /// was meant; its tokens are good.
    pub fn take_forbidden(&self) -> bool {
        self.inner.forbidden.swap(false, Ordering::Relaxed)
    }

    pub fn workspace_id(&self) -> &WorkspaceId {
        &self.inner.workspace
    }

    pub fn cloud(&self) -> &'static Cloud {
        self.inner.cloud
    }

    pub fn timeouts(&self) -> Timeouts {
        self.inner.timeouts
    }
}

impl std::fmt::Debug for Azure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Azure")
            .field("cloud", &self.inner.cloud.name)
            .field("workspace", &self.inner.workspace)
            .finish_non_exhaustive()
    }
}
