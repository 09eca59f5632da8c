//! The events, and the line of each.

use crate::{
    api::{At, Cause, Outcome, log::Kind},
    view::sentence::{self, MAX_LINE, Serving, bare},
};

/// Everything that happens to a revision.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An attempt was opened. `kind` as in the log: Canary, Fast, Undo or Orphan.
    Opened {
        kind: String,
        version: String,
        hash: String,
        attempt: i64,
        stable: Option<Serving>,
    },
    /// Uploaded and registered.
    Built {
        model: String,
        bytes: i64,
    },
    EvaluationStarted {
        run: String,
        rows: i64,
    },
    /// The same content was evaluated by the same test before, as this version: its runs are judged, no new ones are made.
    EvaluationRecalled {
        run: String,
        version: String,
    },
    /// A run did not come to its end, and is made once more: the n-th time of so many.
    EvaluationRetried {
        n: i64,
        of: i64,
        why: String,
    },
    /// The gate is open; what it found.
    EvaluationPassed {
        found: String,
    },
    /// There is no evaluation, and the policy wants none.
    EvaluationWaived,
    /// Provisioned, without traffic.
    Deployed {
        deployment: String,
        instances: i64,
    },
    /// A canary's split was read back.
    Verified {
        split: String,
        step: i64,
        steps: i64,
    },
    /// A live criterion was not met in a window; `rolling_back` if it was one too many.
    WindowFailed {
        number: i64,
        what: String,
        rolling_back: bool,
    },
    /// A window that says nothing, because it could not be measured.
    WindowUnmeasured {
        number: i64,
        why: String,
    },
    /// The canary is to get all traffic.
    Promoting {
        evidence: String,
    },
    /// An order of a person's that cannot be read.
    Misread {
        why: String,
    },
    /// The attempt is to end otherwise. `exposed`: it has traffic to be taken back.
    Withdrawing {
        cause: String,
        evidence: String,
        actor: Option<String>,
        exposed: bool,
    },
    /// It was decided to take traffic back, and it cannot be done, or not be seen.
    Alarm {
        cause: Cause,
        what: String,
    },
    /// The traffic was read back as taken back.
    Returned {
        split: String,
        outcome: Outcome,
        exposed_for: Option<String>,
    },
    /// All traffic was read back as its own.
    Promoted {
        split: String,
        version: String,
        fast: bool,
    },
    /// The ending was recorded: the endpoint is free.
    Ended {
        outcome: Outcome,
        reason: String,
        exposed: bool,
    },
    /// Receivers took a page or notice about `reason`.
    Delivered {
        by: Vec<String>,
        reason: String,
        page: bool,
    },
    /// A page or notice was given up. `to` are those who could not be told, empty where that is everybody.
    Undelivered {
        to: Vec<String>,
        reason: String,
        why: String,
    },
}

impl Event {
    /// `2026-11-20T17:12:04Z  window 1 failed: …`
    pub fn line(&self, at: At) -> String {
        sentence_line(at, &self.text())
    }

