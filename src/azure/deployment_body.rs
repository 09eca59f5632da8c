//! The body of a PUT that creates a managed online deployment.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value, json};

use super::{WorkspaceId, iso8601};

/// When the platform takes a container for started, alive or ready. Azure's defaults are 30 failures, 10 s apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    pub initial_delay: Duration,
    pub period: Duration,
    pub timeout: Duration,
    pub failure_threshold: u32,
    pub success_threshold: u32,
}

impl Default for Probe {
    fn default() -> Self {
        Self {
            initial_delay: Duration::from_secs(10),
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            failure_threshold: 30,
            success_threshold: 1,
        }
    }
}

impl Probe {
    fn to_json(&self) -> Value {
        json!({
            "initialDelay": iso8601::format(self.initial_delay),
            "period": iso8601::format(self.period),
            "timeout": iso8601::format(self.timeout),
            "failureThreshold": self.failure_threshold,
            "successThreshold": self.success_threshold,
        })
    }
}

/// A managed online deployment that brings its own container. Every field is sent, so that none is left to a default
/// that the service may change; `None` is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct DeploymentBody {
    /// The workspace's region; ARM refuses another.
    pub location: String,
    pub tags: BTreeMap<String, String>,
    /// Instances, 1 to 50.
    pub capacity: u32,
    pub description: Option<String>,
    /// ARM id of a model version.
    pub model: String,
    /// Where the model is mounted in the container.
    pub model_mount_path: Option<String>,
    /// ARM id of an environment version.
    pub environment: String,
    pub environment_variables: BTreeMap<String, String>,
    /// VM size, e.g. `Standard_DS3_v2`. (`sku.name` is always `Default`.)
    pub instance_type: String,
    /// Container logs and metrics go to the workspace's Application Insights.
    pub app_insights: bool,
    pub max_concurrent_requests_per_instance: u32,
    /// At most 180 s; 300 s if the model has the property `azureml.promptflow.source_flow_id`.
    pub request_timeout: Duration,
    pub liveness_probe: Probe,
    pub readiness_probe: Probe,
    pub startup_probe: Option<Probe>,
    /// Whether the container may reach the Internet.
    pub egress_public_network_access: bool,
    /// Requests and responses are kept as JSON lines in the workspace's default datastore.
    pub data_collection: bool,
}

impl DeploymentBody {
    pub fn to_json(&self) -> Value {
        let mut properties = json!({
            "endpointComputeType": "Managed",
            "model": self.model,
            "environmentId": self.environment,
            "environmentVariables": self.environment_variables,
            "instanceType": self.instance_type,
            "appInsightsEnabled": self.app_insights,
            "scaleSettings": {"scaleType": "Default"},
            "requestSettings": {
                "maxConcurrentRequestsPerInstance": self.max_concurrent_requests_per_instance,
                "requestTimeout": iso8601::format(self.request_timeout),
            },
            "livenessProbe": self.liveness_probe.to_json(),
            "readinessProbe": self.readiness_probe.to_json(),
            "egressPublicNetworkAccess": if self.egress_public_network_access { "Enabled" } else { "Disabled" },
        });
        let optional = [
            ("description", self.description.as_ref().map(|text| json!(text))),
            ("modelMountPath", self.model_mount_path.as_ref().map(|path| json!(path))),
            ("startupProbe", self.startup_probe.as_ref().map(Probe::to_json)),
            ("dataCollector", self.data_collection.then(data_collector)),
        ];
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
        }
        json!({
            "location": self.location,
            "tags": self.tags,
            "kind": "Managed",
            "sku": {"name": "Default", "capacity": self.capacity},
            "properties": properties,
        })
    }
}

/// The platform's own collections: they need nothing in the container. The header is kept so that a caller's id can be
/// found again.
fn data_collector() -> Value {
    let all = json!({"dataCollectionMode": "Enabled", "samplingRate": 1.0});
    json!({
        "rollingRate": "Hour",
        "requestLogging": {"captureHeaders": ["x-ms-client-request-id"]},
        "collections": {"request": all, "response": all},
    })
}

