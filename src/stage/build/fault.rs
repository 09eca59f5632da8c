//! Why a build does not succeed.

use super::{archive::ArchiveError, connections::ConnectionError, flow::FlowError, mapping::MappingError};
use crate::{azure, policy::dataset::DatasetError};

/// Why a build step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error("{path}: {error}")]
    Dataset { path: String, error: DatasetError },
    #[error("`{path}` is not in the archive{hint}: `evaluation.dataset.path` must name a file in it")]
    NoDataset { path: String, hint: String },
    #[error("{0}")]
    Ignore(String),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error("{path}: line {line} has no column `{column}`, from which an input is fed; every line must have it")]
    Hole { path: String, column: String, line: usize },
    #[error("`artifact.promptFlow` is not set: name the flow's archive there")]
    NoArtifact,
    #[error("archive cannot be fetched: {0}")]
    Gone(String),
    #[error("`environmentImage` {0} has no digest; it must be pinned, as in registry/name@sha256:<64 hex digits>")]
    Unpinned(String),
    #[error("{0}")]
    Image(String),
    /// Azure understood what it was sent and finds it wrong; it would find the same again.
    #[error("what the release names is not taken: {0}")]
    Invalid(azure::Error),
    /// Not the archive's fault, and tried again.
    #[error(transparent)]
    Azure(azure::Error),
}

impl From<azure::Error> for BuildError {
    /// Only a 400, 413 or 422 is about the content. A conflict, a policy, a missing right, container or connection can
    /// be mended without another version.
    fn from(error: azure::Error) -> Self {
        match error {
            azure::Error::Refused { status: 400 | 413 | 422, .. } => Self::Invalid(error),
            error => Self::Azure(error),
        }
    }
}
