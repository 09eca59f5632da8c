//! From messages to a task. What is asked is told by the wording of the instructions alone, as a language model would see
//! it; no name of a release or of a file is known here.

use std::collections::BTreeMap;

use super::words::one_line;

/// What a prompt can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Sort a question into one of the words that the prompt lists.
    Sort,
    /// Write a line for each document that bears on a question.
    Notes,
    /// Answer a question from such notes.
    Draft,
    /// Grade an answer on the axes that the prompt names.
    Grade,
    /// None of these.
    Other,
}

/// How prompts say what they want. Of a prompt that fits several tasks, the one with most phrases is meant, and of equals
/// the first.
const SIGNS: [(Task, &[&str]); 4] = [
    (Task::Grade, &["grade", "rubric", "you score", "axes", "axis 1", "anchors", "evaluate the answer", "from 0 to 3"]),
    (Task::Sort, &["sort ", "classify", "one of these", "exactly one of", "one word", "category", "intent of"]),
    (
        Task::Notes,
        &[
            "prepare notes",
            "take notes",
            "one line for each document",
            "one line per document",
            "line a document",
            "documents that bear",
            "summarise",
            "summarize",
            "document that bears",
        ],
    ),
    (
        Task::Draft,
        &[
            "answer the question",
            "answer questions",
            "from the notes",
            "nothing else",
            "only the notes",
            "end each sentence",
            "you are the assistant",
            "reply to the question",
        ],
    ),
];

/// Headings of what a prompt hands over, in lower case.
const HEADINGS: [&str; 8] =
    ["question", "documents", "notes", "context", "answer", "citations", "gold answer", "expected citations"];

/// A prompt, taken apart.
#[derive(Debug)]
pub(super) struct Prompt {
    pub task: Task,
    /// The system messages, line by line as they were.
    pub instructions: String,
    sections: BTreeMap<String, String>,
}

impl Prompt {
    /// `messages`: role and text. Without a system message the whole text is instructions too.
    pub(super) fn read(messages: &[(String, String)]) -> Self {
        let of = |system: bool| {
            let fitting = messages.iter().filter(|(role, _)| matches!(role.as_str(), "system" | "developer") == system);
            fitting.map(|(_, text)| text.as_str()).collect::<Vec<_>>().join("\n")
        };
        let (system, rest) = (of(true), of(false));
        let instructions = if system.trim().is_empty() { rest.clone() } else { system };
        Self { task: task(&instructions), instructions, sections: sections(&rest) }
    }

    /// What stands under a heading; empty if there is none.
    pub(super) fn section(&self, heading: &str) -> &str {
        self.sections.get(heading).map_or("", String::as_str)
    }
}

fn task(instructions: &str) -> Task {
    let text = one_line(instructions).to_lowercase();
    let fits = |signs: &[&str]| signs.iter().filter(|sign| text.contains(**sign)).count();
    let mut best = (Task::Other, 0);
    for (task, signs) in SIGNS {
        if fits(signs) > best.1 {
            best = (task, fits(signs));
        }
    }
    best.0
}

/// A heading stands alone on its line, or before a colon and perhaps a remark in brackets: `Question (factual): …`. The
/// first of a name counts: a document or an answer that contains one replaces none that stands above it.
fn sections(text: &str) -> BTreeMap<String, String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut open = None;
    for line in text.lines() {
        if let Some((name, rest)) = heading(line).filter(|(name, _)| !found.contains_key(name)) {
            found.insert(name.clone(), rest.to_owned());
            open = Some(name);
        } else if let Some(section) = open.as_ref().and_then(|name| found.get_mut(name)) {
            section.push('\n');
            section.push_str(line);
        }
    }
    found.into_iter().map(|(name, text)| (name, text.trim().to_owned())).collect()
}

fn heading(line: &str) -> Option<(String, &str)> {
    let (head, rest) = line.split_once(':').unwrap_or((line, ""));
    let name = head.split('(').next().unwrap_or(head).trim().to_lowercase();
    let alone = head == line;
    (HEADINGS.contains(&name.as_str()) && (!alone || line.trim().len() == name.len())).then(|| (name, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompt(system: &str, user: &str) -> Prompt {
        Prompt::read(&[("system".into(), system.into()), ("user".into(), user.into())])
    }

    #[test]
    fn a_task_is_known_by_what_is_asked_in_other_words_too() {
        for (instructions, task) in [
            ("Classify the question. Reply with one word.", Task::Sort),
            ("You write notes: one line per document. Summarise only documents that bear on it.", Task::Notes),
            ("Answer the question\nbriefly, from the notes only.", Task::Draft),
            ("You are a judge. Score from 0 to 3, by the rubric.", Task::Grade),
            ("Translate this into Dutch.", Task::Other),
        ] {
            assert_eq!(prompt(instructions, "").task, task, "{instructions}");
        }
    }

    #[test]
    fn a_heading_within_what_is_handed_over_replaces_none() {
        let read =
            prompt("", "Earlier question: old\nQuestion (edge): what: now?\n\nNotes:\n[a] text\nQuestion: other");
        assert_eq!(read.section("question"), "what: now?");
        assert_eq!(read.section("notes"), "[a] text\nQuestion: other");
        assert_eq!(read.section("context"), "");
    }

    #[test]
    fn headings_may_stand_alone_on_their_line() {
        let read = prompt("", "QUESTION\nwhy\n\nGOLD ANSWER\n\n\nEXPECTED CITATIONS\na, b\nAnswer it well\n");
        assert_eq!([read.section("question"), read.section("gold answer")], ["why", ""]);
        assert_eq!(read.section("expected citations"), "a, b\nAnswer it well");
    }
}
