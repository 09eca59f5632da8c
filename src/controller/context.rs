//! What every pass needs, and what the process remembers between passes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use kube::{
    Client,
    api::DynamicObject,
    runtime::{events::Recorder, reflector::Store},
};

use super::tenant::Tenants;
use crate::{
    api::At,
    endpoint::{Ms, Remembered, Timing},
    leader::Lease,
    metrics::Metrics,
    notify::Taken,
    stage::build::room::Room,
};

/// The operator's own waits; flags set them, tests shorten them.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// Between two looks at a run or a deployment.
    pub poll: SignedDuration,
    /// Between two counts of an evaluation that is short of lines.
    pub second_count: SignedDuration,
    /// How long Azure may keep a release from being built. Longer than the hour that a change of roles may take.
    pub build: SignedDuration,
    /// How long Azure may take to bring up a deployment, the claim of the endpoint before it included.
    pub deploy: SignedDuration,
    /// How long a deployment that had traffic is kept at least, from when it has none.
    pub delete_grace: SignedDuration,
    /// How long a release may not parse before its canary is withdrawn.
    pub invalid: SignedDuration,
    /// How long a deletion waits for undelivered pages.
    pub deliver_before_deletion: SignedDuration,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            poll: SignedDuration::from_secs(10),
            second_count: SignedDuration::from_secs(30),
            build: SignedDuration::from_mins(120),
            deploy: SignedDuration::from_mins(60),
            delete_grace: SignedDuration::from_mins(10),
            invalid: SignedDuration::from_secs(60),
            deliver_before_deletion: SignedDuration::from_mins(15),
        }
    }
}

/// One process.
pub struct Context {
    pub client: Client,
    pub http: reqwest::Client,
    pub tenants: Tenants,
    pub lease: Lease,
    pub recorder: Recorder,
    pub metrics: Metrics,
    /// Uid of the namespace kube-system, which names the cluster.
    pub cluster: String,
    /// This process, for tags and the log.
    pub by: String,
    pub timing: Timing,
    pub waits: Waits,
    pub releases: Store<DynamicObject>,
    /// For the archives of all endpoints.
    pub room: Room,
    pub memory: Memory,
}

/// What is remembered about one endpoint. Losing it costs time, never safety.
#[derive(Debug, Default)]
pub struct Kept {
    pub azure: Remembered,
    /// Who has taken a page or notice that others have not taken yet.
    pub taken: Taken,
    /// Since when the API server refuses the endpoint's status.
    pub refused_since: Option<Ms>,
    /// Since when the release does not parse.
    pub invalid_since: Option<At>,
}

/// What is kept of every endpoint between passes.
#[derive(Debug, Default)]
pub struct Memory(Mutex<HashMap<String, Kept>>);

impl Memory {
    /// kube never runs one key twice at once, so nobody else looks for it meanwhile.
    pub fn take(&self, key: &str) -> Kept {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key).unwrap_or_default()
    }

    pub fn keep(&self, key: String, kept: Kept) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, kept);
    }
}

impl Context {
    /// The one clock of the controller. Everything below gets the time as an argument.
    pub fn clock(&self) -> Timestamp {
        Timestamp::now()
    }
}
