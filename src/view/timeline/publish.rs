//! The Kubernetes Event of what happened.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::Event;
use crate::{
    api::{Cause, Outcome},
    view::{conditions::find, sentence},
};

/// An Event as the API takes it. Recorders merge Events of equal type, reason and action and keep the first note, so the
/// action tells apart what must not be merged: windows, and attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Warning, else Normal.
    pub warning: bool,
    /// One word in CamelCase.
    pub reason: String,
    /// At most 128 bytes.
    pub action: String,
    /// At most 1 KiB.
    pub note: String,
}

impl Announcement {
    /// For what has no timeline, an endpoint or a release without an attempt: it began to need a person, or does for
    /// another reason than before.
    pub fn of_stall(before: &[Condition], after: &[Condition]) -> Option<Self> {
        let stalled = find(after, "Stalled")?;
        let known = find(before, "Stalled").is_some_and(|known| known.reason == stalled.reason);
        // Ready says what is wrong, Stalled of a release only what to do about it.
        let ready = find(after, "Ready").unwrap_or(stalled);
        (!known).then(|| Self {
            warning: true,
            reason: stalled.reason.clone(),
            action: "Stall".into(),
            note: ready.message.clone(),
        })
    }

    /// The API server does not take what is written into a release, of which its status would tell everything else.
    pub fn of_refused_writes(why: &str) -> Self {
        let note = format!("status or finalizers are not taken: {why}; edit the spec, or apply this version's CRDs");
        Self {
            warning: true,
            reason: "WriteRefused".to_owned(),
            action: "Write".to_owned(),
            note: sentence::message(&note),
        }
    }
}

impl Event {
    /// Of this attempt of this version.
    pub fn announce(&self, version: &str, attempt: i64) -> Announcement {
        let (warning, reason) = self.reason();
        let what = match self {
            Self::WindowFailed { number, .. } | Self::WindowUnmeasured { number, .. } => format!("Window{number}"),
            Self::EvaluationRetried { n, .. } => format!("Retry{n}"),
            other => other.action().to_owned(),
        };
        Announcement {
            warning,
            reason: reason.to_owned(),
            action: sentence::clamp(&format!("{what}-{version}.{attempt}"), 128),
            note: sentence::message(&self.note()),
        }
    }

    fn reason(&self) -> (bool, &str) {
        match self {
            Self::Opened { .. } => (false, "RevisionAccepted"),
            Self::Built { .. } => (false, "Built"),
            Self::EvaluationStarted { .. } => (false, "EvaluationStarted"),
            Self::EvaluationRecalled { .. } => (false, "EvaluationRecalled"),
            Self::EvaluationRetried { .. } => (true, Cause::EvalInfraError.as_str()),
            Self::EvaluationPassed { .. } => (false, "EvaluationPassed"),
            Self::EvaluationWaived => (false, "EvaluationWaived"),
            Self::Deployed { .. } => (false, "Deployed"),
            Self::Verified { .. } => (false, "TrafficVerified"),
            Self::WindowFailed { rolling_back: false, .. } => (true, "WindowFailed"),
            Self::WindowFailed { .. } => (true, Cause::CanaryFailed.as_str()),
            Self::WindowUnmeasured { .. } => (true, "WindowUnmeasured"),
            Self::Promoting { .. } => (false, "Promoting"),
            Self::Misread { .. } => (true, "NotUnderstood"),
            Self::Withdrawing { cause, .. } => (true, cause),
            Self::Alarm { cause, .. } => (true, cause.as_str()),
            Self::Returned { outcome: Outcome::RolledBack, .. } => (true, "RolledBack"),
            Self::Returned { .. } => (true, "Withdrawn"),
            Self::Promoted { fast: false, .. } => (false, Cause::Promoted.as_str()),
            Self::Promoted { .. } => (false, Cause::FastPromoted.as_str()),
            Self::Ended { outcome, .. } => (*outcome != Outcome::Promoted, outcome.as_str()),
            Self::Delivered { .. } => (false, "Notified"),
            Self::Undelivered { .. } => (true, "NotNotified"),
        }
    }

    fn action(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "Open",
            Self::Built { .. } => "Build",
            Self::EvaluationStarted { .. }
            | Self::EvaluationRecalled { .. }
            | Self::EvaluationRetried { .. }
            | Self::EvaluationPassed { .. }
            | Self::EvaluationWaived => "Evaluate",
            Self::Deployed { .. } => "Deploy",
            Self::Verified { .. } => "ReadBack",
            Self::WindowFailed { .. } | Self::WindowUnmeasured { .. } => "Judge",
            Self::Promoting { .. } | Self::Promoted { .. } => "Promote",
            Self::Withdrawing { .. } | Self::Alarm { .. } | Self::Returned { .. } => "Withdraw",
            Self::Misread { .. } => "Obey",
            Self::Ended { .. } => "End",
            Self::Delivered { .. } | Self::Undelivered { .. } => "Notify",
        }
    }
}
