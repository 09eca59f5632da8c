//! The way back: one record, and no waiting for anything else.

use super::bench::{Bench, NEW, OLD, START, T, ten};
use crate::{
    api::Cause,
    endpoint::{
        Decision, Ms, Owner, Reply, Sight, State, Waiting, Why, Wish,
        log::{Course, Kind, Notice},
    },
    policy::split::Split,
};

const FAILED: Wish<&str> = Wish::Withdraw(Cause::CanaryFailed);

#[test]
fn verdict_page_and_write_are_one_record() {
    let mut bench = Bench::exposed();
    let Decision::Write { log, pages } = bench.decide(&FAILED) else { panic!("a write") };
    assert_eq!(log.outbox, pages);
    assert_eq!(pages.iter().map(|page| page.notice).collect::<Vec<_>>(), [Notice::Decided(Cause::CanaryFailed)]);
    bench.writes(&FAILED);
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::CanaryFailed)));
    assert_eq!(bench.log.intent.as_ref().map(|i| (i.why, i.seq)), Some((Some(Why::Withdraw), 42)));
}

#[test]
fn a_decision_only_rises() {
    let mut bench = Bench::exposed();
    bench.writes(&Wish::Promote);
    bench.writes(&FAILED);
    for wish in
        [Wish::Promote, Wish::Nothing, Wish::Withdraw(Cause::AbortRequested), Wish::Raise { step: 2, weight: 50 }]
    {
        bench.decide(&wish);
        assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::CanaryFailed)));
        assert!(!matches!(bench.decide(&wish), Decision::Write { .. }), "{wish:?}");
    }
}

#[test]
fn it_is_written_even_if_the_look_shows_it_already() {
    let mut bench = Bench::exposed();
    bench.shows(40, Why::Promote, Split::all(OLD));
    assert_eq!(bench.writes(&FAILED), (Why::Withdraw, Split::all(OLD)));
}

#[test]
fn it_does_not_wait_for_a_state_or_for_writes_that_may_land() {
    for state in [State::Failed, State::Canceled] {
        let mut bench = Bench::exposed();
        bench.lost(600).live().state = state;
        assert_eq!(bench.writes(&FAILED), (Why::Withdraw, Split::all(OLD)));
    }
    let mut bench = Bench::exposed();
    (bench.live().owner, bench.live().write) = (Owner::Absent, None);
    assert_eq!(bench.writes(&FAILED), (Why::Withdraw, Split::all(OLD)), "az and Bicep drop tags");
}

#[test]
fn only_an_operation_under_way_makes_it_wait_and_the_decision_is_noted_all_the_same() {
    let mut bench = Bench::exposed();
    bench.live().state = State::Updating;
    assert_eq!(bench.records(&FAILED).len(), 1);
    assert_eq!(bench.wait(&FAILED), (T.look_withdrawing, Waiting::Updating { why: None }));
}

#[test]
fn a_failed_look_delays_neither_verdict_nor_page() {
    for sight in [Sight::Unreadable { since: START, denied: false }, Sight::Gone { since: START }] {
        let mut bench = Bench::exposed();
        bench.look.endpoint = sight;
        assert_eq!(bench.records(&FAILED).len(), 1);
        assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::CanaryFailed)));
    }
}

#[test]
fn an_open_raise_is_set_aside_and_remembered() {
    let mut bench = Bench::dark();
    bench.writes(&Wish::Raise { step: 1, weight: 10 });
    let until = bench.now + T.deadline + T.settle;
    assert_eq!(bench.writes(&FAILED), (Why::Withdraw, Split::all(OLD)));
    let lost = &bench.log.unsettled;
    assert_eq!((lost.len(), lost[0].seq, lost[0].until), (1, 41, until));
}

#[test]
fn a_lost_withdrawal_is_sent_again_with_a_new_number() {
    let mut bench = Bench::exposed();
    bench.writes(&FAILED);
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::Unanswered { seq: 42, .. }));
    bench.later(5);
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
    bench.later(10);
    bench.writes(&Wish::Nothing);
    assert_eq!(bench.log.seq, 44);
    assert_eq!(bench.log.unsettled.len(), 1, "writes of one target are one entry");
}

#[test]
fn a_failed_withdrawal_is_tried_for_ever_and_paged_once() {
    let mut bench = Bench::exposed();
    let mut alarms = bench.pass(&FAILED).1.len() - 1;
    for _ in 0..20 {
        alarms += bench.fails().later(60).pass(&Wish::Nothing).1.len();
    }
    assert_eq!(alarms, 1);
    assert_eq!(bench.attempt().alarms, [Cause::RollbackFailed]);
    assert_eq!(bench.ended(), None);
}

#[test]
fn a_person_who_took_the_canary_out_is_not_overwritten() {
    let mut bench = Bench::exposed();
    bench.shows(41, Why::Raise, Split::all("d-9"));
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all("d-9")));
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::Drift)));
    bench.replied(Reply::Accepted).lands();
    bench.records(&Wish::Nothing);
    assert_eq!((bench.ended(), bench.log.stable), (Some(Cause::Drift), Some("d-9")));
}

