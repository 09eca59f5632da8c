//! What the simulated model knows about questions. A language model understands a question; this one looks it up, in files
//! of the shape of an evaluation data set.

use std::collections::HashMap;

use anyhow::Context;
use serde::Deserialize;

use super::words::one_line;

/// What is known about one question.
#[derive(Clone, Debug, Deserialize)]
pub struct Known {
    question: String,
    /// Word that sorts it, as in the data set.
    #[serde(default)]
    pub class: String,
    /// Ids of the documents that the answer needs.
    #[serde(default, rename = "expected_citations")]
    pub needed: Vec<String>,
    /// What a person would answer; tells which sentence of a document matters.
    #[serde(default, rename = "gold_answer")]
    pub gold: String,
    /// Nobody could say what is asked.
    #[serde(default, rename = "should_refuse")]
    pub unclear: bool,
}

/// Questions by their text; upper or lower case and white space make no difference.
#[derive(Debug, Default)]
pub struct Knowledge {
    questions: HashMap<String, Known>,
}

impl Knowledge {
    /// Reads one JSON object a line with `question` and, as far as there are any, `class`, `expected_citations`,
    /// `gold_answer` and `should_refuse`; other fields are left aside, empty lines too.
    ///
    /// # Errors
    /// The first line that is no such object, with its number.
    pub fn parse(jsonl: &str) -> anyhow::Result<Self> {
        let rows = jsonl.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let questions = rows.map(|(n, line)| {
            let known: Known = serde_json::from_str(line).with_context(|| {
                format!("line {}: expected, for example: {{\"question\": \"…\", \"class\": \"factual\"}}", n + 1)
            })?;
            Ok((key(&known.question), known))
        });
        Ok(Self { questions: questions.collect::<anyhow::Result<_>>()? })
    }

    /// Adds what another file says; the later word about a question counts.
    pub fn extend(&mut self, other: Self) {
        self.questions.extend(other.questions);
    }

    pub fn about(&self, question: &str) -> Option<&Known> {
        self.questions.get(&key(question))
    }

    /// Number of questions.
    pub fn len(&self) -> usize {
        self.questions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }
}

fn key(question: &str) -> String {
    one_line(question).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_found_in_any_case_and_spacing_and_the_later_file_counts() {
        let mut all = Knowledge::parse("{\"question\": \"How  big?\", \"class\": \"factual\", \"id\": 7}\n\n").unwrap();
        assert_eq!(all.about("how big?\n").map(|known| known.class.as_str()), Some("factual"));
        all.extend(Knowledge::parse(r#"{"question": "How big?", "class": "edge"}"#).unwrap());
        assert_eq!((all.len(), all.about("How big?").map(|known| known.class.as_str())), (1, Some("edge")));
    }

    #[test]
    fn a_line_that_is_no_question_is_named() {
        let error = Knowledge::parse("{\"question\": \"a\"}\n{\"class\": \"edge\"}").unwrap_err();
        assert!(format!("{error:#}").contains("line 2") && format!("{error:#}").contains("`question`"), "{error:#}");
    }
}
