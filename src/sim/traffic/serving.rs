//! One endpoint under traffic: who answers, how the answer turns out, and what the sampler makes of it.
//!
//! Whatever is a share or is taken in turn goes by counters, per deployment and class, so that equal windows hold equal
//! numbers of requests, samples and scores.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{
    events::{self, Sample},
    outbox::Outbox,
    split::{route, spread},
    users,
    view::{Deployed, View},
    windows::{Counts, Open, Window},
};
use crate::sim::{
    digest::hash,
    scenario::{Behaviour, Phase, Share, Traffic},
};

/// Class of a request that names none while no users are scripted.
const UNCLASSIFIED: &str = "unclassified";

/// An endpoint since the simulator started.
#[derive(Debug, Default)]
pub struct Serving {
    deployments: BTreeMap<String, Deployment>,
    windows: Open,
    /// Requests that no deployment had weight for.
    unrouted: u64,
    /// Requests for a deployment that did not answer.
    unavailable: u64,
}

#[derive(Debug, Default)]
struct Deployment {
    classes: BTreeMap<String, Counters>,
    /// Requests whose class was taken in turn.
    turn: u64,
    judged: u64,
    server_errors: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: u64,
    answered: u64,
    sampled: u64,
    judged: u64,
}

/// One request, of simulated users or of a real client.
pub struct Request<'a> {
    pub id: &'a str,
    pub at: Timestamp,
    /// None: the next in turn.
    pub class: Option<&'a str>,
    /// Decides whether it fails; None: the next in turn.
    pub draw: Option<u64>,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No deployment has weight.
    Unrouted,
    /// There is no deployment of the name that the client asked for.
    Unknown,
    /// The deployment is not up.
    Unavailable,
    /// By this deployment, with this status; `content` is the scenario's name for what runs there.
    Answered { deployment: String, content: String, class: String, status: u16 },
}

impl Serving {
    /// The time from `from` up to but without `to`: users ask, windows end.
    pub fn advance(&mut self, view: &View<'_>, from: Timestamp, to: Timestamp, outbox: &mut Outbox) {
        let mut at = from;
        while at < to {
            let window = view.tag.window.map(|period| Window::around(at, period));
            let until = window.map_or(to, |window| window.end().min(to));
            if let Some(window) = window {
                view.watched().for_each(|name| self.windows.begin(window, name));
            }
            self.ask(view, at, until, outbox);
            self.close(view, until, outbox);
            at = until;
        }
    }

    fn ask(&mut self, view: &View<'_>, from: Timestamp, to: Timestamp, outbox: &mut Outbox) {
        let Some(users) = view.users else { return };
        for (n, at) in users::moments(users.requests_per_second, from, to) {
            let id = request_id(&view.endpoint, n, at);
            let _outcome = self.route(view, spread(n, 100), &Request { id: &id, at, class: None, draw: None }, outbox);
        }
    }

    fn close(&mut self, view: &View<'_>, now: Timestamp, outbox: &mut Outbox) {
        for (window, deployment, counts) in self.windows.close(now) {
            if view.sampler.window_events {
                let envelope = events::window(outbox.ikey(), &view.endpoint, window, &deployment, &counts);
                outbox.push(due(window.end(), view), envelope);
            }
        }
    }

    /// A request that goes by the split: to the deployment at `point` of 0 to 99.
    pub fn route(&mut self, view: &View<'_>, point: u64, request: &Request<'_>, outbox: &mut Outbox) -> Outcome {
        let Some(name) = route(&view.live, point) else {
            self.unrouted += 1;
            return Outcome::Unrouted;
        };
        match self.serve(view, name, request, outbox) {
            // It has weight, but is gone.
            Outcome::Unknown => {
                self.unavailable += 1;
                Outcome::Unavailable
            }
            outcome => outcome,
        }
    }

    /// A request to one deployment, whatever its weight.
    pub fn serve(&mut self, view: &View<'_>, name: &str, request: &Request<'_>, outbox: &mut Outbox) -> Outcome {
        let found = view.deployments.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((name, deployed)) = found else { return Outcome::Unknown };
        if !deployed.ready {
            self.unavailable += 1;
            return Outcome::Unavailable;
        }
        let deployment = self.deployments.entry(name.clone()).or_default();
        let class = request.class.map_or_else(|| deployment.next_class(view.users), str::to_owned);
        let mut unseen = Counts::default();
        let counts = match view.tag.window {
            Some(period) => self.windows.counts(Window::around(request.at, period), name),
            None => &mut unseen,
        };
        let status = deployment.answer(&deployed.behaviour(&class), &class, request, counts);
        if status < 300 {
            let judged = Judged { view, name, deployed, class: &class, request };
            deployment.sample(&judged, counts, outbox);
        }
        let content = deployed.content.name.to_owned();
        Outcome::Answered { deployment: name.clone(), content, class, status }
    }

