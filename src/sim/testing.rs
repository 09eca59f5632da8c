//! What the simulator's own tests share.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::{arm, cloud::Sim, faults::Effect, http, world::World};

/// One endpoint, `qa-prod`: d-1 takes everything, d-2 has been provisioned and has no traffic. Operations take 1 s and 2 s.
pub const QA: &str = "endpoints: [{name: qa-prod, deployments: [{name: d-1}, {name: d-2}], traffic: {d-1: 100}, \
                      tags: {team: assistant}}]";

pub fn sim(world: &str) -> Arc<Sim> {
    Arc::new(Sim::new(&World::parse(world).unwrap()))
}

/// A token of the identity that the sample's ServiceAccount becomes.
pub fn token(sim: &Sim, resource: &str) -> String {
    sim.entra.mint(&World::default().federated[0], resource).unwrap()
}

/// Path of a resource in the workspace.
pub fn in_workspace(sim: &Sim, rest: &str) -> String {
    let s = &sim.settings;
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}{rest}",
        s.subscription, s.resource_group, s.workspace
    )
}

pub fn request(host: &str, method: &str, path: &str, body: impl Into<Bytes>) -> http::Request {
    http::Request {
        host: host.into(),
        method: method.into(),
        path: path.into(),
        query: Vec::new(),
        headers: Vec::new(),
        body: body.into(),
    }
}

/// An answer, its body parsed; null if it has none.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub headers: Vec<(String, String)>,
}

impl Answer {
    pub fn new(response: http::Response) -> Self {
        let body = serde_json::from_slice(&response.body).unwrap_or_default();
        Self { status: response.status, body, headers: response.headers }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// ARM's error code.
    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// The error's message and that of its first detail.
    pub fn message(&self) -> String {
        let error = &self.body["error"];
        let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        format!("{} {}", of(&error["message"]), of(&error["details"][0]["message"]))
    }
}

/// Asks the management API, with a good token and no fault. `path` is below the workspace, or a whole URL.
pub async fn arm(sim: &Arc<Sim>, method: &str, path: &str, body: Value) -> Answer {
    arm_with(sim, method, path, body, &Effect::default()).await
}

pub async fn arm_with(sim: &Arc<Sim>, method: &str, path: &str, body: Value, effect: &Effect) -> Answer {
    let path = match path.strip_prefix("https://management.azure.com") {
        Some(path) => path.split('?').next().unwrap_or(path).to_owned(),
        None => in_workspace(sim, path),
    };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let mut req = request("management.azure.com", method, &path, body);
    req.query.push(("api-version".into(), "2024-10-01".into()));
    req.headers.push(("authorization".into(), format!("Bearer {}", token(sim, "https://management.azure.com"))));
    Answer::new(arm::handle(sim, &req, effect).await)
}
