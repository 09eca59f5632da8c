//! The containers of deployments: a served flow for each. A deployment is provisioned when its container is up, and fails
//! when it has crashed.

use serde_json::Map;

use super::questions::Row;
use crate::sim::{
    arm::Container,
    blob::Place,
    cloud::Sim,
    graph::FILE,
    mutex::lock,
    promptflow::{Files, Health, PromptFlow},
};

/// Name under which a deployment's flow is served.
pub(super) fn served_name(endpoint: &str, deployment: &str) -> String {
    format!("{endpoint}.{deployment}").to_ascii_lowercase()
}

/// Starts containers of new deployments, ends those of deleted ones, and tells the control plane how they are.
pub(super) async fn tend(sim: &Sim) {
    let Some(promptflow) = sim.promptflow.get() else { return };
    let wanted = lock(&sim.arm).all_deployments();
    let names: Vec<String> = wanted.iter().map(|(endpoint, name)| served_name(endpoint, name)).collect();
    promptflow.keep(|name| name.starts_with("judge") || names.iter().any(|known| known == name));
    for ((endpoint, name), served) in wanted.iter().zip(names) {
        let container = container(sim, promptflow, endpoint, name, &served).await;
        lock(&sim.arm).provision(endpoint, name, container, sim.clock.now());
    }
}

async fn container(sim: &Sim, promptflow: &PromptFlow, endpoint: &str, name: &str, served: &str) -> Container {
    if let Some(health) = promptflow.health(served).await {
        return match health {
            Health::Starting => Container::Starting,
            Health::Up => Container::Up,
            Health::Down => Container::Crashed,
        };
    }
    let Some(files) = files(sim, endpoint, name) else { return Container::Crashed };
    match promptflow.serve(served, &files) {
        Ok(()) => Container::Starting,
        Err(problem) => {
            tracing::warn!("{endpoint}/{name} cannot be served: {problem:#}");
            Container::Crashed
        }
    }
}

/// The folder with the graph, of the files that the deployment's model was registered from.
fn files(sim: &Sim, endpoint: &str, name: &str) -> Option<Files> {
    let folder = {
        let arm = lock(&sim.arm);
        let uri = arm.model_uri(arm.deployment(endpoint, name)?.model()?)?;
        Place::of_uri(&sim.settings, &uri)?
    };
    let blobs = lock(&sim.blobs);
    let all = blobs.below(&folder);
    let graphs = all.iter().filter_map(|(path, _)| path.strip_suffix(FILE));
    let root = graphs.filter(|root| root.is_empty() || root.ends_with('/')).min_by_key(|root| root.len())?;
    let own = all.iter().filter_map(|(path, bytes)| Some((path.strip_prefix(root)?.to_owned(), (*bytes).clone())));
    Some(own.collect())
}

/// The columns of a row that are inputs of the deployment's flow.
pub(super) fn inputs(sim: &Sim, endpoint: &str, deployment: &str, row: &Row) -> Row {
    let served = sim.promptflow.get().and_then(|promptflow| promptflow.inputs(&served_name(endpoint, deployment)));
    let Some(inputs) = served else { return Map::clone(row) };
    let own = row.iter().filter(|(name, _)| inputs.contains(*name));
    own.map(|(name, value)| (name.clone(), value.clone())).collect()
}
