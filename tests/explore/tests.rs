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

fn show(what: &str, report: &Report, began: std::time::Instant) {
    println!(
        "{what:<36} {:>9} states {:>6} logs {:>6} at rest, cut {} {} {:?}",
        report.states,
        report.logs,
        report.at_rest,
        report.cut,
        if report.finished { "all" } else { "NOT ALL" },
        began.elapsed()
    );
    if let Some(broken) = &report.broken {
        println!("{broken}");
    }
}

#[test]
fn each_pair_of_faults() {
    for (i, a) in Fault::SIX.iter().enumerate() {
        for b in &Fault::SIX[i + 1..] {
            let began = std::time::Instant::now();
            let report = explore(&question(&[*a, *b]));
            show(&format!("{a} {b}"), &report, began);
        }
    }
}

#[test]
fn rules() {
    use Fault::*;
    let cases: [(Rule, &[Fault]); 6] = [
        (Rule::WrittenWithdrawal, &[LaggingRead]),
        (Rule::CompareBySeq, &[LaggingRead]),
        (Rule::OutboxInVerdict, &[Crash]),
        (Rule::EndingWaits, &[TimeOut, Abort]),
        (Rule::StandingWatch, &[TimeOut, Abort, Overdue]),
        (Rule::AdoptHigherSeq, &[Restore]),
    ];
    for (rule, faults) in cases {
        let began = std::time::Instant::now();
        let properties: &[Property] = if faults.contains(&Overdue) { &[Property::Q] } else { &Property::ALL };
        let report = explore(&Question { properties, ..question(faults) });
        show(&format!("{rule:?} kept"), &report, began);
        let report = explore(&Question { rules: Rules::without(rule), properties, ..question(faults) });
        show(&format!("{rule:?} left out"), &report, began);
    }
}

#[test]
fn stories() {
    for story in [Story::Fast, Story::First, Story::Undo] {
        for faults in [
            [Fault::TimeOut, Fault::Abort],
            [Fault::FailedOperation, Fault::LaggingRead],
            [Fault::TakeOver, Fault::Crash],
        ] {
            let began = std::time::Instant::now();
            let report = explore(&Question { story, ..question(&faults) });
            show(&format!("{story:?} {faults:?}"), &report, began);
        }
    }
}
