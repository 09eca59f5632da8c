//! The simulator as a process, reached as the operator reaches Azure.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use promptrelease::{azure, plane::Process};
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_promptrelease-sim");
const ISSUER: &str = "https://oidc.promptrelease.test";
const TENANT: &str = "9c11c3f0-6a52-4b8d-8e0f-1d2a3b4c5d6e";
const CLIENT: &str = "11111111-2222-4333-8444-555555555555";
const SUBJECT: &str = "system:serviceaccount:team:release";
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts `program` and reads the simulator's ready line from its output.
fn start(dir: &Path, program: &str, args: &[&str]) -> (Process, Value) {
    let mut process = Process::start_piped("sim", dir, Path::new(program), args, &[]).expect("it starts");
    let mut line = String::new();
    BufReader::new(process.stdout().expect("piped")).read_line(&mut line).expect("a line");
    assert!(!line.is_empty(), "{}", process.log_tail(5));
    (process, serde_json::from_str(&line).expect("JSON"))
}

async fn page(ready: &Value) -> reqwest::Result<Value> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    client.get(ready["page"].as_str().expect("a URL")).send().await?.json().await
}

#[tokio::test]
async fn it_says_where_it_is_and_ends_with_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let (mut process, ready) = start(dir.path(), BINARY, &[]);
    let ca = Path::new(ready["caFile"].as_str().unwrap());
    assert!(std::fs::read_to_string(ca).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(page(&ready).await.unwrap()["endpoints"][0]["name"], "support-assistant-prod");
    assert_eq!(process.stop(PATIENCE), Some(0));
    assert!(!ca.exists(), "the temporary certificate is left behind");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_ends_with_whoever_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let script = format!("'{BINARY}' serve & wait");
    let (mut parent, ready) = start(dir.path(), "sh", &["-c", &script]);
    page(&ready).await.unwrap();
    parent.kill();
    let killed = Instant::now();
    while page(&ready).await.is_ok() {
        assert!(killed.elapsed() < PATIENCE, "it still answers");
    }
}

#[test]
fn what_it_cannot_start_with_is_said_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let world = dir.path().join("world.yaml");
    std::fs::write(&world, "endpoint: []").unwrap();
    let world = world.to_str().unwrap();
    for (args, hint) in [
        (["--world", world].as_slice(), "unknown field `endpoint`"),
        (&["--issuer", "https://x"], "--issuer-key"),
        (&["--federated", "tenant=a,client=b"], "missing field `subject`"),
        (&["--issuer", "https://x", "--issuer-key", world], "RSA public key"),
    ] {
        let output = std::process::Command::new(BINARY).args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(hint), "{args:?}: {said}");
    }
}

/// What a cluster's TokenRequest would return.
struct ClusterToken(String);

impl azure::Assertion for ClusterToken {
    fn token(&self) -> BoxFuture<'_, Result<String, azure::BoxError>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

#[tokio::test]
async fn the_operators_credential_works_against_it_under_entras_own_name() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let (key, ca) = (dir.path().join("sa.pub"), dir.path().join("ca.pem"));
    std::fs::write(&key, cluster.public_key_pem()).unwrap();
    let federated = format!("tenant={TENANT},client={CLIENT},subject={SUBJECT}");
    let (key, ca_out) = (key.to_str().unwrap(), ca.to_str().unwrap());
    let args = ["serve", "--ca-out", ca_out, "--issuer", ISSUER, "--issuer-key", key, "--federated", &federated];
    let (_process, ready) = start(dir.path(), BINARY, &args);
    assert_eq!(ready["caFile"], ca_out);

    let ca = reqwest::Certificate::from_pem(&std::fs::read(&ca).unwrap()).unwrap();
    let proxy = reqwest::Proxy::https(ready["proxy"].as_str().unwrap()).unwrap();
    let http = reqwest::Client::builder().proxy(proxy).tls_certs_only([ca]).build().unwrap();
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange", "exp": now + 600});
    let signing = EncodingKey::from_rsa_pem(cluster.serialize_pem().as_bytes()).unwrap();
    let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &signing).unwrap();
    let cloud = azure::CloudName::AzurePublic;
    let credential = azure::federated(http.clone(), cloud, TENANT, CLIENT, Arc::new(ClusterToken(assertion))).unwrap();
    let token = credential.get_token(&["https://management.azure.com/.default"], None).await.unwrap();

    let url = "https://management.azure.com/subscriptions/none?api-version=2024-10-01";
    let reply = http.get(url).bearer_auth(token.token.secret()).send().await.unwrap();
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["error"]["code"], "SubscriptionNotFound");
}
