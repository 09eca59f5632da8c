//! The Azure simulator: an HTTPS proxy under Azure's real host names. It shares no type, constant or parser with
//! `azure/`, so that a mistake there is not repeated here.
//!
//! One module answers for one service; each has `handle(&Arc<Sim>, &http::Request) -> http::Response`:
//!
//! | module     | hosts                                                                                  |
//! |------------|----------------------------------------------------------------------------------------|
//! | `entra`    | `login.microsoftonline.com`                                                            |
//! | `arm`      | `management.azure.com`                                                                 |
//! | `blob`     | `*.blob.core.windows.net`                                                              |
//! | `flow`     | `*.api.azureml.ms`                                                                     |
//! | `insights` | `api.applicationinsights.io` (query), `*.in.applicationinsights.azure.com` (ingestion) |
//! | `scoring`  | `*.inference.ml.azure.com`                                                             |
//! | `webhook`  | `*.example.com`, `*.example.net` (the receiver of pages)                               |
//!
//! Every mutex is a `std` one and is never held over an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

mod answer;
pub mod arm;
pub mod blob;
pub mod clock;
mod control;
mod deployed;
pub mod entra;
pub mod faults;
pub mod flow;
pub mod http;
pub mod insights;
mod proxy;
pub mod requests;
pub mod scenario;
pub mod scoring;
mod start;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod traffic;
pub mod webhook;
pub mod world;

pub use start::{Options, Running, start};

/// The whole simulated cloud.
pub struct Sim {
    pub clock: clock::Clock,
    pub settings: Settings,
    pub entra: entra::Entra,
    pub arm: Mutex<arm::Arm>,
    pub faults: Mutex<faults::Faults>,
    pub requests: Mutex<requests::Requests>,
    pub blobs: Mutex<blob::Blobs>,
    pub flow: Mutex<flow::Flow>,
    pub insights: Mutex<insights::Store>,
    pub webhook: Mutex<webhook::Inbox>,
    pub scenario: Mutex<scenario::Scenario>,
    /// Users and sampler.
    pub traffic: Mutex<traffic::State>,
}

/// The facts of this world, and how slow it is.
#[derive(Clone, Debug)]
pub struct Settings {
    pub subscription: String,
    pub resource_group: String,
    pub workspace: String,
    /// GUID of the workspace.
    pub workspace_id: String,
    /// Azure region, as in host names: `eastus2`.
    pub location: String,
    pub tenant: String,
    pub storage_account: String,
    /// Container behind the datastore `workspaceblobstore`.
    pub container: String,
    /// Name of the Microsoft.Insights component.
    pub insights_name: String,
    /// `{appId}` of the query API.
    pub insights_app_id: String,
    pub instrumentation_key: String,
    /// Shortest time from acceptance of an endpoint write until it takes effect.
    pub operation_time: clock::Dial,
    /// The same for a deployment.
    pub deployment_time: clock::Dial,
    /// From receipt of an Application Insights envelope until a query sees it.
    pub ingestion_delay: clock::Dial,
}

impl Sim {
    /// A cloud as `world` describes it. The token service trusts no issuer until it is told of one.
    pub fn new(world: &world::World) -> Self {
        let clock = clock::Clock::default();
        Self {
            settings: world.settings(),
            entra: entra::Entra::new(clock.clone(), &world.tenant, None, world.federated.clone()),
            arm: Mutex::new(arm::Arm::new(world, clock.clone())),
            faults: Mutex::default(),
            requests: Mutex::default(),
            blobs: Mutex::default(),
            flow: Mutex::default(),
            insights: Mutex::default(),
            webhook: Mutex::default(),
            scenario: Mutex::default(),
            traffic: Mutex::new(traffic::State::new(&world.application_insights.instrumentation_key)),
            clock,
        }
    }
}

/// Locks even if a panic elsewhere poisoned the mutex: the simulator's state is plain data.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who answers for a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Entra,
    Arm,
    Blob,
    Flow,
    Insights,
    Scoring,
    Webhook,
}

impl Service {
    /// Who answers for which host name; `*` stands for one or more labels.
    pub const HOSTS: [(&str, Self); 9] = [
        ("login.microsoftonline.com", Self::Entra),
        ("management.azure.com", Self::Arm),
        ("*.blob.core.windows.net", Self::Blob),
        ("*.api.azureml.ms", Self::Flow),
        ("api.applicationinsights.io", Self::Insights),
        ("*.in.applicationinsights.azure.com", Self::Insights),
        ("*.inference.ml.azure.com", Self::Scoring),
        ("*.example.com", Self::Webhook),
        ("*.example.net", Self::Webhook),
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Arm => "arm",
            Self::Blob => "blob",
            Self::Flow => "flow",
            Self::Insights => "insights",
            Self::Scoring => "scoring",
            Self::Webhook => "webhook",
        }
    }

    /// None: no service has that host.
    pub fn of(host: &str) -> Option<Self> {
        let fits = |pattern: &str| match pattern.strip_prefix('*') {
            Some(end) => host.ends_with(end),
            None => host == pattern,
        };
        Self::HOSTS.iter().find(|(pattern, _)| fits(pattern)).map(|(_, service)| *service)
    }
}
