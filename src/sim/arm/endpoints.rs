//! Online endpoints: what serves, what has been accepted, and the writes that Azure refuses.

use std::{cmp::Ordering, collections::BTreeMap};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Arm, Call, Knobs, State, SystemData,
    deployments::DeploymentDoc,
    errors,
    operations::{self, End, Pending},
    traffic::{self, Split},
};
use crate::sim::{http::Response, settings::Settings};

/// Endpoints of a subscription and region.
const MOST: usize = 100;
/// Read-only parts of `properties`, and the two that a split is made of.
const NOT_STORED: [&str; 6] =
    ["provisioningState", "scoringUri", "swaggerUri", "traffic", "mirrorTraffic", "properties"];

/// An online endpoint.
pub struct Endpoint {
    pub name: String,
    pub state: State,
    /// Its creation succeeded.
    pub born: bool,
    /// What serves, as far as operations have been seen to end; see [`Endpoint::serving`].
    split: Split,
    /// The write that is under way.
    next: Option<Next>,
    pending: Option<Pending>,
    identity: Value,
    kind: Value,
    /// `properties` as accepted, without what is read-only.
    properties: Map<String, Value>,
    /// `properties.properties`; entries are only ever added.
    extra: Map<String, Value>,
    system: SystemData,
    /// By name in lower case.
    pub deployments: BTreeMap<String, DeploymentDoc>,
    /// Earlier states as GET would have shown them, oldest first.
    history: Vec<(Timestamp, Value)>,
}

/// The two splits of a write that has been accepted.
struct Next {
    /// What the write asks for.
    accepted: Split,
    /// What will serve once it has taken effect: `accepted`, or of a failing write the old one.
    then: Split,
}

impl Endpoint {
    /// An endpoint that has been there before, with nothing under way.
    pub fn existing(name: &str, auth_mode: &str, split: Split, settings: &Settings, now: Timestamp) -> Self {
        let mut endpoint = Self::new(name, now, "world");
        endpoint.identity = json!({"type": "SystemAssigned"});
        endpoint.properties = Map::from_iter([("authMode".into(), json!(auth_mode))]);
        endpoint
            .extra
            .insert("azureml.onlineendpointid".into(), json!(super::endpoint_id(settings, name).to_lowercase()));
        (endpoint.state, endpoint.born, endpoint.split) = (State::Succeeded, true, split);
        endpoint
    }

