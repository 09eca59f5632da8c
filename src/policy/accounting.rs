//! What became of every row of the data set, and of every class.

use super::{completeness::Line, dataset::Dataset};
use crate::api::status::{ClassResult, MAX_CLASSES, MAX_ROWS_NAMED};

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowStatus {
    /// Answered and scored.
    Ok,
    /// The flow did not answer.
    FlowError,
    /// The flow answered, and the judge did not score the answer.
    JudgeError,
    /// The flow answered; no judge was asked, since other rows have no answer.
    NotJudged,
}

impl RowStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::FlowError => "flow_error",
            Self::JudgeError => "judge_error",
            Self::NotJudged => "not_judged",
        }
    }
}

/// What became of each row, in their order. A row without a line counts as one whose line failed: Prompt flow leaves the
/// lines out whose base failed. `judge`: None if no judge ran.
pub fn rows(dataset: &Dataset, base: &[Line], judge: Option<&[Line]>) -> Vec<RowStatus> {
    let (answered, scored) = (answered(dataset.rows(), base), judge.map(|lines| answered(dataset.rows(), lines)));
    let row = |row: usize| match (answered[row], scored.as_ref().map(|scored| scored[row])) {
        (false, _) => RowStatus::FlowError,
        (true, None) => RowStatus::NotJudged,
        (true, Some(false)) => RowStatus::JudgeError,
        (true, Some(true)) => RowStatus::Ok,
    };
    (0..dataset.rows()).map(row).collect()
}

fn answered(rows: usize, lines: &[Line]) -> Vec<bool> {
    let mut seen = vec![false; rows];
    for line in lines.iter().filter(|line| line.answered()) {
        if let Some(seen) = usize::try_from(line.index).ok().and_then(|row| seen.get_mut(row)) {
            *seen = true;
        }
    }
    seen
}

/// How many rows have this status.
pub fn count(rows: &[RowStatus], status: RowStatus) -> i64 {
    i64::try_from(rows.iter().filter(|row| **row == status).count()).unwrap_or(i64::MAX)
}

/// By class, in the order of their first row, at most [`MAX_CLASSES`].
pub fn by_class(dataset: &Dataset, rows: &[RowStatus]) -> Vec<ClassResult> {
    let classes = dataset.counts().into_iter().take(MAX_CLASSES);
    let mut found: Vec<ClassResult> =
        classes.map(|class| ClassResult { class: class.class, rows: class.rows, ..ClassResult::default() }).collect();
    for (row, status) in rows.iter().enumerate() {
        let class = dataset.class(row).unwrap_or_default();
        let Some(of) = found.iter_mut().find(|found| found.class == class) else { continue };
        match status {
            RowStatus::Ok => of.ok += 1,
            RowStatus::FlowError => of.flow_errors += 1,
            RowStatus::JudgeError => of.judge_errors += 1,
            RowStatus::NotJudged => of.not_judged += 1,
        }
        let wrong = matches!(status, RowStatus::FlowError | RowStatus::JudgeError);
        if wrong && of.error_rows.len() < MAX_ROWS_NAMED {
            of.error_rows.extend(i64::try_from(row));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn line(index: i64, status: &str) -> Line {
        let outputs = json!({"answer": "!"}).as_object().cloned().unwrap_or_default();
        Line { index, status: status.into(), outputs, ..Line::default() }
    }

    fn lines(indexes: impl IntoIterator<Item = i64>) -> Vec<Line> {
        indexes.into_iter().map(|index| line(index, "Completed")).collect()
    }

    #[test]
    fn every_row_is_ok_or_an_error_of_the_flow_or_of_the_judge() {
        let text: String = ["a", "a", "b", "b"].map(|class| format!("{{\"class\":\"{class}\"}}\n")).concat();
        let dataset = Dataset::parse(text.as_bytes()).expect("a data set");
        let mut base = lines([0, 1, 2]);
        base[1].status = "Failed".into();
        // The judge has no line for what the flow did not answer, and none for row 2.
        let found = rows(&dataset, &base, Some(&lines([0, 3, 9, -1])));
        assert_eq!(
            found.iter().map(|row| row.as_str()).collect::<Vec<_>>(),
            ["ok", "flow_error", "judge_error", "flow_error"]
        );
        let classes = by_class(&dataset, &found);
        let told = classes
            .iter()
            .map(|c| (c.class.as_str(), c.rows, c.ok, c.flow_errors, c.judge_errors, c.error_rows.clone()));
        assert_eq!(told.collect::<Vec<_>>(), [("a", 2, 1, 1, 0, vec![1]), ("b", 2, 0, 1, 1, vec![2, 3])]);
        let unjudged = rows(&dataset, &lines(0..4), None);
        assert_eq!((count(&unjudged, RowStatus::NotJudged), by_class(&dataset, &unjudged)[0].not_judged), (4, 2));
    }

    #[test]
    fn many_classes_and_many_errors_stay_short() {
        let text: String = (0..1000).map(|row| format!("{{\"class\":\"c{}\"}}\n", row % 50)).collect();
        let dataset = Dataset::parse(text.as_bytes()).expect("a data set");
        let classes = by_class(&dataset, &rows(&dataset, &[], None));
        assert_eq!(classes.len(), MAX_CLASSES);
        assert!(classes.iter().all(|class| class.flow_errors == 20 && class.error_rows.len() == MAX_ROWS_NAMED));
    }
}
