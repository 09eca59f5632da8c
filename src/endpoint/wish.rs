//! What a stage wants of the endpoint. Stages turn their facts into one of these and never see tags or numbers.

use crate::api::Cause;

/// A stage's wish. It binds nobody: [`super::next`] grants it, defers it, or does something more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wish<N> {
    /// Nothing new. What was decided is carried on all the same.
    Nothing,
    /// A deployment for the open attempt, without traffic; one that is there already with our body is taken over.
    Create { deployment: N },
    /// Traffic for the canary: `weight` percent, in the plan's `step`, counted from 1.
    Raise { step: i64, weight: u8 },
    /// All traffic for the attempt's deployment.
    Promote,
    /// The end of the attempt, and the way back if it has traffic.
    Withdraw(Cause),
    /// A deployment that nobody needs any more.
    Delete { deployment: N },
    /// As many instances as the spec says.
    Scale { deployment: N },
}
