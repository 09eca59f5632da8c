//! Canary: some users, judged in windows by the same criteria as the gate.

pub mod scores;

use scores::ScoreSource;

use super::{Decision, Facts, Then, Wait};
use crate::{
    api::{
        At, Cause, PromptReleaseSpec,
        log::{Attempt, Plan},
        status::CanaryStatus,
    },
    azure::Seen,
    endpoint::Wish,
    policy::{
        canary::{self, Verdict},
        rule::{Rule, RuleError},
        telemetry::Telemetry,
        windows::{self, Grid},
    },
    view::{canary as wording, timeline::Event},
};

/// What was read in this pass.
#[derive(Debug)]
pub struct Look {
    /// None: no window could close, so nothing was asked.
    scores: Option<Result<Seen<Telemetry>, String>>,
    /// When the endpoint was looked at, by Azure's clock: a window that ended later is not over.
    now: At,
    /// The split was read back then as this attempt's, by number.
    verified: bool,
    /// Between two looks while a window is due and incomplete.
    poll: jiff::SignedDuration,
}

impl Look {
    /// The source itself could not be had.
    pub fn failed(why: String, now: At, verified: bool, poll: jiff::SignedDuration) -> Self {
        Self { scores: Some(Err(why)), now, verified, poll }
    }
}

/// Asks for scores only when a window can close.
pub async fn look(
    source: Option<&dyn ScoreSource>,
    endpoint: &str,
    attempt: &Attempt,
    facts: &Facts,
    now: At,
    verified: bool,
    poll: jiff::SignedDuration,
) -> Look {
    let idle = Look { scores: None, now, verified, poll };
    let Some(status) = &facts.canary else { return idle };
    let Some(started) = status.clock_started_at else { return idle };
    let window = Grid::new(started, attempt.plan.window_ms).next(status.closed_through);
    if now < window.end {
        return idle;
    }
    let Some(source) = source else {
        let scores = Some(Err("the PromptEndpoint names no `applicationInsights`".to_owned()));
        return Look { scores, ..idle };
    };
    match source.since(endpoint, window.start.get(), now.get()).await {
        Ok(seen) => Look { scores: Some(Ok(seen)), ..idle },
        Err(error) => Look { scores: Some(Err(error.to_string())), ..idle },
    }
}

/// Closes what can be closed, then asks the verdict.
///
/// # Errors
/// A criterion that names no metric; the schema's rules do not let one in.
pub fn next(
    spec: &PromptReleaseSpec,
    attempt: &Attempt,
    facts: &Facts,
    look: &Look,
) -> Result<Decision<()>, RuleError> {
    let plan = &attempt.plan;
    let rules = canary::enforced(&spec.metrics, &spec.criteria)?;
    let Some(raised) = attempt.raised.iter().rev().find(|r| r.weight < 100) else {
        return Ok(Decision::new(facts.clone(), Then::Go));
    };
    let Some(verified_at) = raised.verified_at else {
        // It was noted and is not read back. Whether it came to nothing, and so is sent again, the protocol knows.
        let weight = u8::try_from(raised.weight).unwrap_or_default();
        let raise = Wish::Raise { step: raised.step, weight };
        return Ok(Decision::new(facts.clone(), Then::Ask(raise, String::new())));
    };
    let known = match &facts.canary {
        Some(status) if status.step == raised.step => status.clone(),
        _ => canary::begin(plan, raised.step, raised.weight, verified_at, &rules),
    };
    let (status, told) = close(&known, attempt, &rules, look);
    let facts = Facts { canary: Some(status.clone()), ..facts.clone() };
    let verdict = canary::verdict(&status, plan, look.now);
    let (then, verdict) = match verdict {
        Verdict::Withdraw { cause, evidence } => {
            (Then::Ask(Wish::Withdraw(cause), wording::evidence(&evidence, plan)), None)
        }
        Verdict::Promote { .. } => (Then::Ask(Wish::Promote, wording::passed(&status, plan)), Some("Pass")),
        Verdict::Hold { lacking } => {
            (Then::Wait(wait(plan, &status, look, wording::held(&status, &lacking, plan))), None)
        }
        Verdict::Continue => (Then::Wait(wait(plan, &status, look, wording::progress(&status, plan))), None),
    };
    let mut facts = facts;
    if let (Some(status), Some(verdict)) = (facts.canary.as_mut(), verdict) {
        status.verdict.get_or_insert(verdict.to_owned());
    }
    Ok(Decision { facts, told, then })
}

