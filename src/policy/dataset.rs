//! The team's own questions: a JSON-lines file with a column `class`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::api::{release::Class, status::ClassRows};

pub const MAX_BYTES: usize = 64 << 20;
pub const MAX_ROWS: usize = 100_000;
/// As in the schema of criteria and of `dataset.classes`.
const MAX_CLASS_NAME: usize = 63;

/// Why a file is no data set. Lines count from 1, as editors do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    #[error("the data set has {0} bytes, at most {max} are allowed", max = MAX_BYTES)]
    TooLarge(usize),
    #[error("the data set has more than {max} rows, the most that are allowed", max = MAX_ROWS)]
    TooManyRows,
    #[error("the data set has no rows: it must have a JSON object a line")]
    Empty,
    #[error("line {line} of the data set: {what}")]
    Line { line: usize, what: String },
    #[error("the data set has other counts than `evaluation.dataset.classes`: {0}")]
    Counts(String),
}

/// Where a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    Everywhere,
    /// Prompt flow ends a whole run for one row that lacks a mapped column.
    MissingInLine(usize),
    Nowhere,
}

/// Classes and columns of a data set, by row. Rows count from 0, as Prompt flow's line numbers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Index into `classes`, one a row.
    rows: Vec<u32>,
    /// In the order of their first row.
    classes: Vec<String>,
    /// First line that lacks it, if any.
    columns: BTreeMap<String, Option<usize>>,
}

impl Dataset {
    /// Reads every line; the first wrong one is the error.
    pub fn parse(bytes: &[u8]) -> Result<Self, DatasetError> {
        if bytes.len() > MAX_BYTES {
            return Err(DatasetError::TooLarge(bytes.len()));
        }
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(DatasetError::Empty);
        }
        let mut dataset = Self { rows: Vec::new(), classes: Vec::new(), columns: BTreeMap::new() };
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if index == MAX_ROWS {
                return Err(DatasetError::TooManyRows);
            }
            let row = parse_line(line).map_err(|what| DatasetError::Line { line: index + 1, what })?;
            dataset.push(index, row).map_err(|what| DatasetError::Line { line: index + 1, what })?;
        }
        Ok(dataset)
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Class of a row; None past the end.
    pub fn class(&self, row: usize) -> Option<&str> {
        self.rows.get(row).and_then(|class| self.classes.get(*class as usize)).map(String::as_str)
    }

    /// Rows of each class, in the order of their first row.
    pub fn counts(&self) -> Vec<ClassRows> {
        let mut counts: Vec<ClassRows> =
            self.classes.iter().map(|class| ClassRows { class: class.clone(), rows: 0 }).collect();
        for class in &self.rows {
            counts[*class as usize].rows += 1;
        }
        counts
    }

    pub fn column(&self, name: &str) -> Column {
        match self.columns.get(name) {
            None => Column::Nowhere,
            Some(None) => Column::Everywhere,
            Some(Some(line)) => Column::MissingInLine(*line),
        }
    }

    /// All columns, sorted, those that some rows lack included.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.keys().map(String::as_str)
    }

    /// Compares with what the release declares; every difference is named. Nothing declared is no difference.
    pub fn check(&self, declared: &[Class]) -> Result<(), DatasetError> {
        if declared.is_empty() {
            return Ok(());
        }
        let counts = self.counts();
        let mut wrong = Vec::new();
        for class in declared {
            let rows = counts.iter().find(|c| c.class == class.name).map_or(0, |c| c.rows);
            if rows != class.rows {
                wrong.push(format!("{} has {rows} rows, declared {}", class.name, class.rows));
            }
        }
        for count in counts.iter().filter(|c| declared.iter().all(|class| class.name != c.class)) {
            wrong.push(format!("{} has {} rows, not declared", count.class, count.rows));
        }
        if wrong.is_empty() { Ok(()) } else { Err(DatasetError::Counts(wrong.join("; "))) }
    }

    fn push(&mut self, index: usize, row: Map<String, Value>) -> Result<(), String> {
        let class = class_of(&row)?;
        let class = match self.classes.iter().position(|known| known == class) {
            Some(known) => known,
            None => {
                self.classes.push(class.to_owned());
                self.classes.len() - 1
            }
        };
        self.rows.push(u32::try_from(class).map_err(|_| "too many classes".to_owned())?);
        for (column, missing) in &mut self.columns {
            if missing.is_none() && !row.contains_key(column) {
                *missing = Some(index + 1);
            }
        }
        for (column, _) in row {
            // Every row before this one lacks a column that comes up only now.
            self.columns.entry(column).or_insert((index > 0).then_some(1));
        }
        Ok(())
    }
}

fn parse_line(line: &[u8]) -> Result<Map<String, Value>, String> {
    let object = "it must be one JSON object";
    if line.trim_ascii().is_empty() {
        return Err(format!("it is empty; {object}"));
    }
    if line.starts_with(b"\xef\xbb\xbf") {
        return Err(format!("it begins with a byte-order mark: save the file as UTF-8 without one; {object}"));
    }
    match serde_json::from_slice(line) {
        Ok(Value::Object(row)) => Ok(row),
        Ok(other) => Err(format!("it is {}; {object}", kind(&other))),
        Err(error) => Err(format!("it is not JSON ({error}); {object}")),
    }
}

