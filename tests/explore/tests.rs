//! The searches.

use promptrelease::endpoint::{Rule, Rules};

use crate::{
    budget::Fault,
    logs::Story,
    properties::Property,
    search::{Question, Report, explore},
};

fn question(faults: &[Fault]) -> Question<'_> {
    let (story, rules, properties) = (Story::Canary, Rules::ALL, Property::ALL.as_slice());
    Question { story, rules, faults, properties, most: 6_000_000 }
}

fn holds(question: &Question<'_>) -> Report {
    let report = explore(question);
    let names: Vec<String> = question.faults.iter().map(ToString::to_string).collect();
    println!("{:?}, {}: {} states, {} at rest", question.story, names.join(" and "), report.states, report.at_rest);
    if let Some(broken) = &report.broken {
        panic!("{broken}");
    }
    assert!(report.finished && report.cut == 0, "not every state was visited");
    assert!(report.at_rest > 0, "nothing ever comes to rest, so Q and P say nothing");
    report
}

/// Every pair of the six that begins with this one.
fn pairs_with(first: usize) {
    for second in &Fault::SIX[first + 1..] {
        holds(&question(&[Fault::SIX[first], *second]));
    }
}

#[test]
fn a_time_out_and_one_more_fault() {
    pairs_with(0);
}

#[test]
fn a_take_over_and_one_more_fault() {
    pairs_with(1);
}

#[test]
fn a_crash_and_one_more_fault() {
    pairs_with(2);
}

#[test]
fn a_failed_operation_and_one_more_fault() {
    pairs_with(3);
}

#[test]
fn an_abort_and_a_lagging_read() {
    pairs_with(4);
}

#[test]
fn the_fast_way_a_first_release_and_an_undo() {
    let pairs =
        [[Fault::TimeOut, Fault::Abort], [Fault::FailedOperation, Fault::LaggingRead], [Fault::TakeOver, Fault::Crash]];
    for story in [Story::Fast, Story::First, Story::Undo] {
        for faults in &pairs {
            holds(&Question { story, ..question(faults) });
        }
    }
}

/// With the rule everything in `properties` holds under these faults; without it `broken` does not.
fn is_needed(rule: Rule, faults: &[Fault], properties: &[Property], broken: Property) {
    let with = Question { properties, ..question(faults) };
    holds(&with);
    let report = explore(&Question { rules: Rules::without(rule), ..with });
    let found = report.broken.expect("the rule is there for something");
    println!("{rule:?} left out: {} does not hold after {} steps", found.property, found.trace.len());
    assert_eq!(found.property, broken, "{found}");
}

#[test]
fn a_withdrawal_has_to_be_written() {
    is_needed(Rule::WrittenWithdrawal, &[Fault::LaggingRead], &Property::ALL, Property::T);
}

#[test]
fn a_write_has_to_be_read_back_by_its_number() {
    is_needed(Rule::CompareBySeq, &[Fault::LaggingRead], &Property::ALL, Property::H);
}

#[test]
fn a_page_has_to_be_in_the_verdicts_write() {
    is_needed(Rule::OutboxInVerdict, &[Fault::Crash], &Property::ALL, Property::P);
}

#[test]
fn an_ending_has_to_wait() {
    is_needed(Rule::EndingWaits, &[Fault::TimeOut, Fault::Abort], &Property::ALL, Property::H);
}

#[test]
fn the_watch_has_to_go_on() {
    let faults = [Fault::TimeOut, Fault::Abort, Fault::Overdue];
    is_needed(Rule::StandingWatch, &faults, &[Property::Q], Property::Q);
}

#[test]
fn a_higher_number_has_to_be_adopted() {
    is_needed(Rule::AdoptHigherSeq, &[Fault::Restore], &Property::ALL, Property::D);
}

/// Another hand can make an ending untrue between the look and its record, so T is nothing that we can promise.
#[test]
fn another_hand_and_one_more_fault() {
    let properties = [Property::Q, Property::H, Property::P, Property::D];
    for first in Fault::SIX {
        for story in [Story::Canary, Story::Fast, Story::First, Story::Undo] {
            holds(&Question { story, properties: &properties, ..question(&[first, Fault::Hand]) });
        }
    }
}

#[test]
#[ignore = "takes all memory and a long time; make explore runs it"]
fn explore_as_far_as_memory_goes() {
    let free = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    });
    // Half of what is free, in KiB: the table doubles when it grows, and the logs need room too.
    let most = free.unwrap_or(4 << 20) * 1024 / 2 / 64;
    let report = explore(&Question { most, ..question(&Fault::SIX) });
    println!("{} states of {} bytes, {} logs, {} at rest", report.states, report.bytes, report.logs, report.at_rest);
    println!("finished: {}; steps that the bound cut off: {}", report.finished, report.cut);
    if let Some(broken) = &report.broken {
        panic!("{broken}");
    }
}
