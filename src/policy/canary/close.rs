//! One window: whether it can be closed, and what it shows.
//!
//! A window is closed as it was at the moment when it became complete, by ingestion time: rows that come later are not
//! looked at. What it shows therefore does not depend on when somebody looks.

use super::facts::{Facts, Found, after_windows};
use crate::{
    api::{At, status::CriterionSeen},
    policy::{
        availability::Requests,
        decimal::Mean,
        rule::Rule,
        telemetry::{Manifest, Sample},
        windows::{self, Closes, Window},
    },
};

/// A window with the rows that it was closed with.
pub(super) struct Closed<'a> {
    /// Window events of canary and stable.
    pub canary: Option<&'a Manifest>,
    pub stable: Option<&'a Manifest>,
    /// The canary's, or why nothing was measured.
    pub samples: Result<Vec<&'a Sample>, String>,
}

/// None: not yet. Nothing that was ingested after the window's deadline, or after `horizon`, is looked at.
///
/// Stable's window event is waited for by one period more than the canary's rows: it is read beside them, or an outage
/// of both would look like the canary's alone. Longer would hold up the way back where nothing samples stable.
pub(super) fn close<'a>(facts: &Facts<'a>, window: &Window, now: At, horizon: At) -> Option<Closed<'a>> {
    let Facts { plan, telemetry, .. } = facts;
    let cut = windows::deadline(window, plan.lateness_ms).min(horizon);
    let event = |deployment, until| telemetry.manifest(deployment, window).filter(|m| m.ingested <= until);
    let canary = event(facts.canary, cut);
    let counts = if facts.rules.is_empty() { canary.map(without_scores) } else { canary.cloned() };
    let mut samples = if facts.rules.is_empty() { Vec::new() } else { telemetry.samples(facts.canary, window) };
    samples.retain(|s| s.ingested <= cut);
    let complete = counts.as_ref().and_then(|m| complete_at(m, &samples)).unwrap_or(cut);
    samples.retain(|s| s.ingested <= complete);

    let rows = i64::try_from(samples.len()).unwrap_or(i64::MAX);
    let error = match windows::closes(window, counts.as_ref(), rows, now, plan.lateness_ms) {
        Closes::NotYet { .. } => return None,
        Closes::Complete => None,
        Closes::Error(why) => Some(why),
    };
    let patience = after_windows(complete, 1, plan).min(cut);
    let stable = facts.stable.and_then(|stable| event(stable, patience));
    if stable.is_none() && facts.stable.is_some() && now < patience {
        return None;
    }
    Some(Closed { canary, stable, samples: error.map_or(Ok(samples), Err) })
}

/// Where no criterion is live nobody misses a score: the requests are all that is asked for.
fn without_scores(manifest: &Manifest) -> Manifest {
    Manifest { sampled: 0, judged: 0, errors: 0, ..manifest.clone() }
}

/// When the last row that the window event speaks of was ingested; None if some are missing.
fn complete_at(manifest: &Manifest, samples: &[&Sample]) -> Option<At> {
    let mut ingested: Vec<At> = samples.iter().map(|s| s.ingested).collect();
    ingested.sort_unstable();
    let last = match usize::try_from(manifest.judged).ok()?.checked_sub(1) {
        None => manifest.ingested,
        Some(last) => *ingested.get(last)?,
    };
    Some(last.max(manifest.ingested))
}

pub(super) fn requests(manifest: &Manifest) -> Requests {
    Requests { all: manifest.requests, errors: manifest.server_errors }
}

/// Every criterion after this window, and why the first that could not be measured was not.
pub(super) fn criteria(
    facts: &Facts<'_>,
    known: &[CriterionSeen],
    closed: &Closed<'_>,
) -> (Vec<CriterionSeen>, Option<String>) {
    let mut error = closed.samples.as_ref().err().cloned();
    let mut criteria = Vec::with_capacity(facts.rules.len());
    for rule in facts.rules {
        let mean = match closed.samples.as_ref().map(|samples| mean(rule, samples)) {
            Ok(Ok(mean)) => Some(mean),
            Ok(Err(why)) => {
                error.get_or_insert(why);
                None
            }
            Err(_) => None,
        };
        let before = known.iter().find(|c| c.class == rule.class && c.metric == rule.metric.name);
        let fresh = unseen(rule);
        criteria.push(seen(rule, before.unwrap_or(&fresh), mean, facts.plan.min_samples.max(1)));
    }
    (criteria, error)
}

/// A criterion before its first window.
pub(super) fn unseen(rule: &Rule<'_>) -> CriterionSeen {
    CriterionSeen {
        class: rule.class.to_owned(),
        metric: rule.metric.name.clone(),
        minimum: rule.minimum.to_string(),
        verdict: Found::NoData.as_str().into(),
        ..CriterionSeen::default()
    }
}

/// An answer without the score, or with one off the scale, is an error: which way it would have moved the mean is not
/// known.
fn mean(rule: &Rule<'_>, samples: &[&Sample]) -> Result<Mean, String> {
    let metric = &rule.metric.name;
    let mut mean = Mean::default();
    for sample in samples.iter().filter(|s| rule.covers(&s.class)) {
        let request = &sample.request_id;
        let score = sample.scores.get(metric).ok_or_else(|| format!("request {request} has no score {metric}"))?;
        let score = rule.live_score(*score);
        mean.add(
            score.map_err(|(found, allowed)| format!("request {request}: {metric} is {found}, must be {allowed}"))?,
        );
    }
    Ok(mean)
}

/// `mean` None: it could not be measured.
fn seen(rule: &Rule<'_>, before: &CriterionSeen, mean: Option<Mean>, min_samples: i64) -> CriterionSeen {
    let found = match mean {
        None => Found::Error,
        Some(mean) if mean.samples() < min_samples => Found::NoData,
        Some(mean) if mean.meets(rule.minimum) => Found::Pass,
        Some(_) => Found::Fail,
    };
    let judged = matches!(found, Found::Pass | Found::Fail);
    let mean = mean.unwrap_or_default();
    let total = Mean::of(before.total_sum_millionths, before.total_samples).plus(mean);
    CriterionSeen {
        failures_in_a_row: match found {
            Found::Pass => 0,
            Found::Fail => before.failures_in_a_row.saturating_add(1),
            Found::NoData | Found::Error => before.failures_in_a_row,
        },
        judged: before.judged.saturating_add(i64::from(judged)),
        samples: mean.samples(),
        total_samples: total.samples(),
        total_sum_millionths: total.sum_millionths(),
        total_value: total.text(rule.minimum),
        value: mean.text(rule.minimum).filter(|_| judged),
        verdict: found.as_str().into(),
        ..unseen(rule)
    }
}
