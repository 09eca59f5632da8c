//! The receiver of pages: any host below `example.com` and `example.net`. It keeps what it was sent, and checks the
//! signature where it was told the secret.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Sim, http, lock};

mod signature;

pub use signature::Signature;

/// Older deliveries are dropped; their counts stay.
const CAPACITY: usize = 10_000;

/// One message as it came.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Counts from 1.
    pub n: u64,
    pub received: Timestamp,
    pub request: http::Request,
    pub signature: Signature,
    /// How many times its `webhook-id` had been accepted here before.
    pub repeats: u32,
    /// Answered.
    pub status: u16,
}

impl Delivery {
    /// The key by which receivers drop duplicates.
    pub fn id(&self) -> Option<&str> {
        self.request.header("webhook-id")
    }

    /// None if the body is not JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.request.body).ok()
    }
}

/// All messages, of all receivers.
#[derive(Default)]
pub struct Inbox {
    /// By host, or host and beginning of the path: `pager.example.com/hooks`.
    secrets: BTreeMap<String, Vec<u8>>,
    deliveries: VecDeque<Delivery>,
    last: u64,
    /// Accepted messages by host and `webhook-id`.
    accepted: BTreeMap<(String, String), u32>,
}

impl Inbox {
    /// Tells the receiver at `place` (a host, or a host and the beginning of a path) its secret: `whsec_` and base64, or
    /// plain text. The most specific place counts.
    ///
    /// # Errors
    /// The secret is empty or malformed.
    pub fn set_secret(&mut self, place: &str, secret: &str) -> Result<(), String> {
        let secret = signature::secret(secret)?;
        self.secrets.insert(place.trim_end_matches('/').to_owned(), secret);
        Ok(())
    }

    /// The receiver at `place` accepts everything again.
    pub fn forget_secret(&mut self, place: &str) {
        self.secrets.remove(place.trim_end_matches('/'));
    }

    pub fn deliveries(&self) -> impl Iterator<Item = &Delivery> {
        self.deliveries.iter()
    }

    /// Times that a message with this `webhook-id` was accepted, by any receiver. More than 1 is a duplicate, which a
    /// real receiver drops.
    pub fn accepted(&self, id: &str) -> u32 {
        self.accepted.iter().filter(|((_, known), _)| known == id).map(|(_, times)| times).sum()
    }

    /// Takes a message in; the status to answer with.
    pub fn receive(&mut self, req: &http::Request, now: Timestamp) -> u16 {
        let signature = match self.secret(req) {
            Some(secret) => signature::check(req, secret, now),
            None => Signature::Unchecked,
        };
        let status = match signature {
            _ if req.method != "POST" => 405,
            Signature::Unchecked | Signature::Valid => 204,
            Signature::Missing => 400,
            Signature::Stale | Signature::Wrong => 401,
        };
        let mut repeats = 0;
        if let Some(id) = req.header("webhook-id").filter(|_| status == 204) {
            let times = self.accepted.entry((req.host.clone(), id.to_owned())).or_default();
            repeats = *times;
            *times += 1;
        }
        self.last += 1;
        let request = req.clone();
        self.deliveries.push_back(Delivery { n: self.last, received: now, request, signature, repeats, status });
        if self.deliveries.len() > CAPACITY {
            self.deliveries.pop_front();
        }
        status
    }

    fn secret(&self, req: &http::Request) -> Option<&Vec<u8>> {
        let address = format!("{}{}", req.host, req.path);
        let fits =
            |place: &str| address.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.secrets
            .iter()
            .filter(|(place, _)| fits(place))
            .max_by_key(|(place, _)| place.len())
            .map(|(_, secret)| secret)
    }

    /// All deliveries, oldest first, and how often each id was accepted. Secrets are not shown.
    pub fn describe(&self) -> Value {
        let accepted: Vec<Value> =
            self.accepted.iter().map(|((host, id), times)| json!({"host": host, "id": id, "times": times})).collect();
        let deliveries: Vec<Value> = self.deliveries.iter().map(describe).collect();
        json!({"last": self.last, "deliveries": deliveries, "accepted": accepted,
            "secrets": self.secrets.keys().collect::<Vec<_>>()})
    }
}

