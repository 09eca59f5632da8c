//! An online deployment: provisioned once, and changed in place.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::sim::{
    arm::{
        call::Call,
        defaults,
        ids::endpoint_id,
        operations::{self, End, Failure, Operations, Pending},
        resource::{State, SystemData, tags},
    },
    clock,
    settings::Settings,
    world::DeploymentFacts,
};

/// How the container of a deployment is, where containers really run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Starting,
    Up,
    Crashed,
}

/// For so long at a time a deployment that waits for its container is not provisioned.
const WAIT_FOR_CONTAINER: Duration = Duration::from_secs(1);

/// An online deployment, also as other services see it.
pub struct DeploymentDoc {
    pub name: String,
    pub tags: BTreeMap<String, String>,
    /// The resource's `properties` as accepted last, without what is read-only.
    pub properties: Map<String, Value>,
    /// Instances.
    pub capacity: u32,
    pub state: State,
    /// Its first provisioning succeeded.
    pub born: bool,
    ready_at: Option<Timestamp>,
    pub(in crate::sim::arm) gone_at: Option<Timestamp>,
    pub(in crate::sim::arm) pending: Option<Pending>,
    pub(in crate::sim::arm) system: SystemData,
    log: Vec<String>,
}

impl DeploymentDoc {
    /// A deployment that has been there, and been provisioned, before.
    pub fn existing(facts: &DeploymentFacts, now: Timestamp) -> Self {
        let mut deployment = Self::new(&facts.name, now, "world");
        let properties = json!({
            "endpointComputeType": "Managed", "model": facts.model, "environmentId": facts.environment,
            "environmentVariables": facts.environment_variables, "instanceType": facts.instance_type,
            "appInsightsEnabled": true, "scaleSettings": {"scaleType": "Default"}, "properties": {},
        });
        deployment.properties = properties.as_object().cloned().unwrap_or_default();
        defaults::fill(&mut deployment.properties);
        deployment.tags = facts.tags.clone();
        deployment.capacity = facts.instance_count;
        (deployment.state, deployment.born, deployment.ready_at) = (State::Succeeded, true, Some(now));
        deployment
    }

    pub(in crate::sim::arm) fn new(name: &str, now: Timestamp, by: &str) -> Self {
        Self {
            name: name.to_owned(),
            tags: BTreeMap::new(),
            properties: Map::new(),
            capacity: 1,
            state: State::Creating,
            born: false,
            ready_at: None,
            gone_at: None,
            pending: None,
            system: SystemData::new(now, by),
            log: Vec::new(),
        }
    }

    /// ARM id of the model version.
    pub fn model(&self) -> Option<&str> {
        self.properties.get("model")?.as_str()
    }

    /// What the container gets as environment, less what the platform adds.
    pub fn environment_variables(&self) -> BTreeMap<String, String> {
        let map = self.properties.get("environmentVariables").and_then(Value::as_object);
        map.into_iter().flatten().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect()
    }

    /// Whether it has been provisioned and answers requests.
    pub fn ready(&self, now: Timestamp) -> bool {
        self.ready_at.is_some_and(|at| at <= now) && !self.gone(now)
    }

    /// See [`Arm::provision`](super::Arm::provision).
    pub(super) fn provision(&mut self, operations: &mut Operations, container: Container, now: Timestamp) {
        let (Some(pending), State::Creating) = (self.pending.as_mut(), self.state) else { return };
        match container {
            Container::Up => {}
            Container::Starting if pending.end == End::Succeeded => {
                let later = clock::after(now, WAIT_FOR_CONTAINER);
                operations.postpone(pending, later);
                self.ready_at = self.ready_at.map(|at| at.max(later));
            }
            Container::Crashed if pending.end == End::Succeeded => {
                operations.fail(pending, Failure::not_ready(), now);
                self.ready_at = None;
            }
            Container::Starting | Container::Crashed => {}
        }
    }

    pub(in crate::sim::arm) fn gone(&self, now: Timestamp) -> bool {
        self.gone_at.is_some_and(|at| at <= now)
    }

    pub(in crate::sim::arm) fn finish(&mut self, end: End) {
        self.born |= end == End::Succeeded;
        self.state = State::after(end);
    }

    pub(in crate::sim::arm) fn render(&self, settings: &Settings, endpoint: &str) -> Value {
        let mut properties = self.properties.clone();
        properties.insert("provisioningState".into(), json!(self.state.as_str()));
        for absent in ["description", "codeConfiguration", "modelMountPath", "dataCollector", "startupProbe"] {
            properties.entry(absent).or_insert(Value::Null);
        }
        json!({
            "id": format!("{}/deployments/{}", endpoint_id(settings, endpoint), self.name),
            "name": self.name,
            "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments",
            "location": settings.location,
            "kind": "Managed",
            "tags": self.tags,
            "identity": null,
            "sku": {"name": "Default", "tier": "Standard", "capacity": self.capacity},
            "systemData": self.system.render(),
            "properties": properties,
        })
    }

    /// Takes over an accepted PUT.
    pub(in crate::sim::arm) fn accept(&mut self, call: &Call<'_>, wanted: Wanted, exists: bool, pending: &mut Pending) {
        self.tags = tags(&call.body).unwrap_or_default();
        self.properties = wanted.properties;
        self.capacity = wanted.capacity;
        self.state = if exists { State::Updating } else { State::Creating };
        if !exists && pending.end == End::Succeeded {
            self.ready_at = Some(pending.due);
        }
        let extra = self.properties.entry("properties").or_insert(json!({}));
        if let Some(extra) = extra.as_object_mut() {
            let url = operations::status_url(call, &pending.operation);
            extra.insert("AzureAsyncOperationUri".into(), json!(url));
        }
        if let Some(log) = call.effect.operation.as_ref().and_then(|o| o.log.as_ref()) {
            self.log = log.lines().map(str::to_owned).collect();
        }
        self.system.touch(call.now, &call.caller.appid);
    }

    pub(in crate::sim::arm) fn container_log(&self, now: Timestamp) -> Vec<String> {
        let done = |ok: bool| if ok { "Succeeded" } else { "InProgress" };
        let mut lines = vec![
            "Instance status:".to_owned(),
            "SystemSetup: Succeeded".into(),
            "UserContainerImagePull: Succeeded".into(),
            "ModelDownload: Succeeded".into(),
            format!("UserContainerStart: {}", done(self.ready(now))),
            String::new(),
            "Container logs:".into(),
            format!("Starting prompt flow serving of deployment {}", self.name),
        ];
        if self.ready(now) {
            lines.push("Listening at: http://0.0.0.0:8080".into());
        }
        lines.extend(self.log.iter().cloned());
        lines
    }
}

/// The parts of a PUT body that are stored.
pub struct Wanted {
    pub properties: Map<String, Value>,
    pub capacity: u32,
}
