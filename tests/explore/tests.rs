//! The searches.

use promptrelease::{
    api::Cause,
    endpoint::{Rule, Rules},
};

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
    let story = format!("{:?}", question.story);
    println!("{story:6} {:36} {:>7} states, {:>3} at rest", names(question.faults), report.states, report.at_rest);
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

#[test]
fn a_raise_or_a_promotion_whose_time_is_over_and_one_more_fault() {
    for first in Fault::SIX {
        let causes = holds(&question(&[first, Fault::Late])).causes;
        assert!(causes.contains(&Cause::EndpointFailed) && causes.contains(&Cause::PromotionFailed), "{causes:?}");
    }
    let causes = holds(&question(&[Fault::Abort])).causes;
    assert!(!causes.contains(&Cause::EndpointFailed), "what gives up is the time alone: {causes:?}");
    for story in [Story::Fast, Story::First] {
        for first in [Fault::TimeOut, Fault::FailedOperation] {
            holds(&Question { story, ..question(&[first, Fault::Late]) });
        }
    }
}

/// A rule, the faults under which it is needed, and what does not hold without it.
struct Needed {
    rule: Rule,
    faults: &'static [Fault],
    properties: &'static [Property],
    broken: Property,
}

const fn needed(rule: Rule, faults: &'static [Fault], broken: Property) -> Needed {
    Needed { rule, faults, properties: &Property::ALL, broken }
}

const NEEDED: [Needed; 6] = [
    needed(Rule::WrittenWithdrawal, &[Fault::LaggingRead], Property::T),
    needed(Rule::CompareBySeq, &[Fault::LaggingRead], Property::H),
    needed(Rule::OutboxInVerdict, &[Fault::Crash], Property::P),
    needed(Rule::EndingWaits, &[Fault::TimeOut, Fault::Abort], Property::H),
    // What lands later than the protocol counts with can make an ending untrue; it is put right all the same.
    Needed {
        properties: &[Property::Q],
        ..needed(Rule::StandingWatch, &[Fault::TimeOut, Fault::Abort, Fault::Overdue], Property::Q)
    },
    needed(Rule::AdoptHigherSeq, &[Fault::Restore], Property::D),
];

fn names(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// With the rule everything in `properties` holds under these faults; without it `broken` does not.
fn is_needed(rule: Rule) {
    let needed = NEEDED.iter().find(|needed| needed.rule == rule).expect("every rule is listed");
    let with = Question { properties: needed.properties, ..question(needed.faults) };
    holds(&with);
    let report = explore(&Question { rules: Rules::without(rule), ..with });
    let found = report.broken.expect("the rule is there for something");
    let (rule, steps) = (format!("{rule:?}"), found.trace.len());
    println!("without {rule:18} {:36} {} does not hold after {steps:>2} steps", names(needed.faults), found.property);
    assert_eq!(found.property, needed.broken, "{found}");
}

#[test]
fn every_rule_is_listed() {
    assert_eq!(NEEDED.map(|needed| needed.rule), Rule::ALL);
}

#[test]
fn a_withdrawal_has_to_be_written() {
    is_needed(Rule::WrittenWithdrawal);
}

#[test]
fn a_write_has_to_be_read_back_by_its_number() {
    is_needed(Rule::CompareBySeq);
}

#[test]
fn a_page_has_to_be_in_the_verdicts_write() {
    is_needed(Rule::OutboxInVerdict);
}

#[test]
fn an_ending_has_to_wait() {
    is_needed(Rule::EndingWaits);
}

#[test]
fn the_watch_has_to_go_on() {
    is_needed(Rule::StandingWatch);
}

#[test]
fn a_higher_number_has_to_be_adopted() {
    is_needed(Rule::AdoptHigherSeq);
}

/// Another hand can make an ending untrue between the look and its record, so T is nothing that we can promise. Nor is S where
/// reads lag too: that Azure deletes nothing that has traffic is the last word there.
fn another_hand_in(stories: &[Story]) {
    let all = [Property::Q, Property::H, Property::P, Property::D, Property::S];
    for story in stories {
        for first in Fault::SIX {
            let properties = if first == Fault::LaggingRead { &all[..4] } else { &all };
            holds(&Question { story: *story, properties, ..question(&[first, Fault::Hand]) });
        }
    }
}

#[test]
fn another_hand_in_a_canary_and_one_more_fault() {
    another_hand_in(&[Story::Canary]);
}

#[test]
fn another_hand_in_any_other_story_and_one_more_fault() {
    another_hand_in(&[Story::Fast, Story::First, Story::Undo]);
}

/// States that fit into half of the memory that is free: the table doubles when it grows, and the logs need room too.
fn states_that_fit() -> usize {
    const STATE: usize = 64;
    let free = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("MemAvailable"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<usize>().ok()
    });
    free.unwrap_or(4 << 20) * 1024 / 2 / STATE
}

#[test]
#[ignore = "takes all memory and a long time; make explore runs it"]
fn explore_as_far_as_memory_goes() {
    let asked = std::env::var("EXPLORE_STATES").ok().map(|states| states.parse().expect("a number of states"));
    let most = asked.unwrap_or_else(states_that_fit);
    println!("all six faults, up to {most} states:");
    let report = explore(&Question { most, ..question(&Fault::SIX) });
    println!("{} states of {} bytes, {} logs, {} at rest", report.states, report.bytes, report.logs, report.at_rest);
    println!("steps that the bounds of the model cut off: {}", report.cut);
    println!("finished: {}", if report.finished { "yes, every state was visited" } else { "no" });
    if let Some(broken) = &report.broken {
        panic!("{broken}");
    }
}
