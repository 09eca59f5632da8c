//! Azure's side of the wire: Resource Manager for Azure Machine Learning, the Prompt flow service, blobs, queries of
//! Application Insights and events to it, and tokens of Entra ID. It knows nothing of the rest of this crate and could be lifted out.
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

mod answered;
mod arm;
mod assets;
mod blob;
mod blob_list;
mod causes;
mod client;
mod cloud;
mod connections;
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
pub(crate) mod loopback;
mod meter;
mod operations;
pub mod provisioning;
mod registry;
mod registry_token;
mod reply;
mod same;
mod service;
mod signed_in;
mod table;
#[cfg(test)]
mod token_hosts;
mod tokens;
mod track;
pub mod troubles;
mod wire;
mod workspace;

pub use answered::{Accepted, Result, Seen};
pub use assets::{Asset, AssetKind, EnvironmentBody, ModelBody, Route};
pub use blob::Put;
pub use blob_list::Listed;
pub use client::{Azure, Timeouts, WorkspaceId};
pub use cloud::{Audience, Cloud, CloudName};
pub use credential::{Assertion, BoxError, NoIdentity, answering, federated, no_identity};
pub use deployment_body::{DeploymentBody, Probe, serving_environment};
pub use deployments::{OnlineDeployment, Sku};
pub use endpoints::OnlineEndpoint;
pub use error::{Class, Error, optional};
pub use fault::Fault;
pub use flow_runs::{ErrorCount, Line, Partial, RunSource, RunState, RunStatus};
pub use flows::{BulkRun, DataInput, Flows, Submitted};
pub use meter::Meter;
pub use operations::OperationStatus;
pub use registry::Layer;
pub use same::{differences, same_body};
pub use service::Service;
pub use signed_in::{SignInError, SignedIn, signed_in};
pub use table::{Column, Row, Table};
pub use track::{CustomEvent, Ingestion};
pub use workspace::{Component, Datastore, Workspace};
