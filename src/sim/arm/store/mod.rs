//! What the workspace holds, as other services see it too.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    access::{Bucket, Role},
    assets::Assets,
    knobs::Knobs,
    operations::Operations,
};
use crate::sim::{
    clock::Clock,
    world::{ConnectionFacts, World},
};

mod deployment;
mod endpoint;
mod split;

pub use deployment::{Container, DeploymentDoc, Wanted};
pub use endpoint::{Endpoint, Next};
pub use split::Split;

/// All resources, and the operations on them.
pub struct Arm {
    pub knobs: Knobs,
    /// What the callers may do.
    pub role: Role,
    pub(super) clock: Clock,
    /// By name in lower case.
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    pub(super) operations: Operations,
    pub(super) assets: Assets,
    pub(super) connections: Vec<ConnectionFacts>,
    pub(super) reads: Bucket,
    pub(super) writes: Bucket,
    pub(super) deletes: Bucket,
    /// Reads of endpoints so far.
    pub(super) looks: u64,
}

impl Arm {
    pub fn new(world: &World, clock: Clock) -> Self {
        let (now, settings) = (clock.now(), world.settings());
        let endpoints = world.endpoints.iter().map(|facts| {
            let split = Split { traffic: facts.traffic.clone(), tags: facts.tags.clone(), ..Default::default() };
            let mut endpoint = Endpoint::existing(&facts.name, &facts.auth_mode, split, &settings, now);
            for deployment in &facts.deployments {
                let doc = DeploymentDoc::existing(deployment, now);
                endpoint.deployments.insert(deployment.name.to_ascii_lowercase(), doc);
            }
            (facts.name.to_ascii_lowercase(), endpoint)
        });
        Self {
            knobs: world.knobs.clone(),
            role: Role::default(),
            endpoints: endpoints.collect(),
            clock,
            operations: Operations::default(),
            assets: Assets::default(),
            connections: world.connections.clone(),
            reads: Bucket::reads(),
            writes: Bucket::writes(),
            deletes: Bucket::writes(),
            looks: 0,
        }
    }

    fn serving(&self, endpoint: &str) -> Option<&Split> {
        Some(self.endpoints.get(&endpoint.to_ascii_lowercase())?.serving(self.clock.now()))
    }

    /// The split that serves right now (applied, not merely accepted), entries of weight 0 left out.
    pub fn live(&self, endpoint: &str) -> Vec<(String, u8)> {
        let traffic = self.serving(endpoint).into_iter().flat_map(|split| &split.traffic);
        traffic.filter(|(_, weight)| **weight > 0).map(|(name, weight)| (name.clone(), *weight)).collect()
    }

    /// The tag `promptrelease.split` as applied, verbatim.
    pub fn split_tag(&self, endpoint: &str) -> Option<String> {
        self.tag(endpoint, "promptrelease.split")
    }

    /// A tag of the endpoint as applied.
    pub fn tag(&self, endpoint: &str, name: &str) -> Option<String> {
        self.serving(endpoint)?.tags.get(name).cloned()
    }

    /// How callers of the endpoint show who they are: `Key`, `AMLToken` or `AADToken`. None: it does not exist, or its
    /// first operation has not ended.
    pub fn auth_mode(&self, endpoint: &str) -> Option<&str> {
        self.endpoints.get(&endpoint.to_ascii_lowercase()).filter(|e| e.born)?.auth_mode()
    }

    /// A deployment that exists, ready or not.
    pub fn deployment(&self, endpoint: &str, name: &str) -> Option<&DeploymentDoc> {
        let endpoint = self.endpoints.get(&endpoint.to_ascii_lowercase())?;
        endpoint.deployments.get(&name.to_ascii_lowercase()).filter(|d| !d.gone(self.clock.now()))
    }

    /// Endpoint and name of every deployment that is there, ready or not.
    pub fn all_deployments(&self) -> Vec<(String, String)> {
        let now = self.clock.now();
        let of = |e: &Endpoint| {
            let there = e.deployments.values().filter(|d| !d.gone(now));
            there.map(|d| (e.name.clone(), d.name.clone())).collect::<Vec<_>>()
        };
        self.endpoints.values().flat_map(of).collect()
    }

    /// Has the first provisioning of a deployment wait for its container, and fail with it.
    pub fn provision(&mut self, endpoint: &str, name: &str, container: Container, now: Timestamp) {
        let Some(endpoint) = self.endpoints.get_mut(&endpoint.to_ascii_lowercase()) else { return };
        let Some(deployment) = endpoint.deployments.get_mut(&name.to_ascii_lowercase()) else { return };
        deployment.provision(&mut self.operations, container, now);
    }

    /// `modelUri` of a registered model version.
    pub fn model_uri(&self, model_arm_id: &str) -> Option<String> {
        self.assets.model_uri(model_arm_id)
    }

    /// Names of the workspace's connections.
    pub fn connections(&self) -> BTreeSet<String> {
        self.connections.iter().map(|connection| connection.name.clone()).collect()
    }

    pub fn endpoints(&self) -> Vec<String> {
        self.endpoints.values().map(|e| e.name.clone()).collect()
    }

    /// Everything, for the state page. No look in the sense of operations.
    pub fn describe(&self) -> Value {
        let now = self.clock.now();
        let endpoints: Vec<Value> = self
            .endpoints
            .values()
            .map(|e| {
                let split = e.serving(now);
                let deployments: Vec<Value> = e
                    .deployments
                    .values()
                    .map(|d| {
                        json!({"name": d.name, "state": d.state.as_str(), "ready": d.ready(now),
                        "instances": d.capacity, "model": d.model(), "tags": d.tags})
                    })
                    .collect();
                json!({"name": e.name, "state": e.state.as_str(), "serving": split.traffic, "mirror": split.mirror,
                    "tags": split.tags, "deployments": deployments})
            })
            .collect();
        let operations: Vec<Value> = self
            .operations
            .open()
            .map(|(id, o)| {
                json!({"id": id, "started": o.started, "due": o.due,
                "fails": o.failure.as_ref().map(|f| &f.code)})
            })
            .collect();
        json!({"endpoints": endpoints, "operations": operations, "knobs": self.knobs, "role": self.role})
    }
}
