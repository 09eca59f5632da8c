//! The control API: what a test or a person sees of the simulator, and how they change it. JSON both ways; what cannot
//! be done is a 400 that says what can.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use jiff::SignedDuration;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    arm, clock,
    cloud::Sim,
    entra::{self, Misissue},
    faults::Rule,
    model::Knowledge,
    mutex::lock,
    scenario::Scenario,
    world::DeploymentFacts,
};

const FAULT: &str = r#"a rule or a list: {"name": "x", "match": {"why": "Raise"}, "do": {"lose": "reply"}}"#;
const ADVANCE: &str = r#"{"advance": "90s"}"#;
const MISISSUE: &str = r#"{"resource": "https://storage.azure.com", "forged": true}; with the resource only: mend"#;
const DENIED: &str =
    r#"APIs in which callers have no role: {"resources": ["https://storage.azure.com"]}; []: they have it again"#;
const ROLE: &str = r#"what callers may do: {"actions": ["*"], "notActions": ["*/onlineEndpoints/write"]}"#;
const BODIES: &str = r#"whether the log keeps what was sent to management and flow: {"keep": true}"#;
const SECRET: &str =
    r#"{"place": "pager.example.com/hooks", "secret": "whsec_…"}; without a secret: accept everything"#;
const INSIGHTS: &str =
    r#"how queries answer: {"numbersAsText": true, "dynamicAsJson": true, "emptyIsNoContent": true}"#;
const KNOBS: &str = r#"some of the knobs: {"busyStatus": 400}"#;
const TIMES: &str = r#"some of {"endpointOperation": "1s", "deploymentOperation": "2s", "ingestionDelay": "120s"}"#;
const KNOWLEDGE: &str =
    r#"what the model knows, a line each: {"question": "…", "class": "edge", "expected_citations": []}"#;
const ENDPOINT: &str = r#"somebody writes: {"traffic": {"d-1": 100}, "tags": {}}; what is absent stays"#;
const DEPLOYMENT: &str = r#"somebody deploys: {} or as in a world file: {"instanceCount": 2}"#;

/// What there is, for people and for the 404.
const ROUTES: [(&str, &str); 23] = [
    ("GET /", "this page"),
    ("GET /state", "endpoints, splits, tags, deployments, operations, runs, traffic, telemetry, models, counts"),
    ("GET /requests?since=N", "requests to Azure's host names after number N"),
    ("POST /requests/bodies", BODIES),
    ("GET /webhook", "what the receiver of pages was sent"),
    ("POST /webhook/secret", SECRET),
    ("GET /faults", "rules and the requests that they struck"),
    ("POST /faults", FAULT),
    ("POST /faults/{name}/release", "let the requests go that the rule holds"),
    ("DELETE /faults", "forget all rules and let go what they hold"),
    ("POST /scenario", "a scenario, YAML or JSON"),
    ("PUT /model/knowledge", KNOWLEDGE),
    ("POST /clock", ADVANCE),
    ("POST /entra/misissue", MISISSUE),
    ("POST /entra/denied", DENIED),
    ("POST /world/role", ROLE),
    ("POST /world/knobs", KNOBS),
    ("POST /world/insights", INSIGHTS),
    ("POST /world/times", TIMES),
    ("PUT /hand/endpoints/{name}", ENDPOINT),
    ("DELETE /hand/endpoints/{name}", "somebody deletes the endpoint"),
    ("PUT /hand/endpoints/{name}/deployments/{deployment}", DEPLOYMENT),
    ("DELETE /hand/endpoints/{name}/deployments/{deployment}", "somebody deletes the deployment"),
];

/// Its routes.
pub fn router(sim: Arc<Sim>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/state", get(state))
        .route("/requests", get(requests))
        .route("/requests/bodies", post(bodies))
        .route("/webhook", get(webhook))
        .route("/webhook/secret", post(webhook_secret))
        .route("/faults", get(faults).post(add_faults).delete(clear_faults))
        .route("/faults/{name}/release", post(release))
        .route("/scenario", post(scenario))
        .route("/model/knowledge", put(knowledge))
        .route("/clock", post(advance))
        .route("/entra/misissue", post(misissue))
        .route("/entra/denied", post(denied))
        .route("/world/role", post(role))
        .route("/world/knobs", post(knobs))
        .route("/world/insights", post(insights))
        .route("/world/times", post(times))
        .route("/hand/endpoints/{name}", put(write_endpoint).delete(delete_endpoint))
        .route("/hand/endpoints/{name}/deployments/{deployment}", put(write_deployment).delete(delete_deployment))
        .fallback(unknown)
        .method_not_allowed_fallback(unknown)
        .with_state(sim)
}

/// A request that cannot be done: status, and why.
struct Refusal(StatusCode, String);

