//! What samplers and judges would have told, for tests: rows appear when they were ingested.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Facts, Report, advance, begin, enforced, verdict};
use crate::{
    api::{
        At, PromptReleaseSpec,
        log::Plan,
        release::{Criterion, Metric},
        status::CanaryStatus,
    },
    policy::{
        plan::plan,
        telemetry::{Manifest, Sample, Telemetry},
    },
};

/// Seconds.
pub const PERIOD: i64 = 60;
/// Usual time from the end of a window to the ingestion of its rows.
pub const DELAY: i64 = 20;

/// Seconds after the split was read back, on the stroke of the first window.
pub fn at(second: i64) -> At {
    jiff::Timestamp::from_second(second).expect("in range").into()
}

/// One judged answer: its class and scores.
pub type Answer = (&'static str, Vec<(&'static str, f64)>);

/// Whole scores of one class and metric.
pub fn answers(class: &'static str, metric: &'static str, scores: &[i32]) -> Vec<Answer> {
    scores.iter().map(|score| (class, vec![(metric, f64::from(*score))])).collect()
}

pub struct World {
    pub plan: Plan,
    pub metrics: Vec<Metric>,
    pub criteria: Vec<Criterion>,
    pub telemetry: Telemetry,
    /// Windows from 0 during which nobody knows the split.
    pub unverified: BTreeSet<i64>,
}

impl World {
    /// Groundedness is whole and from 0 to 3, `cited` from 0 to 1. One step at 10 %, of as many windows.
    pub fn new(windows: i64, criteria: &[(&str, &str, f64)]) -> Self {
        let criteria: Vec<Value> = criteria
            .iter()
            .map(|(class, metric, min)| json!({"class": class, "metric": metric, "minimum": min}))
            .collect();
        let spec: PromptReleaseSpec = serde_json::from_value(json!({
            "endpointRef": {"name": "e"}, "version": "1428", "artifact": {}, "criteria": criteria,
            "metrics": [{"name": "groundedness", "type": "Integer", "scale": {"min": 0, "max": 3}}, {"name": "cited"}],
            "canary": {"steps": [{"weight": 10, "duration": format!("{windows}m")}]},
        }))
        .expect("valid");
        let (plan, telemetry, unverified) =
            (plan(&spec, jiff::SignedDuration::ZERO), Telemetry::default(), BTreeSet::new());
        Self { plan, metrics: spec.metrics, criteria: spec.criteria, telemetry, unverified }
    }

    pub fn begin(&self) -> CanaryStatus {
        begin(&self.plan, 1, 10, at(0), &enforced(&self.metrics, &self.criteria).expect("valid"))
    }

    /// Window `k`, from 0: judged answers, and nine times as many requests to stable. All rows come at the usual time.
    pub fn window(&mut self, k: i64, answers: &[Answer]) {
        self.judged(k, answers, DELAY);
        let n = answers.len() as i64;
        self.event(k, n, 0, DELAY);
        self.stable(k, 9 * n, 0, DELAY);
    }

    pub fn judged(&mut self, k: i64, answers: &[Answer], delay: i64) {
        for (i, (class, scores)) in answers.iter().enumerate() {
            self.telemetry.samples.push(Sample {
                request_id: format!("r{k}-{i}"),
                deployment: "d-1428".into(),
                class: (*class).into(),
                at: at(k * PERIOD + i as i64 % PERIOD),
                scores: scores.iter().map(|(metric, score)| ((*metric).to_owned(), *score)).collect::<BTreeMap<_, _>>(),
                ingested: at((k + 1) * PERIOD + delay),
                item_id: format!("i{k}-{i}"),
            });
        }
    }

    /// The canary's window event, in which every request was judged.
    pub fn event(&mut self, k: i64, requests: i64, server_errors: i64, delay: i64) {
        let judged = requests - server_errors;
        let manifest = Manifest {
            seen: requests,
            sampled: judged,
            judged,
            requests,
            server_errors,
            ..self.manifest("d-1428", k, delay)
        };
        self.telemetry.manifests.push(manifest);
    }

    pub fn stable(&mut self, k: i64, requests: i64, server_errors: i64, delay: i64) {
        let manifest = Manifest { requests, server_errors, ..self.manifest("d-1427", k, delay) };
        self.telemetry.manifests.push(manifest);
    }

    pub fn manifest(&self, deployment: &str, k: i64, delay: i64) -> Manifest {
        let (start, end) = (at(k * PERIOD), at((k + 1) * PERIOD));
        let ingested = at((k + 1) * PERIOD + delay);
        Manifest { deployment: deployment.into(), start, end, ingested, ..Manifest::default() }
    }

    /// Looks once: what was ingested by then, of the windows that are not closed.
    pub fn look(&self, status: &CanaryStatus, now: i64) -> (CanaryStatus, Vec<Report>) {
        let from = status.closed_through.unwrap_or(at(0));
        let mut telemetry = self.telemetry.clone();
        telemetry.samples.retain(|s| s.ingested <= at(now) && s.at >= from);
        telemetry.manifests.retain(|m| m.ingested <= at(now) && m.end > from);
        let rules = enforced(&self.metrics, &self.criteria).expect("valid");
        let facts = Facts {
            plan: &self.plan,
            rules: &rules,
            telemetry: &telemetry,
            canary: "d-1428",
            stable: Some("d-1427"),
            now: at(now),
            verified: &|window| !self.unverified.contains(&window.k),
        };
        advance(status, &facts)
    }

    /// Looks at all these moments.
    pub fn watch(&self, looks: impl IntoIterator<Item = i64>) -> (CanaryStatus, Vec<Report>) {
        let mut all = Vec::new();
        let mut status = self.begin();
        for now in looks {
            let (after, reports) = self.look(&status, now);
            all.extend(reports);
            status = after;
        }
        (status, all)
    }

    /// When all these windows have come, at the usual time.
    pub fn after(windows: i64) -> i64 {
        windows * PERIOD + DELAY
    }

    /// Verdict and reports of one late look.
    pub fn verdict_after(&self, windows: i64) -> (verdict::Verdict, Vec<Report>) {
        let (status, reports) = self.watch([Self::after(windows)]);
        (verdict::verdict(&status, &self.plan, at(Self::after(windows))), reports)
    }
}
