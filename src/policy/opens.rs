//! Whether an attempt may begin, of which kind, or why not.

use std::{fmt, str::FromStr};

use crate::api::{At, Cause, endpoint::DeploymentSeen, log::Log, status::Rejected};

/// The annotation promptrelease.io/abort: a version, or one attempt of it, gets no traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    version: String,
    attempt: Option<i64>,
}

impl Abort {
    /// Whether it speaks of attempt `n` of this version.
    pub fn names(&self, version: &str, n: i64) -> bool {
        self.version == version && self.attempt.is_none_or(|attempt| attempt == n)
    }
}

impl FromStr for Abort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` must be a version, as in 1428, or one attempt of it, as in 1428.7");
        let (version, attempt) = match text.trim().split_once('.') {
            None => (text.trim(), None),
            Some((version, n)) => {
                let digits = n.bytes().all(|b| b.is_ascii_digit());
                (version, Some(n.parse().ok().filter(|n| digits && *n > 0).ok_or_else(wrong)?))
            }
        };
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if version.is_empty() || !version.bytes().all(allowed) {
            return Err(wrong());
        }
        Ok(Self { version: version.to_owned(), attempt })
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.attempt {
            None => f.write_str(&self.version),
            Some(attempt) => write!(f, "{}.{attempt}", self.version),
        }
    }
}

/// Kind of an attempt that opens; the log knows two more, which begin with a withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Gate, canary, promotion; on an endpoint's first release without the canary.
    Canary,
    /// What served before and is still up: one write.
    Fast,
}

impl Kind {
    /// As in `log.attempt.kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Canary => "Canary",
            Self::Fast => "Fast",
        }
    }
}

/// What an opening rests on.
#[derive(Clone, Copy, Debug)]
pub struct Asks<'a> {
    /// Name and uid of the PromptRelease.
    pub release: &'a str,
    pub uid: &'a str,
    /// Name of the PromptEndpoint.
    pub endpoint: &'a str,
    pub version: &'a str,
    pub hash: &'a str,
    pub test_hash: &'a str,
    /// Name and uid of the release that holds the endpoint.
    pub claimed_by: Option<(&'a str, &'a str)>,
    /// On both objects.
    pub finalizer_stored: bool,
    /// Either object.
    pub deleting: bool,
    /// Why the spec cannot work.
    pub invalid: Option<&'a str>,
    pub has_evaluation: bool,
    pub requires_evaluation: bool,
    /// Whether the PromptEndpoint names a source of live scores.
    pub has_scores: bool,
    pub abort: Option<&'a Abort>,
    pub rejected: &'a [Rejected],
    pub log: &'a Log,
    pub deployments: &'a [DeploymentSeen],
}

/// Whether an attempt opens, and if not, all that a sentence with the next step needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opens {
    Yes(Kind),
    /// The version is stable's: there is nothing to do.
    AlreadyLive {
        version: String,
        deployment: String,
    },
    /// Another release holds the endpoint, and keeps it until that object is gone.
    ClaimedByOther {
        release: String,
        endpoint: String,
    },
    /// Nobody holds the endpoint yet: the claim is written in this pass.
    Unclaimed,
    /// Release or endpoint is being deleted.
    Deleting,
    /// The spec cannot work until it is edited; why.
    Invalid {
        why: String,
    },
    /// An attempt has no ending yet.
    Open {
        n: i64,
        version: String,
    },
    /// The standing order names the version. `live`: it already has all traffic, which only a person takes back.
    Aborted {
        order: String,
        live: bool,
    },
    /// The same content failed the same test: it is not tried again until either changes.
    RejectedBefore {
        version: String,
        outcome: String,
        at: At,
    },
    /// The last attempt was of the same content and test, and it ended.
    EndedBefore {
        n: i64,
        version: String,
        outcome: String,
        reason: String,
    },
    /// The endpoint's policy wants an evaluation, and the release has none.
    EvaluationRequired {
        endpoint: String,
    },
    /// The PromptEndpoint names no `applicationInsights`, so that a canary could not be judged.
    NoScores {
        endpoint: String,
    },
    /// No stable deployment is recorded, yet others may have served: a canary could not be taken back to anything.
    NoStable {
        deployment: String,
    },
    /// The finalizer is not stored yet on both objects.
    FinalizerMissing,
    /// Writes of unknown outcome may still land, the last one until then.
    Unsettled {
        writes: usize,
        until: At,
    },
    /// The endpoint's last write is still under way.
    WriteUnderWay {
        seq: i64,
        kind: String,
    },
    /// Too many pages were not accepted by any receiver.
    OutboxFull {
        undelivered: usize,
        limit: usize,
    },
}

impl Opens {
    /// Reason of the condition Ready, where this is an answer and not a short wait.
    pub fn cause(&self) -> Option<Cause> {
        None
    }
}

/// Whether an attempt opens.
pub fn opens(asks: &Asks<'_>) -> Opens {
    let _ = asks;
    Opens::Unclaimed
}
