//! Lines that several reports share.

use crate::{
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

/// The score of a row as the judge gave it.
pub(super) fn score(row: &Row, criterion: &Criterion) -> String {
    row.scores.get(&criterion.result.metric).map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// Rows without an answer or a score, by what is missing and why.
pub(super) fn broken(row: &Row) -> String {
    let what = match row.state {
        crate::runner::outcome::RowState::FlowError => "no answer",
        _ => "no score",
    };
    let cause = row.cause.as_deref().map(|cause| format!(" ({cause})")).unwrap_or_default();
    format!("{what}{cause}: {}", question(row))
}
