//! How far the traffic of all endpoints has been played.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    outbox::Outbox,
    serving::{Outcome, Request, Serving},
    view::View,
};

/// A clock that jumps further leaves a gap: what happened before is not played.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// All endpoints under traffic.
#[derive(Debug)]
pub struct State {
    /// Up to here everything has been played.
    through: Option<Timestamp>,
    endpoints: BTreeMap<String, Serving>,
    outbox: Outbox,
}

impl State {
    pub fn new(ikey: &str) -> Self {
        Self { through: None, endpoints: BTreeMap::new(), outbox: Outbox::new(ikey) }
    }

    /// One request of a real client, now: to the pinned deployment, else to the one at `point` of the split.
    pub fn request(&mut self, view: &View<'_>, pin: Option<&str>, point: u64, request: &Request<'_>) -> Outcome {
        let serving = self.endpoints.entry(view.endpoint.clone()).or_default();
        match pin {
            Some(name) => serving.serve(view, name, request, &mut self.outbox),
            None => serving.route(view, point, request, &mut self.outbox),
        }
    }

    /// Plays the time up to `now`; the envelopes that are sent in it, with their moments.
    pub(super) fn advance(&mut self, views: &[View<'_>], now: Timestamp) -> Vec<(Timestamp, Value)> {
        let earliest = now.saturating_sub(LONGEST).unwrap_or(Timestamp::MIN);
        let from = self.through.unwrap_or(now).max(earliest);
        for view in views {
            let serving = self.endpoints.entry(view.endpoint.clone()).or_default();
            serving.advance(view, from, now, &mut self.outbox);
        }
        self.through = Some(now.max(from));
        self.outbox.take(now)
    }

    /// Counts, for the control API.
    pub fn describe(&self) -> Value {
        let endpoints: Map<String, Value> =
            self.endpoints.iter().map(|(name, serving)| (name.clone(), serving.describe())).collect();
        json!(endpoints)
    }
}
