//! An ending is true when it is recorded, and frees the endpoint.

use super::bench::{Bench, OLD, START, T, ten};
use crate::{
    api::{Cause, Outcome},
    endpoint::{Ms, Reply, Sight, State, Waiting, Why, Wish, log::Notice},
    policy::split::Split,
};

const FAILED: Wish<&str> = Wish::Withdraw(Cause::CanaryFailed);

#[test]
fn a_withdrawal_that_is_read_back_ends_the_attempt() {
    let mut bench = Bench::exposed();
    bench.writes(&FAILED);
    bench.replied(Reply::Accepted).lands();
    let pages = bench.records(&Wish::Nothing);
    assert_eq!(pages.last().map(|page| page.notice), Some(Notice::Ended(Cause::CanaryFailed)));
    let ending = bench.attempt().ending.expect("an ending");
    assert_eq!((ending.outcome, ending.at), (Outcome::RolledBack, bench.now));
    assert_eq!((bench.log.stable, bench.log.withdrawn.as_slice()), (Some(OLD), [42].as_slice()));
}

#[test]
fn an_attempt_without_traffic_ends_in_the_write_that_decides() {
    for (wish, outcome) in [
        (Cause::EvalRegression, Outcome::Rejected),
        (Cause::AbortRequested, Outcome::Aborted),
        (Cause::DeploymentFailed, Outcome::Failed),
    ] {
        let mut bench = Bench::dark();
        bench.records(&Wish::Withdraw(wish));
        assert_eq!(bench.attempt().ending.map(|ending| ending.outcome), Some(outcome));
        assert!(bench.log.withdrawn.is_empty(), "it had no traffic to lose");
    }
}

#[test]
fn one_that_somebody_gave_traffic_does_not() {
    let mut bench = Bench::dark();
    bench.live().split = ten();
    assert_eq!(bench.writes(&Wish::Withdraw(Cause::EvalRegression)), (Why::Withdraw, Split::all(OLD)));
}

#[test]
fn it_waits_for_a_lost_write_and_says_how_long() {
    let mut bench = Bench::exposed();
    bench.lost(300).writes(&FAILED);
    bench.replied(Reply::Accepted).lands();
    bench.records(&Wish::Nothing);
    let until = START + Ms::from_secs(300) + T.lag + T.two_looks;
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::LostWrite { split: Split::all(OLD), until });
    bench.later(334).twin(5);
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::LostWrite { .. }), "the first look may lag");
    bench.later(1).twin(5);
    bench.records(&Wish::Nothing);
    assert_eq!(bench.ended(), Some(Cause::CanaryFailed));
}

#[test]
fn a_lost_raise_that_lands_is_taken_back_again() {
    let mut bench = Bench::exposed();
    bench.lost(300).writes(&FAILED);
    bench.replied(Reply::Accepted).lands();
    bench.records(&Wish::Nothing);
    bench.later(40).shows(41, Why::Raise, ten());
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
    assert_eq!(bench.log.seq, 43);
}

#[test]
fn a_dark_attempt_waits_for_its_lost_claim() {
    let mut bench = Bench::dark();
    bench.lost(300);
    bench.records(&Wish::Withdraw(Cause::AbortRequested));
    assert_eq!(bench.ended(), None);
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::LostWrite { .. }));
}

#[test]
fn where_the_endpoint_is_gone_for_a_minute_nothing_has_traffic() {
    let mut bench = Bench::exposed();
    bench.look.endpoint = Sight::Gone { since: START };
    bench.records(&FAILED);
    assert_eq!(bench.ended(), None);
    bench.later(60);
    bench.records(&Wish::Nothing);
    assert_eq!(bench.ended(), Some(Cause::CanaryFailed));
}

#[test]
fn a_failed_state_is_no_good_place_to_end() {
    let mut bench = Bench::exposed();
    bench.writes(&FAILED);
    bench.replied(Reply::Accepted).lands().live().state = State::Failed;
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
}
