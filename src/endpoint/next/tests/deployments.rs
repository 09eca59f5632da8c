//! Deployments: a name means one body for ever, and nothing is done beside a canary.

use super::bench::{Bench, NEW, OLD, T, runs};
use crate::{
    api::Cause,
    endpoint::{
        Decision, Deployment, Owner, Reply, Waiting, Why, Wish,
        log::{Previous, Target},
    },
    policy::split::Split,
};

const CREATE: Wish<&str> = Wish::Create { deployment: NEW };
const DELETE: Wish<&str> = Wish::Delete { deployment: NEW };

/// The attempt has no deployment yet.
fn bare() -> Bench {
    let mut bench = Bench::dark();
    bench.attempt().deployment = None;
    bench.look.deployments.truncate(1);
    bench
}

#[test]
fn a_creation_names_the_attempts_deployment_in_the_same_write() {
    let mut bench = bare();
    let (intent, _) = bench.pass(&CREATE);
    assert_eq!(intent.map(|intent| (intent.why, intent.target)), Some((None, Target::Create(NEW))));
    assert_eq!(bench.attempt().deployment, Some(NEW));
}

#[test]
fn the_endpoint_is_claimed_before_its_first_deployment() {
    let mut bench = bare();
    (bench.log.claimed, bench.live().owner, bench.live().write) = (None, Owner::Absent, None);
    assert_eq!(bench.writes(&CREATE), (Why::Claim, Split::all(OLD)));
    let mut bench = Bench::first();
    (bench.log.claimed, bench.live().owner, bench.live().write) = (None, Owner::Absent, None);
    bench.look.deployments = vec![(OLD, Deployment { ours: false, ..runs() })];
    assert_eq!(bench.waits(&CREATE), Waiting::NoStable { deployment: OLD });
}

#[test]
fn one_that_is_there_is_taken_over_without_a_write_or_left_alone() {
    let mut bench = bare();
    bench.look.deployments.push((NEW, runs()));
    bench.records(&CREATE);
    assert_eq!(bench.attempt().deployment, Some(NEW));
    assert_eq!(bench.waits(&CREATE), Waiting::NotReady { deployment: NEW });
    for found in [Deployment { same_body: Some(false), ..runs() }, Deployment { ours: false, ..runs() }] {
        let mut bench = bare();
        bench.look.deployments.push((NEW, found));
        assert_eq!(bench.waits(&CREATE), Waiting::NameTaken { deployment: NEW });
    }
    assert_eq!(bare().waits(&Wish::Create { deployment: OLD }), Waiting::NameTaken { deployment: OLD }, "it is stable");
}

#[test]
fn an_accepted_creation_holds_its_name_until_it_is_seen_and_delays_no_ending() {
    let mut bench = bare();
    bench.pass(&CREATE);
    bench.replied(Reply::Accepted);
    bench.records(&CREATE);
    assert_eq!(bench.log.intent, None);
    assert!(matches!(bench.waits(&CREATE), Waiting::NameHeld { deployment: NEW, .. }));
    let mut ends = bench.clone();
    ends.records(&Wish::Withdraw(Cause::Superseded));
    assert_eq!(ends.ended(), Some(Cause::Superseded));
    bench.look.deployments.push((NEW, runs()));
    bench.records(&CREATE);
    assert!(bench.log.unsettled.is_empty());
}

#[test]
fn a_creation_without_a_reply_is_not_repeated_while_it_may_land() {
    let mut bench = bare();
    bench.pass(&CREATE);
    bench.records(&CREATE);
    bench.later((T.deadline + T.settle + T.lag).0 / 1000);
    assert!(matches!(bench.waits(&CREATE), Waiting::NameHeld { .. }));
    bench.later(1);
    let (intent, _) = bench.pass(&CREATE);
    assert_eq!(intent.map(|intent| intent.target), Some(Target::Create(NEW)));
}

#[test]
fn a_refused_creation_is_tried_again_after_a_pause() {
    let mut bench = bare();
    bench.pass(&CREATE);
    bench.replied(Reply::Refused);
    assert!(matches!(bench.waits(&CREATE), Waiting::RetryDeployment { reply: Reply::Refused, tries: 1, .. }));
    bench.later(5);
    assert!(bench.pass(&CREATE).0.is_some());
}

#[test]
fn nothing_is_done_to_deployments_beside_a_canary() {
    for wish in [DELETE, CREATE, Wish::Scale { deployment: NEW }] {
        assert_eq!(Bench::exposed().waits(&wish), Waiting::Quiet { deployment: NEW });
    }
}

#[test]
fn a_deletion_takes_the_deployment_out_of_reach_in_the_same_write() {
    let mut bench = Bench::steady();
    bench.log.previous = Some(Previous { deployment: NEW, keep_until: bench.now });
    let (intent, _) = bench.pass(&DELETE);
    assert_eq!(intent.map(|intent| intent.target), Some(Target::Delete(NEW)));
    assert_eq!(bench.log.previous, None);
}

#[test]
fn what_is_in_use_or_not_ours_is_not_deleted() {
    assert_eq!(Bench::steady().waits(&Wish::Delete { deployment: OLD }), Waiting::InUse { deployment: OLD });
    assert_eq!(Bench::dark().waits(&DELETE), Waiting::InUse { deployment: NEW });
    let mut foreign = Bench::steady();
    foreign.look.deployments[1].1.ours = false;
    assert_eq!(foreign.waits(&DELETE), Waiting::InUse { deployment: NEW });
    let mut mirrored = Bench::steady();
    mirrored.live().mirrored = vec![NEW];
    assert_eq!(mirrored.waits(&DELETE), Waiting::InUse { deployment: NEW });
    let mut live = Bench::steady();
    live.shows(40, Why::Promote, Split::all(NEW));
    assert!(!matches!(live.twin(5).decide(&DELETE), Decision::Write { .. }));
}

#[test]
fn a_scale_is_sent_and_done_with() {
    let mut bench = Bench::steady();
    let wish = Wish::Scale { deployment: OLD };
    assert_eq!(bench.pass(&wish).0.map(|intent| intent.target), Some(Target::Scale(OLD)));
    bench.replied(Reply::Accepted);
    bench.records(&Wish::Nothing);
    assert!(bench.log.unsettled.is_empty());
}
