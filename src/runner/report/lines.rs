//! Lines that several reports share.

use serde_json::Value;

use crate::{
    policy::accounting::RowStatus,
    runner::outcome::{Criterion, Outcome, Row},
    view::sentence,
};

/// Rows of one criterion, and rows without an answer, that a report names; the rest is counted.
pub(super) const MOST_ROWS: usize = 20;
/// Bytes of a question.
const MOST_TEXT: usize = 120;

/// `row 12: What's the size limit of a shared mailbox?`. Rows count from 0, as Prompt flow counts.
pub(super) fn question(row: &Row) -> String {
    format!("row {}: {}", row.row, sentence::clamp(&sentence::one_line(&row.question), MOST_TEXT))
}

/// The rows below the criterion's minimum, the worst first, and how many are not named.
pub(super) fn below<'a>(outcome: &'a Outcome, criterion: &'a Criterion) -> (Vec<&'a Row>, usize) {
    let named = criterion.below.iter().take(MOST_ROWS).filter_map(|row| outcome.rows.get(*row)).collect();
    (named, criterion.below.len().saturating_sub(MOST_ROWS))
}

/// The score of a row as the judge gave it, a fraction to three digits.
pub(super) fn score(row: &Row, criterion: &Criterion) -> String {
    match row.scores.get(&criterion.result.metric) {
        None => "-".to_owned(),
        Some(Value::Number(number)) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |n| format!("{n:.3}"))
        }
        Some(other) => other.to_string(),
    }
}

/// Rows without an answer or a score, by what is missing and why.
pub(super) fn broken(row: &Row) -> String {
    let what = if row.state == RowStatus::FlowError { "no answer" } else { "no score" };
    let cause = row.cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{what}{cause}: {}", question(row))
}