#[test]
fn every_difference_in_mid_canary_takes_the_traffic_back() {
    let more = Split::canary(OLD, NEW, 50).expect("a split");
    for (split, owner) in
        [(more, Owner::Ours), (Split::none(), Owner::Ours), (ten(), Owner::Absent), (Split::all(NEW), Owner::Ours)]
    {
        let mut bench = Bench::exposed();
        (bench.live().split, bench.live().owner) = (split.clone(), owner);
        if owner == Owner::Absent {
            bench.live().write = None;
        }
        assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)), "{split:?}");
        assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::Drift)));
    }
}

#[test]
fn a_look_that_may_be_older_than_the_raise_is_no_difference() {
    let mut bench = Bench::exposed();
    bench.log.verified.as_mut().expect("verified").at = bench.look.begun - T.lag + Ms(1);
    bench.shows(40, Why::Promote, Split::all(OLD));
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::Lagging { .. }));
}

#[test]
fn another_owner_is_paged_and_not_overwritten() {
    let mut bench = Bench::exposed();
    bench.live().owner = Owner::Other { handed_over: false };
    assert_eq!(bench.records(&Wish::Nothing).len(), 1);
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::Drift)));
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::OtherOwner);
    bench.live().owner = Owner::Other { handed_over: true };
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
}

#[test]
fn blindness_while_exposed_pages_after_a_minute_or_at_once_if_access_was_taken() {
    let mut bench = Bench::exposed();
    bench.look.endpoint = Sight::Unreadable { since: bench.now, denied: false };
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::Unreadable { .. }));
    let mut denied = bench.clone();
    denied.look.endpoint = Sight::Unreadable { since: bench.now, denied: true };
    assert_eq!(denied.records(&Wish::Nothing).len(), 1);
    bench.later(60);
    assert_eq!(bench.records(&Wish::Nothing).len(), 1);
    assert_eq!(bench.attempt().alarms, [Cause::Unreadable]);
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::Unreadable { .. }), "once");
}

#[test]
fn a_second_outage_pages_again_once_two_looks_have_shown_that_the_first_was_over() {
    let mut bench = Bench::exposed();
    let (live, since) = (bench.look.endpoint.clone(), bench.now);
    let outage = Sight::Unreadable { since, denied: true };
    bench.look.endpoint = outage.clone();
    assert_eq!(bench.records(&Wish::Nothing).len(), 1);
    bench.log.outbox.clear();

    bench.look.endpoint = live.clone();
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::Nothing, "one look may be luck");
    let mut flapping = bench.clone();
    flapping.look.endpoint = outage.clone();
    assert!(matches!(flapping.waits(&Wish::Nothing), Waiting::Unreadable { .. }));

    bench.twin(5).records(&Wish::Nothing);
    assert_eq!((bench.attempt().alarms.len(), bench.attempt().outages), (0, 1));
    bench.look.endpoint = outage;
    let mut untold = bench.clone();
    let pages = bench.records(&Wish::Nothing);
    assert_eq!(pages.iter().map(|page| page.notice).collect::<Vec<_>>(), [Notice::Alarm(Cause::Unreadable)]);

    untold.log.outbox = pages;
    assert_eq!(untold.records(&Wish::Nothing).len(), 1, "whoever took the first page hears of this outage too");
    assert_eq!(untold.log.outbox.len(), 1, "in place of the first, which is still owed to others");
}

#[test]
fn a_stable_that_is_gone_pages_and_the_way_back_is_tried_all_the_same() {
    let mut bench = Bench::exposed();
    bench.look.deployments.remove(0);
    bench.twin(5);
    let (intent, pages) = bench.pass(&FAILED);
    assert!(intent.is_some());
    let told: Vec<_> = pages.iter().map(|page| page.notice).collect();
    assert_eq!(told, [Notice::Decided(Cause::CanaryFailed), Notice::Alarm(Cause::StableLost)]);
}

#[test]
fn an_undo_begins_with_the_way_back_and_ends_by_a_write() {
    let mut bench = Bench::dark();
    (bench.attempt().kind, bench.log.stable) = (Kind::Undo, Some(NEW));
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
    bench.replied(Reply::Accepted).lands();
    bench.records(&Wish::Nothing);
    assert_eq!((bench.ended(), bench.log.stable), (Some(Cause::AbortRequested), Some(OLD)));
    assert_eq!(bench.log.withdrawn, [42]);
}

#[test]
fn a_first_release_that_is_being_promoted_is_not_turned_round_by_people() {
    let mut bench = Bench::first();
    bench.writes(&Wish::Promote);
    assert_eq!(bench.waits(&Wish::Withdraw(Cause::AbortRequested)), Waiting::FirstPromotion);
    bench.later(T.promotion.0 / 1000);
    assert_eq!(bench.writes(&Wish::Withdraw(Cause::AbortRequested)), (Why::Withdraw, Split::none()));
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::PromotionFailed)));
}

#[test]
fn a_first_release_that_another_hand_replaced_leaves_it_so() {
    let mut bench = Bench::first();
    bench.writes(&Wish::Promote);
    bench.shows(40, Why::Promote, Split::all(OLD));
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::Drift)));
}