    /// The line without its time.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Opened { kind, version, hash, stable, .. } => opened(kind, version, hash, stable.as_ref()),
            Self::Built { .. } => format!("built: {}", self.note()),
            Self::EvaluationStarted { .. } => format!("evaluation started: {}", self.note()),
            Self::EvaluationRecalled { .. } => self.note(),
            Self::EvaluationRetried { .. } => format!("evaluation {}", self.note()),
            Self::EvaluationPassed { found } => format!("evaluation passed: {found}"),
            Self::EvaluationWaived => format!("evaluation waived: {}", self.note()),
            Self::Deployed { .. } => format!("deployed {}", self.note()),
            Self::Verified { .. } | Self::Returned { .. } | Self::Promoted { .. } => {
                format!("traffic verified: {}", self.detail())
            }
            Self::WindowFailed { number, what, rolling_back } => {
                let end = if *rolling_back { "; rolling back" } else { "" };
                format!("window {number} failed: {what}{end}")
            }
            Self::WindowUnmeasured { number, why } => format!("window {number} not measured: {why}"),
            Self::Promoting { evidence } => format!("promoting: {evidence}"),
            Self::Misread { .. } | Self::Withdrawing { .. } => self.note(),
            Self::Alarm { cause, what } => format!("{cause}: {what}"),
            Self::Ended { .. } => self.note(),
            Self::Delivered { by, reason, page } => delivered(by, reason, *page),
            Self::Undelivered { .. } => self.note(),
        }
    }

    /// What kubectl prints as the message of the Kubernetes Event, whose reason says what happened.
    pub(super) fn note(&self) -> String {
        match self {
            Self::Opened { kind, version, hash, stable, .. } => {
                opened(kind, version, hash, stable.as_ref()).replacen(" accepted;", ";", 1)
            }
            Self::Built { model, bytes } => format!("model {}, {}", bare(model), sentence::size(*bytes)),
            Self::EvaluationStarted { run, rows } => format!("{run} over {}", sentence::count(*rows, "row")),
            Self::EvaluationRecalled { run, version } => {
                format!("evaluated before as {run}, for {version}: the same content, asked by the same test")
            }
            Self::EvaluationRetried { n, of, why } => format!("run once more ({n} of {of}): {why}"),
            Self::EvaluationPassed { found } => found.clone(),
            Self::EvaluationWaived => "the release has no `evaluation`, and the endpoint's policy requires none".into(),
            Self::Deployed { deployment, instances } => {
                format!("{deployment}: {}, no traffic", sentence::count(*instances, "instance"))
            }
            Self::Verified { .. } | Self::Promoted { .. } => self.detail(),
            Self::Returned { split, .. } => format!("traffic verified: {split}"),
            Self::WindowFailed { number, what, rolling_back } => {
                let end = if *rolling_back { "; rolling back" } else { "" };
                format!("window {number}: {what}{end}")
            }
            Self::WindowUnmeasured { number, why } => format!("window {number}: {why}"),
            Self::Promoting { evidence } => evidence.clone(),
            Self::Misread { why } => why.clone(),
            Self::Withdrawing { cause, evidence, actor, exposed } => withdrawing(cause, evidence, actor, *exposed),
            Self::Alarm { what, .. } => what.clone(),
            Self::Ended { outcome, reason, exposed } => {
                let traffic = if *exposed { "" } else { ", it never had traffic" };
                format!("ended {outcome} ({reason}){traffic}")
            }
            Self::Delivered { by, page, .. } => {
                format!("{} accepted the {}", sentence::list(by), if *page { "page" } else { "notice" })
            }
            Self::Undelivered { to, reason, why } => {
                let who =
                    if to.is_empty() { "nobody could".to_owned() } else { format!("{} could not", sentence::list(to)) };
                format!("{who} be told of {reason}: {why}")
            }
        }
    }

    /// A split, and what it means.
    fn detail(&self) -> String {
        match self {
            Self::Verified { split, step: 1, .. } => format!("{split}; the canary clock starts"),
            Self::Verified { split, step, steps } => format!("{split}; step {step} of {steps}"),
            Self::Returned { split, outcome, exposed_for } => {
                let verb = if *outcome == Outcome::RolledBack { "rolled back" } else { "withdrawn" };
                let after =
                    exposed_for.as_ref().map_or_else(String::new, |time| format!(" {time} after the first user"));
                format!("{split}; {verb}{after}")
            }
            Self::Promoted { split, version, fast: false } => format!("{split}; {version} serves everybody"),
            Self::Promoted { split, version, .. } => {
                format!("{split}; {version} serves again, without gate and canary")
            }
            _ => String::new(),
        }
    }

    /// Whether a timeline has it already, even if it is worded otherwise by now.
    pub(super) fn is_told(&self, timeline: &[String]) -> bool {
        let mut lines = timeline.iter().map(|line| text(line));
        match self {
            // Windows close in order, each once, so one that is told again was dropped from the middle.
            Self::WindowFailed { number, .. } | Self::WindowUnmeasured { number, .. } => {
                lines.any(|line| window(line).is_some_and(|told| told >= *number))
            }
            Self::Withdrawing { cause, exposed: true, .. } if *cause == Cause::CanaryFailed.as_str() => {
                let own = self.stem();
                lines.any(|line| line.starts_with(&own) || (window(line).is_some() && line.ends_with("; rolling back")))
            }
            // Once an attempt, whatever the traffic became since.
            Self::Returned { .. } => traffic(&mut lines, &["; rolled back", "; withdrawn"]),
            Self::Promoted { .. } => traffic(&mut lines, &[" serves everybody", " serves again,"]),
            _ => {
                let stem = self.stem();
                lines.any(|line| line.starts_with(&stem))
            }
        }
    }

    /// What two tellings of the same event have in common.
    fn stem(&self) -> String {
        let line = sentence_line(At::default(), &self.text());
        match self {
            Self::Built { .. } => "built: ".into(),
            Self::EvaluationStarted { .. } => "evaluation started: ".into(),
            Self::EvaluationRetried { n, of, .. } => format!("evaluation run once more ({n} of {of}): "),
            Self::EvaluationPassed { .. } => "evaluation passed: ".into(),
            Self::Deployed { deployment, .. } => format!("deployed {deployment}: "),
            Self::Verified { split, .. } => format!("traffic verified: {split};"),
            // Without its blank, which is cut where nothing follows.
            Self::Alarm { cause, .. } => format!("{cause}:"),
            _ => text(&line).to_owned(),
        }
    }
}

