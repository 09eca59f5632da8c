//! What the simulated cloud contains at the start, as a YAML or JSON file describes it.
//!
//! Every field has a default, so that `{}` is the world of the sample: one workspace with one empty endpoint. Unknown
//! fields are refused.
//!
//! ```yaml
//! endpoints:
//!   - name: support-assistant-prod
//!     deployments: [{name: d-1427}]
//!     traffic: {d-1427: 100}
//! times: {endpointOperation: 1s, deploymentOperation: 2s, ingestionDelay: 0s}
//! knobs: {busyStatus: 400}
//! ```

use std::{collections::BTreeMap, time::Duration};

use anyhow::ensure;
use jiff::SignedDuration;
use serde::Deserialize;
use url::Url;

use super::{
    arm::{self, Knobs},
    clock::Dial,
    entra::{self, Federated},
    settings::Settings,
};

/// The initial world.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct World {
    pub subscription: String,
    pub resource_group: String,
    pub workspace: String,
    /// GUID of the workspace.
    pub workspace_id: String,
    /// Azure region of all resources.
    pub location: String,
    /// Entra tenant, a GUID.
    pub tenant: String,
    pub storage_account: String,
    pub container: String,
    pub application_insights: InsightsFacts,
    pub endpoints: Vec<EndpointFacts>,
    pub connections: Vec<ConnectionFacts>,
    /// Receivers of pages that know their secret; others accept everything.
    pub receivers: Vec<ReceiverFacts>,
    /// Which ServiceAccounts may become which identity.
    pub federated: Vec<Federated>,
    pub times: Times,
    pub knobs: Knobs,
}

/// The Application Insights component of the workspace.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct InsightsFacts {
    pub name: String,
    pub app_id: String,
    pub instrumentation_key: String,
}

/// An online endpoint that exists before anybody writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EndpointFacts {
    pub name: String,
    /// `Key`, `AMLToken` or `AADToken`.
    #[serde(default = "aad_token")]
    pub auth_mode: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    #[serde(default)]
    pub traffic: BTreeMap<String, u8>,
    #[serde(default)]
    pub deployments: Vec<DeploymentFacts>,
}

/// A deployment that exists, and is provisioned, before anybody writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeploymentFacts {
    pub name: String,
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// ARM id of the model version.
    #[serde(default)]
    pub model: Option<String>,
    /// ARM id of the environment version.
    #[serde(default)]
    pub environment: Option<String>,
    #[serde(default)]
    pub environment_variables: BTreeMap<String, String>,
    #[serde(default = "one")]
    pub instance_count: u32,
    #[serde(default = "instance_type")]
    pub instance_type: String,
}

/// A workspace connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionFacts {
    pub name: String,
    #[serde(default = "azure_openai")]
    pub category: String,
    /// Address of the service.
    #[serde(default)]
    pub target: String,
    /// Key of the service; without one it is made of the name, see [`ConnectionFacts::key`].
    #[serde(default)]
    key: Option<String>,
    /// Models that are deployed there, if it is an Azure OpenAI.
    #[serde(default = "models")]
    pub deployments: Vec<String>,
}

/// A receiver of pages that refuses what is not signed with its secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiverFacts {
    /// A host, or a host and the beginning of a path: `oncall.example.com/hooks`.
    pub place: String,
    /// `whsec_` and base64, or plain text.
    pub secret: String,
}

/// How long things take. Durations are written like `1s`, `500ms`, `2m`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Times {
    /// From acceptance of an endpoint write until it takes effect.
    pub endpoint_operation: SignedDuration,
    /// The same for a deployment.
    pub deployment_operation: SignedDuration,
    /// From receipt of an Application Insights envelope until a query sees it.
    pub ingestion_delay: SignedDuration,
}

fn aad_token() -> String {
    "AADToken".into()
}

fn azure_openai() -> String {
    "AzureOpenAI".into()
}

fn models() -> Vec<String> {
    ["gpt-4o", "gpt-4o-mini"].map(String::from).into()
}

fn instance_type() -> String {
    "Standard_DS3_v2".into()
}

fn one() -> u32 {
    1
}

impl Default for World {
    fn default() -> Self {
        Self {
            subscription: "7f0c2a51-4a0b-4d3e-9c61-2b1f8d0e6a34".into(),
            resource_group: "rg-assistant-prod-eus2".into(),
            workspace: "mlw-assistant-prod".into(),
            workspace_id: "5d1f3b7a-0c2e-4f68-9a41-77c3e02b9d15".into(),
            location: "eastus2".into(),
            tenant: "9c11c3f0-6a52-4b8d-8e0f-1d2a3b4c5d6e".into(),
            storage_account: "stassistantprodeus2".into(),
            container: "azureml-blobstore-5d1f3b7a-0c2e-4f68-9a41-77c3e02b9d15".into(),
            application_insights: InsightsFacts::default(),
            endpoints: vec![EndpointFacts {
                name: "support-assistant-prod".into(),
                auth_mode: aad_token(),
                tags: BTreeMap::new(),
                traffic: BTreeMap::new(),
                deployments: Vec::new(),
            }],
            connections: ["prod", "eval"].into_iter().flat_map(Self::sample_connections).collect(),
            receivers: Vec::new(),
            federated: vec![Federated {
                tenant: "9c11c3f0-6a52-4b8d-8e0f-1d2a3b4c5d6e".into(),
                client: "2f6d8a10-3b4c-4d5e-8f90-a1b2c3d4e5f6".into(),
                subject: "system:serviceaccount:assistant:assistant-release".into(),
                audience: entra::audience(),
                object: "c0ffee00-1111-4222-8333-444455556666".into(),
                denied: Vec::new(),
            }],
            times: Times::default(),
            knobs: Knobs::default(),
        }
    }
}

