//! The deployment's full body. A name means one body for ever, so nothing is left to a default that may change.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    api::release::{self, Deployment, Switch},
    azure::{DeploymentBody, Probe, WorkspaceId, serving_environment},
};

/// Tags that say whose a deployment is and what is in it.
pub const TAG_OWNER: &str = "promptrelease.owner";
pub const TAG_VERSION: &str = "promptrelease.version";
pub const TAG_HASH: &str = "promptrelease.hash";

const INSTANCE_TYPE: &str = "Standard_DS3_v2";
const TIMEOUT_SECONDS: i64 = 60;

/// Everything a body is made of.
#[derive(Clone, Copy, Debug)]
pub struct Recipe<'a> {
    pub workspace: &'a WorkspaceId,
    pub location: &'a str,
    pub endpoint: &'a str,
    pub owner: &'a str,
    pub release: &'a str,
    pub version: &'a str,
    pub hash: &'a str,
    /// `name:version` as registered.
    pub model: &'a str,
    pub environment: &'a str,
    pub deployment: Option<&'a Deployment>,
    /// 1 to 50.
    pub instances: i64,
}

impl Recipe<'_> {
    /// The body of the PUT that creates `name`.
    pub fn body(&self, name: &str) -> Value {
        let none = Deployment::default();
        let wanted = self.deployment.unwrap_or(&none);
        let requests = wanted.request_settings.clone().unwrap_or_default();
        let own: BTreeMap<String, String> = [
            (TAG_OWNER.to_owned(), self.owner.to_owned()),
            (TAG_VERSION.to_owned(), self.version.to_owned()),
            (TAG_HASH.to_owned(), format!("v1:{}", self.hash)),
        ]
        .into();
        let body = DeploymentBody {
            location: self.location.to_owned(),
            tags: wanted.tags.clone().into_iter().chain(own).collect(),
            capacity: whole(self.instances).max(1),
            description: None,
            model: self.asset("models", self.model),
            model_mount_path: None,
            environment: self.asset("environments", self.environment),
            environment_variables: self.environment_variables(name, wanted),
            instance_type: wanted.instance_type.clone().unwrap_or_else(|| INSTANCE_TYPE.to_owned()),
            app_insights: true,
            max_concurrent_requests_per_instance: whole(requests.max_concurrent_requests_per_instance.unwrap_or(1)),
            request_timeout: seconds(requests.timeout_seconds.unwrap_or(TIMEOUT_SECONDS)),
            liveness_probe: probe(wanted.liveness_probe.as_ref()),
            readiness_probe: probe(wanted.readiness_probe.as_ref()),
            startup_probe: None,
            egress_public_network_access: wanted.egress_public_network_access != Some(Switch::Disabled),
            data_collection: wanted.data_collection != Some(Switch::Disabled),
        };
        body.to_json()
    }

    /// People's own variables come last: they may override the platform's.
    fn environment_variables(&self, name: &str, wanted: &Deployment) -> BTreeMap<String, String> {
        let dimensions = [("endpoint", self.endpoint), ("deployment", name), ("release", self.version)];
        let dimensions = dimensions.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let mut all = serving_environment(self.workspace, self.endpoint, name, &dimensions);
        all.extend(wanted.env.iter().map(|var| (var.name.clone(), var.value.clone())));
        all
    }

    fn asset(&self, kind: &str, name_and_version: &str) -> String {
        let (name, version) = name_and_version.split_once(':').unwrap_or((name_and_version, ""));
        self.workspace.child_id(&format!("{kind}/{name}/versions/{version}"))
    }
}

fn probe(wanted: Option<&release::Probe>) -> Probe {
    let default = Probe::default();
    let Some(wanted) = wanted else { return default };
    let or = |value: Option<i64>, default: Duration| value.map_or(default, seconds);
    Probe {
        initial_delay: or(wanted.initial_delay_seconds, default.initial_delay),
        period: or(wanted.period_seconds, default.period),
        timeout: or(wanted.timeout_seconds, default.timeout),
        failure_threshold: wanted.failure_threshold.map_or(default.failure_threshold, whole),
        success_threshold: wanted.success_threshold.map_or(default.success_threshold, whole),
    }
}

fn seconds(value: i64) -> Duration {
    Duration::from_secs(u64::try_from(value).unwrap_or_default())
}

fn whole(value: i64) -> u32 {
    u32::try_from(value).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn recipe<'a>(workspace: &'a WorkspaceId, deployment: Option<&'a Deployment>, instances: i64) -> Recipe<'a> {
        Recipe {
            workspace,
            location: "eastus2",
            endpoint: "qa",
            owner: "cluster/ns/qa",
            release: "qa",
            version: "1428",
            hash: "5f3a9c1e",
            model: "qa:1428-5f3a9c1e",
            environment: "qa-env:9d6b5c0f",
            deployment,
            instances,
        }
    }

    pub fn workspace() -> WorkspaceId {
        WorkspaceId { subscription: "s".into(), resource_group: "g".into(), workspace: "w".into() }
    }

    #[test]
    fn defaults_are_written_out() {
        let workspace = workspace();
        let body = recipe(&workspace, None, 1).body("d-1428");
        let properties = &body["properties"];
        assert_eq!(properties["instanceType"], "Standard_DS3_v2");
        assert_eq!(properties["requestSettings"]["requestTimeout"], "PT1M");
        assert_eq!(properties["requestSettings"]["maxConcurrentRequestsPerInstance"], 1);
        assert_eq!(properties["egressPublicNetworkAccess"], "Enabled");
        assert!(properties["dataCollector"]["collections"]["response"].is_object());
        assert_eq!(body["tags"]["promptrelease.hash"], "v1:5f3a9c1e");
        let model = properties["model"].as_str().expect("text");
        assert!(model.ends_with("/workspaces/w/models/qa/versions/1428-5f3a9c1e"), "{model}");
        let dimensions = properties["environmentVariables"]["PF_SERVING_METRICS_COMMON_DIMENSIONS"].as_str();
        assert_eq!(dimensions, Some(r#"{"deployment":"d-1428","endpoint":"qa","release":"1428"}"#));
    }
}
