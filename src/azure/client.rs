//! The client of one workspace: who asks, in whose name, and for how long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use azure_core::credentials::TokenCredential;

use super::{Cloud, CloudName, Meter, tokens::Tokens};

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

/// One workspace as one identity of its tenant sees it. Cheap to clone; clones share the token cache.
#[derive(Clone)]
pub struct Azure {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub http: reqwest::Client,
    pub cloud: &'static Cloud,
    pub tokens: Tokens,
    pub workspace: WorkspaceId,
    pub timeouts: Timeouts,
    /// A token was not given, or not accepted.
    pub mistrusted: AtomicBool,
    /// Something was forbidden since this was last asked.
    pub forbidden: AtomicBool,
    pub meter: Option<Arc<dyn Meter>>,
}

impl Azure {
    /// `http` must come from [`super::http::client`], or have neither retries nor redirects for another reason.
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
