//! More traffic: only with its record, and only when nothing speaks against it.

use super::bench::{Bench, NEW, OLD, T, runs, ten};
use crate::{
    api::Cause,
    endpoint::{
        Decision, Ms, Owner, Provisioning, Reply, Sight, State, Waiting, Why, Wish,
        log::{Course, Kind, Raised, Target, Unsettled},
    },
    policy::split::Split,
};

const RAISE: Wish<&str> = Wish::Raise { step: 1, weight: 10 };

#[test]
fn a_raise_is_noted_with_the_write_that_it_is() {
    let mut bench = Bench::dark();
    assert_eq!(bench.writes(&RAISE), (Why::Raise, ten()));
    assert_eq!(bench.log.seq, 41);
    let noted_at = Some(bench.now);
    assert_eq!(bench.attempt().raised, [Raised { step: 1, weight: 10, seq: 41, noted_at, verified_at: None }]);
    let intent = bench.log.intent.clone().expect("an intent");
    assert_eq!((intent.seq, intent.deadline, intent.outcome), (41, bench.now + T.deadline, None));
}

#[test]
fn a_raise_counts_once_it_is_read_back_by_its_number() {
    let mut bench = Bench::dark();
    bench.writes(&RAISE);
    bench.replied(Reply::Accepted).live().state = State::Updating;
    assert_eq!(bench.waits(&RAISE), Waiting::Updating { why: Some(Why::Raise) });
    bench.live().state = State::Succeeded;
    assert!(matches!(bench.waits(&RAISE), Waiting::ReadBack { seq: 41, .. }), "nothing to see of it yet");
    bench.lands();
    bench.records(&RAISE);
    let at = bench.now;
    assert_eq!(bench.attempt().raised[0].verified_at, Some(at));
    assert_eq!(bench.log.intent, None);
    assert_eq!(bench.waits(&RAISE), Waiting::Nothing, "it is not raised twice");
}

#[test]
fn a_raise_whose_reply_was_lost_is_tried_again_when_it_cannot_land_any_more() {
    let mut bench = Bench::dark();
    bench.writes(&RAISE);
    let noted_at = Some(bench.now);
    let until = (T.deadline + T.settle + T.lag).0 / 1000;
    bench.later(until).twin(5);
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::Unanswered { seq: 41, .. }), "the first look is too early");
    bench.later(6).twin(5);
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Raise, ten()), "it was noted, so nobody has to wish for it again");
    assert_eq!(bench.attempt().raised, [Raised { step: 1, weight: 10, seq: 42, noted_at, verified_at: None }]);
}

#[test]
fn the_right_split_under_another_number_is_somebody_elses() {
    let mut bench = Bench::dark();
    bench.writes(&RAISE);
    bench.replied(Reply::Accepted).shows(40, Why::Promote, ten());
    assert_eq!(bench.writes(&RAISE), (Why::Withdraw, Split::all(OLD)));
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::Drift)));
}

#[test]
fn a_failed_operation_is_known_by_its_document_or_by_its_tags() {
    let mut bench = Bench::dark();
    bench.writes(&RAISE);
    let mut document = bench.clone();
    assert_eq!(document.fails().writes(&Wish::Nothing), (Why::Raise, ten()));
    bench.replied(Reply::Accepted).shows(41, Why::Raise, Split::all(OLD));
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Raise, ten()));
    assert_eq!(bench.log.seq, 42);
}

#[test]
fn refusals_are_tried_again_after_pauses_that_double() {
    let mut bench = Bench::dark();
    bench.writes(&RAISE);
    let mut waited = Vec::new();
    for _ in 0..6 {
        bench.replied(Reply::Refused);
        let until = match bench.waits(&Wish::Nothing) {
            Waiting::Retry { why: Why::Raise, reply: Reply::Refused, until, .. } => until - bench.now,
            other => panic!("{other:?}"),
        };
        waited.push(until.0 / 1000);
        bench.later(until.0 / 1000);
        bench.writes(&Wish::Nothing);
    }
    assert_eq!(waited, [5, 10, 20, 40, 60, 60]);
    assert_eq!(bench.log.intent.as_ref().map(|intent| intent.tries), Some(7));
}

/// Tries a raise once a minute, each coming to the same, until it is not tried any more; how many seconds that took.
fn tried_in_vain(bench: &mut Bench, comes_to: impl Fn(&mut Bench)) -> i64 {
    let begun = bench.now;
    while bench.decided().is_none() {
        assert!(bench.now - begun <= T.promotion, "it is tried for ever");
        if let Decision::Record { log, .. } | Decision::Write { log, .. } = bench.decide(&RAISE) {
            bench.log = log;
        }
        if bench.decided().is_none() {
            comes_to(bench);
            bench.later(60);
        }
    }
    (bench.now - begun).0 / 1000
}

