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
    /// Registers a version. Azure refuses another path under a version that exists.
    pub async fn put_asset(&self, kind: AssetKind, name: &str, version: &str, body: &Value) -> Result<Seen<Asset>> {
        let request = self.arm(Method::PUT, &[kind.segment(), name, "versions", version])?;
        self.send(request.json(body)).await?.seen()
    }

    /// A version as it is registered.
    pub async fn get_asset(&self, kind: AssetKind, name: &str, version: &str) -> Result<Seen<Asset>> {
        self.send(self.arm(Method::GET, &[kind.segment(), name, "versions", version])?).await?.seen()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::{
        Class, differences,
        loopback::{self, Loopback, in_workspace},
    };

    fn route(path: &str) -> Route {
        Route { path: path.into(), port: 8080 }
    }

    #[tokio::test]
    async fn a_model_is_registered_as_it_was_wanted() {
        let body = ModelBody {
            uri: "azureml://subscriptions/s/datastores/store/paths/LocalUpload/ab".into(),
            properties: BTreeMap::from([("azureml.promptflow.source_flow_id".into(), "qa".into())]),
            tags: BTreeMap::from([("promptrelease.hash".into(), "5f3a".into())]),
        }
        .to_json();
        let stored = json!({
            "id": in_workspace("models/qa/versions/1428"), "name": "1428", "systemData": {},
            "properties": {
                "modelType": "custom_model", "isAnonymous": false, "isArchived": false, "flavors": {}, "stage": null,
                "modelUri": "azureml://subscriptions/s/datastores/store/paths/LocalUpload/ab",
                "properties": {"azureml.promptflow.source_flow_id": "qa"}, "tags": {"promptrelease.hash": "5f3a"},
                "provisioningState": "Succeeded",
            },
        });
        let server = Loopback::answering([loopback::json(201, &stored)]).await;
        let put = server.azure().put_asset(AssetKind::Model, "qa", "1428", &body).await.expect("registered").value;
        assert_eq!(differences(&body["properties"], &put.properties), [""; 0]);
        let seen = server.only();
        assert_eq!(seen.path(), in_workspace("models/qa/versions/1428"));
        assert_eq!(seen.json(), body);
    }

    #[test]
    fn an_environment_is_an_image_and_where_it_answers() {
        let body = EnvironmentBody {
            image: "acr.azurecr.io/qa@sha256:9d".into(),
            liveness: route("/health"),
            readiness: route("/health"),
            scoring: route("/score"),
            tags: BTreeMap::new(),
        };
        let health = json!({"path": "/health", "port": 8080});
        assert_eq!(
            body.to_json(),
            json!({"properties": {
                "image": "acr.azurecr.io/qa@sha256:9d", "osType": "Linux", "isAnonymous": false, "isArchived": false, "tags": {},
                "inferenceConfig": {
                    "livenessRoute": health, "readinessRoute": health, "scoringRoute": {"path": "/score", "port": 8080},
                },
            }})
        );
    }

    #[tokio::test]
    async fn another_path_under_a_version_that_exists_is_refused() {
        let error = json!({"error": {"code": "UserError", "message": "Asset paths cannot be updated."}});
        let server = Loopback::answering([loopback::json(400, &error)]).await;
        let error = server.azure().put_asset(AssetKind::Environment, "qa", "1", &json!({})).await.expect_err("refused");
        assert_eq!(error.class(), Class::Refused);
        assert_eq!(server.only().path(), in_workspace("environments/qa/versions/1"));
    }
}
