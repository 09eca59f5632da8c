//! An online endpoint: what serves, and what has been accepted.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{deployment::DeploymentDoc, split::Split};
use crate::sim::{
    arm::{
        call::Call,
        ids::endpoint_id,
        knobs::Knobs,
        operations::{self, End, Pending},
        resource::{State, SystemData},
    },
    settings::Settings,
};

/// An online endpoint.
pub struct Endpoint {
    pub name: String,
    pub state: State,
    /// Its creation succeeded.
    pub born: bool,
    /// What serves, as far as operations have been seen to end; see [`Endpoint::serving`].
    pub split: Split,
    /// The write that is under way.
    pub next: Option<Next>,
    pub pending: Option<Pending>,
    pub identity: Value,
    kind: Value,
    /// `properties` as accepted, without what is read-only.
    properties: Map<String, Value>,
    /// `properties.properties`; entries are only ever added.
    extra: Map<String, Value>,
    pub system: SystemData,
    /// By name in lower case.
    pub deployments: BTreeMap<String, DeploymentDoc>,
    /// Earlier states as GET would have shown them, oldest first.
    history: Vec<(Timestamp, Value)>,
}

/// The two splits of a write that has been accepted.
pub struct Next {
    /// What the write asks for.
    pub accepted: Split,
    /// What will serve once it has taken effect: `accepted`, or of a failing write the old one.
    pub then: Split,
}

impl Endpoint {
    /// An endpoint that has been there before, with nothing under way.
    pub fn existing(name: &str, auth_mode: &str, split: Split, settings: &Settings, now: Timestamp) -> Self {
        let mut endpoint = Self::new(name, now, "world");
        endpoint.identity = json!({"type": "SystemAssigned"});
        endpoint.properties = Map::from_iter([("authMode".into(), json!(auth_mode))]);
        endpoint.extra.insert("azureml.onlineendpointid".into(), json!(endpoint_id(settings, name).to_lowercase()));
        (endpoint.state, endpoint.born, endpoint.split) = (State::Succeeded, true, split);
        endpoint
    }

    /// An endpoint whose creation begins.
    pub fn new(name: &str, now: Timestamp, by: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Creating,
            born: false,
            split: Split::default(),
            next: None,
            pending: None,
            identity: Value::Null,
            kind: json!("Managed"),
            properties: Map::new(),
            extra: Map::new(),
            system: SystemData::new(now, by),
            deployments: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// What requests are routed by at `now`: an accepted write counts from the moment it takes effect.
    pub fn serving(&self, now: Timestamp) -> &Split {
        match (&self.pending, &self.next) {
            (Some(pending), Some(next)) if now >= pending.due => &next.then,
            _ => &self.split,
        }
    }

    pub fn auth_mode(&self) -> Option<&str> {
        self.properties.get("authMode")?.as_str()
    }

    /// Whether `deployment` has, or is about to get, live or mirrored traffic.
    pub fn gives_traffic_to(&self, deployment: &str) -> bool {
        let next = self.next.iter().map(|n| &n.accepted);
        std::iter::once(&self.split).chain(next).any(|split| split.weight(deployment) > 0)
    }

    /// Changes the split at once; nothing may be under way.
    pub fn change(
        &mut self,
        settings: &Settings,
        knobs: &Knobs,
        (now, by): (Timestamp, &str),
        how: impl FnOnce(&mut Split),
    ) {
        self.remember(settings, knobs, now);
        how(&mut self.split);
        self.system.touch(now, by);
        self.remember(settings, knobs, now);
    }

    /// Takes over what takes effect with the acceptance of a PUT: everything but split and tags.
    pub fn accept(&mut self, call: &Call<'_>, properties: Map<String, Value>, operation: &str) {
        self.identity = call.body["identity"].clone();
        if let Some(kind) = call.body.get("kind").filter(|k| k.is_string()) {
            self.kind = kind.clone();
        }
        self.properties = properties;
        if let Some(extra) = call.body.pointer("/properties/properties").and_then(Value::as_object) {
            self.extra.extend(extra.clone());
        }
        let id = endpoint_id(call.settings, &self.name).to_lowercase();
        self.extra.insert("azureml.onlineendpointid".into(), json!(id));
        self.extra.insert("AzureAsyncOperationUri".into(), json!(operations::status_url(call, operation)));
        self.system.touch(call.now, &call.caller.appid);
    }

    /// Its operation has been seen to end.
    pub fn finish(&mut self, end: End) {
        if let Some(next) = self.next.take() {
            self.split = next.then;
        }
        self.born |= end == End::Succeeded;
        self.state = State::after(end);
    }

    /// The resource as `split` would have it shown.
    pub fn render(&self, settings: &Settings, split: &Split) -> Value {
        let host = format!("https://{}.{}.inference.ml.azure.com", self.name, settings.location);
        let mut properties = self.properties.clone();
        for absent in ["compute", "description", "keys"] {
            properties.entry(absent).or_insert(Value::Null);
        }
        properties.entry("publicNetworkAccess").or_insert(json!("Enabled"));
        properties.insert("properties".into(), json!(self.extra));
        properties.insert("provisioningState".into(), json!(self.state.as_str()));
        properties.insert("scoringUri".into(), json!(format!("{host}/score")));
        properties.insert("swaggerUri".into(), json!(format!("{host}/swagger.json")));
        properties.insert("traffic".into(), json!(split.traffic));
        properties.insert("mirrorTraffic".into(), json!(split.mirror));
        json!({
            "id": endpoint_id(settings, &self.name),
            "name": self.name,
            "type": "Microsoft.MachineLearningServices/workspaces/onlineEndpoints",
            "location": settings.location,
            "kind": self.kind,
            "tags": split.tags,
            "identity": shown_identity(&self.identity, settings),
            "sku": null,
            "systemData": self.system.render(),
            "properties": properties,
        })
    }

    /// As GET shows it.
    pub fn shown(&self, settings: &Settings, knobs: &Knobs) -> Value {
        let split = match &self.next {
            Some(next) if knobs.show_accepted => &next.accepted,
            _ => &self.split,
        };
        self.render(settings, split)
    }

    /// As GET showed it at a moment, or as early as is remembered.
    pub fn shown_at(&self, moment: Timestamp) -> Option<&Value> {
        let known = self.history.iter().rev().find(|(at, _)| *at <= moment);
        known.or(self.history.first()).map(|(_, shown)| shown)
    }

    /// Keeps what GET shows from `now` on, for reads that lag.
    pub fn remember(&mut self, settings: &Settings, knobs: &Knobs, now: Timestamp) {
        const KEPT: usize = 64;
        let shown = self.shown(settings, knobs);
        if self.history.last().is_none_or(|(_, last)| *last != shown) {
            self.history.push((now, shown));
        }
        if self.history.len() > KEPT {
            self.history.remove(0);
        }
    }
}

/// A system-assigned identity has its ids filled in by the service.
fn shown_identity(identity: &Value, settings: &Settings) -> Value {
    let mut shown = identity.clone();
    if let Some(map) = shown.as_object_mut() {
        map.insert("tenantId".into(), json!(settings.tenant));
        map.insert("principalId".into(), json!("0b6f3c1e-52d7-4a1b-9a55-3e1f7c8d9a20"));
    }
    shown
}
