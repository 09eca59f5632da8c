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

/// The sentences of a note that bear most on the question, as one.
fn say(note: &Document, question: &str, known: Option<&Known>) -> String {
    let gold = known.map_or("", |known| known.gold.as_str());
    let all = sentences(&note.text);
    // The first is the document's title, unless it is all there is.
    let all = if all.len() > 1 { &all[1..] } else { &all[..] };
    let asked = words(&format!("{question} {gold}"));
    let mut left: BTreeSet<String> = words(gold).union(&numbers(gold)).cloned().collect();
    let mut taken = BTreeSet::new();
    let best = all.iter().enumerate().rev().max_by_key(|(_, sentence)| shared(&asked, &words(sentence)));
    let mut next = best.map(|(at, _)| at);
    let mut length = 0;
    while let Some(at) = next {
        let sentence = &all[at];
        taken.insert(at);
        length += sentence.len();
        left = &left - &words(sentence);
        let more = |at: &usize| shared(&left, &words(&all[*at]));
        let candidates = (0..all.len()).rev().filter(|at| !taken.contains(at));
        next = candidates.max_by_key(more).filter(|at| more(at) > 0 && length < ENOUGH);
    }
    let parts = taken.iter().map(|at| all[*at].trim_start_matches("- ").trim_end_matches(['.', '?', '!']));
    parts.collect::<Vec<_>>().join("; ")
}
