//! What on-call receives, checked as a receiver of Standard Webhooks does it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use promptrelease::sim::{self, webhook::Delivery};
use serde_json::Value;
use sha2::Sha256;

use super::team::Team;
use crate::ground::{MANIFESTS, objects, wait_for};

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: String,
    pub body: Value,
}

/// All messages so far, each with a signature that holds, those without a reply included.
pub fn all(team: &Team) -> Vec<Received> {
    let inbox = sim::lock(&team.story.azure().sim().webhook);
    inbox.deliveries().map(opened).collect()
}

/// Returns when a message with this reason has come.
pub async fn received(team: &Team, reason: &str) -> Received {
    let look = async || {
        let found = all(team).into_iter().find(|message| message.body["reason"] == reason);
        found.ok_or_else(|| format!("{:#?}", all(team)))
    };
    wait_for(&format!("on-call hears of {reason}"), look).await
}

/// HMAC-SHA256 over `id.timestamp.body`, with the secret that the sample's Secret holds.
fn opened(delivery: &Delivery) -> Received {
    let header = |name: &str| delivery.request.header(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    let (id, timestamp, signature) = (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"));
    let body = &delivery.request.body;
    let sample = &objects(&format!("{MANIFESTS}/secret.example.yaml"))[0]["stringData"]["hmac"];
    let encoded = sample.as_str().and_then(|secret| secret.strip_prefix("whsec_")).expect("the sample's secret");
    let secret = STANDARD.decode(encoded).expect("base64");
    let signed = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
    let mac = Hmac::<Sha256>::new_from_slice(&secret).expect("any length is a key").chain_update(signed).finalize();
    assert_eq!(signature, format!("v1,{}", STANDARD.encode(mac.into_bytes())), "the signature of {id}");
    let age = delivery.received.as_second() - timestamp.parse::<i64>().expect("seconds");
    assert!((-5..=30).contains(&age), "{id} was signed {age} s before it came");
    Received { id, body: serde_json::from_slice(body).expect("JSON") }
}
