//! Proof that every row was answered and every answer judged. No mean is taken without it.
//!
//! A Prompt flow run in which lines failed still ends Completed, and a run on its outputs drops the failed lines silently
//! (seen in the recorded traffic of Microsoft's promptflow-devkit tests), so neither status nor means show a shortfall.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use super::naming::Run;

/// One line of a run: Prompt flow's child run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Row of the data set, from 0.
    pub index: i64,
    /// As Prompt flow spells it: Completed, Failed, …
    pub status: String,
    /// Empty where the line has none.
    pub outputs: Map<String, Value>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

impl Line {
    /// Completed, with at least one output that is not null.
    pub fn answered(&self) -> bool {
        self.status == "Completed" && self.outputs.values().any(|output| !output.is_null())
    }

    /// `429 ContentSafetyTooManyRequests in safety_check`: what failed and in which node, as far as the line says.
    pub fn cause(&self) -> Option<String> {
        let message = self.error_message.as_deref().map(one_line).filter(|m| !m.is_empty());
        let Some(message) = message else { return self.error_code.clone() };
        // Prompt flow's message format is `Execution failure in '{node_name}': {error_type_and_message}`.
        let parts = message.strip_prefix("Execution failure in '").and_then(|rest| rest.split_once("': "));
        let Some((node, what)) = parts else { return Some(clip(&message)) };
        // `(ExceptionType) text`; the type alone where there is no text.
        let what = match what.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((kind, text)) if text.trim().is_empty() => kind,
            Some((_, text)) => text.trim(),
            None => what,
        };
        Some(format!("{} in {node}", clip(what)))
    }
}

/// Every row has one answer and one judgement, in the order of the rows. Only [`prove`] makes one.
#[derive(Clone, Debug)]
pub struct Complete<'a> {
    judged: Vec<&'a Line>,
}

impl<'a> Complete<'a> {
    pub fn rows(&self) -> usize {
        self.judged.len()
    }

    /// Judge lines, by row.
    pub fn lines(&self) -> &[&'a Line] {
        &self.judged
    }
}

/// Something that is missing, or too much. Each is a failure of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// Rows without an answer, or answers without a judgement.
    Missing { run: Run, rows: i64, of: i64, cause: Option<String>, other_causes: usize },
    /// A line came more than once.
    Duplicate { run: Run, row: i64, lines: i64 },
    /// A line for a row that the data set does not have.
    OutOfRange { run: Run, row: i64, of: i64 },
}

/// Base lines against the data set, then judge lines against the base.
pub fn prove<'a>(rows: usize, base: &[Line], judge: &'a [Line]) -> Result<Complete<'a>, Vec<Shortfall>> {
    check_base(rows, base)?;
    by_row(Run::Judge, rows, judge).map(|judged| Complete { judged })
}

/// The first half, before a judge is paid for.
pub fn check_base(rows: usize, base: &[Line]) -> Result<(), Vec<Shortfall>> {
    by_row(Run::Eval, rows, base).map(|_| ())
}

/// Rows that have at least one line with an answer, for progress.
pub fn answered(rows: usize, lines: &[Line]) -> i64 {
    let mut seen = vec![false; rows];
    for line in lines.iter().filter(|line| line.answered()) {
        if let Some(seen) = usize::try_from(line.index).ok().and_then(|i| seen.get_mut(i)) {
            *seen = true;
        }
    }
    count(seen.into_iter().filter(|seen| *seen).count())
}

/// `9 of 95 rows have no answer (429 ContentSafetyTooManyRequests in safety_check); nothing was judged`
pub fn sentence(shortfalls: &[Shortfall]) -> String {
    let parts: Vec<String> = shortfalls.iter().map(ToString::to_string).collect();
    // Of what was judged in part no mean is taken either.
    let judged = shortfalls.iter().any(|short| short.run() == Run::Judge);
    let so = if judged { "no mean was taken" } else { "nothing was judged" };
    format!("{}; {so}", parts.join("; "))
}

/// What most of the rows that are missing failed of, where their lines say it.
pub fn main_cause(shortfalls: &[Shortfall]) -> Option<&str> {
    shortfalls.iter().find_map(|short| match short {
        Shortfall::Missing { cause, .. } => cause.as_deref(),
        _ => None,
    })
}

fn by_row(run: Run, rows: usize, lines: &[Line]) -> Result<Vec<&Line>, Vec<Shortfall>> {
    let mut slots: Vec<Option<&Line>> = vec![None; rows];
    let mut extra: BTreeMap<i64, i64> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut causes: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines {
        match usize::try_from(line.index).ok().and_then(|index| slots.get_mut(index)) {
            None => wrong.push(Shortfall::OutOfRange { run, row: line.index, of: count(rows) }),
            Some(Some(_)) => *extra.entry(line.index).or_insert(1) += 1,
            Some(slot) => *slot = Some(line),
        }
        if !line.answered() {
            *causes.entry(line.cause().unwrap_or_default()).or_default() += 1;
        }
    }
    wrong.extend(extra.into_iter().map(|(row, lines)| Shortfall::Duplicate { run, row, lines }));
    let found: Vec<&Line> = slots.into_iter().flatten().filter(|line| line.answered()).collect();
    if found.len() < rows {
        causes.remove("");
        let most = causes.iter().max_by_key(|(_, times)| **times).map(|(cause, _)| cause.clone());
        let other_causes = causes.len().saturating_sub(1);
        let missing =
            Shortfall::Missing { run, rows: count(rows - found.len()), of: count(rows), cause: most, other_causes };
        wrong.insert(0, missing);
    }
    // A data set without rows proves nothing.
    if rows == 0 {
        wrong.push(Shortfall::Missing { run, rows: 0, of: 0, cause: None, other_causes: 0 });
    }
    if wrong.is_empty() { Ok(found) } else { Err(wrong) }
}

