//! Requests about online deployments: provisioning that takes time and may fail, and the writes that Azure refuses.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

use super::{
    call::Call,
    defaults, errors,
    knobs::NewDeployment,
    operations::{self, End, Failure},
    resource::{self, State},
    route::Kind,
    store::{Arm, DeploymentDoc, Wanted},
};
use crate::sim::http::Response;

/// Deployments of one endpoint.
const MOST: usize = 20;
/// Instances of one deployment.
const MOST_INSTANCES: u64 = 50;

impl Arm {
    /// One look at a deployment, which may be what makes its operation end.
    fn look_at_deployment(&mut self, call: &Call<'_>, of: &str, name: &str) -> Option<&mut DeploymentDoc> {
        let key = name.to_ascii_lowercase();
        let endpoint = self.endpoints.get_mut(&of.to_ascii_lowercase())?;
        let deployment = endpoint.deployments.get_mut(&key)?;
        match self.operations.look_at(&mut deployment.pending, call.now, &self.knobs) {
            Some(End::Gone) => {
                endpoint.deployments.remove(&key);
                return None;
            }
            Some(end) => deployment.finish(end),
            None => {}
        }
        endpoint.deployments.get_mut(&key)
    }

    pub(super) fn get_deployment(&mut self, call: &Call<'_>, of: &str, name: &str) -> Result<Response, Response> {
        let deployment = self.look_at_deployment(call, of, name).ok_or_else(|| errors::not_found(call))?;
        Ok(Response::json(200, &deployment.render(call.settings, of)))
    }

    pub(super) fn list_deployments(&mut self, call: &Call<'_>, of: &str) -> Result<Response, Response> {
        let endpoint = self.endpoints.get(&of.to_ascii_lowercase()).ok_or_else(|| errors::not_found(call))?;
        let names: Vec<String> = endpoint.deployments.keys().cloned().collect();
        let shown: Vec<Value> = names
            .iter()
            .filter_map(|name| Some(self.look_at_deployment(call, of, name)?.render(call.settings, of)))
            .collect();
        Ok(Response::json(200, &json!({"value": shown})))
    }

    pub(super) fn put_deployment(&mut self, call: &Call<'_>, of: &str, name: &str) -> Result<Response, Response> {
        resource::check_name(call, "deployment", name)?;
        resource::check_location(call)?;
        self.check_endpoint_takes_deployments(call, of)?;
        let wanted = wanted(call, self)?;
        let exists = match self.look_at_deployment(call, of, name) {
            Some(old) if !old.state.is_terminal() => return Err(self.deployment_busy(call, of, name)),
            Some(old) if !old.born => return Err(unrecoverable(call, name)),
            Some(_) => true,
            None => false,
        };
        let count = self.endpoints.get(&of.to_ascii_lowercase()).map_or(0, |e| e.deployments.len());
        if !exists && count >= MOST {
            let text = format!("Endpoint {of} has {MOST} deployments already. Delete one before you create another.");
            return Err(errors::front_end(call, 400, "OutOfQuota", &text, &[]));
        }
        let missing = self.missing_asset(&wanted);
        let mut pending =
            self.operations.start(call, &self.knobs, "odidp", call.settings.deployment_time.get(), missing);
        let endpoint = self.endpoints.get_mut(&of.to_ascii_lowercase()).ok_or_else(|| errors::not_found(call))?;
        let fresh = DeploymentDoc::new(name, call.now, &call.caller.appid);
        let deployment = endpoint.deployments.entry(name.to_ascii_lowercase()).or_insert(fresh);
        deployment.accept(call, wanted, exists, &mut pending);
        let operation = pending.operation.clone();
        deployment.pending = Some(pending);
        let shown = deployment.render(call.settings, of);
        let takes_all = match self.knobs.new_deployment {
            NewDeployment::Dark => false,
            NewDeployment::First => endpoint.split.traffic.values().all(|weight| *weight == 0),
            NewDeployment::All => true,
        };
        if takes_all && !exists {
            let by = (call.now, call.caller.appid.as_str());
            let all = BTreeMap::from([(name.to_owned(), 100)]);
            endpoint.change(call.settings, &self.knobs, by, |split| split.traffic = all);
        }
        Ok(operations::created(call, &operation, &shown))
    }

