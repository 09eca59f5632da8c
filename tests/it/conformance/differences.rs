//! The list of differences that are known and justified.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;

use super::shape::What;

const LIST: &str = "tests/conformance/differences.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Recorded exchanges that nothing is compared with.
    skipped: Vec<Skipped>,
    /// Between recorded replies of Azure and the simulator's.
    recordings: Vec<Entry>,
    /// Between what Microsoft's clients write and what the operator writes.
    operator: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Kind of document.
    #[serde(rename = "in")]
    kind: String,
    /// Path in it. One that ends with `*` stands for all that begin so.
    at: String,
    is: What,
    because: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skipped {
    /// Method, host and path.
    asked: String,
    because: String,
}

/// A difference: kind of document, path, and what it is.
pub type Found = BTreeSet<(String, String, What)>;

/// Panics unless what was found is what is listed.
pub fn check_recordings(found: &Found) {
    check(&list().recordings, found);
}

/// The same for what the operator writes.
pub fn check_operator(found: &Found) {
    check(&list().operator, found);
}

/// Panics unless what was skipped is what is listed.
pub fn check_skipped(skipped: &BTreeSet<String>) {
    let list = list().skipped;
    let listed: BTreeSet<String> = list.iter().map(|entry| entry.asked.clone()).collect();
    assert_eq!(*skipped, listed, "{LIST}: what was recorded and is not compared");
    for Skipped { asked, because } in &list {
        assert!(is_reason(because), "{LIST}: no reason is given: {asked}");
    }
}

/// Longer than a word or two.
fn is_reason(because: &str) -> bool {
    because.len() >= 20
}

fn list() -> List {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST)).expect(LIST);
    serde_saphyr::from_str(&text).unwrap_or_else(|problem| panic!("{LIST}: {problem}"))
}

fn check(list: &[Entry], found: &Found) {
    let mut wrong = Vec::new();
    for (kind, path, what) in found {
        if !list.iter().any(|entry| entry.is_about(kind, path, *what)) {
            wrong.push(format!("not listed: {{in: {kind:?}, at: {path:?}, is: {what}, because: }}"));
        }
    }
    for entry in list {
        if !found.iter().any(|(kind, path, what)| entry.is_about(kind, path, *what)) {
            wrong.push(format!("listed, and no longer there: {} {} {}", entry.kind, entry.at, entry.is));
        }
        if !is_reason(&entry.because) {
            wrong.push(format!("no reason is given: {} {}", entry.kind, entry.at));
        }
    }
    assert!(wrong.is_empty(), "{LIST}:\n{}", wrong.join("\n"));
}

impl Entry {
    fn is_about(&self, kind: &str, path: &str, what: What) -> bool {
        let fits = |pattern: &str, text: &str| match pattern.strip_suffix('*') {
            Some(beginning) => text.starts_with(beginning),
            None => text == pattern,
        };
        self.is == what && fits(&self.kind, kind) && fits(&self.at, path)
    }
}
