//! Simulated users, and the sampler that has some of their answers judged and tells Application Insights.
//!
//! Both go by the simulator's clock, in ticks: a tick plays all that happened since the last one, at the moments at which
//! it happened, so that a clock that is advanced by a minute yields a minute of requests and complete windows. A change
//! of the split, the tag or the scenario takes effect with the tick in which it is seen, at most [`TICK`] late or early.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use super::{clock, cloud::Sim, mutex::lock};

pub(in crate::sim) mod events;
mod outbox;
mod read;
mod serving;
pub(in crate::sim) mod split;
mod state;
#[cfg(test)]
mod tests;
pub(in crate::sim) mod users;
pub(in crate::sim) mod view;
pub(in crate::sim) mod windows;

pub use read::view_of;
pub use serving::{Outcome, Request};
pub use state::State;
use view::View;

/// Between two looks at the clock.
pub const TICK: Duration = Duration::from_millis(100);

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
    let views = endpoints.iter().filter_map(|name| view_of(sim, &scenario, name, None, now));
    let views: Vec<View<'_>> = views.collect();
    let mut insights = lock(&sim.insights);
    for (sent, envelope) in state.advance(&views, now) {
        let visible = clock::after(sent, sim.settings.ingestion_delay.get());
        let rejected = insights.receive(&[envelope], &sim.settings.instrumentation_key, visible);
        debug_assert_eq!(rejected, [], "the sampler's envelopes are well-formed");
    }
}