impl Default for InsightsFacts {
    fn default() -> Self {
        Self {
            name: "appi-assistant-prod".into(),
            app_id: "3f8d2c64-91ab-4e07-b5c2-60d17e4fa983".into(),
            instrumentation_key: "b7e4a9d2-5c13-4f86-a0d8-2e91c6f3074b".into(),
        }
    }
}

impl Default for Times {
    fn default() -> Self {
        Self {
            endpoint_operation: SignedDuration::from_secs(1),
            deployment_operation: SignedDuration::from_secs(2),
            ingestion_delay: SignedDuration::ZERO,
        }
    }
}

impl ConnectionFacts {
    /// What the service is called with.
    pub fn key(&self) -> String {
        self.key.clone().unwrap_or_else(|| format!("simulated-key-of-{}", self.name))
    }

    /// Host of the target; none if it is no address.
    pub fn host(&self) -> Option<String> {
        Url::parse(&self.target).ok()?.host_str().map(str::to_owned)
    }
}

impl EndpointFacts {
    fn check(&self) -> anyhow::Result<()> {
        let name = &self.name;
        for name in self.deployments.iter().map(|d| &d.name).chain([name]) {
            let rule = "3 to 32 letters, digits and hyphens, a letter first, no hyphen last";
            ensure!(arm::is_name(name), "an endpoint or deployment cannot be named {name:?}: {rule}");
        }
        for deployment in self.traffic.keys() {
            let known = self.deployments.iter().any(|d| d.name == *deployment);
            ensure!(known, "endpoint {name} gives traffic to {deployment}, which is not among its deployments");
        }
        let sum: u32 = self.traffic.values().map(|weight| u32::from(*weight)).sum();
        ensure!(sum == 0 || sum == 100, "the traffic of endpoint {name} must add up to 0 or 100, not {sum}");
        let modes = ["Key", "AMLToken", "AADToken"];
        ensure!(modes.contains(&self.auth_mode.as_str()), "authMode of {name} must be one of {}", modes.join(", "));
        Ok(())
    }
}

impl World {
    /// The two connections of the sample's flow: to the models, and to the check of its answers.
    fn sample_connections(stage: &str) -> [ConnectionFacts; 2] {
        let of = |name: String, category: &str, host: &str| ConnectionFacts {
            target: format!("https://{name}.{host}"),
            name,
            category: category.into(),
            key: None,
            deployments: models(),
        };
        [
            of(format!("azure-openai-{stage}"), "AzureOpenAI", "openai.azure.com"),
            of(format!("content-safety-{stage}"), "CognitiveService", "cognitiveservices.azure.com"),
        ]
    }

    /// Reads a world from YAML or JSON.
    ///
    /// # Errors
    /// The parser's message, which names the field; or what Azure would not have.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let world: Self = serde_saphyr::from_str(text)?;
        world.endpoints.iter().try_for_each(EndpointFacts::check)?;
        let Times { endpoint_operation, deployment_operation, ingestion_delay } = world.times;
        ensure!(
            ![endpoint_operation, deployment_operation, ingestion_delay].iter().any(SignedDuration::is_negative),
            "times must not be negative"
        );
        Ok(world)
    }

    /// The part of the world that does not change.
    pub fn settings(&self) -> Settings {
        Settings {
            subscription: self.subscription.clone(),
            resource_group: self.resource_group.clone(),
            workspace: self.workspace.clone(),
            workspace_id: self.workspace_id.clone(),
            location: self.location.clone(),
            tenant: self.tenant.clone(),
            storage_account: self.storage_account.clone(),
            container: self.container.clone(),
            insights_name: self.application_insights.name.clone(),
            insights_app_id: self.application_insights.app_id.clone(),
            instrumentation_key: self.application_insights.instrumentation_key.clone(),
            operation_time: dial(self.times.endpoint_operation),
            deployment_time: dial(self.times.deployment_operation),
            ingestion_delay: dial(self.times.ingestion_delay),
        }
    }
}

fn dial(span: SignedDuration) -> Dial {
    Dial::new(Duration::try_from(span).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_sample_and_a_file_overrides_single_facts() {
        let plain = World::parse("{}").unwrap();
        assert_eq!(plain.endpoints.len(), 1);
        let world = World::parse(
            "endpoints: [{name: qa-prod, deployments: [{name: d-1}], traffic: {d-1: 100}}]\n\
             times: {endpointOperation: 250ms}\nknobs: {busyStatus: 400}\n",
        )
        .unwrap();
        assert_eq!(world.settings().operation_time.get(), Duration::from_millis(250));
        assert_eq!(world.endpoints[0].deployments[0].instance_type, "Standard_DS3_v2");
        assert_eq!(world.knobs.busy_status, 400);
    }

    #[test]
    fn what_azure_would_not_have_is_refused_in_words() {
        for (world, hint) in [
            ("endpoints: [{name: qa}]", "3 to 32 letters"),
            ("endpoints: [{name: qa-prod, traffic: {d-1: 100}}]", "d-1, which is not among its deployments"),
            ("endpoints: [{name: qa-prod, deployments: [{name: d-1}], traffic: {d-1: 90}}]", "0 or 100, not 90"),
            ("endpoints: [{name: qa-prod, authMode: None}]", "Key, AMLToken, AADToken"),
            ("times: {ingestionDelay: -1s}", "negative"),
        ] {
            let error = World::parse(world).unwrap_err().to_string();
            assert!(error.contains(hint), "{world}: {error}");
        }
    }

    #[test]
    fn a_misspelt_field_is_refused_by_name() {
        let error = World::parse("times: {endpointOperatoin: 1s}").unwrap_err().to_string();
        assert!(error.contains("endpointOperatoin"), "{error}");
    }
}
