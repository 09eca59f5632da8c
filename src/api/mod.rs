//! What users write and read. No IO, no clock, imports nothing of ours.

mod at;
mod cause;
mod duration;
pub mod endpoint;
pub mod log;
pub mod release;
pub mod schema;
pub mod status;

pub use at::At;
pub use cause::{Blame, Cause, Outcome, Severity};
pub use duration::Duration;
pub use endpoint::{PromptEndpoint, PromptEndpointSpec, PromptEndpointStatus};
pub use release::{PromptRelease, PromptReleaseSpec};
pub use status::PromptReleaseStatus;

/// Standing order: the named version (or version.attempt) gets no traffic.
pub const ABORT: &str = "promptrelease.io/abort";
/// A person's word that an Azure endpoint is gone, or may be left as it is: lets a deletion go on.
pub const FORGET: &str = "promptrelease.io/forget";
/// Names the owner whose endpoint is to be taken over.
pub const TAKE_OVER: &str = "promptrelease.io/take-over";
/// On both kinds, from before the first write to Azure until nothing is exposed.
pub const FINALIZER: &str = "promptrelease.io/traffic";
