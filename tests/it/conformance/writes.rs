//! What the operator writes in a release against what Microsoft's clients write for the same acts, field by field.

use std::collections::BTreeSet;

use promptrelease::sim::{self, requests::Entry};
use serde_json::{Value, json};

use super::{
    clients,
    differences::{self, Found},
    shape::{Shape, Shapes},
};
use crate::stories::team::Team;

/// The shapes of what was written, by act. An act is the first write to a path that is one; a later write to it says back
/// what was read.
pub fn shapes<'a>(entries: impl Iterator<Item = &'a Entry>) -> Shapes {
    let mut shapes = Shapes::new();
    let mut seen = BTreeSet::new();
    for entry in entries.filter(|entry| entry.status.is_some_and(|status| status < 300)) {
        let Some(body) = &entry.body else { continue };
        let Some(act) = act(entry, body) else { continue };
        if act.starts_with("submit") || seen.insert((act, entry.path.to_lowercase())) {
            shapes.entry(act.to_owned()).or_default().add(body);
        }
    }
    shapes
}

fn act(entry: &Entry, body: &Value) -> Option<&'static str> {
    let (_, rest) = entry.path.split_once("/Microsoft.MachineLearningServices/workspaces/")?;
    let rest: Vec<&str> = rest.split('/').skip(1).collect();
    match (entry.method.as_str(), rest.as_slice()) {
        ("PUT", ["onlineEndpoints", _]) => {
            let traffic = body["properties"]["traffic"].as_object()?;
            (!traffic.is_empty()).then_some("traffic")
        }
        ("PUT", ["onlineEndpoints", _, "deployments", _]) => Some("deployment"),
        ("PUT", ["models", _, "versions", _]) => Some("model"),
        ("PUT", ["environments", _, "versions", _]) => body["properties"]["image"].is_string().then_some("environment"),
        ("POST", ["BulkRuns", "submit"]) if body["variantRunId"].is_string() => Some("submit a judge"),
        ("POST", ["BulkRuns", "submit"]) => Some("submit"),
        _ => None,
    }
}

/// A first release of the sample, from the archive to all traffic.
async fn release() -> Shapes {
    let team = Team::begin("writes").await;
    sim::lock(&team.story.azure().sim().requests).keep_bodies(true);
    team.release("1427").await;
    assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()));
    assert_eq!(team.live(), json!({"d-1427": 100}));
    shapes(team.story.azure().requests(0).iter())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_writes_what_microsofts_clients_write_for_the_same_act() {
    let (operator, ml, flow) = tokio::join!(release(), clients::azure_ai_ml(), clients::promptflow_azure());
    let model: Vec<(&String, &Shape)> = ml.writes.iter().chain(&flow.writes).collect();
    let acts = ["deployment", "environment", "model", "submit", "submit a judge", "traffic"];
    assert!(operator.keys().eq(acts), "the operator did {:?}", operator.keys());
    let mut found = Found::new();
    for (act, theirs) in &model {
        let differences = operator.get(*act).map(|ours| theirs.differences(ours)).unwrap_or_default();
        found.extend(differences.into_iter().map(|(path, what)| ((*act).clone(), path, what)));
    }
    assert!(acts.iter().all(|act| model.iter().any(|(known, _)| known == act)), "the clients do not do all of it");
    differences::check_operator(&found);
}
