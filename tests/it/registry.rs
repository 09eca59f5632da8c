//! The size of an image in a private registry, asked by the operator's client of the simulated one.

use std::sync::Arc;

use futures::future::BoxFuture;
use promptrelease::{
    azure::{self, Azure, CloudName, Timeouts, WorkspaceId},
    sim::{self, Options, Running, world::World},
};
use serde_json::json;

use crate::ground::Cluster;

const NAME: &str = "acrqa.azurecr.io/qa/flow";

struct Token(String);

impl azure::Assertion for Token {
    fn token(&self) -> BoxFuture<'_, Result<String, azure::BoxError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A client of the identity that the world knows.
fn client(running: &Running, cluster: &Cluster) -> Azure {
    let World { federated, subscription, resource_group, workspace, .. } = World::default();
    let ca = reqwest::Certificate::from_pem(running.ca_pem.as_bytes()).expect("a certificate");
    let proxy = reqwest::Proxy::https(&running.proxy_url).expect("an address");
    let http = reqwest::Client::builder().proxy(proxy).tls_certs_only([ca]).build().expect("a client");
    let (cloud, who) = (CloudName::AzurePublic, &federated[0]);
    let assertion = Arc::new(Token(cluster.assertion(who)));
    let credential = azure::federated(http.clone(), cloud, &who.tenant, &who.client, assertion).expect("a credential");
    Azure::new(
        http,
        cloud,
        credential,
        WorkspaceId { subscription, resource_group, workspace },
        Timeouts::default(),
        None,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_layers_of_a_private_image_are_told_to_whoever_may_pull_it_and_to_nobody_else() {
    let cluster = Cluster::new();
    let running = cluster.azure(Options::default()).await;
    let image = json!({"layers": [{"digest": "sha256:1", "size": 5}, {"digest": "sha256:2", "size": 6}]});
    let digest = sim::lock(&running.sim.registry).push(NAME, &image);
    let azure = client(&running, &cluster);
    let sizes = async |azure: &Azure, image: String| {
        let layers = azure.image_layers(&image).await?;
        Some(layers.iter().map(|layer| layer.size).collect::<Vec<_>>())
    };
    assert_eq!(sizes(&azure, format!("{NAME}@{digest}")).await, Some(vec![5, 6]));
    assert_eq!(sizes(&azure, format!("{NAME}@sha256:0")).await, None, "no such image");

    running.sim.entra.set_denied(["https://containerregistry.azure.net".to_owned()].into());
    assert_eq!(sizes(&client(&running, &cluster), format!("{NAME}@{digest}")).await, None, "no role, and no failure");
}
