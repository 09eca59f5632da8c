//! What windows are judged by, and what one of them shows.

use jiff::SignedDuration;

use crate::{
    api::{At, log::Plan},
    policy::{rule::Rule, telemetry::Telemetry, windows::Window},
};

/// What one window showed of one criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Found {
    Pass,
    Fail,
    /// Fewer scores than `minSamples`: neither good nor bad.
    NoData,
    /// It could not be measured: neither good nor bad, and a fault.
    Error,
}

impl Found {
    /// As in `status.canary.criteria[].verdict`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Fail => "Fail",
            Self::NoData => "NoData",
            Self::Error => "Error",
        }
    }
}

/// What the windows are judged by.
pub struct Facts<'a> {
    pub plan: &'a Plan,
    pub rules: &'a [Rule<'a>],
    /// All rows since the start of the first window that is not closed.
    pub telemetry: &'a Telemetry,
    /// Deployments.
    pub canary: &'a str,
    pub stable: Option<&'a str>,
    /// Time of the source of the scores, or Azure's.
    pub now: At,
    /// Whether the split is known to have been the canary's during the whole window.
    pub verified: &'a dyn Fn(&Window) -> bool,
}

/// When so many windows are over that begin then.
pub(super) fn after_windows(start: At, windows: i64, plan: &Plan) -> At {
    start.plus(SignedDuration::from_millis(plan.window_ms.max(1).saturating_mul(windows)))
}
