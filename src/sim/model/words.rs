//! What the simulated model makes of plain text: words, sentences, lines that begin with an id.

use std::collections::BTreeSet;

/// Words that say nothing about a subject.
const COMMON: &str = "a an and any are as at be been but by can could did do does for from get has had have he her him \
                      his how i if in is it its many may me mine more much must my no not of on one or our out say says \
                      she should so some than that the their them then there they this to up us was we what when where \
                      which who whom why will with would you your";

/// A document or a note of one: its id, and what it says on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub id: String,
    pub text: String,
}

/// Words that carry a subject, in a form in which `certificates` and `certificate` are the same.
pub(super) fn words(text: &str) -> BTreeSet<String> {
    let lower = text.to_lowercase();
    let parts = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    parts.filter(|word| !COMMON.split_whitespace().any(|common| common == *word)).map(stem).collect()
}

fn stem(word: &str) -> String {
    let cut = ["ing", "ed", "es", "s"].iter().find_map(|end| word.strip_suffix(end).filter(|rest| rest.len() >= 4));
    cut.unwrap_or(word).trim_end_matches('e').to_owned()
}

/// How many words two texts share.
pub(super) fn shared(one: &BTreeSet<String>, other: &BTreeSet<String>) -> usize {
    one.intersection(other).count()
}

/// Numbers of a text, as in `30`, `9:00` or `4500`.
pub(super) fn numbers(text: &str) -> BTreeSet<String> {
    let parts =
        text.split(|c: char| !c.is_alphanumeric() && c != ':' && c != '.').map(|part| part.trim_matches([':', '.']));
    parts.filter(|part| part.starts_with(|c: char| c.is_ascii_digit())).map(str::to_owned).collect()
}

/// White space of any kind and length becomes one space.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sentences with their full stops. The number of a step, as in `2. Select the device.`, ends none.
pub(super) fn sentences(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut sentence: Vec<&str> = Vec::new();
    for token in text.split_whitespace() {
        let step = sentence.is_empty() && token.trim_end_matches('.').bytes().all(|byte| byte.is_ascii_digit());
        sentence.push(token);
        if token.ends_with(['.', '?', '!']) && !step {
            all.push(sentence.join(" "));
            sentence.clear();
        }
    }
    all.extend((!sentence.is_empty()).then(|| sentence.join(" ")));
    all
}

/// The parts of a text that begin with an id in square brackets at the start of a line.
pub(super) fn documents(text: &str) -> Vec<Document> {
    let mut found: Vec<Document> = Vec::new();
    for line in text.lines() {
        match marked(line) {
            Some((id, rest)) => found.push(Document { id: id.to_owned(), text: rest.to_owned() }),
            None => {
                if let Some(document) = found.last_mut() {
                    document.text.push('\n');
                    document.text.push_str(line);
                }
            }
        }
    }
    found
}

/// `[vpn-errors] text` → id and text.
fn marked(line: &str) -> Option<(&str, &str)> {
    let (id, rest) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    let id = id.trim();
    (!id.is_empty() && !id.contains(char::is_whitespace)).then_some((id, rest.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_step_ends_no_sentence() {
        let text = "Do this: 1. Open the console. 2. Choose Wipe. It takes 30 minutes. After March 2025. Yes";
        let expected =
            ["Do this: 1.", "Open the console.", "2. Choose Wipe.", "It takes 30 minutes.", "After March 2025.", "Yes"];
        assert_eq!(sentences(text), expected);
    }

    #[test]
    fn words_are_the_same_in_all_their_forms_and_numbers_stay_whole() {
        assert_eq!(words("Where are the certificates?"), words("a certificate"));
        assert_eq!(numbers("from 9:00 to 16:00, UDP 4500."), ["16:00", "4500", "9:00"].map(String::from).into());
    }

    #[test]
    fn a_document_ends_where_the_next_begins() {
        let found = documents("Documents:\n[a-b] # Title\n\ntext\n[c] more [see a-b]\n");
        assert_eq!(
            found.iter().map(|d| (d.id.as_str(), one_line(&d.text))).collect::<Vec<_>>(),
            [("a-b", "# Title text".to_owned()), ("c", "more [see a-b]".to_owned())]
        );
    }
}
