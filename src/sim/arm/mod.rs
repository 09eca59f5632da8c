//! Azure Resource Manager: the workspace, its assets, its online endpoints and their deployments.
//!
//! Shapes and rules are those of the 2024-10-01 REST specification of Microsoft.MachineLearningServices and of replies
//! that users of the service reported. What neither settles is a field of [`Knobs`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{clock, cloud::Sim, entra, faults::Effect, http, mutex::lock, settings::Settings, world::World};

mod access;
mod assets;
mod defaults;
mod deployments;
mod endpoints;
mod errors;
mod hand;
mod knobs;
mod operations;
mod route;
mod traffic;
mod workspace;

pub use access::Role;
pub use deployments::DeploymentDoc;
use endpoints::Endpoint;
use http::{Request, Response};
pub use knobs::{AbsentTraffic, Knobs};
use route::Route;

const AUDIENCE: &str = "https://management.azure.com";

/// Primary and secondary key of every endpoint.
pub const ENDPOINT_KEYS: [&str; 2] = ["simulated-primary-key", "simulated-secondary-key"];
/// The workspace's token for every endpoint.
pub const ENDPOINT_TOKEN: &str = "simulated-token";

/// All resources, and the operations on them.
pub struct Arm {
    pub knobs: Knobs,
    /// What the callers may do.
    pub role: Role,
    clock: clock::Clock,
    /// By name in lower case.
    endpoints: BTreeMap<String, Endpoint>,
    operations: operations::Operations,
    assets: assets::Assets,
    connections: Vec<super::world::ConnectionFacts>,
    reads: access::Bucket,
    writes: access::Bucket,
    deletes: access::Bucket,
}

/// `provisioningState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Creating,
    Updating,
    Scaling,
    Deleting,
    Succeeded,
    Failed,
    Canceled,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Scaling => "Scaling",
            Self::Deleting => "Deleting",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }

    fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    fn after(end: operations::End) -> Self {
        match end {
            operations::End::Succeeded | operations::End::Gone => Self::Succeeded,
            operations::End::Failed => Self::Failed,
            operations::End::Canceled => Self::Canceled,
        }
    }
}

/// `systemData`: who made a resource and who changed it last.
pub struct SystemData {
    created: Timestamp,
    created_by: String,
    modified: Timestamp,
    modified_by: String,
}

impl SystemData {
    fn new(now: Timestamp, by: &str) -> Self {
        Self { created: now, created_by: by.to_owned(), modified: now, modified_by: by.to_owned() }
    }

    fn touch(&mut self, now: Timestamp, by: &str) {
        self.modified = now;
        self.modified_by = by.to_owned();
    }

    fn render(&self) -> Value {
        json!({
            "createdAt": clock::iso(self.created), "createdBy": self.created_by, "createdByType": "Application",
            "lastModifiedAt": clock::iso(self.modified), "lastModifiedBy": self.modified_by,
            "lastModifiedByType": "Application",
        })
    }
}

/// One authorized request, and the fault that strikes it.
pub struct Call<'a> {
    settings: &'a Settings,
    now: Timestamp,
    req: &'a Request,
    body: Value,
    caller: entra::Claims,
    /// The caller has no role at all.
    denied: bool,
    effect: &'a Effect,
    api_version: String,
}

impl Arm {
    pub fn new(world: &World, clock: clock::Clock) -> Self {
        let (now, settings) = (clock.now(), world.settings());
        let endpoints = world.endpoints.iter().map(|facts| {
            let split =
                traffic::Split { traffic: facts.traffic.clone(), tags: facts.tags.clone(), ..Default::default() };
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
            operations: operations::Operations::default(),
            assets: assets::Assets::default(),
            connections: world.connections.clone(),
            reads: access::Bucket::reads(),
            writes: access::Bucket::writes(),
            deletes: access::Bucket::writes(),
        }
    }

    fn serving(&self, endpoint: &str) -> Option<&traffic::Split> {
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
        self.act(call, route)
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

    fn endpoint_secret(&self, call: &Call<'_>, route: &Route, name: &str) -> Result<Response, Response> {
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
    let response = match (refusal, sim.entra.check(req, AUDIENCE, entra::Flavour::Arm)) {
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
}

/// ARM id of the workspace.
fn workspace_id(s: &Settings) -> String {
    format!(
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.MachineLearningServices/workspaces/{}",
        s.subscription, s.resource_group, s.workspace
    )
}

fn endpoint_id(settings: &Settings, name: &str) -> String {
    format!("{}/onlineEndpoints/{name}", workspace_id(settings))
}

/// Names of endpoints and deployments: 3 to 32 letters, digits and hyphens; a letter first, no hyphen last.
pub fn is_name(name: &str) -> bool {
    (3..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn check_name(call: &Call<'_>, what: &str, name: &str) -> Result<(), Response> {
    if is_name(name) {
        return Ok(());
    }
    let text = format!(
        "The {what} name {name:?} must be 3 to 32 characters long, begin with a letter, end with a letter or digit and \
         hold only letters, digits and hyphens."
    );
    Err(errors::front_end(call, 400, "BadArgument", &text, &[]))
}

/// A tracked resource needs a location, and a workspace's resources are where it is.
fn check_location(call: &Call<'_>) -> Result<(), Response> {
    let plain = |location: &str| location.replace(' ', "").to_ascii_lowercase();
    match call.body.get("location").and_then(Value::as_str) {
        None => Err(errors::arm(400, "LocationRequired", "The location property is required for this definition.")),
        Some(location) if plain(location) != plain(&call.settings.location) => {
            let text = format!("location must be {:?} as the workspace's, not {location:?}.", call.settings.location);
            Err(errors::front_end(call, 400, "BadArgument", &text, &[]))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
