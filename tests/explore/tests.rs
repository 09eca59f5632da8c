//! The searches.

use promptrelease::endpoint::Rules;

use crate::{
    budget::Fault,
    logs::Story,
    properties::Property,
    search::{Question, explore},
};

#[test]
fn each_pair_of_faults() {
    for (i, a) in Fault::SIX.iter().enumerate() {
        for b in &Fault::SIX[i + 1..] {
            let faults = [*a, *b];
            let question = Question {
                story: Story::Canary,
                rules: Rules::ALL,
                faults: &faults,
                properties: &Property::ALL,
                most: 6_000_000,
            };
            let began = std::time::Instant::now();
            let report = explore(&question);
            println!(
                "{a:<17} {b:<17} {:>9} states {:>6} logs {:>6} at rest, cut {} {} {:?}",
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
    }
}
