//! Grades an answer on the axes that a prompt names, by the anchors of the usual rubric: what the answer needs, what it
//! cites, and whether it should have been given at all. A document counts as used if it is cited.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    read::Prompt,
    words::{documents, numbers},
};

/// Best score of an axis.
const BEST: u8 = 3;
/// Axes of a prompt that shows none.
const AXES: [&str; 3] = ["groundedness", "citation", "refusal"];

/// What there is to compare.
#[derive(Debug)]
pub(super) struct Case {
    /// Ids of the documents without which the answer is not complete.
    needed: BTreeSet<String>,
    cited: BTreeSet<String>,
    /// The answer asks back instead of saying anything.
    refusal: bool,
    /// A number of the answer that a person gave is not in this one.
    number_missing: bool,
    /// A number of the answer is neither in the context nor in the question.
    number_invented: bool,
}

/// A JSON object with the axes that the prompt's example has, or the usual three.
pub(super) fn grade(prompt: &Prompt) -> String {
    let case = Case::read(prompt);
    let example = example(&prompt.instructions);
    let names: Vec<&str> = match &example {
        Some(example) => example.iter().filter(|(_, value)| value.is_number()).map(|(name, _)| name.as_str()).collect(),
        None => AXES.to_vec(),
    };
    let mut scores: Map<String, Value> =
        names.iter().map(|name| ((*name).to_owned(), json!(case.score(name)))).collect();
    scores.insert("why".into(), json!(case.why()));
    Value::Object(scores).to_string()
}

/// The first JSON object in the instructions shows what the reply looks like.
fn example(instructions: &str) -> Option<Map<String, Value>> {
    let from = instructions.find("{\"")?;
    serde_json::Deserializer::from_str(&instructions[from..]).into_iter().next()?.ok()
}

impl Case {
    fn read(prompt: &Prompt) -> Self {
        let (context, answer) = (prompt.section("context"), prompt.section("answer"));
        let expected = ids(prompt.section("expected citations"));
        let in_context = || documents(context).into_iter().map(|document| document.id).collect();
        let gold = prompt.section("gold answer");
        let has = |number: &String| numbers(answer).contains(number);
        let source = &numbers(context) | &numbers(prompt.section("question"));
        Self {
            needed: if expected.is_empty() { in_context() } else { expected },
            cited: ids(prompt.section("citations")),
            refusal: is_refusal(answer),
            // Only of what the context says: a person counts on, as in `48 months, so 4 years`.
            number_missing: (&numbers(gold) & &numbers(context)).iter().any(|number| !has(number)),
            number_invented: !numbers(answer).is_subset(&source),
        }
    }

    fn score(&self, axis: &str) -> u8 {
        match axis.to_lowercase() {
            axis if axis.contains("cit") => self.citation(),
            axis if axis.contains("refus") => self.refusal(),
            _ => self.groundedness(),
        }
    }

    /// Whether the context answers the question.
    fn answerable(&self) -> bool {
        !self.needed.is_empty()
    }

    fn missing(&self) -> Vec<&str> {
        self.needed.difference(&self.cited).map(String::as_str).collect()
    }

    /// At least one needed document is cited.
    fn some_used(&self) -> bool {
        !self.needed.is_disjoint(&self.cited)
    }

    fn groundedness(&self) -> u8 {
        if self.refusal {
            return if self.answerable() { 0 } else { BEST };
        }
        if !self.some_used() {
            0
        } else if !self.missing().is_empty() || self.number_invented {
            1
        } else if self.number_missing {
            2
        } else {
            BEST
        }
    }

    fn citation(&self) -> u8 {
        if self.refusal {
            return if self.cited.is_empty() { BEST } else { 1 };
        }
        if !self.some_used() {
            0
        } else if !self.missing().is_empty() {
            1
        } else if self.cited.len() > self.needed.len() {
            2
        } else {
            BEST
        }
    }

    fn refusal(&self) -> u8 {
        if self.refusal == self.answerable() { 0 } else { BEST }
    }

    /// The first that is wrong.
    fn why(&self) -> String {
        let missing = format!("nothing rests on {}, which the answer needs", self.missing().join(", "));
        let found = [
            (self.refusal && self.answerable(), "it asks back although the context answers"),
            (self.refusal, "it asks back where nobody could answer"),
            (!self.answerable(), "it answers although the context does not"),
            (!self.missing().is_empty(), missing.as_str()),
            (self.number_invented, "it has a number that the context does not have"),
            (self.number_missing, "a number that was asked for is missing"),
            (self.cited.len() > self.needed.len(), "a document is cited and nothing rests on it"),
        ];
        let first = found.iter().find(|(wrong, _)| *wrong);
        first.map_or("all that is needed is said and cited", |(_, why)| why).to_owned()
    }
}

/// `a, b` → both. A list in brackets or quotes is read too.
fn ids(text: &str) -> BTreeSet<String> {
    let parts = text.split([',', '\n']).map(|part| part.trim().trim_matches(['[', ']', '"', '\'']));
    parts.filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// An answer that ends with a question and rests on no document.
fn is_refusal(answer: &str) -> bool {
    answer.trim_end().ends_with('?') && !answer.contains('[')
}
