//! What a release asks of the outside, in the order in which it does, and how it ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use promptrelease::sim::{Service, requests::Entry};
use serde_json::{Value, json};

use super::case::{Case, Fate, STABLE};
use crate::ground::Moment;

/// Name of the rule by which the simulator holds a request.
pub const HELD: &str = "held";

/// One call, so that it can be found in another run of the same release.
#[derive(Clone, Debug)]
pub enum Call {
    /// A write to the API server.
    Kubernetes {
        /// Writes before it; if it notes something, only those that note the same.
        after: usize,
        /// Method, resource, and of a status the fields that are new; none, if it only says for people what others say.
        name: String,
    },
    /// A request to Azure or to a receiver of pages.
    Outside {
        /// The words of a fault rule that fit it.
        matches: Value,
        /// Requests before it that they fit.
        after: usize,
        name: String,
    },
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kubernetes { after, name } => write!(f, "write {} to the API server, {name}", after + 1),
            Self::Outside { after, name, .. } => write!(f, "request {} of {name}", after + 1),
        }
    }
}

impl Call {
    /// What it is, without its number.
    pub fn name(&self) -> &str {
        match self {
            Self::Kubernetes { name, .. } | Self::Outside { name, .. } => name,
        }
    }

    /// From now on the call is held as soon as it comes.
    pub fn hold(&self, case: &Case, moment: Moment) {
        match self {
            Self::Kubernetes { after, name } => {
                let (after, noted) = (*after, noted(name));
                let is_it = move |before: &[String], name: &str| match &noted {
                    None => before.len() == after,
                    some => {
                        self::noted(name) == *some && before.iter().filter(|b| self::noted(b) == *some).count() == after
                    }
                };
                case.tap.hold(is_it, moment);
            }
            Self::Outside { matches, after, .. } => {
                let effect = match moment {
                    Moment::Before => json!({"lose": "request", "holdUntilReleased": true}),
                    Moment::After => json!({"lose": "reply", "holdReplyMs": 600_000}),
                };
                case.azure.fault(json!({"name": HELD, "match": matches, "skip": after, "do": effect}));
            }
        }
    }

    /// Whether nothing is decided or recorded by it: a status whose facts are as they were, an Event, a token.
    pub fn only_tells(&self) -> bool {
        let Self::Kubernetes { name, .. } = self else { return false };
        let (method, what) = name.split_once(' ').unwrap_or_default();
        method == "POST" || !what.contains(' ') && what.ends_with("/status")
    }

    /// Whether it notes what is going to be written to Azure, or how far the attempt is.
    pub fn notes(&self) -> bool {
        matches!(self, Self::Kubernetes { name, .. } if noted(name).is_some())
    }

    /// Whether it changes something in Azure.
    pub fn puts(&self) -> bool {
        matches!(self, Self::Outside { name, .. } if !name.starts_with("POST "))
    }

    /// Whether it belongs to a promotion: its decision, or what comes after it.
    pub fn promotes(&self) -> bool {
        self.name().contains("Promote")
    }

    /// Whether it has come and is held.
    pub fn is_held(&self, case: &Case) -> bool {
        match self {
            Self::Kubernetes { .. } => case.tap.holds(),
            Self::Outside { .. } => case.azure.struck(HELD) > 0,
        }
    }
}

/// All calls of a run: writes to the API server, then those to the outside, each in their order.
pub fn calls(case: &Case) -> Vec<Call> {
    let writes = case.tap.writes();
    let kubernetes = writes.iter().enumerate().map(|(nth, name)| {
        let same = |before: &&String| noted(before) == noted(name);
        let after = if noted(name).is_some() { writes[..nth].iter().filter(same).count() } else { nth };
        Call::Kubernetes { after, name: name.clone() }
    });
    kubernetes.chain(outside(&case.azure.requests(0))).collect()
}

/// Of a write's name, what it notes of the attempt or of the next write to Azure. What else is in the same write differs
/// from run to run.
fn noted(name: &str) -> Option<String> {
    let noted = |field: &&str| field.starts_with("log.intent.kind") || field.starts_with("log.attempt");
    let fields: Vec<&str> = name.split(' ').filter(noted).collect();
    (!fields.is_empty()).then(|| fields.join(" "))
}

