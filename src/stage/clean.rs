//! Clean: what nobody needs any more is deleted, but only while nothing is exposed; and instances follow the spec.

use std::collections::BTreeMap;

use jiff::SignedDuration;

use crate::{
    api::{
        At,
        endpoint::{DeploymentSeen, MAX_DEPLOYMENTS},
        log::Log,
    },
    azure::{OnlineDeployment, OnlineEndpoint, provisioning},
    endpoint::Wish,
    stage::deploy::body::{TAG_HASH, TAG_OWNER, TAG_VERSION},
};

/// The inventory after a look at all deployments. What is ours and has no role is kept for a while, so that it can be
/// looked into or used again, for `grace` at least; what never ran is not.
pub fn inventory(
    before: &[DeploymentSeen],
    found: &[OnlineDeployment],
    live: &BTreeMap<String, u8>,
    log: &Log,
    owner: &str,
    grace: SignedDuration,
    now: At,
) -> Vec<DeploymentSeen> {
    let mut seen: Vec<DeploymentSeen> = found
        .iter()
        .map(|d| {
            let old = before.iter().find(|b| b.name.eq_ignore_ascii_case(&d.name));
            let weight = live.get(&d.name).copied().map_or(0, i64::from);
            let ours = d.tags.get(TAG_OWNER).is_some_and(|tag| tag == owner);
            let hash = d.tags.get(TAG_HASH).map(|tag| tag.trim_start_matches("v1:").to_owned());
            let mut seen = DeploymentSeen {
                name: d.name.clone(),
                state: Some(d.provisioning_state.clone()),
                weight,
                instances: d.instances().map(i64::from),
                version: d.tags.get(TAG_VERSION).cloned(),
                hash,
                ours,
                served: weight > 0 || old.is_some_and(|o| o.served),
                keep_until: None,
            };
            let kept = old.and_then(|o| o.keep_until);
            seen.keep_until = keep_until(&seen, kept, log, grace, now);
            seen
        })
        .collect();
    seen.sort_by(|a, b| a.name.cmp(&b.name));
    seen.truncate(MAX_DEPLOYMENTS);
    seen
}

fn keep_until(seen: &DeploymentSeen, before: Option<At>, log: &Log, grace: SignedDuration, now: At) -> Option<At> {
    if !seen.ours || seen.weight > 0 || in_use(&seen.name, log) {
        return None;
    }
    if let Some(previous) = log.previous.as_ref().filter(|p| p.deployment == seen.name) {
        return previous.keep_until;
    }
    let failed = seen.state.as_deref().is_some_and(provisioning::failed);
    if failed && !seen.served {
        return Some(now);
    }
    let keep = log.attempt.as_ref().map_or(0, |a| a.plan.keep_previous_ms);
    before.or_else(|| Some(now.plus(SignedDuration::from_millis(keep).max(grace))))
}

/// Stable, or of an attempt that is under way.
fn in_use(name: &str, log: &Log) -> bool {
    let open = log.attempt.as_ref().filter(|a| a.ending.is_none());
    log.stable.as_ref().is_some_and(|s| s.deployment == name)
        || open.is_some_and(|a| a.deployment.as_deref() == Some(name) || a.return_to.as_deref() == Some(name))
}

/// One wish a pass: a deployment whose time is over and that no requests are mirrored to, or stable's instances.
pub fn next(
    inventory: &[DeploymentSeen],
    log: &Log,
    live: Option<&OnlineEndpoint>,
    instances: Option<i64>,
    now: At,
) -> (Wish<String>, Option<At>) {
    let mirrored = |name: &str| live.is_none_or(|live| live.mirrored(name).is_some());
    let over = |d: &&DeploymentSeen| d.keep_until.is_some_and(|until| until <= now);
    let due = |d: &&DeploymentSeen| over(d) && !changing(d) && !mirrored(&d.name);
    if let Some(old) = inventory.iter().filter(|d| d.ours && d.weight == 0).find(due) {
        return (Wish::Delete { deployment: old.name.clone() }, None);
    }
    if let (Some(wanted), Some(stable)) = (instances, &log.stable) {
        let found = inventory.iter().find(|d| d.name == stable.deployment);
        if found.is_some_and(|d| d.ours && d.instances.is_some_and(|has| has != wanted) && !changing(d)) {
            return (Wish::Scale { deployment: stable.deployment.clone() }, None);
        }
    }
    (Wish::Nothing, inventory.iter().filter_map(|d| d.keep_until).filter(|until| *until > now).min())
}

