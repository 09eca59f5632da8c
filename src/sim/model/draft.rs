//! Answers a question from notes: a sentence for each document, in the document's own words.

use std::collections::BTreeSet;

use super::{
    knowledge::{Knowledge, Known},
    read::Prompt,
    words::{Document, documents, numbers, one_line, sentences, shared, words},
};

/// A document's part of an answer gets no further sentence once it has so many characters.
const ENOUGH: usize = 240;

/// Words that make a number the most that is allowed.
const AT_MOST: [&str; 7] =
    ["at most", "never more than", "no more than", "not more than", "up to", "maximum of", "maximum"];
/// How a prompt says that a limit on sentences gives way.
const COMPLETE: [&str; 4] = ["every document", "all documents", "each document", "completeness"];
const NUMBERS: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];

pub(super) fn draft(prompt: &Prompt, knowledge: &Knowledge) -> String {
    let question = prompt.section("question");
    let known = knowledge.about(question);
    let notes = documents(prompt.section("notes"));
    if notes.is_empty() || known.is_some_and(|known| known.unclear) {
        return ask_back(&prompt.instructions, question);
    }
    let asked = one_line(&prompt.instructions).to_lowercase();
    let marks = ["square brackets", "cite", "citation"].iter().any(|sign| asked.contains(sign));
    let most = limit(&prompt.instructions).unwrap_or(usize::MAX);
    let parts = notes.iter().take(most).map(|note| {
        let said = say(note, question, known);
        if marks { format!("{said} [{}].", note.id) } else { format!("{said}.") }
    });
    parts.collect::<Vec<_>>().join(" ")
}

/// The prompt names the word that opens a question back in capitals, with a colon.
fn ask_back(instructions: &str, question: &str) -> String {
    let capitals = |word: &&str| {
        word.len() > 3 && word.strip_suffix(':').is_some_and(|word| word.bytes().all(|b| b.is_ascii_uppercase()))
    };
    match instructions.split_whitespace().find(capitals) {
        Some(word) => format!("{word} which service, device or account is \"{}\" about?", one_line(question)),
        None => "The notes do not say.".into(),
    }
}

/// The most documents that an answer may use; a sentence is for one document. None: the prompt sets no limit.
pub(super) fn limit(instructions: &str) -> Option<usize> {
    let text = one_line(instructions).to_lowercase();
    let complete = COMPLETE.iter().any(|sign| text.contains(sign));
    let tokens: Vec<&str> = text.split(' ').map(|token| token.trim_matches([',', '.', ':', ';', '(', ')'])).collect();
    let counted = tokens.iter().enumerate().filter_map(|(at, token)| {
        let documents = ["document", "documents", "source", "sources"].contains(token);
        let sentences = ["sentence", "sentences"].contains(token) && !complete;
        (documents || sentences).then(|| most(&tokens, at)).flatten()
    });
    counted.min()
}

/// The number that goes with the noun at `at`, if words before or after it make it an upper limit: `never more than two
/// documents`, `two short sentences at most`.
fn most(tokens: &[&str], at: usize) -> Option<usize> {
    let from = at.saturating_sub(2);
    let (number_at, number) = (from..at).rev().find_map(|i| Some((i, number(tokens.get(i)?)?)))?;
    let before = tokens.get(number_at.saturating_sub(3)..number_at)?.join(" ");
    let after = tokens.iter().skip(at + 1).take(2).copied().collect::<Vec<_>>().join(" ");
    AT_MOST.iter().any(|sign| before.ends_with(sign) || after.starts_with(sign)).then_some(number)
}

fn number(token: &str) -> Option<usize> {
    NUMBERS.iter().position(|word| word == &token).map(|at| at + 1).or_else(|| token.parse().ok())
}

/// What a note says about the question, as one sentence.
fn say(note: &Document, question: &str, known: Option<&Known>) -> String {
    let all = sentences(&note.text);
    // The first is the document's title, unless it is all there is. Its words tell no sentence from another.
    let (title, all) = if all.len() > 1 { all.split_at(1) } else { (&[][..], &all[..]) };
    let asked = &terms(question) - &terms(&title.concat());
    let wanted = terms(known.map_or("", |known| known.gold.as_str()));
    let parts = choose(all, &asked, &wanted);
    let parts = parts.into_iter().map(|at| all[at].trim_start_matches("- ").trim_end_matches(['.', '?', '!']));
    parts.collect::<Vec<_>>().join("; ")
}

/// Words and numbers.
fn terms(text: &str) -> BTreeSet<String> {
    &words(text) | &numbers(text)
}

/// Places of the sentence that bears most on what is asked and wanted, and of those that add to what is wanted.
fn choose(all: &[String], asked: &BTreeSet<String>, wanted: &BTreeSet<String>) -> BTreeSet<usize> {
    let said: Vec<BTreeSet<String>> = all.iter().map(|sentence| terms(sentence)).collect();
    let bearing = |at: &usize| shared(asked, &said[*at]) + 2 * shared(wanted, &said[*at]);
    // Of equals the first, hence backwards.
    let mut next = (0..all.len()).rev().max_by_key(bearing);
    let (mut left, mut taken, mut length) = (wanted.clone(), BTreeSet::new(), 0);
    while let Some(at) = next {
        taken.insert(at);
        length += all[at].len();
        left = &left - &said[at];
        let adds = |at: &usize| shared(&left, &said[*at]);
        let others = (0..all.len()).rev().filter(|at| !taken.contains(at));
        next = others.max_by_key(adds).filter(|at| adds(at) > 0 && length < ENOUGH);
    }
    taken
}