/// Writes to Azure, and pages. Of the files of one archive, which are uploaded one after the other, only the first.
fn outside(requests: &[Entry]) -> Vec<Call> {
    let mut before: BTreeMap<String, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    for entry in requests.iter().filter(|entry| writes(entry)) {
        let (name, matches) = named(entry);
        let after = before.entry(name.clone()).or_default();
        if entry.service != Service::Blob || *after == 0 {
            calls.push(Call::Outside { matches, after: *after, name });
        }
        *after += 1;
    }
    calls
}

/// Whether it may change something. Tokens, queries and looks at runs are asked for by POST.
fn writes(entry: &Entry) -> bool {
    let asks = matches!(entry.service, Service::Entra | Service::Insights) || entry.path.ends_with("/rundata");
    !asks && !matches!(entry.method.as_str(), "GET" | "HEAD")
}

/// What is written, in words and in those of a fault rule.
fn named(entry: &Entry) -> (String, Value) {
    let Entry { service, method, path, why, .. } = entry;
    let parts: Vec<&str> = path.split('/').collect();
    let kind = match service {
        // Types and names take turns.
        Service::Arm => parts.iter().rev().nth(1).filter(|kind| **kind != "versions").or(parts.iter().rev().nth(3)),
        Service::Blob => parts.get(2),
        _ => parts.last(),
    };
    let kind = kind.copied().unwrap_or_default();
    let mut matches = json!({"service": service, "method": method, "path": format!("/{kind}")});
    if let Some(why) = why.as_ref().filter(|_| kind.eq_ignore_ascii_case("onlineEndpoints")) {
        matches["why"] = json!(why);
        return (format!("{method} {kind} {why}"), matches);
    }
    (format!("{method} {kind}"), matches)
}

/// How a release ended, as everybody sees it who was not there.
#[derive(Debug, PartialEq)]
pub struct Ending {
    /// Outcome and reason of each attempt.
    pub attempts: Vec<(String, String)>,
    /// Where Azure sends the traffic.
    pub live: Value,
    /// Kinds of the evaluation's runs.
    pub runs: Vec<String>,
    /// What Azure accepted, and how often; but for what is named by its content, which may be put again.
    pub accepted: BTreeMap<String, usize>,
    /// Reasons of what on-call accepted, by key.
    pub told: BTreeSet<(String, String)>,
    /// Lines that the timeline has more than once.
    pub repeated: Vec<String>,
}

impl Ending {
    /// What is expected of the run that all others are compared with.
    pub fn is_as_it_should_be(&self, fate: Fate) {
        let (outcome, reason, serves) = match fate {
            Fate::TakenBack => ("RolledBack", "CanaryFailed", STABLE),
            Fate::Promoted => ("Promoted", "Promoted", "d-1428"),
        };
        assert_eq!(self.attempts, [(outcome.to_owned(), reason.to_owned())]);
        assert_eq!(self.live, json!({serves: 100}));
        assert_eq!(self.runs, ["eval", "judge"]);
        let puts = self.accepted.iter().filter(|(what, _)| what.starts_with("PUT"));
        assert!(puts.clone().count() >= 4 && puts.clone().all(|(_, times)| *times == 1), "{:#?}", self.accepted);
        assert_eq!(self.repeated, Vec::<String>::new());
        assert!(self.told.iter().any(|(_, told)| told == reason), "{:#?}", self.told);
    }
}

/// Lines that are there more than once, whenever they were written.
pub fn repeated(timeline: &[String]) -> Vec<String> {
    let lines: Vec<&str> = timeline.iter().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
    let again = lines.iter().enumerate().filter(|(at, line)| lines[..*at].contains(line));
    again.map(|(_, line)| (*line).to_owned()).collect()
}

/// What Azure accepted. `held` is a request that it accepted although its reply was kept back.
pub fn accepted(requests: &[Entry], held: bool) -> BTreeMap<String, usize> {
    let mut accepted = BTreeMap::new();
    for entry in requests.iter().filter(|entry| writes(entry) && entry.service != Service::Webhook) {
        let only_reply_lost = held && entry.fault.is_some();
        let yes = only_reply_lost || entry.status.is_some_and(|status| (200..300).contains(&status));
        let by_content = entry.service == Service::Blob || entry.path.contains("/versions/");
        if yes && !by_content {
            *accepted.entry(named(entry).0).or_default() += 1;
        }
    }
    accepted
}
