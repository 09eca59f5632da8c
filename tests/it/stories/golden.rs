//! `kubectl describe` of a release, against the transcripts in `describe/`: what people read, word for word.
//!
//! Users ask in a fixed rhythm, so every count and score is the same in each run. Masked is only what the clock or the
//! cluster gives:
//!
//! - moments, wherever they are, and the age of an Event;
//! - in `rolled back … after the first user` the time between two of them: windows begin on even seconds of the clock,
//!   so up to one window passes between the first user and the first window;
//! - `UID` and `Resource Version`, and the end of a run's name, which is a hash of the uid.

use std::ops::Range;

use super::team::{RELEASE, Team};
use crate::ground::{TEAM, file, wait_for};

/// Identities that the API server gives.
const IDS: &[&str] = &["Resource Version", "UID"];

/// Compares what kubectl prints of the sample's release, once its newest Event says `last`, with `describe/<name>.txt`;
/// with `UPDATE_GOLDEN=1` in the environment it writes that file instead.
pub async fn check(team: &Team, name: &str, last: &str) {
    let printed = wait_for(&format!("the newest Event is {last}"), async || {
        let args = ["describe", "promptrelease", RELEASE, "-n", TEAM];
        let printed = team.story.ground().kubectl(&args, "").await;
        let newest = printed.lines().last().unwrap_or_default();
        if newest.contains(&format!(" {last} ")) { Ok(printed) } else { Err(newest.to_owned()) }
    })
    .await;
    is_in_order(&printed);
    compare(&file(&format!("tests/it/stories/describe/{name}.txt")), &masked(&printed));
}

/// What happened later stands below: no stamp of the timeline is earlier than the one above it, no Event is older.
fn is_in_order(printed: &str) {
    let (object, events) = printed.split_once("\nEvents:").expect("kubectl prints events");
    let (_, timeline) = object.split_once("\n  Timeline:\n").expect("a timeline");
    let stamps: Vec<jiff::Timestamp> =
        timeline.lines().map_while(|line| line.strip_prefix("    ")?.split(' ').next()?.parse().ok()).collect();
    assert!(stamps.len() >= 6 && stamps.is_sorted(), "the timeline's lines do not stand as they happened:\n{timeline}");
    let ages = events.lines().skip(3).map(|line| {
        let mut columns = line.split("  ").map(str::trim).filter(|column| !column.is_empty());
        let age = columns.nth(2).and_then(|age| age.parse::<jiff::SignedDuration>().ok());
        age.unwrap_or_else(|| panic!("an Event without an age: {line}"))
    });
    let ages: Vec<jiff::SignedDuration> = ages.collect();
    let falling = ages.iter().rev().is_sorted();
    assert!(ages.len() >= 6 && falling, "the Events do not stand as they happened:\n{events}");
}

fn compare(path: &str, printed: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") {
        std::fs::write(path, printed).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    let pairs = wanted.lines().zip(printed.lines());
    let first = pairs.enumerate().find(|(_, (wanted, printed))| wanted != printed);
    assert!(
        wanted == printed,
        "{path} differs, first at {first:#?}; if that is meant: UPDATE_GOLDEN=1\n---- printed ----\n{printed}"
    );
}

/// The same text for each run: moments and identities are replaced by what they are.
fn masked(printed: &str) -> String {
    let (object, events) = printed.split_once("\nEvents:\n").expect("kubectl prints events");
    let header = events.lines().next().expect("the names of the columns");
    let age = header.find("Age").expect("a column")..header.find("From").expect("a column");
    let events = events.lines().map(|line| event(line, age.clone()));
    let all: Vec<String> = object.lines().map(field).chain(["Events:".to_owned()]).chain(events).collect();
    all.join("\n") + "\n"
}

fn field(line: &str) -> String {
    match line.split_once(':') {
        Some((name, value)) if IDS.contains(&name.trim_start()) => {
            let pad: String = value.chars().take_while(|c| *c == ' ').collect();
            format!("{name}:{pad}<…>")
        }
        _ => words(line),
    }
}

/// `  Warning  Rejected  5s  promptrelease-operator  …`: the ages' column is as wide as the longest of them, so it gets one
/// width.
fn event(line: &str, age: Range<usize>) -> String {
    let cell = line[age.clone()].trim_end();
    let cell = if cell.parse::<jiff::SignedDuration>().is_ok() { "<age>" } else { cell };
    words(&format!("{}{cell:<7}{}", &line[..age.start], &line[age.end..]))
}

fn words(line: &str) -> String {
    let span = line.contains(" after the first user");
    line.split(' ').map(|word| masked_word(word, span)).collect::<Vec<_>>().join(" ")
}

fn masked_word(word: &str, span: bool) -> String {
    let bare = word.trim_end_matches([',', ';', '.', ')']);
    let end = &word[bare.len()..];
    if bare.parse::<jiff::Timestamp>().is_ok() {
        return format!("<time>{end}");
    }
    let run = bare.rsplit_once('-').filter(|(run, _)| run.starts_with("eval-") || run.starts_with("judge-"));
    if let Some((run, _)) = run {
        return format!("{run}-<…>{end}");
    }
    if span && bare.ends_with('s') && bare.starts_with(|c: char| c.is_ascii_digit()) {
        return "<…>".to_owned();
    }
    word.to_owned()
}