    /// PATCH of a deployment knows tags and sku: it scales.
    pub(super) fn patch_deployment(&mut self, call: &Call<'_>, of: &str, name: &str) -> Result<Response, Response> {
        self.check_endpoint_takes_deployments(call, of)?;
        let old = self.look_at_deployment(call, of, name).ok_or_else(|| errors::not_found(call))?;
        if !old.state.is_terminal() {
            return Err(self.deployment_busy(call, of, name));
        }
        if !old.born {
            return Err(unrecoverable(call, name));
        }
        let capacity = capacity(call)?;
        let replaces = self.knobs.patch_replaces_tags;
        let pending = self.operations.start(call, &self.knobs, "odidp", call.settings.deployment_time.get(), None);
        let operation = pending.operation.clone();
        if let Some(deployment) = self.look_at_deployment(call, of, name) {
            match resource::tags(&call.body) {
                Some(tags) if replaces => deployment.tags = tags,
                Some(tags) => deployment.tags.extend(tags),
                None => {}
            }
            deployment.capacity = capacity.unwrap_or(deployment.capacity);
            deployment.state = if capacity.is_some() { State::Scaling } else { State::Updating };
            deployment.system.touch(call.now, &call.caller.appid);
            deployment.pending = Some(pending);
        }
        Ok(operations::accepted(call, &self.knobs, &operation))
    }

    pub(super) fn delete_deployment(&mut self, call: &Call<'_>, of: &str, name: &str) -> Result<Response, Response> {
        let allowed_with_traffic = self.knobs.delete_with_traffic;
        let Some(endpoint) = self.look_at_endpoint(call, of) else { return Ok(Response::empty(204)) };
        if !endpoint.state.is_terminal() {
            return Err(self.busy(call, of));
        }
        let has_traffic = endpoint.gives_traffic_to(name);
        match self.look_at_deployment(call, of, name) {
            None => return Ok(Response::empty(204)),
            Some(old) if !old.state.is_terminal() => return Err(self.deployment_busy(call, of, name)),
            Some(_) if has_traffic && !allowed_with_traffic => {
                let text = format!("Deployment {name} has traffic. Set its traffic to 0 before you delete it.");
                return Err(errors::invalid(call, "", text));
            }
            Some(_) => {}
        }
        let mut pending = self.operations.start(call, &self.knobs, "odidp", call.settings.deployment_time.get(), None);
        let operation = pending.operation.clone();
        if let Some(deployment) = self.look_at_deployment(call, of, name) {
            deployment.state = State::Deleting;
            if pending.end == End::Succeeded {
                pending.end = End::Gone;
                deployment.gone_at = Some(pending.due);
            }
            deployment.pending = Some(pending);
        }
        Ok(operations::accepted(call, &self.knobs, &operation))
    }

    /// The end of the container's log. `StorageInitializer` has a log of its own, which is short.
    pub(super) fn deployment_logs(&mut self, call: &Call<'_>, of: &str, name: &str) -> Result<Response, Response> {
        let now = call.now;
        let deployment = self.look_at_deployment(call, of, name).ok_or_else(|| errors::not_found(call))?;
        let tail = call.body.get("tail").and_then(Value::as_u64).and_then(|t| usize::try_from(t).ok()).unwrap_or(200);
        let lines = match call.body.get("containerType").and_then(Value::as_str) {
            Some("StorageInitializer") => vec![format!("Copying model files of {}", deployment.model().unwrap_or("-"))],
            _ => deployment.container_log(now),
        };
        let content = lines[lines.len().saturating_sub(tail)..].join("\n");
        Ok(Response::json(200, &json!({"content": content})))
    }

    pub(super) fn deployment_skus(&mut self, call: &Call<'_>, of: &str, name: &str) -> Result<Response, Response> {
        self.look_at_deployment(call, of, name).ok_or_else(|| errors::not_found(call))?;
        let capacity = json!({"default": 1, "minimum": 1, "maximum": MOST_INSTANCES, "scaleType": "Manual"});
        Ok(Response::json(
            200,
            &json!({"value": [{"resourceType": "Microsoft.MachineLearning.Services/endpoints/deployments",
            "sku": {"name": "Default", "tier": "Standard"}, "capacity": capacity}]}),
        ))
    }