#[test]
fn a_raise_that_azure_never_takes_is_withdrawn_by_a_write_when_its_time_is_over() {
    for reply in [Reply::Refused, Reply::Busy, Reply::NotSent, Reply::Failed] {
        let mut bench = Bench::dark();
        let took = tried_in_vain(&mut bench, |bench| {
            bench.replied(reply);
        });
        assert_eq!(took, T.promotion.0 / 1000, "counted from the first try: {reply:?}");
        assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::EndpointFailed)));
        let intent = bench.log.intent.clone().expect("an intent");
        assert_eq!((intent.why, intent.target), (Some(Why::Withdraw), Target::Traffic(Split::all(OLD))));
        assert_eq!(bench.log.outbox.len(), 1, "on-call is paged");
        bench.replied(Reply::Accepted);
        assert_eq!(bench.ended(), None);
        bench.lands();
        bench.records(&Wish::Nothing);
        assert_eq!(bench.ended(), Some(Cause::EndpointFailed));
    }
}

#[test]
fn a_raise_has_no_more_time_if_its_operation_fails_each_time_or_if_nothing_can_be_read() {
    let mut bench = Bench::dark();
    let fails = |bench: &mut Bench| {
        bench.fails();
    };
    assert_eq!(tried_in_vain(&mut bench, fails), T.promotion.0 / 1000);
    let mut bench = Bench::dark();
    let since = bench.now;
    let unreadable = |bench: &mut Bench| bench.look.endpoint = Sight::Unreadable { since, denied: false };
    assert_eq!(tried_in_vain(&mut bench, unreadable), T.promotion.0 / 1000);
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::EndpointFailed)));
}

#[test]
fn a_raise_that_is_read_back_or_that_an_earlier_version_noted_has_no_time_limit() {
    let mut bench = Bench::exposed();
    bench.later(2 * T.promotion.0 / 1000);
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::Nothing);
    let mut bench = Bench::dark();
    bench.writes(&RAISE);
    bench.attempt().raised[0].noted_at = None;
    bench.replied(Reply::Busy).later(2 * T.promotion.0 / 1000);
    assert_eq!(bench.writes(&RAISE), (Why::Raise, ten()));
    let now = bench.now;
    assert_eq!(bench.attempt().raised[0].noted_at, Some(now), "from now on it has one");
}

#[test]
fn nothing_is_raised_while_a_write_of_ours_may_land() {
    let mut bench = Bench::dark();
    bench.lost(60);
    assert!(matches!(bench.waits(&RAISE), Waiting::Unsettled { .. }));
    bench.later(60 + 30 + 5).twin(5);
    assert_eq!(bench.writes(&RAISE), (Why::Raise, ten()));
}

#[test]
fn a_new_leader_waits_as_long_as_if_the_old_one_had_sent_just_before() {
    let mut bench = Bench::dark();
    bench.lost(-1_000);
    bench.look.leading_since = bench.look.begun;
    bench.later(T.settle.0 / 1000 + 30).twin(5);
    assert!(matches!(bench.waits(&RAISE), Waiting::Unsettled { .. }));
    bench.later(5).twin(5);
    assert_eq!(bench.writes(&RAISE), (Why::Raise, ten()));
}

#[test]
fn nothing_is_raised_soon_after_the_claim() {
    let mut bench = Bench::dark();
    bench.log.claimed = Some(bench.now - T.settle + Ms(1));
    assert!(matches!(bench.waits(&RAISE), Waiting::Claimed { .. }));
    bench.later(1);
    assert_eq!(bench.writes(&RAISE), (Why::Raise, ten()));
}

#[test]
fn a_deployment_has_to_run_our_body() {
    let waits = |change: fn(&mut Bench)| {
        let mut bench = Bench::dark();
        change(&mut bench);
        bench.waits(&RAISE)
    };
    assert_eq!(
        waits(|b| b.look.deployments[1].1.state = Provisioning::Changing),
        Waiting::NotReady { deployment: NEW }
    );
    assert_eq!(waits(|b| b.look.deployments[1].1.same_body = Some(false)), Waiting::NameTaken { deployment: NEW });
    assert_eq!(waits(|b| b.look.deployments.truncate(1)), Waiting::NotReady { deployment: NEW });
    assert_eq!(waits(|b| b.look.listed = false), Waiting::NotListed);
    assert_eq!(waits(|b| b.attempt().deployment = None), Waiting::NoDeployment);
    assert_eq!(waits(|b| b.look.deployments.retain(|(name, _)| *name != OLD)), Waiting::StableLost { deployment: OLD });
    let held = |b: &mut Bench| {
        let until = b.now + T.settle;
        b.log.unsettled.push(Unsettled { seq: 9, target: Target::Delete(NEW), until });
    };
    assert!(matches!(waits(held), Waiting::NameHeld { deployment: NEW, .. }));
}

#[test]
fn nothing_is_raised_where_azure_sends_copies_of_requests() {
    for wish in [RAISE, Wish::Promote] {
        for deployment in [NEW, OLD] {
            let mut bench = Bench::dark();
            bench.live().mirrored = vec![deployment];
            assert_eq!(bench.waits(&wish), Waiting::Mirrored { deployment });
        }
        let mut bench = Bench::dark();
        bench.live().mirrored = vec!["d-9"];
        assert!(matches!(bench.decide(&wish), Decision::Write { .. }), "it has no part in it");
    }
}

