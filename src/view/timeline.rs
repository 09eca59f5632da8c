//! What happened to a revision: a line each for status and page, and the Kubernetes Event of the same words.

mod event;
mod publish;

pub use event::Event;
pub use publish::KubeEvent;

use crate::api::{At, status::MAX_TIMELINE};

/// Lines about how an attempt began, which are never dropped.
const BEGINNING: usize = 10;
/// What stands for the lines that were dropped.
const GAP: &str = "…  ";

/// Adds the event's line and says whether it was new: an event is told once, so that a pass may be repeated. `at` is when
/// it happened. [`Event::Opened`] begins a new timeline; its moment is the attempt's `startedAt`, which tells attempts
/// apart.
///
/// A full timeline keeps how the attempt began and what came last, and counts what it left out.
pub fn append(timeline: &mut Vec<String>, at: At, event: &Event) -> bool {
    let line = event.line(at);
    if let Event::Opened { .. } = event {
        let same = |first: &String| told(first) == told(&line) && stamp(first) == stamp(&line);
        if timeline.first().is_some_and(same) {
            return false;
        }
        *timeline = vec![line];
        return true;
    }
    if event.is_told(timeline) {
        return false;
    }
    timeline.push(line);
    bound(timeline);
    true
}

fn bound(timeline: &mut Vec<String>) {
    if timeline.len() <= MAX_TIMELINE {
        return;
    }
    let dropped = timeline.get(BEGINNING).and_then(|line| left_out(line));
    let at = if dropped.is_some() { BEGINNING + 1 } else { BEGINNING };
    // The gap's own line has to fit too the first time.
    let excess = timeline.len() - MAX_TIMELINE + usize::from(dropped.is_none());
    let now_dropped = dropped.unwrap_or(0) + i64::try_from(excess).unwrap_or(i64::MAX);
    timeline.drain(at..at + excess);
    let gap = format!("{GAP}{now_dropped} lines left out");
    match dropped {
        Some(_) => timeline[BEGINNING] = gap,
        None => timeline.insert(BEGINNING, gap),
    }
}

fn left_out(line: &str) -> Option<i64> {
    line.strip_prefix(GAP)?.split(' ').next()?.parse().ok()
}

fn stamp(line: &str) -> &str {
    line.split_once("  ").map_or("", |(stamp, _)| stamp)
}

/// A line without its time, up to the first semicolon: what comes after it may be worded anew.
fn told(line: &str) -> &str {
    let text = text(line);
    text.split_once(';').map_or(text, |(head, _)| head)
}

/// A line without its time.
fn text(line: &str) -> &str {
    line.split_once("  ").map_or(line, |(_, text)| text)
}
