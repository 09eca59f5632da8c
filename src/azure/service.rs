//! The services that are called.

/// The service that was called; remedies differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Azure Resource Manager.
    Arm,
    /// The Prompt flow service of the workspace's region.
    Flow,
    Blob,
    /// The query API of Application Insights.
    Insights,
    /// A host outside Azure, from which an archive is fetched without credentials.
    Web,
}

impl Service {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arm => "Arm",
            Self::Flow => "Flow",
            Self::Blob => "Blob",
            Self::Insights => "Insights",
            Self::Web => "Web",
        }
    }

    /// For people.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Arm => "Azure Resource Manager",
            Self::Flow => "the Prompt flow service",
            Self::Blob => "Blob storage",
            Self::Insights => "Application Insights",
            Self::Web => "the host",
        }
    }
}

/// Said of a token whose time is over, in place of the service's words: they hold the time, and differ with each try.
pub(super) const EXPIRED: &str = "it has expired";
