//! Simulated users, and the sampler that has some of their answers judged and tells Application Insights.
//!
//! Both go by the simulator's clock, in ticks: a tick plays all that happened since the last one, at the moments at which
//! it happened, so that a clock that is advanced by a minute yields a minute of requests and complete windows. A change
//! of the split, the tag or the scenario takes effect with the tick in which it is seen, at most [`TICK`] late or early.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

use super::{Sim, clock, lock};

mod events;
mod outbox;
mod serving;
mod split;
#[cfg(test)]
mod tests;
mod users;
mod view;
mod windows;

use outbox::Outbox;
use serving::Serving;
pub use serving::{Outcome, Request};
pub use view::View;

/// Between two looks at the clock.
pub const TICK: Duration = Duration::from_millis(100);

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

    fn advance(&mut self, views: &[View<'_>], now: Timestamp) -> Vec<(Timestamp, Value)> {
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

/// Plays users and sampler until it is dropped.
pub async fn run(sim: Arc<Sim>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tick(&sim);
    }
}

/// Plays what happened since the last call.
pub fn tick(sim: &Sim) {
    let mut state = lock(&sim.traffic);
    // Read under the lock: no request of a client may fall into time that has been played.
    let now = sim.clock.now();
    play(sim, &mut state, now);
}

fn play(sim: &Sim, state: &mut State, now: Timestamp) {
    let scenario = lock(&sim.scenario).clone();
    let endpoints = lock(&sim.arm).endpoints();
    let views = endpoints.iter().filter_map(|name| View::of(sim, &scenario, name, None, now));
    let views: Vec<View<'_>> = views.collect();
    let mut insights = lock(&sim.insights);
    for (sent, envelope) in state.advance(&views, now) {
        let visible = clock::after(sent, sim.settings.ingestion_delay.get());
        let rejected = insights.receive(&[envelope], &sim.settings.instrumentation_key, visible);
        debug_assert_eq!(rejected, [], "the sampler's envelopes are well-formed");
    }
}

/// A number that depends on the bytes only.
pub fn hash(bytes: &[u8]) -> u64 {
    Sha256::digest(bytes).iter().take(8).fold(0, |all, byte| (all << 8) | u64::from(*byte))
}
