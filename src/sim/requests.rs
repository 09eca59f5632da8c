//! The log of every request that came to an Azure host name.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{faults, http, service::Service};

/// Older entries are dropped.
const CAPACITY: usize = 100_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Counts from 1.
    pub n: u64,
    /// When its head had been read, in microseconds since the epoch.
    pub received_us: i64,
    pub service: Service,
    pub host: String,
    pub method: String,
    pub path: String,
    /// None while it is being answered, and for ever if the reply was withheld.
    pub status: Option<u16>,
    /// From receipt to answer, in microseconds.
    pub took_us: Option<i64>,
    /// The rule that struck it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Of a write to an endpoint: the split that it asks for, the pieces `seq` and `why` of its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Of a query of Application Insights: its text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Of a request to the management API or to the Prompt flow service, while bodies are kept: what it sent, if JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The last 100,000 requests, and the counts of all.
#[derive(Default)]
pub struct Requests {
    last: u64,
    entries: VecDeque<Entry>,
    counts: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
    keeps_bodies: bool,
}

impl Requests {
    /// Whether the bodies of requests that come from now on are kept. They are not at the start: they are large.
    pub fn keep_bodies(&mut self, keep: bool) {
        self.keeps_bodies = keep;
    }

    /// Notes a request on arrival; the number is for [`Requests::end`].
    pub fn begin(&mut self, service: Service, req: &http::Request, received: Timestamp, fault: Option<String>) -> u64 {
        self.last += 1;
        let read = || serde_json::from_slice::<Value>(&req.body).unwrap_or_default();
        let (body, query) = match (service, req.method.as_str()) {
            (Service::Arm, "PUT") => (read(), None),
            (Service::Insights, "POST") => (Value::Null, read()["query"].as_str().map(str::to_owned)),
            _ => (Value::Null, None),
        };
        self.entries.push_back(Entry {
            n: self.last,
            received_us: received.as_microsecond(),
            service,
            host: req.host.clone(),
            method: req.method.clone(),
            path: req.path.clone(),
            status: None,
            took_us: None,
            fault,
            traffic: body.pointer("/properties/traffic").cloned(),
            seq: faults::tag_piece(req, "seq").and_then(|seq| seq.parse().ok()).filter(|_| !body.is_null()),
            why: faults::why(req).filter(|_| !body.is_null()),
            query,
            body: self.kept(service, req),
        });
        if self.entries.len() > CAPACITY {
            self.entries.pop_front();
        }
        *self.counts.entry(format!("{} {}", service.as_str(), req.method)).or_default() += 1;
        self.last
    }

    fn kept(&self, service: Service, req: &http::Request) -> Option<Value> {
        let kept = self.keeps_bodies && matches!(service, Service::Arm | Service::Flow);
        serde_json::from_slice(&req.body).ok().filter(|_| kept)
    }

    /// Notes the answer to request `n`; None if it was withheld.
    pub fn end(&mut self, n: u64, status: Option<u16>, now: Timestamp) {
        let Some(first) = self.entries.front().map(|e| e.n) else { return };
        let index = n.checked_sub(first).and_then(|i| usize::try_from(i).ok());
        if let Some(entry) = index.and_then(|i| self.entries.get_mut(i)) {
            entry.status = status;
            entry.took_us = Some(now.as_microsecond() - entry.received_us);
        }
    }

    /// Notes that somebody wanted to reach a host for which there is no service.
    pub fn refuse(&mut self, authority: &str) {
        *self.refused.entry(authority.to_owned()).or_default() += 1;
    }

    /// How often somebody wanted to reach which host and port, and was refused.
    pub fn refused(&self) -> &BTreeMap<String, u64> {
        &self.refused
    }

    /// Number of the newest entry; 0 before the first.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Entries after number `since`, oldest first.
    pub fn since(&self, since: u64) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |e| e.n > since)
    }

    /// Requests by "service METHOD" since the start.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }
}
