//! Promote: all traffic to the new deployment, the old one kept warm. Its windows are judged until that is read back.

use super::{Decision, Facts, Then};
use crate::{
    api::{
        Cause,
        log::{Attempt, Kind, Log},
    },
    endpoint::Wish,
};

/// All traffic for the attempt's deployment. Two ways lead here: the way back that Git takes, where what served before is
/// still up and gets all traffic in one write; and a canary's verdict, which is noted already and which the protocol brings
/// about.
pub fn next(attempt: &Attempt, facts: &Facts) -> Decision<()> {
    let deployment = attempt.deployment.as_deref().unwrap_or_default();
    let why = match attempt.is(Kind::Fast) {
        true => format!("{deployment} served before and is still up: one write, no gate, no canary"),
        false => format!("all traffic goes to {deployment}"),
    };
    Decision::new(facts.clone(), Then::Ask(Wish::Promote, why))
}

/// A breach in the last windows turns a promotion round as long as it is not read back.
pub fn or_withdraw(promote: Decision<()>, canary: Decision<()>) -> Decision<()> {
    let breach = matches!(canary.then, Then::Ask(Wish::Withdraw(cause), _) if is_breach(cause));
    if breach { canary } else { Decision { facts: canary.facts, told: canary.told, then: promote.then } }
}

/// Whether the canary itself is to blame. Any other cause says nothing about the release while it is being promoted:
/// windows that come late are no breach.
fn is_breach(cause: Cause) -> bool {
    matches!(cause, Cause::CanaryFailed | Cause::AvailabilityFailed)
}

/// Whether anybody can be judged while promoting: on a first release nobody serves beside it.
pub fn is_judged(log: &Log) -> bool {
    log.attempt.as_ref().is_some_and(|a| a.raised.iter().any(|r| r.weight < 100))
}