#[test]
fn the_first_write_is_a_claim_of_the_split_as_it_is() {
    let mut bench = Bench::dark();
    (bench.log.claimed, bench.live().owner, bench.live().write) = (None, Owner::Absent, None);
    assert_eq!(bench.writes(&RAISE), (Why::Claim, Split::all(OLD)));
    assert!(bench.attempt().raised.is_empty());
    bench.lands().live().owner = Owner::Ours;
    assert_eq!(bench.records(&RAISE), []);
    assert_eq!(bench.log.claimed, Some(bench.now));
}

#[test]
fn a_failed_endpoint_is_repaired_three_times_and_then_given_up() {
    let mut bench = Bench::exposed();
    bench.live().state = State::Failed;
    let mut repairs = 0;
    while bench.decided().is_none_or(|(course, _)| course == Course::Promote) {
        let (why, split) = bench.writes(&Wish::Promote);
        if why == Why::Repair {
            assert_eq!(split, ten(), "a repair never gives the canary more");
            repairs += 1;
        } else {
            assert_eq!((why, split), (Why::Withdraw, Split::all(OLD)));
        }
        bench.fails().later(61);
    }
    assert_eq!((repairs, bench.decided()), (3, Some((Course::Withdraw, Cause::EndpointFailed))));
}

#[test]
fn a_step_never_takes_traffic_away() {
    let bench = Bench::exposed();
    assert_eq!(bench.waits(&Wish::Raise { step: 2, weight: 5 }), Waiting::Nothing);
    assert_eq!(bench.waits(&RAISE), Waiting::Nothing, "nor is it repeated");
    let mut bench = bench;
    let half = Split::canary(OLD, NEW, 50).expect("a split");
    assert_eq!(bench.writes(&Wish::Raise { step: 2, weight: 50 }), (Why::Raise, half));
}

#[test]
fn a_promotion_is_decided_and_sent_in_one_write() {
    let mut bench = Bench::exposed();
    assert_eq!(bench.writes(&Wish::Promote), (Why::Promote, Split::all(NEW)));
    assert_eq!(bench.decided(), Some((Course::Promote, Cause::Promoted)));
    let noted_at = Some(bench.now);
    assert_eq!(bench.attempt().raised[1], Raised { step: 2, weight: 100, seq: 42, noted_at, verified_at: None });
    bench.replied(Reply::Accepted).lands();
    let pages = bench.records(&Wish::Promote);
    assert_eq!((bench.ended(), pages.len()), (Some(Cause::Promoted), 1));
    assert_eq!(bench.log.stable, Some(NEW));
    let previous = bench.log.previous.clone().expect("the one before is kept");
    assert_eq!((previous.deployment, previous.keep_until), (OLD, bench.now + Ms::from_secs(3600)));
}

#[test]
fn a_promotion_that_does_not_come_about_is_withdrawn() {
    let mut bench = Bench::exposed();
    bench.writes(&Wish::Promote);
    bench.later(T.promotion.0 / 1000 - 1);
    assert!(matches!(bench.waits(&Wish::Promote), Waiting::Unanswered { .. }));
    bench.later(1);
    assert_eq!(bench.writes(&Wish::Promote), (Why::Withdraw, Split::all(OLD)));
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::PromotionFailed)));
    assert_eq!(bench.log.unsettled.len(), 1, "the lost promotion may still land");
}

#[test]
fn a_canary_does_not_keep_its_traffic_because_its_deployment_is_not_ready() {
    let mut bench = Bench::exposed();
    bench.look.deployments[1].1.state = Provisioning::Changing;
    bench.records(&Wish::Promote);
    assert_eq!(bench.waits(&Wish::Promote), Waiting::NotReady { deployment: NEW });
    bench.later(T.promotion.0 / 1000);
    assert_eq!(bench.writes(&Wish::Promote), (Why::Withdraw, Split::all(OLD)));
}

#[test]
fn the_fast_way_back_is_one_write() {
    let mut bench = Bench::dark();
    bench.attempt().kind = Kind::Fast;
    assert_eq!(bench.writes(&Wish::Promote), (Why::Promote, Split::all(NEW)));
    bench.replied(Reply::Accepted).lands();
    bench.records(&Wish::Promote);
    assert_eq!(bench.ended(), Some(Cause::FastPromoted));
}

#[test]
fn a_first_release_gets_all_traffic_only_where_nobody_else_ever_had_any() {
    let mut bench = Bench::first();
    bench.look.deployments.push((OLD, crate::endpoint::Deployment { ours: false, ..runs() }));
    assert_eq!(bench.waits(&Wish::Promote), Waiting::NoStable { deployment: OLD });
    bench.look.deployments[1].1 = crate::endpoint::Deployment { served: true, ..runs() };
    assert_eq!(bench.waits(&Wish::Promote), Waiting::NoStable { deployment: OLD });
    bench.look.deployments[1].1 = runs();
    assert_eq!(bench.writes(&Wish::Promote), (Why::Promote, Split::all(NEW)));
}
