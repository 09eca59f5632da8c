//! Versions of models and environments: registered by one synchronous PUT, immutable in what matters.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Azure, Result, Seen, endpoints::or_default};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssetKind {
    Model,
    Environment,
}

impl AssetKind {
    fn segment(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Environment => "environments",
        }
    }
}

/// A version of an asset as it was read.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Asset {
    /// ARM id; compare it without regard to case.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: String,
    /// `modelUri`, `image`, `tags` and so on, to be compared with what was wanted ([`super::differences`]).
    #[serde(default, deserialize_with = "or_default")]
    pub properties: Value,
}

/// A model version: files in a datastore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelBody {
    /// `azureml://subscriptions/…/datastores/<store>/paths/<path>`.
    pub uri: String,
    pub properties: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
}

impl ModelBody {
    pub fn to_json(&self) -> Value {
        json!({"properties": {
            "modelType": "custom_model", "isAnonymous": false, "isArchived": false,
            "modelUri": self.uri, "properties": self.properties, "tags": self.tags,
        }})
    }
}

/// A path and port of an inference container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub path: String,
    pub port: u16,
}

/// An environment version: an image and where it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentBody {
    pub image: String,
    pub liveness: Route,
    pub readiness: Route,
    pub scoring: Route,
    pub tags: BTreeMap<String, String>,
}

impl EnvironmentBody {
    pub fn to_json(&self) -> Value {
        let route = |route: &Route| json!({"path": route.path, "port": route.port});
        json!({"properties": {
            "image": self.image, "osType": "Linux", "isAnonymous": false, "isArchived": false, "tags": self.tags,
            "inferenceConfig": {
                "livenessRoute": route(&self.liveness),
                "readinessRoute": route(&self.readiness),
                "scoringRoute": route(&self.scoring),
            },
        }})
    }
}

impl Azure {
    pub async fn get_asset(&self, kind: AssetKind, name: &str, version: &str) -> Result<Seen<Asset>> {
        self.send(self.arm(Method::GET, &[kind.segment(), name, "versions", version])?).await?.seen()
    }

    /// Registers a version. Azure refuses another path under a version that exists.
    pub async fn put_asset(&self, kind: AssetKind, name: &str, version: &str, body: &Value) -> Result<Seen<Asset>> {
        let request = self.arm(Method::PUT, &[kind.segment(), name, "versions", version])?;
        self.send(request.json(body)).await?.seen()
    }
}