/// As it is stored: cut to the size of a line.
fn sentence_line(at: At, text: &str) -> String {
    let stamp = at.to_seconds();
    let room = MAX_LINE.saturating_sub(stamp.len() + 2);
    format!("{stamp}  {}", sentence::clamp(text, room))
}

fn opened(kind: &str, version: &str, hash: &str, stable: Option<&Serving>) -> String {
    let revision = format!("revision {version} ({hash})");
    let stable = match stable {
        None => "nothing serves here yet".to_owned(),
        Some(Serving { version: Some(version), deployment }) => format!("stable is {version} on {deployment}"),
        Some(Serving { version: None, deployment }) => format!("stable is {deployment}"),
    };
    match Kind::parse(kind) {
        Some(Kind::Fast) => format!("{revision} accepted; it served before and is still up; {stable}"),
        Some(Kind::Undo) => format!("{revision} is taken back after its promotion; {stable}"),
        Some(Kind::Orphan) => format!("{revision} was found with traffic that no record explains; {stable}"),
        Some(Kind::Canary) | None => format!("{revision} accepted; {stable}"),
    }
}

fn withdrawing(cause: &str, evidence: &str, actor: &Option<String>, exposed: bool) -> String {
    let what = match cause.parse() {
        Ok(Cause::EvalRegression) => "evaluation failed",
        Ok(Cause::EvalInfraError) => "evaluation did not run cleanly",
        Ok(Cause::BuildFailed | Cause::BuildUnavailable) => "build failed",
        Ok(Cause::DeploymentFailed | Cause::DeploymentUnavailable) => "deployment failed",
        _ => cause,
    };
    let by = actor.as_ref().map_or_else(String::new, |actor| format!(" (by {actor})"));
    let end = if exposed { "; rolling back" } else { "" };
    format!("{what}: {evidence}{by}{end}")
}

/// The page about a verdict needs no more words; others say what they are about.
fn delivered(by: &[String], reason: &str, page: bool) -> String {
    let by = sentence::list(by);
    let alarm = matches!(reason.parse(), Ok(Cause::RollbackFailed | Cause::StableLost | Cause::Unreadable));
    match (page, alarm) {
        (true, false) => format!("{by} paged"),
        (true, true) => format!("{by} paged: {reason}"),
        (false, _) => format!("{by} told: {reason}"),
    }
}

/// The number in `window 3 failed: …`.
fn window(text: &str) -> Option<i64> {
    text.strip_prefix("window ")?.split(' ').next()?.parse().ok()
}

/// Whether one of these was told of a split that was read back.
fn traffic<'a>(lines: &mut impl Iterator<Item = &'a str>, words: &[&str]) -> bool {
    lines.any(|line| line.starts_with("traffic verified: ") && words.iter().any(|word| line.contains(word)))
}

/// A line without its time.
pub(super) fn text(line: &str) -> &str {
    line.split_once("  ").map_or(line, |(_, text)| text)
}
