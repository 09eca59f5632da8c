//! What is told while an evaluation is under way.

/// One thing that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// How many rows of a run are done. `what`: `answers` or `scores`, and of which repeat, if there are several.
    Rows { what: &'a str, done: usize, rows: usize },
    /// Something worth knowing.
    Note(&'a str),
}

/// `answers`; `answers 2/3` where the evaluation has repeats.
pub(super) fn what(run: &str, repeat: i64, of: i64) -> String {
    if of > 1 { format!("{run} {repeat}/{of}") } else { run.to_owned() }
}