/// What a Prompt flow container has to be told, since it cannot find it out: where it runs, and the dimensions of its
/// metrics. `PF_SERVING_METRICS_COMMON_DIMENSIONS` is the one carrier of dimensions that every extension of its server
/// reads (promptflow-core 1.18, `core/_serving/extension`).
pub fn serving_environment(
    workspace: &WorkspaceId,
    endpoint: &str,
    deployment: &str,
    dimensions: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let place = [
        ("subscription_id", workspace.subscription.as_str()),
        ("resource_group", &workspace.resource_group),
        ("workspace_name", &workspace.workspace),
        ("endpoint_name", endpoint),
        ("deployment_name", deployment),
    ];
    let place: Vec<String> = place.iter().map(|(key, value)| format!("deployment.{key}={value}")).collect();
    let dimensions: Map<String, Value> = dimensions.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    BTreeMap::from([
        ("PROMPTFLOW_RUN_MODE".into(), "serving".into()),
        ("PRT_CONFIG_OVERRIDE".into(), place.join(",")),
        ("PF_SERVING_METRICS_COMMON_DIMENSIONS".into(), Value::Object(dimensions).to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> DeploymentBody {
        DeploymentBody {
            location: "eastus2".into(),
            tags: BTreeMap::from([("team".into(), "support".into())]),
            capacity: 2,
            description: None,
            model: "/w/models/qa/versions/1428".into(),
            model_mount_path: None,
            environment: "/w/environments/qa/versions/1".into(),
            environment_variables: BTreeMap::from([("A".into(), "b".into())]),
            instance_type: "Standard_DS3_v2".into(),
            app_insights: true,
            max_concurrent_requests_per_instance: 10,
            request_timeout: Duration::from_secs(90),
            liveness_probe: Probe::default(),
            readiness_probe: Probe { initial_delay: Duration::from_secs(30), ..Probe::default() },
            startup_probe: None,
            egress_public_network_access: true,
            data_collection: true,
        }
    }

    fn probe(initial: &str) -> Value {
        json!({"initialDelay": initial, "period": "PT10S", "timeout": "PT2S", "failureThreshold": 30, "successThreshold": 1})
    }

    #[test]
    fn a_body_is_written_out_in_full() {
        let collected = json!({"dataCollectionMode": "Enabled", "samplingRate": 1.0});
        assert_eq!(
            body().to_json(),
            json!({
                "location": "eastus2", "tags": {"team": "support"}, "kind": "Managed",
                "sku": {"name": "Default", "capacity": 2},
                "properties": {
                    "endpointComputeType": "Managed", "model": "/w/models/qa/versions/1428",
                    "environmentId": "/w/environments/qa/versions/1", "environmentVariables": {"A": "b"},
                    "instanceType": "Standard_DS3_v2", "appInsightsEnabled": true,
                    "scaleSettings": {"scaleType": "Default"},
                    "requestSettings": {"maxConcurrentRequestsPerInstance": 10, "requestTimeout": "PT1M30S"},
                    "livenessProbe": probe("PT10S"), "readinessProbe": probe("PT30S"),
                    "egressPublicNetworkAccess": "Enabled",
                    "dataCollector": {
                        "rollingRate": "Hour", "requestLogging": {"captureHeaders": ["x-ms-client-request-id"]},
                        "collections": {"request": collected, "response": collected},
                    },
                },
            })
        );
    }

    #[test]
    fn what_is_switched_off_or_given_changes_its_field() {
        let body = DeploymentBody {
            description: Some("text".into()),
            model_mount_path: Some("/model".into()),
            startup_probe: Some(Probe::default()),
            egress_public_network_access: false,
            data_collection: false,
            ..body()
        };
        let properties = &body.to_json()["properties"];
        assert_eq!(properties["description"], "text");
        assert_eq!(properties["modelMountPath"], "/model");
        assert_eq!(properties["startupProbe"], probe("PT10S"));
        assert_eq!(properties["egressPublicNetworkAccess"], "Disabled");
        assert_eq!(properties.get("dataCollector"), None);
    }

    #[test]
    fn a_container_is_told_where_it_runs_and_what_its_metrics_are_of() {
        let workspace = WorkspaceId { subscription: "s".into(), resource_group: "g".into(), workspace: "w".into() };
        let dimensions = BTreeMap::from([("release".to_owned(), "1428 \"b\"".to_owned())]);
        let env = serving_environment(&workspace, "qa", "d-1428", &dimensions);
        assert_eq!(env["PROMPTFLOW_RUN_MODE"], "serving");
        assert_eq!(
            env["PRT_CONFIG_OVERRIDE"],
            "deployment.subscription_id=s,deployment.resource_group=g,deployment.workspace_name=w,\
             deployment.endpoint_name=qa,deployment.deployment_name=d-1428"
        );
        let read: BTreeMap<String, String> =
            serde_json::from_str(&env["PF_SERVING_METRICS_COMMON_DIMENSIONS"]).expect("JSON");
        assert_eq!(read, dimensions);
    }
}
