//! Roll back: the decision is noted, the protocol takes the traffic back and does not stop trying. Nothing here can stand
//! in its way: no artifact, no data set, no scores, no spec.

use super::{Decision, Facts, Then};
use crate::{api::log::Attempt, endpoint::Wish};

/// Nothing is wished for: a decision to withdraw needs no reminder.
pub fn next(attempt: &Attempt, facts: &Facts) -> Decision<()> {
    let evidence = attempt.decision.as_ref().map(|d| d.evidence.clone()).unwrap_or_default();
    Decision::new(facts.clone(), Then::Ask(Wish::Nothing, evidence))
}
