//! What the world is like: changed by whoever plays Azure, or somebody with rights in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{Path, State},
};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Json, Refusal, Reply, bad, done, fitting, parsed};
use crate::sim::{
    arm,
    cloud::Sim,
    entra::{self, Misissue},
    mutex::lock,
    world::DeploymentFacts,
};

pub(super) const ADVANCE: &str = r#"{"advance": "90s"}"#;
pub(super) const MISISSUE: &str =
    r#"{"resource": "https://storage.azure.com", "forged": true}; with the resource only: mend"#;
pub(super) const DENIED: &str =
    r#"APIs in which callers have no role: {"resources": ["https://storage.azure.com"]}; []: they have it again"#;
pub(super) const ROLE: &str = r#"what callers may do: {"actions": ["*"], "notActions": ["*/onlineEndpoints/write"]}"#;
pub(super) const INSIGHTS: &str =
    r#"how queries answer: {"numbersAsText": true, "dynamicAsJson": true, "emptyIsNoContent": true}"#;
pub(super) const KNOBS: &str = r#"some of the knobs: {"busyStatus": 400}"#;
pub(super) const TIMES: &str =
    r#"some of {"endpointOperation": "1s", "deploymentOperation": "2s", "ingestionDelay": "120s"}"#;
pub(super) const ENDPOINT: &str = r#"somebody writes: {"traffic": {"d-1": 100}, "tags": {}}; what is absent stays"#;
pub(super) const DEPLOYMENT: &str = r#"somebody deploys: {} or as in a world file: {"instanceCount": 2}"#;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance: SignedDuration,
}

pub(super) async fn advance(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let Advance { advance } = parsed(&body, ADVANCE)?;
    sim.clock.advance(span("advance", advance)?);
    Ok(Json(json!({"now": sim.clock.now()})))
}

fn span(field: &str, span: SignedDuration) -> Result<Duration, Refusal> {
    Duration::try_from(span).map_err(|_| bad(format!("{field} must not be negative, as {span:#} is")))
}

pub(super) async fn misissue(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
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

pub(super) async fn denied(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
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

pub(super) async fn role(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    lock(&sim.arm).role = parsed(&body, ROLE)?;
    done()
}

/// What is not given stays.
pub(super) async fn knobs(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
    let changes: BTreeMap<String, Value> = parsed(&body, KNOBS)?;
    let mut arm = lock(&sim.arm);
    let mut all = json!(arm.knobs);
    for (name, value) in changes {
        all[name] = value;
    }
    arm.knobs = fitting(all, KNOBS)?;
    Ok(Json(json!(arm.knobs)))
}

pub(super) async fn insights(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
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

pub(super) async fn times(State(sim): State<Arc<Sim>>, body: Bytes) -> Reply {
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

pub(super) async fn write_endpoint(State(sim): State<Arc<Sim>>, Path(name): Path<String>, body: Bytes) -> Reply {
    let EndpointWrite { traffic, tags } = parsed(&body, ENDPOINT)?;
    by_hand(&sim, |arm| arm.hand_on_endpoint(&sim.settings, &name, traffic, tags))
}

pub(super) async fn delete_endpoint(State(sim): State<Arc<Sim>>, Path(name): Path<String>) -> Reply {
    by_hand(&sim, |arm| arm.hand_deletes_endpoint(&name))
}

pub(super) async fn write_deployment(
    State(sim): State<Arc<Sim>>,
    Path((of, name)): Path<(String, String)>,
    body: Bytes,
) -> Reply {
    let mut facts: BTreeMap<String, Value> = parsed(&body, DEPLOYMENT)?;
    facts.insert("name".into(), json!(name));
    let facts: DeploymentFacts = fitting(json!(facts), DEPLOYMENT)?;
    by_hand(&sim, |arm| arm.hand_on_deployment(&sim.settings, &of, &facts))
}

pub(super) async fn delete_deployment(State(sim): State<Arc<Sim>>, Path((of, name)): Path<(String, String)>) -> Reply {
    by_hand(&sim, |arm| arm.hand_deletes_deployment(&sim.settings, &of, &name))
}

fn by_hand(sim: &Sim, act: impl FnOnce(&mut arm::Arm) -> Result<(), String>) -> Reply {
    act(&mut lock(&sim.arm)).map_err(bad)?;
    done()
}
