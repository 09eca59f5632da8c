//! What the tenant knows: APIs, the issuer of assertions, and which of its subjects may act as which identity.

use jsonwebtoken::DecodingKey;
use serde::{Deserialize, Serialize};

/// APIs that have a service principal in the tenant. Entra refuses a scope of any other.
pub const RESOURCES: [&str; 8] = [
    "https://management.azure.com",
    "https://ml.azure.com",
    "https://storage.azure.com",
    "https://api.applicationinsights.io",
    "https://api.loganalytics.io",
    "https://monitor.azure.com",
    "https://cognitiveservices.azure.com",
    "https://containerregistry.azure.net",
];

/// What a federated credential wants in `aud` unless it is made with another.
pub fn audience() -> String {
    "api://AzureADTokenExchange".to_owned()
}

/// Whether tokens for `resource` are issued at all; with or without a slash at its end.
pub fn is_resource(resource: &str) -> bool {
    RESOURCES.contains(&resource.trim_end_matches('/'))
}

/// Who signs assertions: the Kubernetes API server.
#[derive(Clone)]
pub struct Issuer {
    /// `iss` of its tokens: the value of `--service-account-issuer`.
    pub url: String,
    pub(super) key: DecodingKey,
}

impl Issuer {
    /// # Errors
    /// When `pem` is no RSA public key.
    pub fn new(url: impl Into<String>, pem: &[u8]) -> anyhow::Result<Self> {
        let key = DecodingKey::from_rsa_pem(pem)
            .map_err(|e| anyhow::anyhow!("the issuer's key must be an RSA public key in PEM form: {e}"))?;
        Ok(Self { url: url.into(), key })
    }
}

/// A federated credential: this subject of the issuer may act as this identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Federated {
    /// Tenant id.
    pub tenant: String,
    /// Client id of the managed identity or application.
    pub client: String,
    /// `sub` of the assertion, e.g. `system:serviceaccount:assistant:assistant-release`; compared case-sensitively.
    pub subject: String,
    /// `aud` of the assertion. A credential has exactly one; other clouds recommend another than the default.
    #[serde(default = "audience")]
    pub audience: String,
    /// Object id of the identity; made from nothing if absent.
    #[serde(default = "random_id")]
    pub object: String,
    /// APIs, as in [`RESOURCES`], in which the identity has no role: they accept its token, and forbid what it asks for.
    #[serde(default)]
    pub denied: Vec<String>,
}

fn random_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
