//! `kubectl describe` of a release, against the transcripts in `describe/`: what people read, word for word.

use super::team::{RELEASE, Team};
use crate::ground::{TEAM, file};

/// Fields that differ from run to run: counts of live answers, identities and times.
const FIELDS: &[&str] = &[
    "Canary Errors",
    "Canary Requests",
    "Counted",
    "Judged",
    "Resource Version",
    "Samples",
    "Stable Errors",
    "Stable Requests",
    "Total Samples",
    "Total Sum Millionths",
    "UID",
    "Uid",
    "Windows",
];

/// What kubectl prints of the sample's release, events included.
pub async fn describe(team: &Team) -> String {
    team.story.ground().kubectl(&["describe", "promptrelease", RELEASE, "-n", TEAM], "").await
}

/// Compares with `describe/<name>.txt`; with `UPDATE_GOLDEN=1` in the environment it writes that file instead.
pub fn check(name: &str, printed: &str) {
    let path = file(&format!("tests/it/stories/describe/{name}.txt"));
    let printed = masked(printed);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|set| set == "1") {
        std::fs::write(&path, &printed).unwrap_or_else(|problem| panic!("{path}: {problem}"));
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_else(|problem| panic!("{path}: {problem}"));
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
    let object = object.lines().map(field);
    let events = events.lines().skip(1).map(event);
    let all: Vec<String> = object.chain(["Events:".to_owned()]).chain(events).collect();
    all.join("\n") + "\n"
}

fn field(line: &str) -> String {
    match line.split_once(':') {
        Some((name, value)) if !value.is_empty() && FIELDS.contains(&name.trim_start_matches([' ', '-'])) => {
            let pad: String = value.chars().take_while(|c| *c == ' ').collect();
            format!("{name}:{pad}<…>")
        }
        _ => words(line),
    }
}

/// `  Warning  Rejected  5s  promptrelease-operator  …`: columns are as wide as what is in them, so they are not kept.
fn event(line: &str) -> String {
    let mut columns: Vec<&str> = line.split("  ").map(str::trim).filter(|column| !column.is_empty()).collect();
    if let Some(age) = columns.get_mut(2).filter(|age| age.starts_with(|c: char| c.is_ascii_digit())) {
        *age = "<age>";
    }
    words(&format!("  {}", columns.join("  ")))
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
