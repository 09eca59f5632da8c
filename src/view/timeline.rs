//! What happened to a revision: a line each for status and page, and the Kubernetes Event of the same words.

mod event;
mod publish;

pub use event::Event;
use event::text;
pub use publish::Announcement;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        api::{Cause, Outcome},
        view::sentence::MAX_LINE,
    };

    fn at(second: i64) -> At {
        jiff::Timestamp::from_second(second).expect("in range").into()
    }

    fn opened() -> Event {
        Event::Opened {
            kind: "Canary".into(),
            version: "1428".into(),
            hash: "5f3a9c1e".into(),
            attempt: 7,
            stable: None,
        }
    }

    fn failed(number: i64) -> Event {
        Event::WindowFailed { number, what: "multi_hop: groundedness=2.750".into(), rolling_back: false }
    }

    fn unmeasured(number: i64) -> Event {
        Event::WindowUnmeasured { number, why: "no window event came".into() }
    }

    #[test]
    fn an_attempt_begins_anew_and_only_once() {
        let mut timeline = vec!["2026-11-20T17:02:41Z  of an attempt before".to_owned()];
        assert!(append(&mut timeline, at(5), &opened()));
        assert_eq!(timeline, ["1970-01-01T00:00:05Z  revision 1428 (5f3a9c1e) accepted; nothing serves here yet"]);
        append(&mut timeline, at(6), &failed(1));
        assert!(!append(&mut timeline, at(5), &opened()));
        assert_eq!(timeline.len(), 2);
        assert!(append(&mut timeline, at(90), &opened()), "the same revision, another attempt");
        assert_eq!(timeline.len(), 1);
    }

    #[test]
    fn what_is_worded_anew_is_not_told_again() {
        let deployed = |instances| Event::Deployed { deployment: "d-1428".into(), instances };
        let mut timeline = Vec::new();
        assert!(append(&mut timeline, at(1), &deployed(2)));
        assert!(!append(&mut timeline, at(2), &deployed(3)));
        let other = Event::Deployed { deployment: "d-1428--2".into(), instances: 2 };
        assert!(append(&mut timeline, at(3), &other));
    }

    #[test]
    fn the_window_that_rolls_back_tells_the_decision() {
        let evidence = "multi_hop: groundedness=2.636 below threshold 2.850 (n=11), third failed window in a row";
        let decision = |cause: &str| Event::Withdrawing {
            cause: cause.into(),
            evidence: evidence.into(),
            actor: None,
            exposed: true,
        };
        let mut timeline = Vec::new();
        let last = Event::WindowFailed { number: 3, what: "multi_hop".into(), rolling_back: true };
        append(&mut timeline, at(1), &last);
        assert!(!append(&mut timeline, at(1), &decision("CanaryFailed")));
        let mut lost = Vec::new();
        assert!(append(&mut lost, at(1), &decision("CanaryFailed")), "its window's line was lost");
        assert!(!append(&mut lost, at(2), &decision("CanaryFailed")));
        assert!(append(&mut timeline, at(2), &decision("EndpointFailed")), "another cause");
    }

    #[test]
    fn a_long_canary_keeps_how_it_began_and_how_it_ends() {
        let mut timeline = Vec::new();
        append(&mut timeline, at(0), &opened());
        for number in 1..=240 {
            append(&mut timeline, at(number), &unmeasured(number));
        }
        assert_eq!(timeline.len(), MAX_TIMELINE);
        assert!(timeline[0].contains("revision 1428"));
        assert!(timeline[9].contains("window 9 "), "{}", timeline[9]);
        assert_eq!(timeline[10], "…  202 lines left out");
        assert!(timeline[11].contains("window 212 "), "{}", timeline[11]);
        assert!(timeline[39].contains("window 240 "), "{}", timeline[39]);
        let before = timeline.clone();
        assert!(!append(&mut timeline, at(900), &unmeasured(57)), "told, and dropped since");
        assert_eq!(timeline, before);
    }

    fn any_event() -> impl Strategy<Value = Event> {
        let word = "[a-zA-Z0-9é:;,= ]{0,700}";
        prop_oneof![
            4 => (1_i64..300, word).prop_map(|(number, what)| Event::WindowFailed {
                number,
                what,
                rolling_back: number % 3 == 0
            }),
            2 => (1_i64..300, word).prop_map(|(number, why)| Event::WindowUnmeasured { number, why }),
            1 => word.prop_map(|evidence| Event::Promoting { evidence }),
            1 => (word, any::<bool>()).prop_map(|(evidence, exposed)| Event::Withdrawing {
                cause: Cause::CanaryFailed.as_str().into(),
                evidence,
                actor: None,
                exposed
            }),
            1 => word.prop_map(|what| Event::Alarm { cause: Cause::RollbackFailed, what }),
            1 => Just(Event::Returned { split: "d-1427=100".into(), outcome: Outcome::Failed, exposed_for: None }),
            1 => (word, any::<bool>())
                .prop_map(|(reason, page)| Event::Delivered { by: vec!["oncall".into()], reason, page }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// A pass may be repeated at any later time without a word more; a timeline never outgrows its bounds and never
        /// loses its beginning.
        #[test]
        fn told_once_and_bounded(events in prop::collection::vec(any_event(), 0..120)) {
            let mut timeline = Vec::new();
            append(&mut timeline, at(0), &opened());
            let mut beginning = timeline.clone();
            for (second, event) in (1..).zip(&events) {
                let added = append(&mut timeline, at(second), event);
                if added && beginning.len() < BEGINNING {
                    beginning.push(event.line(at(second)));
                }
                let once = timeline.clone();
                prop_assert!(!append(&mut timeline, at(second + 1000), event));
                prop_assert!(!append(&mut timeline, at(0), &opened()));
                prop_assert_eq!(&timeline, &once);
                prop_assert!(timeline.len() <= MAX_TIMELINE);
                prop_assert!(timeline.iter().all(|line| line.len() <= MAX_LINE));
                prop_assert!(timeline.starts_with(&beginning));
                let event = event.announce("1428", 7);
                prop_assert!(event.note.len() <= 1024 && event.action.len() <= 128 && !event.reason.is_empty());
            }
        }
    }
}
