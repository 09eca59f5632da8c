//! What the windows so far decide.

use jiff::SignedDuration;

use crate::api::{
    At, Cause,
    log::Plan,
    status::{Availability, CanaryStatus},
};

/// What to do with the canary.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// CanaryFailed, AvailabilityFailed or CanaryUnmeasurable.
    Withdraw { cause: Cause, evidence: Evidence },
    /// The step is over and nothing stands against it. `lacking` is empty unless the plan promotes what is inconclusive.
    Promote { lacking: Vec<Lacking> },
    /// The step is over and something is not shown yet: more windows, until `holdTimeout`.
    Hold { lacking: Vec<Lacking> },
    /// The step is not over.
    Continue,
}

/// Why a canary is withdrawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// One criterion failed the limit of windows in a row.
    Criterion {
        class: String,
        metric: String,
        /// Mean in the last of them, and the lowest that passes, as decimals.
        value: String,
        minimum: String,
        /// Scores in the last of them.
        samples: i64,
        in_a_row: i64,
        /// Further criteria that failed as often.
        also: usize,
    },
    /// Counts over the step's windows.
    Availability(Availability),
    /// As many windows in a row could not be measured.
    Errors {
        in_a_row: i64,
        /// Class and metric of the criteria that the last one could not be measured by; all of them if the window
        /// itself could not be.
        criteria: Vec<(String, String)>,
    },
    /// The step is over, something is not shown, and the plan rolls back what is inconclusive.
    Inconclusive { counted: i64, lacking: Vec<Lacking> },
    /// No verdict within `holdTimeout`.
    HoldTimeout { waited: SignedDuration, counted: i64, planned: i64, errors_in_a_row: i64, lacking: Vec<Lacking> },
}

/// What a promotion lacks when the step is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lacking {
    /// Fewer scores in all windows together than one window needs.
    Samples { class: String, metric: String, samples: i64, needed: i64 },
    /// No window had enough scores to be judged, and the mean of all together is below the minimum.
    Below { class: String, metric: String, value: String, minimum: String, samples: i64 },
    /// Nothing but availability is judged, and the canary had too few requests for that.
    Requests { requests: i64, needed: i64 },
}

/// The verdict on what is closed. Only `holdTimeout` depends on `now`.
pub fn verdict(status: &CanaryStatus, plan: &Plan, now: At) -> Verdict {
    let _ = (status, plan, now);
    Verdict::Continue
}