fn close(known: &CanaryStatus, attempt: &Attempt, rules: &[Rule<'_>], look: &Look) -> (CanaryStatus, Vec<Event>) {
    let nothing = Telemetry::default();
    let (telemetry, why) = match &look.scores {
        None => return (known.clone(), Vec::new()),
        Some(Ok(seen)) => (&seen.value, None),
        // Until `lateness` a failed query is asked again; then its windows close as errors, for this reason.
        Some(Err(why)) => (&nothing, Some(why)),
    };
    // One a look: after an outage of ours, one query that fails must not be five errors in a row.
    let now = match why {
        Some(_) => look.now.min(first_deadline(known, &attempt.plan, look.now)),
        None => look.now,
    };
    // The step's first window begins after its split was read back, so its number was live before every window. A write
    // between then and this look would have a higher one, and a split of another hand would not be ours.
    let verified = |window: &windows::Window| look.verified && window.end <= look.now;
    let facts = canary::Facts {
        plan: &attempt.plan,
        rules,
        telemetry,
        canary: attempt.deployment.as_deref().unwrap_or_default(),
        stable: attempt.return_to.as_deref(),
        now,
        verified: &verified,
    };
    let (status, reports) = canary::advance(known, &facts);
    let told = reports.into_iter().filter_map(|mut report| {
        if let (Some(error), Some(why)) = (report.error.as_mut(), why) {
            error.clone_from(why);
        }
        wording::window(&report, &attempt.plan)
    });
    (status.clone(), told.collect())
}

/// When the next window closes at the latest.
fn first_deadline(status: &CanaryStatus, plan: &Plan, now: At) -> At {
    let grid = Grid::new(status.clock_started_at.unwrap_or(now), plan.window_ms);
    grid.next(status.closed_through).end.plus(jiff::SignedDuration::from_millis(plan.lateness_ms))
}

fn wait(plan: &Plan, status: &CanaryStatus, look: &Look, why: String) -> Wait {
    let grid = Grid::new(status.clock_started_at.unwrap_or(look.now), plan.window_ms);
    let until = windows::next_wake(grid, status.closed_through, look.now, plan.lateness_ms, look.poll);
    match &look.scores {
        Some(Err(error)) => Wait { until, why: wording::unread(error), retry: Some(Cause::CanaryUnmeasurable) },
        _ => Wait::until(until, why),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::{
        api::{PromptRelease, log::Raised},
        policy::plan,
    };

    #[test]
    fn a_raise_that_is_not_read_back_is_wished_for_again() {
        let text = include_str!("../../deploy/samples/support-assistant/manifests/demo/release-1428.yaml");
        let release: PromptRelease = serde_saphyr::from_str(text).expect("a PromptRelease");
        let lost = Raised { step: 1, weight: 10, seq: 42, ..Raised::default() };
        let attempt = Attempt {
            plan: plan::plan(&release.spec, jiff::SignedDuration::ZERO),
            raised: vec![lost],
            ..Attempt::default()
        };
        let look = Look::failed("not asked".into(), At::default(), false, SignedDuration::ZERO);
        let decision = next(&release.spec, &attempt, &Facts::default(), &look).expect("rules");
        assert_eq!(decision.then, Then::Ask(Wish::Raise { step: 1, weight: 10 }, String::new()));
    }
}
