//! Azure knows a later write than the log.

use super::bench::{Bench, NEW, OLD, T, ten};
use crate::{
    api::Cause,
    endpoint::{
        Log, Owner, Roles, Waiting, Why, Wish,
        log::{Course, Kind},
    },
    policy::split::Split,
};

const RAISE: Wish<&str> = Wish::Raise { step: 1, weight: 10 };

fn restored() -> Bench {
    let mut bench = Bench::dark();
    bench.shows(45, Why::Raise, ten());
    bench.live().roles = Roles { stable: Some(OLD), canary: Some(NEW) };
    bench
}

#[test]
fn what_is_exposed_is_taken_back_under_a_higher_number() {
    let mut bench = restored();
    assert_eq!(bench.writes(&RAISE), (Why::Withdraw, Split::all(OLD)));
    assert_eq!(bench.log.seq, 46);
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::StatusBehind)));
    assert_eq!(bench.attempt().kind, Kind::Canary, "the log knew this attempt");
}

#[test]
fn a_lost_log_is_rebuilt_from_the_tags() {
    let mut bench = restored();
    bench.log = Log::default();
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
    let attempt = bench.attempt().clone();
    assert_eq!((attempt.n, attempt.kind), (7, Kind::Orphan));
    assert_eq!((attempt.deployment, attempt.return_to, bench.log.stable), (Some(NEW), Some(OLD), Some(OLD)));
}

#[test]
fn where_nothing_is_exposed_the_open_attempt_ends() {
    let mut bench = Bench::dark();
    bench.shows(45, Why::Promote, Split::all(NEW));
    bench.live().roles = Roles { stable: Some(NEW), canary: None };
    bench.records(&RAISE);
    assert_eq!((bench.ended(), bench.log.stable), (Some(Cause::StatusBehind), Some(NEW)));
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::Nothing);
}

#[test]
fn numbers_of_attempts_are_not_used_twice() {
    let mut bench = Bench::dark();
    bench.shows(45, Why::Promote, Split::all(OLD));
    bench.live().write.as_mut().expect("a tag").n = 9;
    bench.records(&RAISE);
    assert_eq!(bench.attempt().n, 9);
    let mut lost = Bench::steady();
    lost.log = Log::default();
    lost.records(&Wish::Nothing);
    assert_eq!(lost.attempt().n, 6);
    assert!(lost.log.open().is_none());
}

#[test]
fn a_withdrawal_that_went_out_without_its_record_counts() {
    let mut bench = Bench::exposed();
    bench.shows(42, Why::Withdraw, Split::all(OLD));
    bench.records(&Wish::Withdraw(Cause::CanaryFailed));
    assert_eq!(bench.decided(), Some((Course::Withdraw, Cause::CanaryFailed)));
    assert!(matches!(bench.waits(&Wish::Nothing), Waiting::LostWrite { .. }), "others may have gone out too");
    bench.later((T.settle + T.lag).0 / 1000 + 6).twin(5);
    bench.records(&Wish::Nothing);
    assert_eq!(bench.ended(), Some(Cause::CanaryFailed));
}

#[test]
fn nothing_is_raised_until_what_the_log_lost_cannot_land_any_more() {
    let mut bench = Bench::steady();
    bench.shows(45, Why::Promote, Split::all(OLD));
    bench.records(&Wish::Nothing);
    bench.log.attempt = Bench::dark().log.attempt;
    assert!(matches!(bench.waits(&RAISE), Waiting::Unsettled { .. }));
}

#[test]
fn an_endpoint_that_is_handed_over_is_claimed_or_taken_back() {
    let mut bench = Bench::steady();
    bench.live().owner = Owner::Other { handed_over: true };
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Claim, Split::all(OLD)));
    let mut bench = restored();
    (bench.log, bench.live().owner) = (Log::default(), Owner::Other { handed_over: true });
    assert_eq!(bench.writes(&Wish::Nothing), (Why::Withdraw, Split::all(OLD)));
    assert_eq!(bench.log.seq, 46);
}

#[test]
fn one_that_is_not_handed_over_is_left_alone() {
    let mut bench = restored();
    bench.live().owner = Owner::Other { handed_over: false };
    bench.log = Log::default();
    assert_eq!(bench.waits(&Wish::Nothing), Waiting::OtherOwner);
}
