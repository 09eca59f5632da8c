//! Why no attempt opens, with the next step: one sentence for each answer of the policy.

use crate::api::Outcome;

/// What a release is told while no attempt of it is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// None: it waits, and goes on by itself.
    pub outcome: Option<Outcome>,
    /// Reason of the condition Ready.
    pub reason: &'static str,
    pub message: String,
    /// Of a failure: what a person can do about it.
    pub next_step: String,
}
