//! What is known of a deployment or an attempt that the log did not make.

use crate::{
    api::{
        endpoint::DeploymentSeen,
        log::{self as stored, Plan, ReleaseRef},
    },
    endpoint::{
        Log,
        convert::{Remarks, merge, read},
    },
};

fn seen(name: &str, ours: bool) -> DeploymentSeen {
    DeploymentSeen {
        name: name.into(),
        state: None,
        weight: 0,
        version: ours.then(|| "1427".into()),
        hash: ours.then(|| "5f3a9c1e".into()),
        instances: Some(3),
        ours,
        served: false,
        keep_until: None,
    }
}

fn adopt(before: &stored::Log, name: &str, deployments: &[DeploymentSeen]) -> stored::Stable {
    let log = Log { stable: Some(name.to_owned()), ..read(before) };
    let remarks = Remarks { deployments, ..Remarks::default() };
    merge(before, &log, &remarks, None).stable.expect("a stable")
}

#[test]
fn an_adopted_stable_has_the_version_that_our_tags_on_it_say() {
    let stable = adopt(&stored::Log::default(), "d-1427--2", &[seen("d-1427--2", true)]);
    assert_eq!((stable.version.as_deref(), stable.hash.as_deref()), (Some("1427"), Some("5f3a9c1e")));
    assert_eq!(stable.instances, Some(3));
}

#[test]
fn without_a_version_among_the_tags_its_name_says_it() {
    let untold = DeploymentSeen { version: None, hash: None, ..seen("d-1427--2", true) };
    let stable = adopt(&stored::Log::default(), "d-1427--2", &[untold]);
    assert_eq!((stable.version.as_deref(), stable.hash), (Some("1427"), None));
}

#[test]
fn what_another_hand_made_has_no_version_whatever_it_is_called() {
    let stable = adopt(&stored::Log::default(), "d-bootstrap", &[seen("d-bootstrap", false)]);
    assert_eq!((stable.version, stable.hash, stable.instances), (None, None, Some(3)));
}

#[test]
fn what_could_not_be_told_when_it_was_adopted_is_told_later() {
    let blind = adopt(&stored::Log::default(), "d-1427", &[]);
    assert_eq!(blind.version, None);
    let before = stored::Log { stable: Some(blind), ..stored::Log::default() };
    assert_eq!(adopt(&before, "d-1427", &[seen("d-1427", true)]).version.as_deref(), Some("1427"));
}

#[test]
fn a_number_that_azure_has_raised_leaves_the_attempt_its_release() {
    let plan = Plan { window_ms: 60_000, ..Plan::default() };
    let attempt = stored::Attempt {
        n: 7,
        kind: "Canary".into(),
        release: ReleaseRef { name: "support-assistant".into(), uid: "1".into() },
        version: "1428".into(),
        hash: "5f3a9c1e".into(),
        plan: plan.clone(),
        ..stored::Attempt::default()
    };
    let before = stored::Log { attempt: Some(attempt), ..stored::Log::default() };
    let mut log = read(&before);
    log.attempt.as_mut().expect("an attempt").n = 9;
    let merged = merge(&before, &log, &Remarks::default(), None).attempt.expect("an attempt");
    assert_eq!((merged.n, merged.release.name.as_str(), merged.version.as_str()), (9, "support-assistant", "1428"));
    assert_eq!(merged.plan, plan);
}

#[test]
fn an_orphan_is_no_attempt_that_the_log_had() {
    let attempt = stored::Attempt { n: 7, kind: "Orphan".into(), version: "1428".into(), ..stored::Attempt::default() };
    let before = stored::Log { attempt: Some(attempt), ..stored::Log::default() };
    let mut log = read(&before);
    if let Some(attempt) = log.attempt.as_mut() {
        (attempt.n, attempt.content, attempt.deployment) = (9, 0, Some("d-1430".into()));
    }
    let merged = merge(&before, &log, &Remarks::default(), None).attempt.expect("an attempt");
    assert_eq!((merged.n, merged.version.as_str()), (9, "1430"));
}
