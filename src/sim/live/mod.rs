//! Live traffic where flows really run: users ask at the rate that the scenario says, served flows answer, and a sampler
//! has the judge's flow score some of the answers and tells Application Insights.
//!
//! It takes the place of [`super::traffic`], which plays all this from the scenario alone. Time is real here: an answer
//! takes as long as it takes, and a window is told of when every answer of it is there and judged.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use super::{
    cloud::Sim,
    mutex::lock,
    traffic::{
        events::window as window_event,
        split::{route, spread},
        users, view_of,
        windows::Window,
    },
};

mod ask;
mod book;
mod deployments;
mod judge;
mod questions;
mod state;

pub use ask::request;
use ask::{Asked, answer, send};
pub use questions::Questions;
pub use state::Live;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// Requests that wait for an answer, at most; users beyond that do not ask.
const MOST_WAITING: u64 = 32;

/// Plays users, deployments and sampler until it is dropped.
pub async fn run(sim: Arc<Sim>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        deployments::tend(&sim).await;
        let now = sim.clock.now();
        for asked in due(&sim, now) {
            tokio::spawn(answer(sim.clone(), asked));
        }
        tell(&sim, now);
    }
}

/// What users ask between the last call and this one.
fn due(sim: &Arc<Sim>, now: Timestamp) -> Vec<Asked> {
    let scenario = lock(&sim.scenario).clone();
    let endpoints = lock(&sim.arm).endpoints();
    let views = endpoints.iter().filter_map(|name| view_of(sim, &scenario, name, None, now));
    let mut live = lock(&sim.live);
    let from = live.through.replace(now).unwrap_or(now);
    let mut asked = Vec::new();
    for view in views {
        if let Some(period) = view.tag.window {
            view.watched().for_each(|name| live.book.begin(&view.endpoint, Window::around(now, period), name));
        }
        let Some(users) = view.users else { continue };
        for (n, at) in users::moments(users.requests_per_second, from, now) {
            let Some(name) = route(&view.live, spread(n, 100)).map(str::to_owned) else { continue };
            if live.book.waiting() + asked.len() as u64 >= MOST_WAITING {
                break;
            }
            let key = (view.endpoint.clone(), name.clone());
            let Live { turns, questions, .. } = &mut *live;
            let row = questions.next(turns.entry(key).or_default(), &users.classes);
            asked.extend(row.map(|row| Asked::new(&view, &name, at, row)));
        }
    }
    asked
}

/// Sends the events of windows that are complete.
fn tell(sim: &Sim, now: Timestamp) {
    let closed = lock(&sim.live).book.close(now);
    for (endpoint, window, deployment, counts) in closed {
        send(sim, &window_event(&sim.settings.instrumentation_key, &endpoint, window, &deployment, &counts));
    }
}