type Reply = Result<Json, Refusal>;

/// Pretty, since people read it too.
struct Json(Value);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        ([("content-type", "application/json; charset=utf-8")], format!("{:#}\n", self.0)).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

fn bad(why: impl Into<String>) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, why.into())
}

fn parsed<T: DeserializeOwned>(body: &[u8], example: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| bad(format!("{e}; expected, for example: {example}")))
}

fn fitting<T: DeserializeOwned>(value: Value, example: &str) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|e| bad(format!("{e}; expected, for example: {example}")))
}

fn done() -> Reply {
    Ok(Json(json!({"done": true})))
}

async fn unknown(method: Method, uri: Uri) -> Refusal {
    let known: Vec<&str> = ROUTES.iter().map(|(route, _)| *route).collect();
    Refusal(StatusCode::NOT_FOUND, format!("there is no {method} {}; there are: {}", uri.path(), known.join(", ")))
}

async fn page(State(sim): State<Arc<Sim>>) -> Json {
    let mut all = describe(&sim);
    all["see"] = ROUTES.iter().map(|(route, what)| ((*route).to_owned(), json!(what))).collect();
    Json(all)
}

async fn state(State(sim): State<Arc<Sim>>) -> Json {
    Json(describe(&sim))
}

fn describe(sim: &Sim) -> Value {
    let mut all = lock(&sim.arm).describe();
    all["runs"] = lock(&sim.flow).describe();
    let requests = lock(&sim.requests);
    all["requests"] = json!({"last": requests.last(), "counts": requests.counts(), "refused": requests.refused()});
    let span = |dial: &clock::Dial| SignedDuration::try_from(dial.get()).unwrap_or(SignedDuration::MAX);
    let s = &sim.settings;
    all["traffic"] = lock(&sim.traffic).describe();
    all["model"] = lock(&sim.model).describe();
    all["insights"] = lock(&sim.insights).describe(sim.clock.now());
    all["times"] = json!({"now": sim.clock.now(), "endpointOperation": span(&s.operation_time),
        "deploymentOperation": span(&s.deployment_time), "ingestionDelay": span(&s.ingestion_delay)});
    all
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn requests(
    State(sim): State<Arc<Sim>>,
    query: Result<Query<Since>, axum::extract::rejection::QueryRejection>,
) -> Reply {
    let Query(Since { since }) = query.map_err(|e| bad(format!("{e}; expected: ?since=NUMBER")))?;
    let requests = lock(&sim.requests);
    let entries: Vec<_> = requests.since(since).collect();
    Ok(Json(json!({"last": requests.last(), "requests": entries})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bodies {
    keep: bool,
}

async fn bodies(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let Bodies { keep } = parsed(&body, BODIES)?;
    lock(&sim.requests).keep_bodies(keep);
    done()
}

async fn webhook(State(sim): State<Arc<Sim>>) -> Json {
    Json(lock(&sim.webhook).describe())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookSecret {
    /// A host, or a host and the beginning of a path.
    place: String,
    secret: Option<String>,
}

async fn webhook_secret(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let WebhookSecret { place, secret } = parsed(&body, SECRET)?;
    let mut inbox = lock(&sim.webhook);
    match secret {
        Some(secret) => inbox.set_secret(&place, &secret).map_err(bad)?,
        None => inbox.forget_secret(&place),
    }
    done()
}

async fn faults(State(sim): State<Arc<Sim>>) -> Json {
    Json(lock(&sim.faults).describe())
}

async fn add_faults(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let rules: Vec<Rule> = match parsed(&body, FAULT)? {
        list @ Value::Array(_) => fitting(list, FAULT)?,
        one => vec![fitting(one, FAULT)?],
    };
    let names = lock(&sim.faults).add_all(rules).map_err(bad)?;
    Ok(Json(json!({"names": names})))
}

async fn clear_faults(State(sim): State<Arc<Sim>>) -> Reply {
    lock(&sim.faults).clear();
    done()
}

async fn release(State(sim): State<Arc<Sim>>, Path(name): Path<String>) -> Reply {
    let mut faults = lock(&sim.faults);
    if faults.release(&name) {
        return done();
    }
    Err(Refusal(StatusCode::NOT_FOUND, format!("no rule is named {name:?}; see GET /faults")))
}

async fn scenario(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let text = std::str::from_utf8(&body).map_err(|e| bad(e.to_string()))?;
    let scenario = Scenario::parse(text).map_err(|e| bad(e.to_string()))?;
    *lock(&sim.scenario) = scenario;
    done()
}

async fn knowledge(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let text = str::from_utf8(&body).map_err(|e| bad(format!("{e}; expected: {KNOWLEDGE}")))?;
    let new = Knowledge::parse(text).map_err(|e| bad(format!("{e:#}")))?;
    let questions = new.len();
    lock(&sim.model).knowledge = new;
    Ok(Json(json!({"questions": questions})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: SignedDuration,
}

async fn advance(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let Advance { advance } = parsed(&body, ADVANCE)?;
    sim.clock.advance(span("advance", advance)?);
    Ok(Json(json!({"now": sim.clock.now()})))
}

fn span(field: &str, span: SignedDuration) -> Result<Duration, Refusal> {
    Duration::try_from(span).map_err(|_| bad(format!("{field} must not be negative, as {span:#} is")))
}

async fn misissue(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let mut how: BTreeMap<String, Value> = parsed(&body, MISISSUE)?;
    let resource = how.remove("resource").unwrap_or_default();
    let resource = resource.as_str().ok_or_else(|| bad(format!("resource is missing; expected: {MISISSUE}")))?;
    let how: Misissue = fitting(json!(how), MISISSUE)?;
    check_resource(resource)?;
    sim.entra.set_misissue(resource, Some(how));
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denied {
    resources: BTreeSet<String>,
}

async fn denied(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let Denied { resources } = parsed(&body, DENIED)?;
    resources.iter().try_for_each(|resource| check_resource(resource))?;
    sim.entra.set_denied(resources);
    done()
}

fn check_resource(resource: &str) -> Result<(), Refusal> {
    if entra::is_resource(resource) {
        return Ok(());
    }
    let known = entra::RESOURCES.join(", ");
    Err(bad(format!("no tokens are issued for {resource:?}; resource must be one of: {known}")))
}

async fn role(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    lock(&sim.arm).role = parsed(&body, ROLE)?;
    done()
}

/// What is not given stays.
async fn knobs(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let changes: BTreeMap<String, Value> = parsed(&body, KNOBS)?;
    let mut arm = lock(&sim.arm);
    let mut all = json!(arm.knobs);
    for (name, value) in changes {
        all[name] = value;
    }
    arm.knobs = fitting(all, KNOBS)?;
    Ok(Json(json!(arm.knobs)))
}

async fn insights(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    lock(&sim.insights).knobs = parsed(&body, INSIGHTS)?;
    done()
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct NewTimes {
    endpoint_operation: Option<SignedDuration>,
    deployment_operation: Option<SignedDuration>,
    ingestion_delay: Option<SignedDuration>,
}

async fn times(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let new: NewTimes = parsed(&body, TIMES)?;
    let s = &sim.settings;
    let dials = [
        ("endpointOperation", new.endpoint_operation, &s.operation_time),
        ("deploymentOperation", new.deployment_operation, &s.deployment_time),
        ("ingestionDelay", new.ingestion_delay, &s.ingestion_delay),
    ];
    let given = dials.into_iter().filter_map(|(field, given, dial)| Some((dial, span(field, given?))));
    let changes = given.map(|(dial, span)| Ok((dial, span?))).collect::<Result<Vec<_>, Refusal>>()?;
    for (dial, span) in changes {
        dial.set(span);
    }
    done()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointWrite {
    traffic: Option<BTreeMap<String, u8>>,
    tags: Option<BTreeMap<String, String>>,
}

async fn write_endpoint(State(sim): State<Arc<Sim>>, Path(name): Path<String>, body: Bytes) -> Reply {
    let EndpointWrite { traffic, tags } = parsed(&body, ENDPOINT)?;
    by_hand(&sim, |arm| arm.hand_on_endpoint(&sim.settings, &name, traffic, tags))
}

async fn delete_endpoint(State(sim): State<Arc<Sim>>, Path(name): Path<String>) -> Reply {
    by_hand(&sim, |arm| arm.hand_deletes_endpoint(&name))
}

async fn write_deployment(State(sim): State<Arc<Sim>>, Path((of, name)): Path<(String, String)>, body: Bytes) -> Reply {
    let mut facts: BTreeMap<String, Value> = parsed(&body, DEPLOYMENT)?;
    facts.insert("name".into(), json!(name));
    let facts: DeploymentFacts = fitting(json!(facts), DEPLOYMENT)?;
    by_hand(&sim, |arm| arm.hand_on_deployment(&sim.settings, &of, &facts))
}

async fn delete_deployment(State(sim): State<Arc<Sim>>, Path((of, name)): Path<(String, String)>) -> Reply {
    by_hand(&sim, |arm| arm.hand_deletes_deployment(&sim.settings, &of, &name))
}

fn by_hand(sim: &Sim, act: impl FnOnce(&mut arm::Arm) -> Result<(), String>) -> Reply {
    act(&mut lock(&sim.arm)).map_err(bad)?;
    done()
}

#[cfg(test)]
mod tests;
