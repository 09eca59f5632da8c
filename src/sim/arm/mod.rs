//! Azure Resource Manager: the workspace, its assets, its online endpoints and their deployments.
//!
//! Shapes and rules are those of the 2024-10-01 REST specification of Microsoft.MachineLearningServices and of replies
//! that users of the service reported. What neither settles is a field of [`Knobs`].

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{
    cloud::Sim,
    entra::Flavour,
    faults::Effect,
    http::{Request, Response},
    mutex::lock,
};

mod access;
mod assets;
mod call;
mod defaults;
mod deployments;
mod endpoints;
mod errors;
mod hand;
mod ids;
mod knobs;
mod operations;
mod resource;
mod route;
mod store;
mod traffic;
mod versions;
mod workspace;

pub use access::Role;
use call::Call;
pub use endpoints::{ENDPOINT_KEYS, ENDPOINT_TOKEN};
pub use ids::is_name;
pub use knobs::{AbsentTraffic, Knobs, NewDeployment};
use route::Route;
pub use store::{Arm, Container, DeploymentDoc};

const AUDIENCE: &str = "https://management.azure.com";

impl Arm {
    fn answer(&mut self, call: &Call<'_>) -> Result<Response, Response> {
        if call.api_version.is_empty() {
            let text = "The api-version query parameter (?api-version=) is required for all requests.";
            return Err(errors::arm(400, "MissingApiVersionParameter", text));
        }
        let route = route::parse(&call.req.path, call.settings)?;
        if let Some(action) = route.action(&call.req.method)
            && (call.denied || call.effect.forbid || !self.role.allows(&action))
        {
            return Err(errors::forbidden(call, &action, &call.req.path));
        }
        if call.effect.busy {
            let name = match &route {
                Route::Endpoint(name) | Route::Deployment(name, _) => name.as_str(),
                _ => "endpoint",
            };
            return Err(self.busy(call, name));
        }
        if matches!(call.req.method.as_str(), "PUT" | "PATCH") && !call.body.is_object() {
            let text = "The request content was invalid and could not be deserialized: a JSON object is expected.";
            return Err(errors::arm(400, "InvalidRequestContent", text));
        }
        if self.knobs.hide_newer_fields {
            return self.act_by_version(call, route);
        }
        self.act(call, route)
    }

    /// With what the request's version knows only.
    fn act_by_version(&mut self, call: &Call<'_>, route: Route) -> Result<Response, Response> {
        let mut sent = call.clone();
        versions::hide(&route, &mut sent.body, &call.api_version);
        let mut response = self.act(&sent, route.clone())?;
        if let Ok(mut shown) = serde_json::from_slice::<Value>(&response.body) {
            versions::hide(&route, &mut shown, &call.api_version);
            response.body = shown.to_string().into();
        }
        Ok(response)
    }

