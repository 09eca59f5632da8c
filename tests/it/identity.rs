//! From a ServiceAccount of the cluster to a resource of Azure, without a secret anywhere: the token of the real API
//! server, the operator's own code, the simulated Entra ID and management API. The sample's manifests say who is who.

use std::{path::Path, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use promptrelease::{
    azure::{self, Azure, BoxError, Class, CloudName, Timeouts, WorkspaceId},
    samples,
    sim::Service,
};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::ground::{
    ENDPOINT, Ground, MANIFESTS, OPERATOR, OPERATOR_NAMESPACE, SAMPLE, Simulator, TEAM, file, objects, sample_world,
};

const ACCOUNT: &str = "assistant-release";

/// Asks for a token of a ServiceAccount of the team with the rights of `client`.
struct AccountToken {
    client: Client,
    account: &'static str,
}

impl azure::Assertion for AccountToken {
    fn token(&self) -> BoxFuture<'_, Result<String, BoxError>> {
        Box::pin(async {
            let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), TEAM);
            let audiences = vec!["api://AzureADTokenExchange".to_owned()];
            let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
            let request = TokenRequest { spec, ..TokenRequest::default() };
            let reply = accounts.create_token_request(self.account, &PostParams::default(), &request).await?;
            Ok(reply.status.ok_or("no token")?.token)
        })
    }
}

/// The workspace as the ServiceAccount sees it that the manifests name.
fn azure_as(simulator: &Simulator, client: Client, account: &'static str) -> Azure {
    let tenant = objects(&format!("{MANIFESTS}/tenant.yaml"));
    let named = tenant.iter().find(|object| object["metadata"]["name"] == ACCOUNT).expect("in the manifest");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let annotation = |name: &str| text(&named["metadata"]["annotations"][format!("azure.workload.identity/{name}")]);
    let endpoint = &objects(&format!("{MANIFESTS}/endpoint.yaml"))[0]["spec"]["azure"];
    let workspace = WorkspaceId {
        subscription: text(&endpoint["subscriptionID"]),
        resource_group: text(&endpoint["resourceGroup"]),
        workspace: text(&endpoint["workspace"]),
    };
    let (cloud, http) = (CloudName::AzurePublic, simulator.http());
    let assertion = Arc::new(AccountToken { client, account });
    let (tenant, client) = (annotation("tenant-id"), annotation("client-id"));
    let credential = azure::federated(http.clone(), cloud, &tenant, &client, assertion).expect("a credential");
    // The first exchange of a busy machine may be slow; time-outs are not what is tested here.
    let slow = Duration::from_secs(30);
    Azure::new(http, cloud, credential, workspace, Timeouts { read: slow, write: slow, query: slow, slow }, None)
}

#[tokio::test]
async fn the_teams_account_reads_its_endpoint_and_its_archive() {
    let ground = Ground::shared().await;
    let simulator = Simulator::start(ground.plane(), sample_world(&json!({}))).await;
    let operator = ground.client_of(OPERATOR_NAMESPACE, OPERATOR).await;
    let azure = azure_as(&simulator, operator, ACCOUNT);

    let seen = azure.get_endpoint(ENDPOINT).await.expect("the endpoint");
    assert!(seen.date.is_some());

    let release = objects(&format!("{MANIFESTS}/release-1428.yaml")).remove(0);
    let archive = &release["spec"]["artifact"]["promptFlow"]["archive"];
    let packed = samples::archive(Path::new(&file(SAMPLE)), "1428").expect("the sample packs");
    simulator.host_file(archive["url"].as_str().expect("a URL"), packed).await;
    let url = archive["url"].as_str().and_then(|url| url.parse().ok()).expect("a URL");
    let bytes = azure.fetch(&url, 1 << 20).await.expect("the archive");
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(archive["digest"], format!("sha256:{digest}"), "the manifest names the packed sample");

    let services: Vec<Service> = simulator.requests(0).iter().map(|request| request.service).collect();
    assert_eq!(services.first(), Some(&Service::Entra), "{services:?}");
    assert_eq!(services.iter().filter(|service| **service == Service::Arm).count(), 1, "{services:?}");
}

#[tokio::test]
async fn another_account_of_the_namespace_is_nobody_at_azure() {
    let ground = Ground::shared().await;
    let simulator = Simulator::start(ground.plane(), sample_world(&json!({}))).await;
    ground.kubectl(&["create", "serviceaccount", "other", "-n", TEAM], "").await;
    let azure = azure_as(&simulator, ground.client().await, "other");
    let refused = azure.get_endpoint(ENDPOINT).await.expect_err("Entra ID trusts another subject");
    assert_eq!(refused.class(), Class::Denied, "{refused}");
    assert!(refused.to_string().contains("system:serviceaccount:assistant:other"), "{refused}");
}

#[tokio::test]
async fn a_lost_answer_is_unknown_and_healed_it_is_read() {
    let ground = Ground::shared().await;
    let simulator = Simulator::start(ground.plane(), sample_world(&json!({}))).await;
    let azure = azure_as(&simulator, ground.client_of(OPERATOR_NAMESPACE, OPERATOR).await, ACCOUNT);
    let rule = json!({"name": "lost", "match": {"service": "arm"}, "times": 0, "do": {"lose": "reply"}});
    let rule = simulator.fault(rule);
    let lost = azure.get_endpoint(ENDPOINT).await.expect_err("the answer is lost");
    assert_eq!(lost.class(), Class::Unknown, "{lost}");
    simulator.strikes(&rule).await;
    simulator.heal();
    let path = format!("/hand/endpoints/{ENDPOINT}");
    simulator.control(Method::PUT, &path, &json!({"tags": {"team": "assistant"}})).await;
    let seen = azure.get_endpoint(ENDPOINT).await.expect("healed").value;
    assert_eq!(seen.tags.get("team").map(String::as_str), Some("assistant"));
}

#[tokio::test]
async fn a_held_request_is_answered_when_it_is_let_go() {
    let ground = Ground::shared().await;
    let simulator = Simulator::start(ground.plane(), sample_world(&json!({}))).await;
    let azure = azure_as(&simulator, ground.client_of(OPERATOR_NAMESPACE, OPERATOR).await, ACCOUNT);
    let rule = json!({"name": "held", "match": {"service": "arm"}, "do": {"holdUntilReleased": true}});
    let rule = simulator.fault(rule);
    let held = tokio::spawn(async move { azure.get_endpoint(ENDPOINT).await });
    simulator.strikes(&rule).await;
    assert!(!held.is_finished());
    simulator.release(&rule);
    held.await.expect("no panic").expect("answered");
}
