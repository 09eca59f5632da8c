//! For a terminal.

use std::fmt::Write;

use super::lines;
use crate::{
    policy::accounting::RowStatus,
    runner::outcome::{Criterion, Outcome},
    view::sentence,
};

/// Verdict, accounting, a line for each criterion, and the rows that speak against the release.
pub fn text(outcome: &Outcome) -> String {
    let mut out = format!("{} {}: {}\n", outcome.release, outcome.version, outcome.verdict.word());
    line(&mut out, &outcome.reason);
    if !outcome.rows.is_empty() {
        let count = |state| outcome.count(state);
        let (ok, flow, judge) = (count(RowStatus::Ok), count(RowStatus::FlowError), count(RowStatus::JudgeError));
        let unjudged = count(RowStatus::NotJudged);
        let unjudged = if unjudged > 0 { format!(", {unjudged} not judged") } else { String::new() };
        let rows = outcome.rows.len();
        line(&mut out, &format!("{rows} rows: {ok} ok, {flow} flow errors, {judge} judge errors{unjudged}"));
    }
    table(&mut out, &outcome.criteria);
    for criterion in outcome.criteria.iter().filter(|criterion| criterion.failed()) {
        let r = &criterion.result;
        line(&mut out, "");
        let below = sentence::count(i64::try_from(criterion.below.len()).unwrap_or(i64::MAX), "row");
        line(&mut out, &format!("{}: {}, {below} below {}, the worst first", r.class, r.metric, r.minimum));
        let (rows, more) = lines::below(outcome, criterion);
        for row in rows {
            line(&mut out, &format!("  {} {}", lines::score(row, criterion), lines::question(row)));
        }
        rest(&mut out, more);
    }
    let broken: Vec<_> = outcome.broken().collect();
    if !broken.is_empty() {
        line(&mut out, "");
        broken.iter().take(lines::MOST_ROWS).for_each(|row| line(&mut out, &lines::broken(row)));
        rest(&mut out, broken.len().saturating_sub(lines::MOST_ROWS));
    }
    out
}

fn line(out: &mut String, text: &str) {
    let _infallible = writeln!(out, "{text}");
}

fn rest(out: &mut String, more: usize) {
    if more > 0 {
        line(out, &format!("  and {more} more"));
    }
}

fn table(out: &mut String, criteria: &[Criterion]) {
    if criteria.is_empty() {
        return;
    }
    let heads = ["class", "metric", "n", "mean", "minimum", "margin", ""].map(str::to_owned);
    let row = |criterion: &Criterion| {
        let r = &criterion.result;
        let dash = || "-".to_owned();
        let (mean, margin) = (r.value.clone().unwrap_or_else(dash), criterion.margin.clone().unwrap_or_else(dash));
        let verdict = r.verdict.to_lowercase();
        [r.class.clone(), r.metric.clone(), r.samples.to_string(), mean, r.minimum.clone(), margin, verdict]
    };
    let rows: Vec<[String; 7]> = std::iter::once(heads).chain(criteria.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    line(out, "");
    for row in &rows {
        let cells = row.iter().enumerate().map(|(i, cell)| {
            let width = width(i);
            // Numbers to the right.
            if (2..6).contains(&i) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        line(out, cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
