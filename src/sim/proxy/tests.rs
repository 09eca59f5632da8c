use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::sim::{
    Options, Running,
    faults::Rule,
    http, lock, start,
    testing::{in_workspace, token},
};

const ARM: &str = "https://management.azure.com";

async fn running() -> Running {
    start(Options::default()).await.unwrap()
}

/// As an application sees Azure: through the proxy, trusting its authority and no other.
fn client(sim: &Running) -> Client {
    let ca = reqwest::Certificate::from_pem(sim.ca_pem.as_bytes()).unwrap();
    let proxy = reqwest::Proxy::https(&sim.proxy_url).unwrap();
    Client::builder().proxy(proxy).tls_certs_only([ca]).timeout(Duration::from_secs(20)).build().unwrap()
}

fn fault(sim: &Running, rule: Value) {
    let rule: Rule = serde_json::from_value(rule).unwrap();
    lock(&sim.sim.faults).add(rule).unwrap();
}

fn model(sim: &Running, name: &str) -> String {
    let path = in_workspace(&sim.sim, &format!("/models/{name}/versions/1"));
    format!("{ARM}{path}?api-version=2024-10-01")
}

fn put(sim: &Running, name: &str) -> reqwest::RequestBuilder {
    let body = json!({"properties": {"modelUri": "azureml://x"}});
    client(sim).put(model(sim, name)).bearer_auth(token(&sim.sim, ARM)).json(&body)
}

async fn exists(sim: &Running, name: &str) -> bool {
    client(sim).get(model(sim, name)).bearer_auth(token(&sim.sim, ARM)).send().await.unwrap().status() == StatusCode::OK
}

/// Waits for something that other tasks bring about.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(tokio::time::Instant::now() < patience, "never happened: {what}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn azure_host_names_are_reached_over_tls_and_show_the_simulators_time() {
    let sim = running().await;
    sim.sim.clock.advance(Duration::from_secs(86_400));
    let client = client(&sim);
    let reply = client.get("https://login.microsoftonline.com/common/discovery/instance").send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::OK);
    let date = reply.headers()["date"].to_str().unwrap();
    let date = jiff::fmt::rfc2822::parse(date).unwrap().timestamp();
    let behind = sim.sim.clock.now().duration_since(date);
    assert!((0..5).contains(&behind.as_secs()), "{behind:?}");
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_is_not_served() {
    let sim = running().await;
    let proxy = reqwest::Proxy::https(&sim.proxy_url).unwrap();
    let client = Client::builder().proxy(proxy).build().unwrap();
    let error = client.get("https://management.azure.com/").send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(lock(&sim.sim.requests).last(), 0);
}

#[tokio::test]
async fn unknown_hosts_and_ports_are_refused_and_remembered() {
    let sim = running().await;
    let client = client(&sim);
    for url in ["https://github.com/", "https://management.azure.com:8443/"] {
        assert!(client.get(url).send().await.unwrap_err().is_connect());
    }
    let refused = lock(&sim.sim.requests).refused().clone();
    assert_eq!(refused.keys().collect::<Vec<_>>(), ["github.com:443", "management.azure.com:8443"]);
}

#[tokio::test]
async fn a_lost_request_changes_nothing_and_a_lost_reply_hides_a_change() {
    let sim = running().await;
    fault(&sim, json!({"name": "a", "match": {"path": "models/lost"}, "do": {"lose": "request"}}));
    fault(&sim, json!({"name": "b", "match": {"path": "models/hidden"}, "do": {"lose": "reply"}}));
    for name in ["lost", "hidden"] {
        let error = put(&sim, name).send().await.unwrap_err();
        assert!(error.is_request() && !error.is_connect(), "{error:?}");
    }
    assert!(!exists(&sim, "lost").await);
    assert!(exists(&sim, "hidden").await);
    let log: Vec<_> = lock(&sim.sim.requests).since(0).map(|e| (e.fault.clone(), e.status)).collect();
    assert_eq!(log[..2], [(Some("a".into()), None), (Some("b".into()), None)]);
}

#[tokio::test]
async fn a_held_write_lands_though_its_client_has_gone() {
    let sim = running().await;
    fault(
        &sim,
        json!({"name": "h", "match": {"path": "models/late", "method": "PUT"}, "do": {"holdUntilReleased": true}}),
    );
    let waiting = tokio::spawn(put(&sim, "late").send());
    until("the write has arrived", async || lock(&sim.sim.faults).hits().len() == 1).await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert!(!exists(&sim, "late").await);
    assert!(lock(&sim.sim.faults).release("h"));
    until("the write has landed", async || exists(&sim, "late").await).await;
}

#[tokio::test]
async fn a_reply_that_is_held_beyond_the_clients_patience_hides_a_change() {
    let sim = running().await;
    fault(&sim, json!({"match": {"path": "models/slow"}, "do": {"holdReplyMs": 600_000}}));
    let error = put(&sim, "slow").timeout(Duration::from_millis(300)).send().await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert!(exists(&sim, "slow").await);
}

#[tokio::test]
async fn a_canned_answer_stands_in_for_the_service() {
    let sim = running().await;
    let answer =
        json!({"status": 429, "headers": {"Retry-After": "7"}, "body": {"error": {"code": "TooManyRequests"}}});
    fault(&sim, json!({"match": {"service": "arm"}, "do": {"answer": answer}}));
    let reply = put(&sim, "m").send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(reply.json::<Value>().await.unwrap()["error"]["code"], "TooManyRequests");
    assert!(!exists(&sim, "m").await);
}

#[tokio::test]
async fn the_reply_to_a_head_request_keeps_the_length_of_what_it_is_about() {
    let sim = running().await;
    let answer = json!({"status": 200, "headers": {"Content-Length": "1234"}});
    fault(&sim, json!({"match": {"service": "blob", "method": "HEAD"}, "do": {"answer": answer}}));
    let reply = client(&sim).head("https://st.blob.core.windows.net/c/b").send().await.unwrap();
    assert_eq!(reply.headers()["content-length"], "1234");
}

#[tokio::test]
async fn escapes_in_paths_and_queries_are_undone() {
    let sim = running().await;
    let url = format!("{ARM}{}?api%2Dversion=2024-10-01", in_workspace(&sim.sim, "/models/a%20b"));
    client(&sim).get(url).bearer_auth(token(&sim.sim, ARM)).send().await.unwrap();
    let path = lock(&sim.sim.requests).since(0).next().unwrap().path.clone();
    assert!(path.ends_with("/models/a b"), "{path}");
    assert_eq!(http::percent_decoded("/a%2Fb%zz%4"), "/a/b%zz%4");
}

#[tokio::test]
async fn a_stopped_simulator_is_not_reached_any_more() {
    let sim = running().await;
    let (client, ca) = (client(&sim), sim.ca_file().to_owned());
    let url = "https://login.microsoftonline.com/common/discovery/instance";
    client.get(url).send().await.unwrap();
    sim.stop();
    until("connections are closed", async || client.get(url).send().await.is_err()).await;
    assert!(!ca.exists());
}
