//! Each client's cases, run once, and what they asked.

use std::collections::BTreeSet;

use promptrelease::sim;
use tokio::sync::OnceCell;

use super::{office::Office, shape::Shapes, writes};

/// Operations are seen under way once, so that clients poll; the second look is after `Retry-After`, 1 s.
const WORLD: &str = "
endpoints: [{name: qa-prod, deployments: [{name: d-1}, {name: d-2}, {name: d-3}], traffic: {d-1: 100}}]
times: {endpointOperation: 0s, deploymentOperation: 0s}
knobs: {minLooks: 1}
";

/// Host, method and path of a request.
pub type Asked = (String, String, String);

/// What a client did.
pub struct Work {
    /// Shapes of what it wrote, by act.
    pub writes: Shapes,
    /// What it asked and got.
    pub answered: BTreeSet<Asked>,
}

static AZURE_AI_ML: OnceCell<Work> = OnceCell::const_new();
static PROMPTFLOW_AZURE: OnceCell<Work> = OnceCell::const_new();

pub async fn azure_ai_ml() -> &'static Work {
    AZURE_AI_ML.get_or_init(|| run("azure_ai_ml", "{}")).await
}

pub async fn promptflow_azure() -> &'static Work {
    // Over at the first look, where a case does not say otherwise: the client waits 10 s before a second one.
    PROMPTFLOW_AZURE.get_or_init(|| run("promptflow_azure", "runs: {looks: 0}")).await
}

async fn run(package: &str, scenario: &str) -> Work {
    let office = Office::open(WORLD, scenario).await;
    sim::lock(&office.running.sim.requests).keep_bodies(true);
    office.run(package).await;
    let requests = sim::lock(&office.running.sim.requests);
    let good = requests.since(0).filter(|entry| entry.status.is_some_and(|status| status < 300));
    let answered = good.map(|entry| (entry.host.clone(), entry.method.clone(), entry.path.clone())).collect();
    Work { writes: writes::shapes(requests.since(0)), answered }
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_ai_ml_works_against_the_simulator_as_against_azure() {
    azure_ai_ml().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promptflow_azure_works_against_the_simulator_as_against_azure() {
    promptflow_azure().await;
}