    /// Counts, for the control API.
    pub fn describe(&self) -> Value {
        let deployments: Map<String, Value> = self
            .deployments
            .iter()
            .map(|(name, d)| {
                let sum = |of: fn(&Counters) -> u64| d.classes.values().map(of).sum::<u64>();
                let counts = json!({"requests": sum(|c| c.requests), "serverErrors": d.server_errors,
                    "sampled": sum(|c| c.sampled), "judged": d.judged});
                (name.clone(), counts)
            })
            .collect();
        json!({"deployments": deployments, "unrouted": self.unrouted, "unavailable": self.unavailable})
    }
}

/// An answer that the sampler may have judged.
struct Judged<'a> {
    view: &'a View<'a>,
    name: &'a str,
    deployed: &'a Deployed<'a>,
    class: &'a str,
    request: &'a Request<'a>,
}

impl Deployment {
    fn next_class(&mut self, users: Option<&Traffic>) -> String {
        let Some(users) = users else { return UNCLASSIFIED.to_owned() };
        let weights = users.classes.iter().map(|(class, weight)| (class, u64::from(*weight)));
        let mut point = spread(self.turn, weights.clone().map(|(_, weight)| weight).sum());
        self.turn += 1;
        for (class, weight) in weights {
            match point.checked_sub(weight) {
                Some(rest) => point = rest,
                None => return class.clone(),
            }
        }
        UNCLASSIFIED.to_owned()
    }

    /// The status of the answer.
    fn answer(&mut self, behaviour: &Behaviour, class: &str, request: &Request<'_>, counts: &mut Counts) -> u16 {
        let counters = self.classes.entry(class.to_owned()).or_default();
        let failed = hits(behaviour.server_errors, request.draw.unwrap_or(counters.requests));
        let status = if failed { 500 } else { 200 };
        counters.requests += 1;
        self.server_errors += u64::from(failed);
        counts.answered(status);
        status
    }

    /// One answer in `oneIn` of its class is judged.
    fn sample(&mut self, answer: &Judged<'_>, counts: &mut Counts, outbox: &mut Outbox) {
        let Judged { view, name, deployed, class, request } = *answer;
        let counters = self.classes.entry(class.to_owned()).or_default();
        let nth = counters.answered;
        counters.answered += 1;
        if !nth.is_multiple_of(u64::from(view.sampler.one_in.max(1))) {
            return;
        }
        let behaviour = deployed.behaviour(class);
        counts.sampled += 1;
        counters.sampled += 1;
        if hits(behaviour.judge_errors, counters.sampled - 1) {
            counts.errors += 1;
            return;
        }
        counts.judged += 1;
        let (nth, nth_of_all) = (counters.judged, self.judged);
        counters.judged += 1;
        self.judged += 1;
        if view.sampler.lost_samples.hits(nth_of_all) {
            return;
        }
        let scores = scores(&behaviour, nth, request.id);
        let sample = Sample {
            endpoint: &view.endpoint,
            deployment: name,
            version: &deployed.version,
            class,
            request_id: request.id,
            at: request.at,
            judge: events::JUDGE,
            rubric: events::RUBRIC,
            scores,
        };
        let envelope = sample.envelope(outbox.ikey());
        outbox.push(due(request.at, view), envelope);
    }
}

fn hits(share: Option<Share>, nth: u64) -> bool {
    share.is_some_and(|share| share.hits(nth))
}

fn scores(behaviour: &Behaviour, nth: u64, id: &str) -> Map<String, Value> {
    let score = |metric: &str| Some(behaviour.scores_of(Phase::Live, metric)?.score(nth, id.as_bytes()).number());
    let metrics = behaviour.metrics(Phase::Live).into_iter();
    metrics.filter_map(|metric| Some((metric.to_owned(), json!(score(metric)?)))).collect()
}

fn due(at: Timestamp, view: &View<'_>) -> Timestamp {
    at.saturating_add(view.sampler.delay.max(SignedDuration::ZERO)).unwrap_or(Timestamp::MAX)
}

/// As the platform gives each request one.
fn request_id(endpoint: &str, n: u64, at: Timestamp) -> String {
    let number = hash(format!("{endpoint} {n} {}", at.as_microsecond()).as_bytes());
    uuid::Uuid::from_u64_pair(number, n).to_string()
}
