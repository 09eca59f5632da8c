//! Microsoft's own clients, unchanged, take the simulator for Azure: under Azure's host names, through its proxy, with
//! TLS verified and a federated assertion as a pod has one. What they do is in `tests/conformance`, a package a client.

mod differences;
mod office;
mod recordings;
mod shape;

use office::Office;

/// Operations are seen under way once, so that clients poll; the second look is after `Retry-After`, 1 s.
const WORLD: &str = "
endpoints: [{name: qa-prod, deployments: [{name: d-1}, {name: d-2}, {name: d-3}], traffic: {d-1: 100}}]
times: {endpointOperation: 0s, deploymentOperation: 0s}
knobs: {minLooks: 1}
";

#[tokio::test(flavor = "multi_thread")]
async fn azure_ai_ml_works_against_the_simulator_as_against_azure() {
    Office::open(WORLD, "{}").await.run("azure_ai_ml").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promptflow_azure_works_against_the_simulator_as_against_azure() {
    // Over at the first look, where a case does not say otherwise: the client waits 10 s before a second one.
    Office::open(WORLD, "runs: {looks: 0}").await.run("promptflow_azure").await;
}