fn changing(seen: &DeploymentSeen) -> bool {
    !seen.state.as_deref().is_some_and(provisioning::at_rest)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::log::{Previous, Stable};

    type Next = (Wish<String>, Option<At>);

    fn at(seconds: i64) -> At {
        At::from(jiff::Timestamp::from_second(seconds).expect("in range"))
    }

    const GRACE: SignedDuration = SignedDuration::from_secs(600);

    /// What is wished for while requests are mirrored so.
    fn next_beside(mirror: Value, all: &[DeploymentSeen], log: &Log, instances: Option<i64>, now: At) -> Next {
        let live = json!({"name": "qa", "properties": {"mirrorTraffic": mirror}});
        let live: OnlineEndpoint = serde_json::from_value(live).expect("an endpoint");
        super::next(all, log, Some(&live), instances, now)
    }

    fn next(all: &[DeploymentSeen], log: &Log, instances: Option<i64>, now: At) -> Next {
        next_beside(json!({}), all, log, instances, now)
    }

    fn log() -> Log {
        let stable = Some(Stable { deployment: "d-2".into(), ..Stable::default() });
        let previous = Some(Previous { deployment: "d-1".into(), keep_until: Some(at(100)), ..Previous::default() });
        Log { stable, previous, ..Log::default() }
    }

    fn seen(name: &str, log: &Log, now: At) -> DeploymentSeen {
        let mut seen = DeploymentSeen {
            name: name.into(),
            state: Some("Succeeded".into()),
            weight: i64::from(name == "d-2") * 100,
            instances: Some(1),
            version: None,
            hash: None,
            ours: true,
            served: true,
            keep_until: None,
        };
        seen.keep_until = keep_until(&seen, None, log, GRACE, now);
        seen
    }

    #[test]
    fn the_old_one_goes_when_its_time_is_over() {
        let log = log();
        let all = [seen("d-1", &log, at(0)), seen("d-2", &log, at(0))];
        assert_eq!(next(&all, &log, Some(1), at(99)), (Wish::Nothing, Some(at(100))));
        assert_eq!(next(&all, &log, Some(1), at(100)).0, Wish::Delete { deployment: "d-1".into() });
    }

    #[test]
    fn what_requests_are_mirrored_to_is_not_deleted() {
        let log = log();
        let all = [seen("d-1", &log, at(0)), seen("d-2", &log, at(0))];
        assert_eq!(next_beside(json!({"D-1": 5}), &all, &log, None, at(500)).0, Wish::Nothing);
        assert_eq!(super::next(&all, &log, None, None, at(500)).0, Wish::Nothing, "not read, so not known");
        let gone = next_beside(json!({"d-1": 0, "d-2": 5}), &all, &log, None, at(500)).0;
        assert_eq!(gone, Wish::Delete { deployment: "d-1".into() });
    }

    #[test]
    fn what_has_no_role_any_more_is_kept_for_the_grace() {
        let log = log();
        let all = [seen("d-9", &log, at(0))];
        assert_eq!(next(&all, &log, None, at(599)), (Wish::Nothing, Some(at(600))));
        assert_eq!(next(&all, &log, None, at(600)).0, Wish::Delete { deployment: "d-9".into() });
    }

    #[test]
    fn what_serves_or_is_not_ours_is_left_alone() {
        let log = log();
        let stable = DeploymentSeen { keep_until: Some(at(0)), ..seen("d-2", &log, at(0)) };
        let foreign = DeploymentSeen { ours: false, keep_until: Some(at(0)), ..seen("d-9", &log, at(0)) };
        assert_eq!(next(&[stable, foreign], &log, None, at(500)).0, Wish::Nothing);
    }

    #[test]
    fn a_first_provisioning_that_failed_goes_at_once() {
        let log = log();
        let mut failed = DeploymentSeen { served: false, state: Some("Failed".into()), ..seen("d-3", &log, at(7)) };
        failed.keep_until = keep_until(&failed, None, &log, GRACE, at(7));
        assert_eq!(next(&[failed], &log, None, at(7)).0, Wish::Delete { deployment: "d-3".into() });
    }

    #[test]
    fn instances_follow_the_spec() {
        let log = log();
        let all = [seen("d-2", &log, at(0))];
        assert_eq!(next(&all, &log, Some(3), at(0)).0, Wish::Scale { deployment: "d-2".into() });
        assert_eq!(next(&all, &log, None, at(0)).0, Wish::Nothing);
    }
}
