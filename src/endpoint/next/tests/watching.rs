//! The looking never stops.

use super::bench::{Bench, NEW, OLD, START, T, runs, ten};
use crate::{
    api::Cause,
    endpoint::{
        Log, Ms, Owed, Owner, Provisioning, Reply, Sight, State, Waiting, Why, Wish,
        log::{Course, Intent, Notice, Target},
    },
    policy::split::Split,
};

#[test]
fn looks_come_often_when_there_is_something_to_see() {
    let seconds = |bench: &Bench| bench.wait(&Wish::Nothing).0.0 / 1000;
    assert_eq!(seconds(&Bench::steady()), 300);
    assert_eq!(seconds(&Bench::exposed()), 30);
    let mut short = Bench::exposed();
    short.attempt().window = Ms::from_secs(10);
    assert_eq!(seconds(&short), 5);
    let mut unsettled = Bench::steady();
    assert_eq!(seconds(unsettled.lost(60)), 5);
    let mut updating = Bench::steady();
    updating.live().state = State::Updating;
    assert_eq!(seconds(&updating), 5);
}

#[test]
fn a_wait_is_never_over_when_it_begins() {
    let mut bench = Bench::exposed();
    bench.lost(-1_000).writes(&Wish::Withdraw(Cause::CanaryFailed));
    bench.replied(Reply::Accepted).lands();
    bench.records(&Wish::Nothing);
    let (wait, why) = bench.wait(&Wish::Nothing);
    assert!(wait > Ms::ZERO, "{why:?}");
}

#[test]
fn an_empty_split_is_repaired_after_two_looks() {
    let mut bench = Bench::steady();
    (bench.live().split, bench.live().owner, bench.live().write) = (Split::none(), Owner::Absent, None);
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::SecondLook { split: Split::none() });
    assert_eq!(bench.twin(5).writes(&Wish::Nothing), (Why::Repair, Split::all(OLD)));
}

#[test]
fn a_late_write_of_ours_is_repaired() {
    let mut bench = Bench::steady();
    bench.shows(39, Why::Raise, ten());
    assert_eq!(bench.twin(5).writes(&Wish::Nothing), (Why::Repair, Split::all(OLD)));
    bench.later(6);
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Repair, Split::all(OLD)), "the reply was lost: again, soon");
}

#[test]
fn another_hands_one_deployment_is_taken_for_stable() {
    let mut bench = Bench::dark();
    bench.shows(40, Why::Promote, Split::all("d-9"));
    bench.twin(5).records(&Wish::Nothing);
    assert_eq!((bench.log.stable, bench.attempt().return_to), (Some("d-9"), Some("d-9")));
}

#[test]
fn a_first_deployment_that_got_all_traffic_by_being_created_is_promoted_or_taken_back() {
    let mut bench = Bench::first();
    bench.live().split = Split::all(NEW);
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::SecondLook { split: Split::all(NEW) });
    bench.twin(5).records(&Wish::Nothing);
    assert_eq!((bench.log.stable, bench.attempt().return_to), (None, None), "it is nothing to return to");
    assert_eq!(bench.log.open().and_then(|attempt| attempt.decision), None, "nobody is to blame");

    let mut cleared = bench.clone();
    cleared.live().split = Split::none();
    cleared.records(&Wish::Nothing);
    assert_eq!(cleared.log.intent, None, "a repair gives it no traffic");

    let mut failed = bench.clone();
    assert_eq!(failed.writes(&Wish::Withdraw(Cause::DeploymentFailed)), (Why::Withdraw, Split::none()));
    assert_eq!(bench.writes(&Wish::Promote), (Why::Promote, Split::all(NEW)));
}

/// The first deployment got all traffic by being created, and that was noted.
fn taken_by_the_first() -> Bench {
    let mut bench = Bench::first();
    bench.live().split = Split::all(NEW);
    bench.twin(5).records(&Wish::Nothing);
    bench
}

#[test]
fn a_first_deployment_that_failed_with_all_traffic_is_taken_back_before_another_is_created() {
    let next = Wish::Create { deployment: "d-2--2" };
    let mut bench = taken_by_the_first();
    bench.look.deployments[0].1.state = Provisioning::Failed;
    let mut there = bench.clone();
    there.look.deployments.push(("d-2--2", runs()));
    for mut bench in [bench, there] {
        assert_eq!(bench.writes(&next), (Why::Withdraw, Split::none()));
        assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::DeploymentFailed)));
        assert_eq!(bench.attempt().deployment, Some(NEW), "the one that has traffic");
        bench.replied(Reply::Accepted).lands();
        bench.records(&next);
        assert_eq!((bench.ended(), bench.log.stable), (Some(Cause::DeploymentFailed), None));
    }
    let mut dark = Bench::first();
    dark.look.deployments[0].1.state = Provisioning::Failed;
    let (intent, _) = dark.pass(&next);
    assert_eq!(
        intent.map(|intent| intent.target),
        Some(Target::Create("d-2--2")),
        "one without traffic is left behind"
    );
}

