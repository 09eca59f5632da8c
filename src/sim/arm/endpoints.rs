//! Requests about online endpoints, and the writes that Azure refuses.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    errors,
    knobs::Knobs,
    operations::{self, End},
    resource::{self, State},
    route::Route,
    store::{Arm, Endpoint, Next, Split},
    traffic,
};
use crate::sim::{http::Response, settings::Settings};

/// Primary and secondary key of every endpoint.
pub const ENDPOINT_KEYS: [&str; 2] = ["simulated-primary-key", "simulated-secondary-key"];
/// The workspace's token for every endpoint.
pub const ENDPOINT_TOKEN: &str = "simulated-token";

/// Endpoints of a subscription and region.
const MOST: usize = 100;
/// Read-only parts of `properties`, and the two that a split is made of.
const NOT_STORED: [&str; 6] =
    ["provisioningState", "scoringUri", "swaggerUri", "traffic", "mirrorTraffic", "properties"];

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
        self.looks += 1;
        let unsteady = if self.looks.is_multiple_of(2) { knobs.unsteady_reads_ms } else { 0 };
        let lag = knobs.read_lag_ms.max(unsteady);
        let endpoint = self.look_at_endpoint(call, name).ok_or_else(|| errors::not_found(call))?;
        if lag > 0 {
            let seen = call.now - jiff::SignedDuration::from_millis(i64::try_from(lag).unwrap_or(0));
            if let Some(old) = endpoint.shown_at(seen) {
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
        resource::check_name(call, "endpoint", name)?;
        resource::check_location(call)?;
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
        accepted.patch_tags(resource::tags(&call.body), replaces);
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

    pub(super) fn endpoint_secret(&self, call: &Call<'_>, route: &Route, name: &str) -> Result<Response, Response> {
        if !self.endpoints.contains_key(&name.to_ascii_lowercase()) {
            return Err(errors::not_found(call));
        }
        if matches!(route, Route::EndpointKeys(_)) {
            let keys = json!({"primaryKey": ENDPOINT_KEYS[0], "secondaryKey": ENDPOINT_KEYS[1]});
            return Ok(Response::json(200, &keys));
        }
        let (now, hour) = (call.now.as_second(), 3600);
        Ok(Response::json(
            200,
            &json!({"accessToken": ENDPOINT_TOKEN, "tokenType": "Bearer",
            "expiryTimeUtc": now + hour, "refreshAfterTimeUtc": now + hour / 2}),
        ))
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
    if old.auth_mode().is_some_and(|before| !before.eq_ignore_ascii_case(mode)) {
        return Err(errors::invalid(call, "Properties.AuthMode", "The authMode of an endpoint cannot be changed."));
    }
    let kept = properties.iter().filter(|(key, _)| !NOT_STORED.contains(&key.as_str()));
    Ok(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}
