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
    endpoint::{DeploymentSeen, MAX_DEPLOYMENTS},
    log::{Attempt, Log},
};

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

/// What is known, and what became of a page.
pub fn only_notified(
    before: &[Condition],
    notified: Option<Notified<'_>>,
    generation: Option<i64>,
    now: At,
) -> Vec<Condition> {
    let others = before.iter().filter(|condition| condition.type_ != "Notified").cloned();
    let told = notified::row(notified, before, None).into_iter().collect();
    others.chain(conditions::update(told, before, generation, now)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::log::{Raised, ReleaseRef, Stable},
        view::{by_hand, timeline::Announcement, trouble},
    };

    fn at(text: &str) -> At {
        text.parse::<jiff::Timestamp>().expect(text).into()
    }

    fn deployment(name: &str, weight: i64) -> DeploymentSeen {
        DeploymentSeen {
            name: name.into(),
            state: Some("Succeeded".into()),
            weight,
            instances: Some(2),
            version: None,
            hash: None,
            ours: true,
            served: true,
            keep_until: None,
        }
    }

    fn log(version: Option<&str>, deployment: &str) -> Log {
        let version = version.map(str::to_owned);
        Log { stable: Some(Stable { deployment: deployment.into(), version, ..Stable::default() }), ..Log::default() }
    }

    fn in_canary() -> Log {
        let attempt = Attempt {
            release: ReleaseRef { name: "support-assistant".into(), uid: "6a9d8db9".into() },
            version: "1428".into(),
            raised: vec![Raised {
                step: 1,
                weight: 10,
                seq: 41,
                noted_at: None,
                verified_at: Some(at("2026-11-20T17:10:52Z")),
            }],
            ..Attempt::default()
        };
        Log { attempt: Some(attempt), ..log(Some("1427"), "d-1427") }
    }

    fn view<'a>(log: &'a Log, deployments: &'a [DeploymentSeen], traffic: &'a str) -> EndpointView<'a> {
        EndpointView {
            generation: Some(2),
            log: Some(log),
            deployments,
            traffic: Some(traffic),
            access: Access::Verified { wrote: true },
            trouble: None,
            stage: None,
            notified: None,
        }
    }

    fn lines(view: &EndpointView<'_>) -> Vec<String> {
        let all = conditions(view, &[], at("2026-11-20T17:13:30Z"));
        all.iter().map(|c| format!("{} {} {}: {}", c.type_, c.status, c.reason, c.message)).collect()
    }

    #[test]
    fn in_the_middle_of_a_canary() {
        let (log, deployments) = (in_canary(), [deployment("d-1427", 90), deployment("d-1428", 10)]);
        let view = EndpointView { stage: Some(Stage::Canary), ..view(&log, &deployments, "d-1427=90 d-1428=10") };
        assert_eq!(
            lines(&view),
            [
                "Ready True Observed: release 1428 is in its canary; 2 of 20 deployments",
                "AccessVerified True Verified: endpoint and deployments read, endpoint written",
                "TrafficUndisturbed True AsWritten: last write 2026-11-20T17:10:52Z by support-assistant",
            ]
        );
    }

    #[test]
    fn before_the_first_release() {
        let (log, deployments) = (log(None, "d-bootstrap"), [deployment("d-bootstrap", 100)]);
        let view =
            EndpointView { access: Access::Verified { wrote: false }, ..view(&log, &deployments, "d-bootstrap=100") };
        assert_eq!(
            lines(&view),
            [
                "Ready True Observed: no release yet; adopted d-bootstrap, which serves 100 %; 1 of 20 deployments",
                "AccessVerified True Verified: endpoint and deployments read; nothing was written yet",
                "TrafficUndisturbed True AsFound: as it was found",
            ]
        );
    }

    #[test]
    fn before_the_first_look() {
        let log = Log::default();
        let view = EndpointView { log: None, traffic: None, access: Access::Unknown, ..view(&log, &[], "") };
        assert!(lines(&view).iter().all(|line| line.contains(" Unknown Pending: ")));
    }

    #[test]
    fn a_split_that_somebody_else_set() {
        let log = log(None, "d-1427");
        let trouble = trouble::traffic_conflict("d-1427=50 d-hotfix=50", &by_hand::tests::azure("prod"));
        let view = EndpointView { trouble: Some(&trouble), ..view(&log, &[], "d-1427=50 d-hotfix=50") };
        let message = "somebody else set d-1427=50 d-hotfix=50; nothing is written until one deployment has all traffic, as \
                       in: az ml online-endpoint update --subscription 00000000-0000-0000-0000-000000000001 -g rg -w ws -n \
                       prod --traffic d-1427=100";
        let lines = lines(&view);
        assert_eq!(lines[0], format!("Ready False TrafficConflict: {message}"));
        assert_eq!(lines[1], format!("Stalled True TrafficConflict: {message}"));
        assert_eq!(lines[3], format!("TrafficUndisturbed False TrafficConflict: {message}"));
        let now = at("2026-11-20T17:13:30Z");
        let after = conditions(&view, &[], now);
        let event = Announcement::of_stall(&[], &after).expect("an Event");
        assert_eq!((event.reason.as_str(), event.note.as_str()), ("TrafficConflict", message));
        assert_eq!(Announcement::of_stall(&after, &conditions(&view, &after, now)), None, "told once");
    }

    #[test]
    fn what_passes_by_itself_is_not_stalled() {
        let log = log(Some("1427"), "d-1427");
        let trouble = trouble::unreadable("GET onlineEndpoints/prod: throttled", at("2026-11-20T17:10:52Z"));
        let view = EndpointView { trouble: Some(&trouble), ..view(&log, &[], "d-1427=100") };
        let lines = lines(&view);
        assert_eq!(
            lines[0],
            "Ready False Unreadable: Azure cannot be read since 2026-11-20T17:10:52Z: GET onlineEndpoints/prod: throttled"
        );
        assert!(!lines.iter().any(|line| line.starts_with("Stalled")));
    }
}
