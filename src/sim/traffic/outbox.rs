//! Envelopes on their way to Application Insights.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

/// In the order in which they are due.
#[derive(Debug, Default)]
pub struct Outbox {
    ikey: String,
    queue: BTreeMap<(Timestamp, u64), Value>,
    last: u64,
}

impl Outbox {
    pub fn new(ikey: &str) -> Self {
        Self { ikey: ikey.to_owned(), ..Self::default() }
    }

    /// The instrumentation key that envelopes carry.
    pub fn ikey(&self) -> &str {
        &self.ikey
    }

    pub fn push(&mut self, due: Timestamp, envelope: Value) {
        self.last += 1;
        self.queue.insert((due, self.last), envelope);
    }

    /// What is due by `now`, with the moment at which it is sent.
    pub fn take(&mut self, now: Timestamp) -> Vec<(Timestamp, Value)> {
        let later = self.queue.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut self.queue, later);
        due.into_iter().map(|((at, _), envelope)| (at, envelope)).collect()
    }
}
