//! The control API: what a test or a person sees of the simulator, and how they change it. JSON both ways; what cannot
//! be done is a 400 that says what can.

mod reply;
mod world;

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{Method, StatusCode, Uri},
    routing::{get, post, put},
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{clock, cloud::Sim, faults::Rule, model::Knowledge, mutex::lock, scenario::Scenario};
use reply::{Json, Refusal, Reply, bad, done, fitting, parsed};
use world::{
    ADVANCE, DENIED, DEPLOYMENT, ENDPOINT, INSIGHTS, KNOBS, MISISSUE, ROLE, TIMES, advance, delete_deployment,
    delete_endpoint, denied, insights, knobs, misissue, role, times, write_deployment, write_endpoint,
};

const FAULT: &str = r#"a rule or a list: {"name": "x", "match": {"why": "Raise"}, "do": {"lose": "reply"}}"#;
const BODIES: &str = r#"whether the log keeps what was sent to management and flow: {"keep": true}"#;
const SECRET: &str =
    r#"{"place": "pager.example.com/hooks", "secret": "whsec_…"}; without a secret: accept everything"#;
const KNOWLEDGE: &str =
    r#"what the model knows, a line each: {"question": "…", "class": "edge", "expected_citations": []}"#;

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

#[cfg(test)]
mod tests;
