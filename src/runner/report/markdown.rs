//! For a comment on a pull request.

use std::fmt::Write;

use super::lines;
use crate::runner::outcome::{Criterion, Outcome, Verdict};

/// A heading with the verdict, a table of the criteria, and the rows that speak against the release, folded away.
pub fn markdown(outcome: &Outcome) -> String {
    let sign = match outcome.verdict {
        Verdict::Pass => "✅",
        Verdict::Regression => "❌",
        Verdict::InfraError => "⚠️",
    };
    let (release, version) = (escape(&outcome.release), escape(&outcome.version));
    let mut out = format!("### {sign} {release} {version}: {}\n\n", outcome.verdict.word().to_lowercase());
    let _infallible = writeln!(out, "{}", escape(&outcome.reason));
    if !outcome.criteria.is_empty() {
        out.push_str("\n| | class | metric | n | mean | minimum | margin |\n|---|---|---|--:|--:|--:|--:|\n");
        outcome.criteria.iter().for_each(|criterion| out.push_str(&table_row(criterion)));
    }
    for criterion in outcome.criteria.iter().filter(|criterion| criterion.failed()) {
        let r = &criterion.result;
        let summary = format!("{}: {} rows below {} of {}", r.class, criterion.below.len(), r.minimum, r.metric);
        let (rows, more) = lines::below(outcome, criterion);
        let told = rows.into_iter().map(|row| format!("{} {}", lines::score(row, criterion), lines::question(row)));
        fold(&mut out, &summary, told.collect(), more);
    }
    let broken: Vec<String> = outcome.broken().take(lines::MOST_ROWS).map(lines::broken).collect();
    let more = outcome.broken().count() - broken.len();
    if !broken.is_empty() {
        fold(&mut out, "rows without an answer or a score", broken, more);
    }
    out
}

fn table_row(criterion: &Criterion) -> String {
    let r = &criterion.result;
    let sign = if criterion.failed() { "❌" } else { "✅" };
    let (mean, margin) = (r.value.as_deref().unwrap_or("-"), criterion.margin.as_deref().unwrap_or("-"));
    let (class, metric) = (escape(&r.class), escape(&r.metric));
    format!("| {sign} | {class} | {metric} | {} | {mean} | {} | {margin} |\n", r.samples, r.minimum)
}

fn fold(out: &mut String, summary: &str, lines: Vec<String>, more: usize) {
    let _infallible = writeln!(out, "\n<details><summary>{}</summary>\n", escape(summary));
    for line in lines {
        let _infallible = writeln!(out, "- {}", escape(&line));
    }
    if more > 0 {
        let _infallible = writeln!(out, "- and {more} more");
    }
    out.push_str("\n</details>\n");
}

/// Questions are other people's text: no markup, no link and no mention in it comes alive.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
