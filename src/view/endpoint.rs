//! A PromptEndpoint as people see it: its conditions.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    conditions::{self, Row, Status},
    notified::{self, Notified},
    release::Stage,
    sentence::Serving,
    trouble::Trouble,
};
use crate::api::{
    At,
    endpoint::{ClaimedBy, DeploymentSeen},
    log::{Attempt, Log},
};

/// Azure's limit of deployments on one endpoint ("Manage and increase quotas": online endpoints and deployments).
const MAX_DEPLOYMENTS: usize = 20;

/// What reads and the claim's write have shown of the identity's rights; other rights show when they are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access<'a> {
    /// Nothing was asked yet.
    Unknown,
    /// Endpoint and deployments were read; `wrote`: and our tags are on the endpoint.
    Verified { wrote: bool },
    /// Azure refuses; the sentence with the role that is missing.
    Denied(&'a str),
}

/// Everything that the conditions of an endpoint are made of.
#[derive(Clone, Debug)]
pub struct EndpointView<'a> {
    pub generation: Option<i64>,
    pub log: Option<&'a Log>,
    pub claimed_by: Option<&'a ClaimedBy>,
    pub deployments: &'a [DeploymentSeen],
    /// Split of the traffic as last verified.
    pub traffic: Option<&'a str>,
    pub access: Access<'a>,
    /// The first thing that stands in the way.
    pub trouble: Option<&'a Trouble>,
    /// Of the open attempt.
    pub stage: Option<Stage>,
    pub notified: Option<Notified<'a>>,
}

/// Ready, Stalled, AccessVerified, TrafficUndisturbed, Notified.
pub fn conditions(view: &EndpointView<'_>, before: &[Condition], now: At) -> Vec<Condition> {
    let mut rows = vec![ready(view)];
    let stalled = view.trouble.filter(|t| t.needs_person);
    rows.extend(stalled.map(|t| Row::new("Stalled", Status::True, t.reason, &t.message)));
    rows.extend([access(view), traffic(view)]);
    rows.extend(notified::row(view.notified, before, None));
    conditions::update(rows, before, view.generation, now)
}

fn ready(view: &EndpointView<'_>) -> Row {
    if let Some(trouble) = view.trouble {
        return Row::new("Ready", Status::False, trouble.reason, &trouble.message);
    }
    if let Access::Denied(why) = view.access {
        return Row::new("Ready", Status::False, "Forbidden", why);
    }
    match (view.log, view.traffic) {
        (Some(log), Some(traffic)) => Row::new("Ready", Status::True, "Observed", observed(view, log, traffic)),
        _ => Row::new("Ready", Status::Unknown, "Pending", "not looked at yet"),
    }
}

/// `release 1428 is in its canary; 2 of 20 deployments`
fn observed(view: &EndpointView<'_>, log: &Log, traffic: &str) -> String {
    let serving = log.stable.as_ref().map(|s| Serving { version: s.version.clone(), deployment: s.deployment.clone() });
    let open = log.attempt.as_ref().filter(|a| a.ending.is_none());
    let what = match (view.stage, open, &log.attempt, serving) {
        (Some(stage), Some(attempt), ..) => under_way(stage, &attempt.version),
        (_, _, None, Some(stable)) => format!("no release yet; adopted {}, which serves 100 %", stable.deployment),
        (_, _, None, None) if traffic.is_empty() => "no release yet; nothing serves".to_owned(),
        (_, _, None, None) => format!("no release yet; traffic is {traffic}"),
        (_, _, Some(_), Some(stable)) => format!("{} serves 100 %", stable.short()),
        (_, _, Some(_), None) => "nothing serves".to_owned(),
    };
    format!("{what}; {} of {MAX_DEPLOYMENTS} deployments", view.deployments.len())
}

fn under_way(stage: Stage, version: &str) -> String {
    let doing = match stage {
        Stage::Building => "is being built",
        Stage::Evaluating => "is being evaluated",
        Stage::Deploying => "is being deployed",
        Stage::Canary => "is in its canary",
        Stage::Promoting => "is being promoted",
        Stage::RollingBack => "is being taken back",
    };
    format!("release {version} {doing}")
}

fn access(view: &EndpointView<'_>) -> Row {
    let row = |status, reason, message| Row::new("AccessVerified", status, reason, message);
    match view.access {
        Access::Unknown => row(Status::Unknown, "Pending", "nothing was asked of Azure yet"),
        Access::Verified { wrote: true } => {
            row(Status::True, "Verified", "endpoint and deployments read, endpoint written")
        }
        Access::Verified { wrote: false } => {
            row(Status::True, "Verified", "endpoint and deployments read; nothing was written yet")
        }
        Access::Denied(why) => row(Status::False, "Forbidden", why),
    }
}

fn traffic(view: &EndpointView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("TrafficUndisturbed", status, reason, message);
    if let Some(trouble) = view.trouble.filter(|t| t.about_traffic) {
        return row(Status::False, trouble.reason, &trouble.message);
    }
    let attempt = view.log.and_then(|log| log.attempt.as_ref());
    match (view.traffic, attempt.and_then(last_write)) {
        (None, _) => row(Status::Unknown, "Pending", "not looked at yet"),
        (Some(_), Some((at, by))) => row(Status::True, "AsWritten", &format!("last write {} by {by}", at.to_seconds())),
        (Some(_), None) => row(Status::True, "AsFound", "as it was found"),
    }
}

/// When the last attempt's split was last read back as written, and whose it was.
fn last_write(attempt: &Attempt) -> Option<(At, &str)> {
    let raised = attempt.raised.iter().rev().find_map(|r| r.verified_at)?;
    let at = attempt.ending.as_ref().map_or(raised, |ending| ending.at);
    Some((at, &attempt.release.name))
}
