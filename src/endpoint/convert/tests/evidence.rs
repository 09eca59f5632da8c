//! What the protocol found by itself, in the words that people read.

use crate::{
    api::{Cause, log as stored},
    endpoint::{
        Ms, Owed, Why,
        convert::{Remarks, merge, owed, read},
        log::{Course, Decided, Notice},
    },
};

/// The evidence of a withdrawal for this cause after a write for this reason.
fn evidence(cause: Cause, last: Why, refusal: Option<&str>) -> String {
    let attempt = stored::Attempt { n: 7, kind: "Canary".into(), ..stored::Attempt::default() };
    let intent = stored::Intent {
        kind: "SetTraffic".into(),
        why: Some(last.as_str().into()),
        target: "d-1427=90 d-1428=10".into(),
        tries: 12,
        outcome: Some("refused".into()),
        ..stored::Intent::default()
    };
    let before = stored::Log { attempt: Some(attempt), intent: Some(intent), ..stored::Log::default() };
    let mut log = read(&before);
    let decision = Some(Decided { course: Course::Withdraw, cause, at: Ms(0) });
    log.attempt.iter_mut().for_each(|attempt| attempt.decision = decision);
    let (live, refusal) = (Some("d-1427=100".to_owned()), refusal.map(str::to_owned));
    let merged = merge(&before, &log, &Remarks { live, refusal, ..Remarks::default() }, None);
    merged.attempt.and_then(|attempt| attempt.decision).expect("a decision").evidence
}

#[test]
fn a_raise_that_did_not_come_about_is_told_with_azures_words() {
    let tried = "d-1427=90 d-1428=10 was tried 12 times and not read back in time (d-1427=100)";
    assert_eq!(evidence(Cause::EndpointFailed, Why::Raise, None), tried);
    let refused = evidence(Cause::EndpointFailed, Why::Raise, Some("400 InvalidTraffic"));
    assert_eq!(refused, format!("{tried}: 400 InvalidTraffic"));
    let repaired = evidence(Cause::EndpointFailed, Why::Repair, None);
    assert_eq!(repaired, "the endpoint did not come back from a failed operation (d-1427=100)");
}

#[test]
fn a_deployment_that_failed_with_traffic_is_told_with_what_is_live() {
    let failed = evidence(Cause::DeploymentFailed, Why::Claim, None);
    assert_eq!(failed, "the deployment failed, with traffic that it got by being created (d-1427=100)");
}

#[test]
fn each_outage_of_azure_is_paged_under_a_key_of_its_own() {
    let key = |outages, notice| {
        let attempt = stored::Attempt { n: 7, hash: "5f3a9c1e".into(), outages, ..stored::Attempt::default() };
        let log = stored::Log { attempt: Some(attempt), ..stored::Log::default() };
        let page = Owed { attempt: 7, notice, created_at: Ms(0) };
        let entry = owed(&page, &log, &Remarks { namespace: "team", ..Remarks::default() }).expect("an entry");
        assert_eq!(read(&stored::Log { outbox: vec![entry.clone()], ..log }).outbox, [page]);
        entry.key
    };
    let unreadable = Notice::Alarm(Cause::Unreadable);
    assert_eq!(key(0, unreadable), "team//5f3a9c1e.7/Unreadable");
    assert_eq!(key(2, unreadable), "team//5f3a9c1e.7/Unreadable.3");
    assert_eq!(key(2, Notice::Alarm(Cause::RollbackFailed)), "team//5f3a9c1e.7/RollbackFailed");
}
