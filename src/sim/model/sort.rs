//! Sorts a question into one of the words that a prompt lists.

use super::{
    knowledge::Knowledge,
    read::Prompt,
    words::{shared, words},
};

/// A word of the list, and how the prompt explains it.
struct Label {
    word: String,
    meaning: String,
}

/// Questions that begin or go on like this ask for steps.
const STEPS: [&str; 6] = ["how do", "how does", "how can", "how to", "steps", "procedure"];

pub(super) fn sort(prompt: &Prompt, knowledge: &Knowledge) -> String {
    let labels = labels(&prompt.instructions);
    let question = prompt.section("question");
    let known = knowledge.about(question).map(|known| known.class.as_str());
    let known = known.and_then(|class| labels.iter().find(|label| label.word.eq_ignore_ascii_case(class)));
    let label = known.or_else(|| guess(&labels, question));
    label.map_or_else(|| "The prompt lists no words to sort into.".into(), |label| label.word.clone())
}

/// A list has a line for each word: the word, then two spaces or a colon, then what it means.
fn labels(instructions: &str) -> Vec<Label> {
    let lines = instructions.lines().map(|line| line.trim_start_matches(['-', '*', ' ']));
    let parts = lines.filter_map(|line| line.split_once("  ").or_else(|| line.split_once(':')));
    let one_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
    let parts = parts.map(|(word, meaning)| (word.trim_matches(['`', '"', '*']), meaning.trim()));
    let parts = parts.filter(|(word, meaning)| one_word(word) && !meaning.is_empty());
    parts.map(|(word, meaning)| Label { word: word.into(), meaning: meaning.into() }).collect()
}

/// Of a question that is not known: by its form, else by the words that it shares with an explanation, else the first.
fn guess<'a>(labels: &'a [Label], question: &str) -> Option<&'a Label> {
    let lower = question.to_lowercase();
    let steps = STEPS.iter().any(|sign| lower.contains(sign));
    let by_form = labels.iter().find(|label| steps && words(&label.meaning).contains("step"));
    let asked = words(question);
    let alike = |label: &&Label| shared(&asked, &words(&format!("{} {}", label.word, label.meaning)));
    let by_words = labels.iter().rev().max_by_key(alike).filter(|label| alike(label) > 0);
    by_form.or(by_words).or(labels.first())
}