    fn check_endpoint_takes_deployments(&mut self, call: &Call<'_>, of: &str) -> Result<(), Response> {
        let busy = self.knobs.busy_status;
        let endpoint = self.look_at_endpoint(call, of).ok_or_else(|| errors::not_found(call))?;
        if !endpoint.born && endpoint.state.is_terminal() || endpoint.state == State::Deleting {
            let text = "This endpoint has not been created successfully or is in deleting provisioning state. Please \
                        recreate endpoint and then try again to create deployment.";
            return Err(errors::invalid(call, "", text));
        }
        if !endpoint.state.is_terminal() {
            let state = endpoint.state.as_str();
            let text =
                format!("Cannot create a deployment in endpoint {of} because it is in {state} provisioning state.");
            return Err(errors::busy(call, busy, &text));
        }
        Ok(())
    }

    fn deployment_busy(&self, call: &Call<'_>, of: &str, name: &str) -> Response {
        let endpoint = self.endpoints.get(&of.to_ascii_lowercase());
        let state = endpoint
            .and_then(|e| e.deployments.get(&name.to_ascii_lowercase()))
            .map_or("Updating", |d| d.state.as_str());
        let text = format!("Cannot update deployment {name} because it is in {state} provisioning state.");
        errors::busy(call, self.knobs.busy_status, &text)
    }

    /// A model or environment that is not registered makes provisioning fail, not the PUT.
    fn missing_asset(&self, wanted: &Wanted) -> Option<Failure> {
        let named = [(Kind::Model, "model"), (Kind::Environment, "environmentId")];
        let missing = named.into_iter().find_map(|(kind, field)| {
            let id = wanted.properties.get(field)?.as_str()?;
            (!self.assets.has(kind, id)).then(|| id.to_owned())
        })?;
        let message = format!("Resource {missing} was not found. Register it before you deploy it.");
        Some(Failure { code: "ResourceNotFound".into(), message, canceled: false })
    }
}

fn unrecoverable(call: &Call<'_>, name: &str) -> Response {
    let text = format!(
        "Specified deployment [{name}] failed during initial provisioning and is in an unrecoverable state. Delete and \
         re-create."
    );
    errors::invalid(call, "", text)
}

/// What a PUT asks for.
fn wanted(call: &Call<'_>, arm: &Arm) -> Result<Wanted, Response> {
    let Some(properties) = call.body.get("properties").and_then(Value::as_object) else {
        return Err(errors::invalid(call, "Properties", "The Properties field is required."));
    };
    let compute = properties.get("endpointComputeType").and_then(Value::as_str).unwrap_or_default();
    if !["Managed", "Kubernetes", "AzureMLCompute"].contains(&compute) {
        let text = format!("endpointComputeType must be Managed, Kubernetes or AzureMLCompute, not {compute:?}.");
        return Err(errors::invalid(call, "Properties.EndpointComputeType", text));
    }
    check_timeout(call, properties, arm)?;
    let mut properties = properties.clone();
    properties.remove("provisioningState");
    if arm.knobs.fill_defaults {
        defaults::fill(&mut properties);
    }
    Ok(Wanted { properties, capacity: capacity(call)?.unwrap_or(1) })
}

fn capacity(call: &Call<'_>) -> Result<Option<u32>, Response> {
    let Some(value) = call.body.pointer("/sku/capacity").filter(|v| !v.is_null()) else { return Ok(None) };
    let number = value.as_u64().filter(|n| (1..=MOST_INSTANCES).contains(n)).and_then(|n| u32::try_from(n).ok());
    number.map(Some).ok_or_else(|| {
        let text = format!("The instance count must be a whole number from 1 to {MOST_INSTANCES}, not {value}.");
        errors::invalid(call, "Sku.Capacity", text)
    })
}

/// A request may take 180 s, or 300 s where the model says that it is a prompt flow.
fn check_timeout(call: &Call<'_>, properties: &Map<String, Value>, arm: &Arm) -> Result<(), Response> {
    let Some(text) = properties.get("requestSettings").and_then(|s| s.get("requestTimeout")).and_then(Value::as_str)
    else {
        return Ok(());
    };
    let field = "Properties.RequestSettings.RequestTimeout";
    let timeout = defaults::duration(text).ok_or_else(|| {
        errors::invalid(
            call,
            field,
            format!("requestTimeout must be an ISO 8601 duration such as PT60S, not {text:?}."),
        )
    })?;
    let model = properties.get("model").and_then(Value::as_str).unwrap_or_default();
    let limit = if arm.assets.is_prompt_flow(model) { 300 } else { 180 };
    if timeout > SignedDuration::from_secs(limit) {
        return Err(errors::invalid(call, field, format!("requestTimeout must be at most {limit} s, not {text}.")));
    }
    Ok(())
}
