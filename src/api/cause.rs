//! Every cause that ends an attempt, with what follows from it: one table.

use std::{fmt, str::FromStr};

/// The five ways in which an attempt can end; a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// It serves 100 %.
    Promoted,
    /// The gate said no; it never had traffic.
    Rejected,
    /// It had traffic and lost it.
    RolledBack,
    /// We could not tell, or never got so far.
    Failed,
    /// A person, or another hand, ended it.
    Aborted,
}

/// Whose fault it is: *it is bad* and *we could not tell* differ by type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Blame {
    Release,
    Environment,
    Person,
}

/// Whether somebody is woken up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    Page,
    Notice,
}

macro_rules! causes {
    ($($(#[$doc:meta])* $name:ident => $outcome:ident, $blame:expr, $severity:ident;)*) => {
        /// Why an attempt ended, or why a person is needed. The word is the reason of conditions, Events and pages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Cause { $($(#[$doc])* $name,)* }

        impl Cause {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// Outcome as the table says; see [`Cause::outcome`].
            fn written(self) -> Outcome {
                match self { $(Self::$name => Outcome::$outcome,)* }
            }

            /// None for a success.
            pub fn blame(self) -> Option<Blame> {
                match self { $(Self::$name => $blame,)* }
            }

            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

causes! {
    /// All criteria held, live answers included.
    Promoted => Promoted, None, Notice;
    /// A version that served here before, still up: one write, no gate, no canary.
    FastPromoted => Promoted, None, Notice;
    /// The version already serves 100 %; nothing was changed.
    AlreadyLive => Promoted, None, Notice;
    /// A criterion of the gate was not met.
    EvalRegression => Rejected, Some(Blame::Release), Notice;
    /// The same content was rejected or rolled back before and the test is the same.
    RejectedBefore => Rejected, Some(Blame::Release), Notice;
    /// The archive or its flow is broken.
    BuildFailed => Failed, Some(Blame::Release), Notice;
    /// Azure did not take what was to be built in time, through no fault of the archive (rights, network, policy).
    BuildUnavailable => Failed, Some(Blame::Environment), Notice;
    /// The spec cannot work until it is edited.
    InvalidSpec => Failed, Some(Blame::Release), Notice;
    /// The endpoint's policy does not allow the release.
    PolicyViolation => Failed, Some(Blame::Release), Notice;
    /// The evaluation did not run cleanly, so nothing was judged.
    EvalInfraError => Failed, Some(Blame::Environment), Notice;
    /// Azure could not run the deployment, through the content's fault.
    DeploymentFailed => Failed, Some(Blame::Release), Notice;
    /// Azure could not run the deployment, through no fault of the content (quota, capacity, network).
    DeploymentUnavailable => Failed, Some(Blame::Environment), Notice;
    /// A live criterion failed the limit of windows in a row.
    CanaryFailed => RolledBack, Some(Blame::Release), Page;
    /// The canary answered more server errors than stable.
    AvailabilityFailed => RolledBack, Some(Blame::Release), Page;
    /// Live answers could not be measured.
    CanaryUnmeasurable => Failed, Some(Blame::Environment), Page;
    /// Azure knows a later write of ours than the log does.
    StatusBehind => Failed, Some(Blame::Environment), Page;
    /// The release's facts of an exposed attempt are gone.
    StatusLost => Failed, Some(Blame::Environment), Page;
    /// The endpoint stays in a failed state.
    EndpointFailed => Failed, Some(Blame::Environment), Page;
    /// The promotion could not be written in time.
    PromotionFailed => Failed, Some(Blame::Environment), Page;
    /// Somebody else changed the traffic in mid-canary.
    Drift => Aborted, Some(Blame::Person), Page;
    /// The release object is gone.
    Orphan => Aborted, Some(Blame::Person), Page;
    /// The annotation promptrelease.io/abort names this version.
    AbortRequested => Aborted, Some(Blame::Person), Notice;
    /// A newer version, or another test, took its place.
    Superseded => Aborted, Some(Blame::Person), Notice;
    /// The release, or its endpoint, is being deleted.
    Deleted => Aborted, Some(Blame::Person), Notice;
    /// Traffic could not be taken back in time. No ending: it is tried for ever.
    RollbackFailed => Failed, Some(Blame::Environment), Page;
    /// The deployment to return to is gone. No ending.
    StableLost => Failed, Some(Blame::Environment), Page;
    /// Azure cannot be read while a canary has traffic. No ending.
    Unreadable => Failed, Some(Blame::Environment), Page;
}

impl Cause {
    /// How an attempt ends for this cause. Only an abort depends on whether it had traffic.
    pub fn outcome(self, exposed: bool) -> Outcome {
        match self {
            Self::AbortRequested if exposed => Outcome::RolledBack,
            other => other.written(),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Cause {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|c| c.as_str() == s).ok_or_else(|| format!("unknown cause `{s}`"))
    }
}

impl Outcome {
    pub const ALL: &[Self] = &[Self::Promoted, Self::Rejected, Self::RolledBack, Self::Failed, Self::Aborted];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promoted => "Promoted",
            Self::Rejected => "Rejected",
            Self::RolledBack => "RolledBack",
            Self::Failed => "Failed",
            Self::Aborted => "Aborted",
        }
    }
}

impl FromStr for Outcome {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.iter().copied().find(|o| o.as_str() == s).ok_or_else(|| format!("unknown outcome `{s}`"))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Blame {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Release => "Release",
            Self::Environment => "Environment",
            Self::Person => "Person",
        }
    }
}

impl Severity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Notice => "notice",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for cause in Cause::ALL {
            assert_eq!(cause.as_str().parse(), Ok(*cause));
        }
        for outcome in Outcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
        }
    }

    #[test]
    fn only_a_success_has_nobody_to_blame() {
        for cause in Cause::ALL {
            assert_eq!(cause.blame().is_none(), cause.outcome(false) == Outcome::Promoted, "{cause}");
        }
    }

    #[test]
    fn an_abort_with_traffic_is_a_rollback() {
        assert_eq!(Cause::AbortRequested.outcome(true), Outcome::RolledBack);
        assert_eq!(Cause::AbortRequested.outcome(false), Outcome::Aborted);
    }
}
