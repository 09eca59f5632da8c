//! `kubectl describe` of a release, against the transcripts in `describe/`: what people read, word for word.

use super::team::{RELEASE, Team};
use crate::ground::{TEAM, file, wait_for};

/// Identities.
const IDS: &[&str] = &["Resource Version", "UID"];
/// Of `status.canary`: how many live answers there were depends on when the windows began.
const COUNTS: &[&str] = &[
    "Canary Errors",
    "Canary Requests",
    "Counted",
    "Judged",
    "Samples",
    "Stable Errors",
    "Stable Requests",
    "Total Samples",
    "Total Sum Millionths",
    "Windows",
];

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
        let age = columns(line).get(2).and_then(|age| age.parse::<jiff::SignedDuration>().ok());
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

/// The same text for each run: times, ages, identities and counts of live answers are replaced by what they are.
fn masked(printed: &str) -> String {
    let (object, events) = printed.split_once("\nEvents:").expect("kubectl prints events");
    let mut section = "";
    let object = object.lines().map(|line| {
        if !line.starts_with("   ") {
            section = line.trim();
        }
        field(section, line)
    });
    let events = events.lines().skip(1).map(event);
    let all: Vec<String> = object.chain(["Events:".to_owned()]).chain(events).collect();
    all.join("\n") + "\n"
}

fn field(section: &str, line: &str) -> String {
    let Some((name, value)) = line.split_once(':').filter(|(_, value)| !value.is_empty()) else { return words(line) };
    let known = name.trim_start();
    if IDS.contains(&known) || (section == "Canary:" && COUNTS.contains(&known)) {
        let pad: String = value.chars().take_while(|c| *c == ' ').collect();
        return format!("{name}:{pad}<…>");
    }
    words(line)
}

/// `  Warning  Rejected  5s  promptrelease-operator  …`: columns are as wide as what is in them, so they are not kept.
fn event(line: &str) -> String {
    let mut columns = columns(line);
    if let Some(age) = columns.get_mut(2).filter(|age| age.starts_with(|c: char| c.is_ascii_digit())) {
        *age = "<age>";
    }
    words(&format!("  {}", columns.join("  ")))
}

fn columns(line: &str) -> Vec<&str> {
    line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect()
}

fn words(line: &str) -> String {
    let live = line.contains("window");
    let span = line.contains(" after the first user");
    line.split(' ').map(|word| masked_word(word, live, span)).collect::<Vec<_>>().join(" ")
}

fn masked_word(word: &str, live: bool, span: bool) -> String {
    let bare = word.trim_end_matches([',', ';', '.', ')']);
    let end = &word[bare.len()..];
    if bare.parse::<jiff::Timestamp>().is_ok() {
        return format!("<time>{end}");
    }
    // A run's id ends with a hash of the object's uid.
    if let Some((run, _)) =
        bare.rsplit_once('-').filter(|(run, _)| run.starts_with("eval-") || run.starts_with("judge-"))
    {
        return format!("{run}-<…>{end}");
    }
    if live && bare.starts_with("(n=") {
        return format!("(n=<…>{end}");
    }
    if span && bare.ends_with('s') && bare.starts_with(|c: char| c.is_ascii_digit()) {
        return "<…>".to_owned();
    }
    word.to_owned()
}