fn describe(delivery: &Delivery) -> Value {
    let req = &delivery.request;
    let headers: Map<String, Value> = req.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = delivery.json().unwrap_or_else(|| json!(String::from_utf8_lossy(&req.body)));
    json!({"n": delivery.n, "received": delivery.received, "method": req.method, "host": req.host, "path": req.path,
        "id": delivery.id(), "signature": delivery.signature, "repeats": delivery.repeats, "status": delivery.status,
        "headers": headers, "body": body})
}

/// Answers 204 to what it accepts.
pub async fn handle(sim: &Arc<Sim>, req: &http::Request) -> http::Response {
    let now = sim.clock.now();
    match lock(&sim.webhook).receive(req, now) {
        204 => http::Response::empty(204),
        405 => http::Response::empty(405).with("allow", "POST"),
        status => http::Response::text(status, "the message is not signed as agreed"),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};

    use super::*;
    use crate::sim::testing::{request, sim};

    const SECRET: &str = "on-call-secret";

    fn page(host: &str, path: &str, id: &str, now: Timestamp) -> http::Request {
        let body = r#"{"type": "rollback"}"#;
        let mut req = request(host, "POST", path, body);
        let seconds = now.as_second();
        let mac = Hmac::<sha2::Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
        let mac = mac.chain_update(format!("{id}.{seconds}.{body}")).finalize().into_bytes();
        req.headers = vec![
            ("webhook-id".into(), id.into()),
            ("webhook-timestamp".into(), seconds.to_string()),
            ("webhook-signature".into(), format!("v1,{}", STANDARD.encode(mac))),
        ];
        req
    }

    #[tokio::test]
    async fn a_page_is_kept_as_it_came_and_its_second_copy_is_told() {
        let sim = sim("{}");
        let mut req = page("pager.example.com", "/hooks/assistant", "assistant/1428.7", sim.clock.now());
        assert_eq!(handle(&sim, &req).await.status, 204);
        assert_eq!(handle(&sim, &req).await.status, 204);
        req.method = "GET".into();
        assert_eq!(handle(&sim, &req).await.status, 405);
        let inbox = lock(&sim.webhook);
        assert_eq!(inbox.accepted("assistant/1428.7"), 2);
        let shown = inbox.describe();
        let last = &shown["deliveries"][1];
        assert_eq!((&last["host"], &last["path"]), (&json!("pager.example.com"), &json!("/hooks/assistant")));
        assert_eq!((&last["body"], &last["signature"]), (&json!({"type": "rollback"}), &json!("unchecked")));
        assert_eq!((&last["id"], &last["repeats"]), (&json!("assistant/1428.7"), &json!(1)));
        assert_eq!(last["headers"]["webhook-id"], "assistant/1428.7");
        assert_eq!(shown["accepted"], json!([{"host": "pager.example.com", "id": "assistant/1428.7", "times": 2}]));
    }

    #[tokio::test]
    async fn a_receiver_that_knows_the_secret_refuses_what_is_not_signed_with_it() {
        let sim = sim("{}");
        lock(&sim.webhook).set_secret("pager.example.com", SECRET).unwrap();
        let good = page("pager.example.com", "/hooks", "a", sim.clock.now());
        assert_eq!(handle(&sim, &good).await.status, 204);
        let mut forged = good.clone();
        forged.body = r#"{"type": "promoted"}"#.into();
        assert_eq!(handle(&sim, &forged).await.status, 401);
        let mut unsigned = good.clone();
        unsigned.headers.clear();
        assert_eq!(handle(&sim, &unsigned).await.status, 400);
        assert_eq!(lock(&sim.webhook).accepted("a"), 1, "refused copies do not count");
        unsigned.host = "chat.example.net".into();
        assert_eq!(handle(&sim, &unsigned).await.status, 204, "another receiver knows no secret");
    }

    #[test]
    fn the_most_specific_place_decides_which_secret_counts() {
        let mut inbox = Inbox::default();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        inbox.set_secret("pager.example.com", "another").unwrap();
        inbox.set_secret("pager.example.com/assistant/", SECRET).unwrap();
        let mut status = |path: &str| inbox.receive(&page("pager.example.com", path, "a", now), now);
        assert_eq!(["/assistant", "/assistant/x", "/assistants", "/"].map(&mut status), [204, 204, 401, 401]);
        inbox.forget_secret("pager.example.com");
        assert_eq!(inbox.receive(&page("pager.example.com", "/", "a", now), now), 204);
    }
}
