use serde_json::{Value, json};

use super::*;
use crate::{
    api::{At, PromptEndpointSpec, log::Log, status},
    azure::loopback::{self, Loopback},
    controller::{objects::Endpoint, tenant::Tenant},
    stage::build::room::Room,
};

/// One release in the middle of its attempt, and nothing else.
struct Bench {
    endpoint: Endpoint,
    endpoint_spec: PromptEndpointSpec,
    holder: Holder,
    log: Log,
    facts: Facts,
    waits: Waits,
    room: Room,
    tenant: Tenant,
}

impl Bench {
    fn new(server: &Loopback) -> Self {
        let azure = json!({"subscriptionID": "s", "resourceGroup": "g", "workspace": "w", "endpoint": "prod"});
        let spec = json!({"azure": azure, "serviceAccountName": "account", "policy": {"requireEvaluation": false}});
        let artifact = json!({"promptFlow": {"archive": {"url": "https://archives.example.com/1428", "digest": "sha256:0"},
            "environmentImage": "runtime@sha256:0"}});
        let release = json!({"endpointRef": {"name": "prod"}, "version": "1428", "artifact": artifact});
        let release = Release::read(object("PromptRelease", &release));
        let release_spec = release.spec.clone().expect("a spec");
        let attempt = Attempt {
            n: 7,
            kind: "Canary".into(),
            version: "1428".into(),
            test_hash: digest::test_hash(&release_spec),
            ..Attempt::default()
        };
        Self {
            endpoint: Endpoint::read(object("PromptEndpoint", &spec)),
            endpoint_spec: serde_json::from_value(spec).expect("a spec"),
            holder: Holder::Present(Box::new(release), Box::new(release_spec)),
            log: Log { attempt: Some(attempt), ..Log::default() },
            facts: Facts::default(),
            waits: Waits::default(),
            room: Room::default(),
            tenant: Tenant::of(server.azure()),
        }
    }

    async fn turn(&self) -> Turn {
        turn(&Scene {
            endpoint: &self.endpoint,
            spec: &self.endpoint_spec,
            holder: &self.holder,
            held: None,
            log: &self.log,
            facts: &self.facts,
            has_facts: true,
            tenant: &self.tenant,
            owner: "cluster/assistant/prod",
            waits: &self.waits,
            room: &self.room,
            refusal: None,
            live: None,
            deployments: &[],
            inventory: &[],
            verified: false,
            looked: At::default(),
            now: At::default(),
        })
        .await
    }
}

fn object(kind: &str, spec: &Value) -> kube::api::DynamicObject {
    let object =
        json!({"apiVersion": "promptrelease.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec});
    serde_json::from_value(object).expect("an object")
}

#[tokio::test]
async fn an_archive_waits_for_room_and_is_not_fetched_before() {
    let server = Loopback::answering([]).await;
    let bench = Bench::new(&server);
    let mut others: Vec<_> = std::iter::from_fn(|| bench.room.for_archive()).collect();
    let wait = bench.turn().await.wait.expect("a wait");
    assert_eq!((wait.retry, server.seen().len()), (None, 0));
    assert!(wait.why.contains("memory"), "{}", wait.why);

    others.pop();
    let turn = bench.turn().await;
    assert_eq!(server.only().line(), "GET https://archives.example.com/1428", "{turn:?}");
}

#[tokio::test]
async fn a_workspace_that_cannot_be_read_is_no_fault_of_the_release() {
    let answer = loopback::json(503, &json!({"error": {"code": "ServerBusy", "message": "Later."}}));
    let server = Loopback::answering([answer]).await;
    let mut bench = Bench::new(&server);
    let made = |name: &str| Some(format!("{name}:1"));
    let build = status::Build { model: made("model"), environment: made("environment"), ..status::Build::default() };
    let passed = status::EvaluationStatus { verdict: Some("Waived".into()), ..Default::default() };
    bench.facts = Facts { build: Some(build), evaluation: Some(passed), ..Facts::default() };
    let wait = bench.turn().await.wait.expect("a wait");
    assert_eq!(wait.retry, Some(Cause::DeploymentUnavailable), "{}", wait.why);
    assert_eq!(server.only().path(), loopback::workspace().arm_id());
}
