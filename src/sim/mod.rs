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

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};

pub mod arm;
pub mod clock;
pub mod entra;
pub mod faults;
pub mod http;
pub mod requests;
pub mod scenario;
mod services;
pub mod tls;
pub mod world;

pub use services::{blob, flow, insights, scoring, traffic, webhook};

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
    /// An operation is shown as running to at least this many looks (polls or reads of the resource).
    pub poll_min: u32,
    /// Shortest time from acceptance of an endpoint write until it takes effect.
    pub operation_time: Duration,
    /// The same for a deployment.
    pub deployment_time: Duration,
    /// From receipt of an Application Insights envelope until a query sees it.
    pub ingestion_delay: Duration,
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
        Some(match host {
            "login.microsoftonline.com" => Self::Entra,
            "management.azure.com" => Self::Arm,
            "api.applicationinsights.io" => Self::Insights,
            _ if host.ends_with(".in.applicationinsights.azure.com") => Self::Insights,
            _ if host.ends_with(".blob.core.windows.net") => Self::Blob,
            _ if host.ends_with(".api.azureml.ms") => Self::Flow,
            _ if host.ends_with(".inference.ml.azure.com") => Self::Scoring,
            _ if host.ends_with(".example.com") || host.ends_with(".example.net") => Self::Webhook,
            _ => return None,
        })
    }
}

/// Sends a request to the service of its host.
async fn dispatch(sim: &Arc<Sim>, service: Service, req: &http::Request, effect: &faults::Effect) -> http::Response {
    match service {
        Service::Entra => entra::handle(sim, req).await,
        Service::Arm => arm::handle(sim, req, effect).await,
        Service::Blob => blob::handle(sim, req).await,
        Service::Flow => flow::handle(sim, req).await,
        Service::Insights => insights::handle(sim, req).await,
        Service::Scoring => scoring::handle(sim, req).await,
        Service::Webhook => webhook::handle(sim, req).await,
    }
}