    fn act(&mut self, call: &Call<'_>, route: Route) -> Result<Response, Response> {
        match (call.req.method.as_str(), &route) {
            ("GET", Route::Workspace) => Ok(workspace::read(call)),
            ("GET", Route::Component(name)) => workspace::component(call, name),
            ("GET", Route::Datastores) => Ok(workspace::datastores(call)),
            ("GET", Route::Datastore(name)) => workspace::datastore(call, name),
            ("POST", Route::DatastoreSecrets(name)) => workspace::datastore_secrets(call, name),
            ("GET", Route::Connections) => Ok(workspace::connections(call, &self.connections)),
            ("GET", Route::Connection(name)) => workspace::connection(call, &self.connections, name, false),
            ("POST", Route::ConnectionSecrets(name)) => workspace::connection(call, &self.connections, name, true),
            ("GET", Route::AssetNames(kind)) => Ok(self.assets.names(call, *kind)),
            ("GET", Route::AssetVersions(kind, name)) => Ok(self.assets.versions(call, *kind, name)),
            ("GET", Route::Asset(kind, name, version)) => self.assets.read(call, *kind, name, version),
            ("PUT", Route::Asset(kind, name, version)) => self.assets.write(call, *kind, name, version),
            ("DELETE", Route::Asset(kind, name, version)) => Ok(self.assets.delete(*kind, name, version)),
            ("POST", Route::PendingUpload(name, version)) => Ok(assets::pending_upload(call, name, version)),
            ("GET", Route::Endpoints) => Ok(self.list_endpoints(call)),
            ("GET", Route::Endpoint(name)) => self.get_endpoint(call, name),
            ("PUT", Route::Endpoint(name)) => self.put_endpoint(call, name),
            ("PATCH", Route::Endpoint(name)) => self.patch_endpoint(call, name),
            ("DELETE", Route::Endpoint(name)) => self.delete_endpoint(call, name),
            ("POST", Route::EndpointKeys(name) | Route::EndpointToken(name)) => {
                self.endpoint_secret(call, &route, name)
            }
            ("GET", Route::Deployments(of)) => self.list_deployments(call, of),
            ("GET", Route::Deployment(of, name)) => self.get_deployment(call, of, name),
            ("PUT", Route::Deployment(of, name)) => self.put_deployment(call, of, name),
            ("PATCH", Route::Deployment(of, name)) => self.patch_deployment(call, of, name),
            ("DELETE", Route::Deployment(of, name)) => self.delete_deployment(call, of, name),
            ("POST", Route::DeploymentLogs(of, name)) => self.deployment_logs(call, of, name),
            ("GET", Route::DeploymentSkus(of, name)) => self.deployment_skus(call, of, name),
            ("GET", Route::OperationStatus(id)) => self.operations.status(call, &self.knobs, id),
            ("GET", Route::OperationResult(id)) => self.operations.result(call, &self.knobs, id),
            (method, _) => {
                let text = format!("The requested resource does not support http method '{method}'.");
                Err(errors::arm(405, "HttpMethodNotSupported", text))
            }
        }
    }

    /// The headers that ARM adds to every reply, and its refusal of a subscription that asks too often.
    fn throttle(&mut self, req: &Request, now: Timestamp) -> (Option<Response>, (&'static str, String)) {
        let (bucket, header) = match req.method.as_str() {
            "GET" | "HEAD" => (&mut self.reads, "x-ms-ratelimit-remaining-subscription-reads"),
            "DELETE" => (&mut self.deletes, "x-ms-ratelimit-remaining-subscription-deletes"),
            _ => (&mut self.writes, "x-ms-ratelimit-remaining-subscription-writes"),
        };
        let left = bucket.take(now);
        let refusal = (left.is_none() && self.knobs.enforce_rate_limit).then(|| {
            let text =
                "Number of requests for the subscription exceeded the limit. Please try again after '1' seconds.";
            errors::arm(429, "SubscriptionRequestsThrottled", text).with("retry-after", "1")
        });
        (refusal, (header, left.unwrap_or(0).to_string()))
    }
}

/// Answers for `management.azure.com`.
pub async fn handle(sim: &Arc<Sim>, req: &Request, effect: &Effect) -> Response {
    let now = sim.clock.now();
    let mut arm = lock(&sim.arm);
    let (refusal, (header, left)) = arm.throttle(req, now);
    let response = match (refusal, sim.entra.check(req, AUDIENCE, Flavour::Arm)) {
        (Some(refusal), _) | (None, Err(refusal)) => refusal,
        (None, Ok(caller)) => {
            let body = serde_json::from_slice(&req.body).unwrap_or(Value::Null);
            let api_version = req.param("api-version").unwrap_or_default().to_owned();
            let denied = sim.entra.denies(&caller, AUDIENCE);
            let call = Call { settings: &sim.settings, now, req, body, caller, denied, effect, api_version };
            arm.answer(&call).unwrap_or_else(|refusal| refusal)
        }
    };
    let id = Uuid::new_v4().to_string();
    let correlation = req.header("x-ms-correlation-request-id").unwrap_or(&id).to_owned();
    let route = format!("{}:{}:{id}", sim.settings.location.to_uppercase(), now.strftime("%Y%m%dT%H%M%SZ"));
    response
        .with(header, left)
        .with("x-ms-request-id", id)
        .with("x-ms-correlation-request-id", correlation)
        .with("x-ms-routing-request-id", route)
        .with("strict-transport-security", "max-age=31536000; includeSubDomains")
        .with("cache-control", "no-cache")
        .with("pragma", "no-cache")
        .with("expires", "-1")
        .with("x-cache", "CONFIG_NOCACHE")
        .with("x-content-type-options", "nosniff")
        .with("x-request-time", "0.050")
}

#[cfg(test)]
mod tests;
