//! Takes notes: a line for each document that bears on a question.

use super::{
    knowledge::Knowledge,
    read::Prompt,
    words::{Document, documents, one_line, sentences, shared, words},
};

/// What is written if no document bears on the question and the prompt gives no words for that.
const NOTHING: &str = "NOTHING FOUND";

pub(super) fn notes(prompt: &Prompt, knowledge: &Knowledge) -> String {
    let all: Vec<Document> = documents(prompt.section("documents")).into_iter().map(plain).collect();
    let question = prompt.section("question");
    let bearing: Vec<&Document> = match knowledge.about(question) {
        Some(known) => all.iter().filter(|document| known.needed.contains(&document.id)).collect(),
        None => bearing(question, &all),
    };
    if bearing.is_empty() {
        return for_nothing(&prompt.instructions);
    }
    bearing.iter().map(|document| format!("[{}] {}", document.id, document.text)).collect::<Vec<_>>().join("\n")
}

/// On one line; a first line that is a heading becomes a sentence.
fn plain(document: Document) -> Document {
    let text = document.text.trim();
    let text = match text.strip_prefix("# ").map(|text| text.split_once('\n').unwrap_or((text, ""))) {
        Some((title, rest)) => one_line(&format!("{title}. {rest}")),
        None => one_line(text),
    };
    Document { text, ..document }
}

/// For a question that is not known: the documents whose id and title have most words of it, else the one whose text has.
fn bearing<'a>(question: &str, all: &'a [Document]) -> Vec<&'a Document> {
    let asked = words(question);
    let title = |d: &Document| sentences(&d.text).first().map(|title| format!("{} {title}", d.id)).unwrap_or_default();
    let by_title = |document: &Document| shared(&asked, &words(&title(document)));
    let most = all.iter().map(by_title).max().unwrap_or_default();
    if most > 0 {
        return all.iter().filter(|document| by_title(document) == most).collect();
    }
    let by_text = |document: &&Document| shared(&asked, &words(&document.text));
    all.iter().rev().max_by_key(by_text).filter(|document| by_text(document) > 0).into_iter().collect()
}

/// The prompt gives the words after a colon, in the sentence about no document.
fn for_nothing(instructions: &str) -> String {
    let lower = instructions.to_lowercase();
    let signs = ["no document", "none of the documents", "nothing bears"].iter();
    let given = signs.flat_map(|sign| lower.match_indices(sign)).find_map(|(at, _)| {
        // Lower case may have other lengths than the text itself in rare scripts, hence `get`.
        let (_, words) = instructions.get(at..)?.split_once(':').filter(|(sentence, _)| !sentence.contains('.'))?;
        let words = words.trim_start().lines().next()?.trim_matches(['"', '`', '.', ' ']);
        (!words.is_empty()).then(|| words.to_owned())
    });
    given.unwrap_or_else(|| NOTHING.to_owned())
}