fn class_of(row: &Map<String, Value>) -> Result<&str, String> {
    let allowed = "`class` must be a text of 1 to 63 letters, digits, dots, dashes and underscores";
    let class = match row.get("class") {
        Some(Value::String(class)) => class.as_str(),
        Some(other) => return Err(format!("`class` is {}; {allowed}", kind(other))),
        None => return Err(format!("it has no column `class`; {allowed}")),
    };
    let ok = (1..=MAX_CLASS_NAME).contains(&class.len())
        && class.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if ok { Ok(class) } else { Err(format!("`class` is {class:?}; {allowed}")) }
}

/// What a JSON value is, for messages.
pub(super) fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => format!("the number {n}"),
        Value::String(s) => format!("the text {:?}", s.chars().take(40).collect::<String>()),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Dataset, String> {
        Dataset::parse(text.as_bytes()).map_err(|e| e.to_string())
    }

    #[test]
    fn counts_rows_per_class() {
        let set = parse("{\"class\":\"factual\",\"question\":\"a\"}\r\n{\"class\":\"edge\",\"question\":\"b\"}\n{\"class\":\"factual\",\"question\":\"c\",\"gold\":1}\n")
            .expect("valid");
        assert_eq!(set.rows(), 3);
        assert_eq!((set.class(1), set.class(3)), (Some("edge"), None));
        let counts: Vec<_> = set.counts().into_iter().map(|c| (c.class, c.rows)).collect();
        assert_eq!(counts, [("factual".into(), 2), ("edge".into(), 1)]);
        assert_eq!(set.column("question"), Column::Everywhere);
        assert_eq!(set.column("gold"), Column::MissingInLine(1));
        assert_eq!(set.column("answer"), Column::Nowhere);
        assert_eq!(set.columns().collect::<Vec<_>>(), ["class", "gold", "question"]);
    }

    #[test]
    fn a_column_that_goes_missing_is_found_at_its_line() {
        let set = parse("{\"class\":\"a\",\"q\":1}\n{\"class\":\"a\",\"q\":2}\n{\"class\":\"a\"}").expect("valid");
        assert_eq!(set.column("q"), Column::MissingInLine(3));
    }

    #[test]
    fn wrong_lines_are_numbered_and_say_what_is_allowed() {
        let good = "{\"class\":\"a\"}\n";
        for (bad, what) in [
            ("[1]", "a list; it must be one JSON object"),
            ("", "empty; it must be one JSON object"),
            ("{\"class\":\"a\"", "not JSON"),
            ("{\"class\":\"a\"} {\"class\":\"b\"}", "not JSON"),
            ("{\"question\":\"q\"}", "no column `class`; `class` must be a text"),
            ("{\"class\":7}", "`class` is the number 7; `class` must be a text"),
            ("{\"class\":null}", "`class` is null"),
            ("{\"class\":\"*\"}", "`class` is \"*\""),
            ("{\"class\":\"\"}", "1 to 63 letters"),
            ("{\"class\":NaN}", "not JSON"),
        ] {
            let error = parse(&format!("{good}{bad}\n{good}")).expect_err(bad);
            assert!(error.starts_with("line 2 of the data set: ") && error.contains(what), "{error}");
        }
        assert!(Dataset::parse(b"{\"class\":\"a\"}\n\xff\n").is_err_and(|e| e.to_string().contains("line 2")));
        assert!(parse("\u{feff}{\"class\":\"a\"}").is_err_and(|e| e.contains("byte-order mark")));
        for empty in ["", "\n"] {
            assert_eq!(parse(empty), Err(DatasetError::Empty.to_string()));
        }
    }

    #[test]
    fn too_much_is_refused() {
        let row = b"{\"class\":\"a\"}\n";
        assert_eq!(Dataset::parse(&row.repeat(MAX_ROWS + 1)), Err(DatasetError::TooManyRows));
        assert_eq!(Dataset::parse(&row.repeat(MAX_ROWS)).map(|d| d.rows()), Ok(MAX_ROWS));
        assert_eq!(Dataset::parse(&vec![b' '; MAX_BYTES + 1]), Err(DatasetError::TooLarge(MAX_BYTES + 1)));
    }

    #[test]
    fn every_difference_from_the_declared_counts_is_named() {
        let set = parse("{\"class\":\"a\"}\n{\"class\":\"a\"}\n{\"class\":\"b\"}").expect("valid");
        let class = |name: &str, rows| Class { name: name.into(), rows };
        assert_eq!(set.check(&[]), Ok(()));
        assert_eq!(set.check(&[class("b", 1), class("a", 2)]), Ok(()));
        let error = set.check(&[class("a", 3), class("c", 1)]).expect_err("differs").to_string();
        assert!(
            error.ends_with("a has 2 rows, declared 3; c has 0 rows, declared 1; b has 1 rows, not declared"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Dataset::parse(&bytes);
        }

        #[test]
        fn counts_add_up(classes in prop::collection::vec("[a-c]{1,2}", 1..50)) {
            let text: String = classes.iter().map(|c| format!("{{\"class\":\"{c}\"}}\n")).collect();
            let set = Dataset::parse(text.as_bytes()).expect("valid");
            prop_assert_eq!(set.counts().iter().map(|c| c.rows).sum::<i64>(), classes.len() as i64);
            for (row, class) in classes.iter().enumerate() {
                prop_assert_eq!(set.class(row), Some(class.as_str()));
            }
        }
    }
}