#[test]
fn a_part_of_the_traffic_is_no_first_deployments_by_creation_but_another_hands() {
    for mut bench in [Bench::first(), taken_by_the_first()] {
        bench.live().split = Split::canary("d-9", NEW, 50).expect("a split");
        let (intent, pages) = bench.pass(&Wish::Nothing);
        assert_eq!(intent.map(|intent| intent.target), Some(Target::Traffic(Split::all("d-9"))));
        assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::Drift)));
        assert_eq!(pages.iter().map(|page| page.notice).collect::<Vec<_>>(), [Notice::Decided(Cause::Drift)]);
    }
}

#[test]
fn traffic_by_creation_wakes_somebody_if_it_cannot_be_seen_or_taken_back() {
    let alarms = |pages: Vec<Owed>| pages.iter().map(|page| page.notice).collect::<Vec<_>>();
    let blind = Sight::Unreadable { since: START, denied: true };
    let mut unseen = taken_by_the_first();
    unseen.look.endpoint = blind.clone();
    assert_eq!(alarms(unseen.records(&Wish::Nothing)), [Notice::Alarm(Cause::Unreadable)]);

    let mut stays = taken_by_the_first();
    stays.writes(&Wish::Withdraw(Cause::DeploymentFailed));
    stays.fails().later(T.rollback.0 / 1000);
    let mut late = stays.clone();
    assert_eq!(alarms(late.pass(&Wish::Nothing).1), [Notice::Alarm(Cause::RollbackFailed)]);
    stays.look.endpoint = Sight::Unreadable { since: stays.now, denied: false };
    assert_eq!(alarms(stays.records(&Wish::Nothing)), [Notice::Alarm(Cause::RollbackFailed)], "without a look too");

    let mut dark = Bench::first();
    dark.look.endpoint = blind;
    assert!(matches!(dark.waits(&Wish::Nothing), Waiting::Unreadable { .. }), "nobody has its answers");
}

#[test]
fn several_are_a_persons_to_sort_out() {
    let mut bench = Bench::steady();
    let split = Split::canary("d-8", "d-9", 50).expect("a split");
    bench.shows(40, Why::Promote, split.clone());
    assert_eq!(bench.twin(5).waits(&Wish::Nothing), Waiting::Conflict { split });
}

#[test]
fn nothing_is_written_to_an_endpoint_that_was_never_claimed() {
    let mut bench = Bench::steady();
    bench.log = Log::default();
    (bench.live().owner, bench.live().write) = (Owner::Absent, None);
    bench.records(&Wish::Nothing);
    assert_eq!((bench.log.stable, bench.log.claimed), (Some(OLD), None));
    bench.later(60).twin(5).live().split = Split::none();
    bench.records(&Wish::Nothing);
    assert_eq!((bench.log.stable, bench.log.intent.clone()), (None, None));
}

#[test]
fn a_stable_that_is_gone_is_not_written_back() {
    let mut bench = Bench::steady();
    bench.look.deployments.remove(0);
    bench.twin(5).live().split = Split::none();
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::StableLost { deployment: OLD });
}

#[test]
fn a_log_that_lost_what_it_read_back_goes_by_its_stable() {
    let mut bench = Bench::steady();
    bench.log.verified = None;
    bench.live().split = Split::none();
    bench.records(&Wish::Nothing);
    assert_eq!(bench.twin(5).writes(&Wish::Nothing), (Why::Repair, Split::all(OLD)));
}

#[test]
fn what_cannot_be_read_is_waited_for() {
    let mut bench = Bench::steady();
    let (since, denied) = (START, true);
    bench.look.endpoint = Sight::Unreadable { since, denied };
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::Unreadable { since, denied });
    bench.look.endpoint = Sight::Gone { since };
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::EndpointGone { since });
}

#[test]
fn a_promotion_goes_on_after_the_tags_were_dropped_only_with_a_new_claim() {
    let mut bench = Bench::dark();
    bench.attempt().kind = crate::endpoint::log::Kind::Fast;
    (bench.live().owner, bench.live().write) = (Owner::Absent, None);
    assert_eq!(bench.writes(&Wish::Promote), (Why::Claim, Split::all(OLD)));
    assert_eq!(bench.log.intent.as_ref().map(|i: &Intent<&str>| &i.target), Some(&Target::Traffic(Split::all(OLD))));
    bench.lands().live().owner = Owner::Ours;
    bench.records(&Wish::Promote);
    assert!(matches!(bench.waits(&Wish::Promote), Waiting::Claimed { .. }));
    bench.later(T.settle.0 / 1000);
    assert_eq!(bench.writes(&Wish::Promote), (Why::Promote, Split::all(NEW)));
}
