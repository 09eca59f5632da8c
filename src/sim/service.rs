//! The services of Azure that are simulated, and their host names.

use serde::{Deserialize, Serialize};

/// Who answers for a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    Entra,
    Arm,
    Blob,
    Flow,
    Insights,
    Registry,
    Scoring,
    OpenAi,
    ContentSafety,
    Webhook,
}

impl Service {
    /// Who answers for which host name; `*` stands for one or more labels.
    pub const HOSTS: [(&str, Self); 12] = [
        ("login.microsoftonline.com", Self::Entra),
        ("management.azure.com", Self::Arm),
        ("*.blob.core.windows.net", Self::Blob),
        ("*.api.azureml.ms", Self::Flow),
        ("api.applicationinsights.io", Self::Insights),
        ("*.in.applicationinsights.azure.com", Self::Insights),
        ("*.azurecr.io", Self::Registry),
        ("*.inference.ml.azure.com", Self::Scoring),
        ("*.openai.azure.com", Self::OpenAi),
        ("*.cognitiveservices.azure.com", Self::ContentSafety),
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
            Self::Registry => "registry",
            Self::Scoring => "scoring",
            Self::OpenAi => "openai",
            Self::ContentSafety => "contentsafety",
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
