//! What receivers were sent, and which secrets they know.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::signature::{self, Signature};
use crate::sim::http;

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