    fn new(name: &str, now: Timestamp, by: &str) -> Self {
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
    pub(super) fn change(
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

    fn finish(&mut self, end: End) {
        if let Some(next) = self.next.take() {
            self.split = next.then;
        }
        self.born |= end == End::Succeeded;
        self.state = State::after(end);
    }

    /// The resource as `split` would have it shown.
    fn render(&self, settings: &Settings, split: &Split) -> Value {
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
            "id": super::endpoint_id(settings, &self.name),
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

    fn shown(&self, settings: &Settings, knobs: &Knobs) -> Value {
        let split = match &self.next {
            Some(next) if knobs.show_accepted => &next.accepted,
            _ => &self.split,
        };
        self.render(settings, split)
    }

    /// Keeps what GET shows from `now` on, for reads that lag.
    fn remember(&mut self, settings: &Settings, knobs: &Knobs, now: Timestamp) {
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

impl Arm {
    pub(super) fn look_at_endpoint(&mut self, call: &Call<'_>, name: &str) -> Option<&mut Endpoint> {
        self.see_endpoint(call.settings, call.now, name)
    }

    /// One look at an endpoint, which may be what makes its operation end.
    pub(super) fn see_endpoint(&mut self, settings: &Settings, now: Timestamp, name: &str) -> Option<&mut Endpoint> {
        let key = name.to_ascii_lowercase();
        let endpoint = self.endpoints.get_mut(&key)?;
        endpoint.remember(settings, &self.knobs, now);
        match self.operations.look_at(&mut endpoint.pending, now, &self.knobs) {
            Some(End::Gone) => {
                self.endpoints.remove(&key);
                return None;
            }
            Some(end) => endpoint.finish(end),
            None => {}
        }
        endpoint.remember(settings, &self.knobs, now);
        self.endpoints.get_mut(&key)
    }

    pub(super) fn get_endpoint(&mut self, call: &Call<'_>, name: &str) -> Result<Response, Response> {
        let knobs = self.knobs.clone();
        let endpoint = self.look_at_endpoint(call, name).ok_or_else(|| errors::not_found(call))?;
        if knobs.read_lag_ms > 0 {
            let seen = call.now - jiff::SignedDuration::from_millis(i64::try_from(knobs.read_lag_ms).unwrap_or(0));
            let old = endpoint.history.iter().rev().find(|(at, _)| at.cmp(&seen) != Ordering::Greater);
            if let Some((_, old)) = old.or(endpoint.history.first()) {
                return Ok(Response::json(200, old));
            }
        }
        Ok(Response::json(200, &endpoint.shown(call.settings, &knobs)))
    }

    pub(super) fn list_endpoints(&mut self, call: &Call<'_>) -> Response {
        let names: Vec<String> = self.endpoints.keys().cloned().collect();
        let knobs = self.knobs.clone();
        let shown: Vec<Value> = names
            .iter()
            .filter_map(|name| Some(self.look_at_endpoint(call, name)?.shown(call.settings, &knobs)))
            .collect();
        Response::json(200, &json!({"value": shown}))
    }

    pub(super) fn put_endpoint(&mut self, call: &Call<'_>, name: &str) -> Result<Response, Response> {
        super::check_name(call, "endpoint", name)?;
        super::check_location(call)?;
        check_identity(call, &self.knobs)?;
        let exists = self.look_at_endpoint(call, name).is_some();
        if exists {
            self.check_writable(call, name)?;
        } else if self.endpoints.len() >= MOST {
            let text = format!("The region has {MOST} endpoints already. Delete one, or ask for more quota.");
            return Err(errors::front_end(call, 400, "OutOfQuota", &text, &[]));
        }
        let key = name.to_ascii_lowercase();
        let fresh = Endpoint::new(name, call.now, &call.caller.appid);
        let old = self.endpoints.get(&key).unwrap_or(&fresh);
        let accepted = traffic::requested(call, old, &self.knobs)?;
        let properties = requested_properties(call, old)?;
        let fault = call.effect.operation.clone().unwrap_or_default();
        let pending = self.operations.start(call, &self.knobs, "oeidp", call.settings.operation_time.get(), None);
        let endpoint = self.endpoints.entry(key).or_insert(fresh);
        let mut then = endpoint.split.clone();
        if pending.end == End::Succeeded {
            then = accepted.clone();
        } else if fault.apply_tags.unwrap_or(self.knobs.failed_applies_tags) {
            then.tags = accepted.tags.clone();
        }
        endpoint.accept(call, properties, &pending.operation);
        endpoint.state = if exists { State::Updating } else { State::Creating };
        let shown = endpoint.render(call.settings, &accepted);
        endpoint.next = Some(Next { accepted, then });
        let operation = pending.operation.clone();
        endpoint.pending = Some(pending);
        endpoint.remember(call.settings, &self.knobs, call.now);
        Ok(operations::created(call, &operation, &shown))
    }

    /// PATCH of an endpoint knows tags and identity; anything else in the body is ignored.
    pub(super) fn patch_endpoint(&mut self, call: &Call<'_>, name: &str) -> Result<Response, Response> {
        self.look_at_endpoint(call, name).ok_or_else(|| errors::not_found(call))?;
        self.check_writable(call, name)?;
        let pending = self.operations.start(call, &self.knobs, "oeidp", call.settings.operation_time.get(), None);
        let replaces = self.knobs.patch_replaces_tags;
        let Some(endpoint) = self.endpoints.get_mut(&name.to_ascii_lowercase()) else {
            return Err(errors::not_found(call));
        };
        let mut accepted = endpoint.split.clone();
        accepted.patch_tags(traffic::tags(&call.body), replaces);
        if let Some(identity) = call.body.get("identity").filter(|i| i.is_object()) {
            endpoint.identity = identity.clone();
        }
        let then = if pending.end == End::Succeeded { accepted.clone() } else { endpoint.split.clone() };
        endpoint.state = State::Updating;
        endpoint.next = Some(Next { accepted, then });
        endpoint.system.touch(call.now, &call.caller.appid);
        let operation = pending.operation.clone();
        endpoint.pending = Some(pending);
        endpoint.remember(call.settings, &self.knobs, call.now);
        Ok(operations::accepted(call, &self.knobs, &operation))
    }

    pub(super) fn delete_endpoint(&mut self, call: &Call<'_>, name: &str) -> Result<Response, Response> {
        let Some(endpoint) = self.look_at_endpoint(call, name) else { return Ok(Response::empty(204)) };
        if endpoint.pending.is_some() {
            return Err(self.busy(call, name));
        }
        let mut pending = self.operations.start(call, &self.knobs, "oeidp", call.settings.operation_time.get(), None);
        if pending.end == End::Succeeded {
            pending.end = End::Gone;
        }
        let operation = pending.operation.clone();
        if let Some(endpoint) = self.endpoints.get_mut(&name.to_ascii_lowercase()) {
            endpoint.state = State::Deleting;
            endpoint.next = Some(Next { accepted: Split::default(), then: Split::default() });
            endpoint.pending = Some(pending);
        }
        Ok(operations::accepted(call, &self.knobs, &operation))
    }

    /// Refuses what Azure refuses because of the endpoint's state. The caller has looked at it already.
    fn check_writable(&self, call: &Call<'_>, name: &str) -> Result<(), Response> {
        let Some(endpoint) = self.endpoints.get(&name.to_ascii_lowercase()) else { return Ok(()) };
        let deployment_moves = endpoint.deployments.values().any(|d| !d.state.is_terminal());
        if !endpoint.state.is_terminal() || (self.knobs.deployment_blocks_endpoint && deployment_moves) {
            return Err(self.busy(call, name));
        }
        if !endpoint.born {
            let text =
                format!("Specified endpoint [{name}] has not been created successfully. Please recreate the endpoint.");
            return Err(errors::invalid(call, "", text));
        }
        if endpoint.state != State::Succeeded && !self.knobs.put_in_failed {
            let text = format!("Endpoint {name} is in {} provisioning state.", endpoint.state.as_str());
            return Err(errors::invalid(call, "", text));
        }
        Ok(())
    }

    pub(super) fn busy(&self, call: &Call<'_>, name: &str) -> Response {
        let state = self.endpoints.get(&name.to_ascii_lowercase()).map_or(State::Updating, |e| e.state);
        let state = if state.is_terminal() { State::Updating } else { state };
        let text = format!("Cannot update endpoint {name} because it is in {} provisioning state.", state.as_str());
        errors::busy(call, self.knobs.busy_status, &text)
    }
}

impl Endpoint {
    /// Takes over what takes effect with the acceptance of a PUT: everything but split and tags.
    fn accept(&mut self, call: &Call<'_>, properties: Map<String, Value>, operation: &str) {
        self.identity = call.body["identity"].clone();
        if let Some(kind) = call.body.get("kind").filter(|k| k.is_string()) {
            self.kind = kind.clone();
        }
        self.properties = properties;
        if let Some(extra) = call.body.pointer("/properties/properties").and_then(Value::as_object) {
            self.extra.extend(extra.clone());
        }
        let id = super::endpoint_id(call.settings, &self.name).to_lowercase();
        self.extra.insert("azureml.onlineendpointid".into(), json!(id));
        self.extra.insert("AzureAsyncOperationUri".into(), json!(operations::status_url(call, operation)));
        self.system.touch(call.now, &call.caller.appid);
    }
}

fn check_identity(call: &Call<'_>, knobs: &Knobs) -> Result<(), Response> {
    let Some(identity) = call.body.get("identity").and_then(Value::as_object) else {
        if knobs.require_identity {
            return Err(errors::invalid(call, "Identity", "The Identity field is required."));
        }
        return Ok(());
    };
    let filled = |value: &Value| !value.is_null() && value != "";
    let of_users = identity.get("userAssignedIdentities").and_then(Value::as_object);
    let values = ["principalId", "tenantId"].iter().any(|key| identity.get(*key).is_some_and(filled))
        || of_users.is_some_and(|ids| ids.values().any(|v| v.as_object().is_some_and(|m| !m.is_empty())));
    if knobs.refuse_identity_values && values {
        return Err(errors::invalid(
            call,
            "Identity",
            "principalId, clientId and tenantId of an identity are read-only.",
        ));
    }
    Ok(())
}

/// The `properties` to store.
fn requested_properties(call: &Call<'_>, old: &Endpoint) -> Result<Map<String, Value>, Response> {
    let Some(properties) = call.body.get("properties").and_then(Value::as_object) else {
        return Err(errors::invalid(call, "Properties", "The Properties field is required."));
    };
    let mode = properties.get("authMode").and_then(Value::as_str).unwrap_or_default();
    if !["Key", "AMLToken", "AADToken"].iter().any(|known| known.eq_ignore_ascii_case(mode)) {
        let text = format!("authMode must be Key, AMLToken or AADToken, not {mode:?}.");
        return Err(errors::invalid(call, "Properties.AuthMode", text));
    }
    let before = old.properties.get("authMode").and_then(Value::as_str);
    if before.is_some_and(|before| !before.eq_ignore_ascii_case(mode)) {
        return Err(errors::invalid(call, "Properties.AuthMode", "The authMode of an endpoint cannot be changed."));
    }
    let kept = properties.iter().filter(|(key, _)| !NOT_STORED.contains(&key.as_str()));
    Ok(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}
