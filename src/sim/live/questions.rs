//! What users ask: rows of a file, class by class as often as the scenario says.

use std::collections::BTreeMap;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::sim::traffic::split::spread;

/// A row of questions, or a request's body.
pub(super) type Row = Map<String, Value>;

/// Rows by class, in the file's order.
#[derive(Debug, Default)]
pub struct Questions(BTreeMap<String, Vec<Row>>);

/// How far the users of one deployment are.
#[derive(Debug, Default)]
pub struct Turn {
    asked: u64,
    by_class: BTreeMap<String, usize>,
}

impl Questions {
    /// Reads JSON lines of the shape of the evaluation's data set.
    ///
    /// # Errors
    /// A line is no JSON object or has no class; says which.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row: Row = serde_json::from_str(line).with_context(|| format!("line {} of the questions", n + 1))?;
            let class = row.get("class").and_then(Value::as_str);
            let class = class.with_context(|| format!("line {} of the questions has no class", n + 1))?.to_owned();
            all.0.entry(class).or_default().push(row);
        }
        Ok(all)
    }

    /// The next question of a deployment's users. None: of that class there is none.
    pub(super) fn next(&self, turn: &mut Turn, weights: &BTreeMap<String, u32>) -> Option<Row> {
        let total = weights.values().map(|weight| u64::from(*weight)).sum();
        let mut point = spread(turn.asked, total);
        turn.asked += 1;
        let (class, _) = weights.iter().find(|(_, weight)| {
            let within = point < u64::from(**weight);
            point = point.saturating_sub(u64::from(**weight));
            within
        })?;
        let rows = self.0.get(class)?;
        let nth = turn.by_class.entry(class.clone()).or_default();
        let row = rows.get(*nth % rows.len()).cloned();
        *nth += 1;
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_asked_for_as_often_as_they_weigh_and_rows_in_turn() {
        let rows = ["a1", "a2", "b1"].map(|q| format!(r#"{{"question": "{q}", "class": "{}"}}"#, &q[..1]));
        let questions = Questions::parse(&rows.join("\n")).unwrap();
        let weights = [("a".to_owned(), 3), ("b".to_owned(), 1)].into();
        let mut turn = Turn::default();
        let asked =
            (0..8).map(|_| questions.next(&mut turn, &weights).unwrap()["question"].as_str().unwrap().to_owned());
        let mut asked: Vec<String> = asked.collect();
        asked.sort();
        assert_eq!(asked, ["a1", "a1", "a1", "a2", "a2", "a2", "b1", "b1"]);
        let error = Questions::parse("{\"question\": \"x\"}").unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
