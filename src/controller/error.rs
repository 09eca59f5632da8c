//! What goes wrong in a pass.

/// What nobody expected; expected waiting is a value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the API server: {0}")]
    Kube(#[from] kube::Error),
}

impl Error {
    /// The API server does not take this, and would not the next time: its CRD does not admit the stored object any more.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Kube(kube::Error::Api(status)) if matches!(status.code, 400 | 422) => Some(&status.message),
            Self::Kube(_) => None,
        }
    }

    /// One of a few words, for metrics.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Kube(kube::Error::Api(status)) if status.is_conflict() => "conflict",
            Self::Kube(kube::Error::Api(_)) => "api",
            Self::Kube(_) => "connection",
        }
    }
}
