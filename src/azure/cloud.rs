//! The three Azure clouds: their hosts, their token scopes, and which host may be given which token.

use url::Url;

/// Names as in Azure's own SDKs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloudName {
    #[default]
    AzurePublic,
    AzureChina,
    AzureUSGovernment,
}

/// What a token is for. Each of the services refuses a token of another audience with 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// Azure Resource Manager, and the Prompt flow service beside it.
    Arm,
    /// The user token that the Prompt flow service wants in a second header.
    MachineLearning,
    /// Blobs.
    Storage,
    /// Queries of Application Insights.
    Insights,
    /// Events to Application Insights.
    Ingestion,
    /// Container registries.
    Registry,
}

/// Hosts and scopes of one cloud, as in the Azure SDKs' cloud tables and the firewall pages of each service.
#[derive(Debug, PartialEq, Eq)]
pub struct Cloud {
    pub name: CloudName,
    /// Azure Resource Manager.
    pub arm_host: &'static str,
    /// Entra ID.
    pub login_host: &'static str,
    /// Regional hosts of Azure ML, such as `eastus.api.azureml.ms`, end in this.
    pub ml_suffix: &'static str,
    /// Blob hosts are `<account>.blob.<this>`.
    pub storage_suffix: &'static str,
    /// Query API of Application Insights.
    pub insights_host: &'static str,
    /// Regional hosts that take telemetry, such as `eastus-8.in.applicationinsights.azure.com`, end in this.
    pub ingestion_suffix: &'static str,
    /// Registries are `<name>.<this>`.
    pub registry_suffix: &'static str,
    arm_scope: &'static str,
    ml_scope: &'static str,
    insights_scope: &'static str,
    ingestion_scope: &'static str,
    /// As the Azure SDKs name it; the other clouds' registries take the token of Azure Resource Manager.
    registry_scope: &'static str,
}

const PUBLIC: Cloud = Cloud {
    name: CloudName::AzurePublic,
    arm_host: "management.azure.com",
    login_host: "login.microsoftonline.com",
    ml_suffix: "api.azureml.ms",
    storage_suffix: "core.windows.net",
    insights_host: "api.applicationinsights.io",
    ingestion_suffix: "in.applicationinsights.azure.com",
    registry_suffix: "azurecr.io",
    arm_scope: "https://management.azure.com/.default",
    ml_scope: "https://ml.azure.com/.default",
    insights_scope: "https://api.applicationinsights.io/.default",
    ingestion_scope: "https://monitor.azure.com/.default",
    registry_scope: "https://containerregistry.azure.net/.default",
};

const CHINA: Cloud = Cloud {
    name: CloudName::AzureChina,
    arm_host: "management.chinacloudapi.cn",
    login_host: "login.chinacloudapi.cn",
    ml_suffix: "api.ml.azure.cn",
    storage_suffix: "core.chinacloudapi.cn",
    insights_host: "api.applicationinsights.azure.cn",
    ingestion_suffix: "in.applicationinsights.azure.cn",
    registry_suffix: "azurecr.cn",
    arm_scope: "https://management.chinacloudapi.cn/.default",
    ml_scope: "https://ml.azure.cn/.default",
    insights_scope: "https://api.applicationinsights.azure.cn/.default",
    ingestion_scope: "https://monitor.azure.cn/.default",
    registry_scope: "https://management.chinacloudapi.cn/.default",
};

const US_GOVERNMENT: Cloud = Cloud {
    name: CloudName::AzureUSGovernment,
    arm_host: "management.usgovcloudapi.net",
    login_host: "login.microsoftonline.us",
    ml_suffix: "api.ml.azure.us",
    storage_suffix: "core.usgovcloudapi.net",
    insights_host: "api.applicationinsights.us",
    ingestion_suffix: "in.applicationinsights.azure.us",
    registry_suffix: "azurecr.us",
    arm_scope: "https://management.usgovcloudapi.net/.default",
    ml_scope: "https://ml.azure.us/.default",
    insights_scope: "https://api.applicationinsights.us/.default",
    ingestion_scope: "https://monitor.azure.us/.default",
    registry_scope: "https://management.usgovcloudapi.net/.default",
};

impl CloudName {
    pub fn cloud(self) -> &'static Cloud {
        match self {
            Self::AzurePublic => &PUBLIC,
            Self::AzureChina => &CHINA,
            Self::AzureUSGovernment => &US_GOVERNMENT,
        }
    }
}