impl Shortfall {
    fn run(&self) -> Run {
        match self {
            Self::Missing { run, .. } | Self::Duplicate { run, .. } | Self::OutOfRange { run, .. } => *run,
        }
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { run, rows, of, cause, other_causes } => {
                let (things, what) = match run {
                    Run::Eval => ("rows", "answer"),
                    Run::Judge => ("answers", "judgement"),
                };
                let have = if *rows == 1 { "has" } else { "have" };
                write!(f, "{rows} of {of} {things} {have} no {what}")?;
                match (cause, other_causes) {
                    (None, _) => Ok(()),
                    (Some(cause), 0) => write!(f, " ({cause})"),
                    (Some(cause), more) => write!(f, " (most often {cause}; {more} other causes)"),
                }
            }
            Self::Duplicate { run, row, lines } => {
                write!(f, "row {row} has {lines} lines in the {} run, must have one", run.as_str())
            }
            Self::OutOfRange { run, row, of } => {
                write!(f, "the {} run has a line for row {row}, the data set has {of} rows", run.as_str())
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn clip(text: &str) -> String {
    const MAX: usize = 80;
    if text.chars().count() <= MAX { text.to_owned() } else { text.chars().take(MAX - 1).chain(['…']).collect() }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn line(index: i64) -> Line {
        let outputs = json!({"answer": "yes"}).as_object().cloned().unwrap_or_default();
        Line { index, status: "Completed".into(), outputs, ..Line::default() }
    }

    fn failed(index: i64, message: &str) -> Line {
        Line { index, status: "Failed".into(), error_message: Some(message.into()), ..Line::default() }
    }

    fn lines(n: i64) -> Vec<Line> {
        (0..n).map(line).collect()
    }

    #[test]
    fn the_articles_sentence() {
        let mut base = lines(95);
        for line in &mut base[20..29] {
            *line = failed(
                line.index,
                "Execution failure in 'safety_check': (HttpResponseError) 429 ContentSafetyTooManyRequests",
            );
        }
        let wrong = prove(95, &base, &[]).expect_err("short");
        assert_eq!(
            sentence(&wrong),
            "9 of 95 rows have no answer (429 ContentSafetyTooManyRequests in safety_check); nothing was judged"
        );
        assert_eq!(answered(95, &base), 86);
    }

    #[test]
    fn complete_is_in_the_order_of_rows() {
        let (base, mut judge) = (lines(3), lines(3));
        judge.reverse();
        let complete = prove(3, &base, &judge).expect("complete");
        assert_eq!(complete.lines().iter().map(|l| l.index).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn each_kind_of_shortfall_has_its_own_sentence() {
        let base = lines(3);
        let told = |judge: &[Line]| sentence(&prove(3, &base, judge).expect_err("short"));
        assert_eq!(told(&lines(2)), "1 of 3 answers has no judgement; no mean was taken");
        assert_eq!(
            told(&[lines(3), lines(1)].concat()),
            "row 0 has 2 lines in the judge run, must have one; no mean was taken"
        );
        assert_eq!(told(&lines(4)), "the judge run has a line for row 3, the data set has 3 rows; no mean was taken");
        assert!(told(&[line(0), line(1), line(2), line(-1)]).contains("row -1"));
        let empty = Line { outputs: json!({"score": null}).as_object().cloned().unwrap_or_default(), ..line(2) };
        assert!(told(&[line(0), line(1), empty]).starts_with("1 of 3 answers has no judgement"));
        let bypassed = Line { status: "Bypassed".into(), ..line(2) };
        assert!(prove(3, &[line(0), line(1), bypassed], &lines(3)).is_err());
        assert!(prove(0, &[], &[]).is_err(), "no rows prove nothing");
    }

    #[test]
    fn a_cause_is_read_from_what_the_line_says() {
        let cause = |message: &str| failed(0, message).cause().unwrap_or_default();
        assert_eq!(cause("Execution failure in 'mod_two': (Exception) cannot mod 2!"), "cannot mod 2! in mod_two");
        assert_eq!(cause("Execution failure in 'llm': (RateLimitError)"), "RateLimitError in llm");
        assert_eq!(cause("Execution failure in 'llm': timed\nout"), "timed out in llm");
        assert_eq!(cause("something else"), "something else");
        let coded = Line { error_code: Some("UserError".into()), ..Line::default() };
        assert_eq!(coded.cause().as_deref(), Some("UserError"));
        let mixed = [failed(0, "a"), failed(1, "a"), failed(2, "b")];
        assert!(sentence(&check_base(3, &mixed).expect_err("short")).contains("(most often a; 1 other causes)"));
    }

    proptest! {
        /// Dropping, repeating, moving or failing any line breaks the proof.
        #[test]
        fn nothing_short_is_complete(n in 1_i64..40, at in 0_usize..40, what in 0..4, in_base: bool) {
            let (mut base, mut judge) = (lines(n), lines(n));
            let broken = if in_base { &mut base } else { &mut judge };
            let at = at % broken.len();
            match what {
                0 => { broken.remove(at); }
                1 => broken.push(broken[at].clone()),
                2 => broken[at].index = n,
                _ => broken[at].status = "Failed".into(),
            }
            let rows = usize::try_from(n).expect("small");
            prop_assert!(prove(rows, &base, &judge).is_err());
            prop_assert!(prove(rows, &lines(n), &lines(n)).is_ok());
        }
    }
}
