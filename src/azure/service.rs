//! The services that are called.

use url::Url;

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
    /// Where Application Insights takes events.
    Ingestion,
    /// Any other host: archives are fetched from it without credentials; a container registry may get a token of its own.
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
            Self::Ingestion => "Ingestion",
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
            Self::Ingestion => "the ingestion of Application Insights",
            Self::Web => "the host",
        }
    }

    /// On what the caller needs a role, in words, as far as the address of a call says it. Empty for Azure Resource Manager,
    /// which says it itself, and where no role would help.
    pub(super) fn scope(self, url: &Url) -> String {
        let segments: Vec<&str> = url.path_segments().into_iter().flatten().collect();
        let after = |name: &str| {
            let at = segments.iter().position(|segment| segment.eq_ignore_ascii_case(name))?;
            segments.get(at + 1).filter(|segment| !segment.is_empty())
        };
        match self {
            Self::Flow => {
                after("workspaces").map_or_else(|| "the workspace".into(), |name| format!("workspace {name}"))
            }
            Self::Blob => {
                let account = url.host_str().and_then(|host| host.split('.').next()).unwrap_or_default();
                let container = segments.first().copied().unwrap_or_default();
                format!("container {container} of storage account {account}")
            }
            Self::Insights => {
                let id = after("apps").map(|id| format!(" with app id {id}")).unwrap_or_default();
                format!("the Application Insights component{id}")
            }
            Self::Ingestion => "the Application Insights component".into(),
            Self::Arm | Self::Web => String::new(),
        }
    }
}

/// Said of a token whose time is over, in place of the service's words: they hold the time, and differ with each try.
pub(super) const EXPIRED: &str = "it has expired";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scope_of_a_call_is_named_where_its_address_has_it() {
        let workspace = "subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/ws";
        for (service, url, scope) in [
            (Service::Flow, &*format!("https://e.api.azureml.ms/flow/api/{workspace}/BulkRuns/submit"), "workspace ws"),
            (Service::Flow, "https://e.api.azureml.ms/", "the workspace"),
            (Service::Blob, "https://acct.blob.core.windows.net/c/a/b?sig=x", "container c of storage account acct"),
            (
                Service::Insights,
                "https://api.applicationinsights.io/v1/apps/1b2c/query",
                "the Application Insights component with app id 1b2c",
            ),
            (Service::Arm, &*format!("https://management.azure.com/{workspace}"), ""),
        ] {
            assert_eq!(service.scope(&Url::parse(url).expect("an address")), scope);
        }
    }
}
