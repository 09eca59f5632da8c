//! Live traffic where flows really run: users ask at the rate that the scenario says, served flows answer, and a sampler
//! has the judge's flow score some of the answers and tells Application Insights.
//!
//! It takes the place of [`super::traffic`], which plays all this from the scenario alone. Time is real here: an answer
//! takes as long as it takes, and a window is told of when every answer of it is there and judged.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::MissedTickBehavior;

use super::{
    clock,
    cloud::Sim,
    mutex::lock,
    traffic::{
        events::window as window_event,
        split::{route, spread},
        users,
        view::View,
        view_of,
        windows::Window,
    },
};

mod ask;
mod book;
mod deployments;
mod judge;
mod questions;

pub use ask::request;
use ask::{Asked, answer};
use book::Book;
pub use questions::Questions;

/// Between two looks at the clock.
const TICK: Duration = Duration::from_millis(100);
/// Requests that wait for an answer, at most; users beyond that do not ask.
const MOST_WAITING: u64 = 32;

/// How far live traffic has come.
#[derive(Debug, Default)]
pub struct Live {
    /// Up to here users have asked.
    through: Option<Timestamp>,
    questions: Questions,
    turns: BTreeMap<(String, String), questions::Turn>,
    /// Answers by deployment and class, of which some are judged.
    answers: BTreeMap<(String, String), u64>,
    book: Book,
}

impl Live {
    pub fn new(questions: Questions) -> Self {
        Self { questions, ..Self::default() }
    }
}

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

fn send(sim: &Sim, envelope: &Value) {
    let visible = clock::after(sim.clock.now(), sim.settings.ingestion_delay.get());
    let key = &sim.settings.instrumentation_key;
    let rejected = lock(&sim.insights).receive(std::slice::from_ref(envelope), key, visible);
    debug_assert_eq!(rejected, [], "the sampler's envelopes are well-formed");
}

/// A row of questions, or a request's body.
type Row = Map<String, Value>;

impl Asked {
    fn new(view: &View<'_>, deployment: &str, at: Timestamp, row: Row) -> Self {
        let version = view.deployments.get(deployment).map_or(deployment, |deployed| deployed.version.as_str());
        Self {
            endpoint: view.endpoint.clone(),
            deployment: deployment.to_owned(),
            version: version.to_owned(),
            window: view.tag.window.map(|period| Window::around(at, period)),
            one_in: view.sampler.one_in.max(1),
            id: uuid::Uuid::new_v4().to_string(),
            at,
            row,
        }
    }
}