impl Cloud {
    /// The scope to ask of Entra ID. Storage has one name in all clouds.
    pub fn scope(&self, audience: Audience) -> &'static str {
        match audience {
            Audience::Arm => self.arm_scope,
            Audience::MachineLearning => self.ml_scope,
            Audience::Storage => "https://storage.azure.com/.default",
            Audience::Insights => self.insights_scope,
            Audience::Ingestion => self.ingestion_scope,
            Audience::Registry => self.registry_scope,
        }
    }

    /// Whether a token of this audience may be sent to this address. The only place that decides it.
    ///
    /// URLs come from replies (operations, discovery, next pages) and from people (archives), so a wrong or forged one
    /// must not carry a tenant's token away: https on its standard port, no user part, and a host of this cloud.
    pub fn admits(&self, audience: Audience, url: &Url) -> bool {
        let plain = url.scheme() == "https" && url.port().is_none() && url.username().is_empty();
        let Some(host) = url.host_str().filter(|_| plain && url.password().is_none()) else { return false };
        match audience {
            Audience::Arm => host == self.arm_host || is_below(host, self.ml_suffix),
            Audience::MachineLearning => is_below(host, self.ml_suffix),
            Audience::Storage => host.strip_suffix(self.storage_suffix).is_some_and(|head| is_below(head, "blob.")),
            Audience::Insights => host == self.insights_host,
            Audience::Ingestion => is_below(host, self.ingestion_suffix),
            Audience::Registry => is_below(host, self.registry_suffix),
        }
    }
}

/// `host` is at least one non-empty label, a dot and `suffix`.
fn is_below(host: &str, suffix: &str) -> bool {
    host.strip_suffix(suffix)
        .and_then(|head| head.strip_suffix('.'))
        .is_some_and(|head| head.split('.').all(|label| !label.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(cloud: CloudName, audience: Audience, url: &str) -> bool {
        cloud.cloud().admits(audience, &Url::parse(url).unwrap())
    }

    #[test]
    fn each_token_goes_to_hosts_of_its_service_only() {
        use Audience::*;
        let hosts = [
            (Arm, "https://management.azure.com/x"),
            (Arm, "https://eastus.api.azureml.ms/flow"),
            (Arm, "https://ws.workspace.eastus.api.azureml.ms/flow"),
            (MachineLearning, "https://eastus.api.azureml.ms/flow"),
            (Storage, "https://acct.blob.core.windows.net/c/b?x=1"),
            (Storage, "https://acct.privatelink.blob.core.windows.net/c/b"),
            (Insights, "https://api.applicationinsights.io/v1"),
            (Ingestion, "https://eastus-8.in.applicationinsights.azure.com/v2.1/track"),
            (Registry, "https://acr.azurecr.io/oauth2/exchange"),
        ];
        let all = [Arm, MachineLearning, Storage, Insights, Ingestion, Registry];
        for (audience, url) in hosts {
            assert!(admits(CloudName::AzurePublic, audience, url), "{audience:?} {url}");
            for other in all.into_iter().filter(|other| *other != audience) {
                let shared = url.contains("azureml.ms") && matches!(other, Arm | MachineLearning);
                assert_eq!(admits(CloudName::AzurePublic, other, url), shared, "{other:?} {url}");
            }
            for cloud in [CloudName::AzureChina, CloudName::AzureUSGovernment] {
                assert!(!admits(cloud, audience, url), "{cloud:?} {url}");
            }
        }
    }

    #[test]
    fn look_alikes_get_no_token() {
        for url in [
            "http://management.azure.com/",
            "https://management.azure.com:8443/",
            "https://u@management.azure.com/",
            "https://u:p@management.azure.com/",
            "https://management.azure.com.evil.example/",
            "https://evilmanagement.azure.com/",
            "https://management.azure.com./",
            "https://x.management.azure.com/",
            "https://api.azureml.ms/",
            "https://evilapi.azureml.ms/",
            "https://.api.azureml.ms/",
            "https://eastus.api.azureml.ms.evil.example/",
            "https://127.0.0.1/",
        ] {
            assert!(!admits(CloudName::AzurePublic, Audience::Arm, url), "{url}");
        }
        for url in [
            "https://blob.core.windows.net/c",
            "https://acct.file.core.windows.net/c",
            "https://acctblob.core.windows.net/c",
            "https://acct.blobcore.windows.net/c",
            "https://acct.blob.core.windows.net.evil.example/c",
            "https://acct.blob.core.chinacloudapi.cn/c",
        ] {
            assert!(!admits(CloudName::AzurePublic, Audience::Storage, url), "{url}");
        }
        for url in ["https://azurecr.io/v2", "https://evilazurecr.io/v2", "https://acr.azurecr.io.evil.example/v2"] {
            assert!(!admits(CloudName::AzurePublic, Audience::Registry, url), "{url}");
        }
    }

    #[test]
    fn the_standard_port_may_be_written_out() {
        assert!(admits(CloudName::AzurePublic, Audience::Arm, "https://MANAGEMENT.azure.com:443/"));
    }

    #[test]
    fn the_clouds_are_what_their_names_say() {
        for name in [CloudName::AzurePublic, CloudName::AzureChina, CloudName::AzureUSGovernment] {
            let cloud = name.cloud();
            assert_eq!(cloud.name, name);
            assert_eq!(cloud.scope(Audience::Arm), format!("https://{}/.default", cloud.arm_host));
            assert_eq!(cloud.scope(Audience::Insights), format!("https://{}/.default", cloud.insights_host));
        }
    }
}
