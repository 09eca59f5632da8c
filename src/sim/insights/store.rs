//! What has been ingested, and from when on queries see it.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::envelope::{self, Event, Rejected};

/// Older events are dropped.
const CAPACITY: usize = 500_000;

/// All telemetry of the component.
#[derive(Default)]
pub struct Store {
    pub knobs: Knobs,
    /// `customEvents`, in the order of receipt.
    events: VecDeque<Event>,
    /// Envelopes of all kinds since the start, by the base type of their data.
    received: BTreeMap<String, u64>,
    rejected: u64,
    last_item: u64,
}

/// What is not known for sure about the service, so that a client can be tested both ways.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Knobs {
    /// Replies write numbers as text.
    pub numbers_as_text: bool,
    /// Replies write `dynamic` columns as JSON, not as text that holds JSON.
    pub dynamic_as_json: bool,
    /// A component that has no event at all answers 204, not an empty table.
    pub empty_is_no_content: bool,
}

impl Store {
    /// Takes envelopes as the ingestion API does. Events show from `visible` on; other kinds of telemetry are counted.
    pub fn receive(&mut self, envelopes: &[Value], ikey: &str, visible: Timestamp) -> Vec<Rejected> {
        let mut rejected = Vec::new();
        for (index, envelope) in envelopes.iter().enumerate() {
            match self.take(envelope, ikey, visible) {
                Ok(()) => {}
                Err(message) => rejected.push(Rejected { index, status: 400, message }),
            }
        }
        self.rejected += rejected.len() as u64;
        rejected
    }

    fn take(&mut self, envelope: &Value, ikey: &str, visible: Timestamp) -> Result<(), String> {
        let (kind, event) = envelope::read(envelope, ikey, visible, self.last_item + 1)?;
        *self.received.entry(kind).or_default() += 1;
        if let Some(event) = event {
            self.last_item += 1;
            self.events.push_back(event);
            if self.events.len() > CAPACITY {
                self.events.pop_front();
            }
        }
        Ok(())
    }

    /// Events that a query may see at `now`.
    pub fn visible(&self, now: Timestamp) -> impl Iterator<Item = &Event> {
        self.events.iter().filter(move |event| event.ingested <= now)
    }

    /// Counts, for the control API.
    pub fn describe(&self, now: Timestamp) -> Value {
        let mut events: BTreeMap<&str, u64> = BTreeMap::new();
        for event in &self.events {
            *events.entry(&event.name).or_default() += 1;
        }
        json!({"received": self.received, "rejected": self.rejected, "customEvents": events,
            "visible": self.visible(now).count(), "knobs": self.knobs})
    }
}
