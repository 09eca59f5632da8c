//! Conditions as a list that changes only where something changed.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::sentence;
use crate::api::At;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    True,
    False,
    Unknown,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What a condition says now, before it is known when it began to say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub kind: &'static str,
    pub status: Status,
    /// One word in CamelCase.
    pub reason: String,
    pub message: String,
}

impl Row {
    pub fn new(kind: &'static str, status: Status, reason: impl Into<String>, message: impl AsRef<str>) -> Self {
        Self { kind, status, reason: reason.into(), message: sentence::message(message.as_ref()) }
    }
}

/// The list in the order of `rows`. `lastTransitionTime` moves only when a status changes; a type without a row is gone,
/// since kstatus reads Reconciling and Stalled as present when true and absent otherwise.
pub fn update(rows: Vec<Row>, before: &[Condition], generation: Option<i64>, now: At) -> Vec<Condition> {
    rows.into_iter()
        .map(|row| {
            let same = before.iter().find(|c| c.type_ == row.kind && c.status == row.status.as_str());
            Condition {
                last_transition_time: same.map_or_else(|| whole_seconds(now), |c| c.last_transition_time.clone()),
                message: row.message,
                observed_generation: generation,
                reason: row.reason,
                status: row.status.as_str().to_owned(),
                type_: row.kind.to_owned(),
            }
        })
        .collect()
}

/// metav1.Time is stored so, and what was stored must equal what was made.
fn whole_seconds(at: At) -> Time {
    Time(Timestamp::from_second(at.get().as_second()).unwrap_or(at.get()))
}

/// One condition of a list.
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> At {
        Timestamp::from_millisecond(second * 1000 + 250).expect("in range").into()
    }

    fn row(status: Status, message: &str) -> Row {
        Row::new("Ready", status, "Canary", message)
    }

    fn since(conditions: &[Condition]) -> Vec<i64> {
        conditions.iter().map(|c| c.last_transition_time.0.as_second()).collect()
    }

    #[test]
    fn the_transition_is_of_the_status_not_of_the_words() {
        let first = update(vec![row(Status::Unknown, "a")], &[], Some(1), at(1));
        let second = update(vec![row(Status::Unknown, "b")], &first, Some(2), at(2));
        assert_eq!((since(&second), second[0].message.as_str()), (vec![1], "b"));
        assert_eq!(second[0].observed_generation, Some(2));
        let third = update(vec![row(Status::True, "b")], &second, Some(2), at(3));
        assert_eq!(since(&third), [3]);
        assert_eq!(update(Vec::new(), &third, Some(2), at(4)), [], "absent when not true");
    }

    #[test]
    fn what_is_stored_and_read_equals_what_was_made() {
        let made = update(vec![row(Status::True, "a")], &[], Some(1), at(1));
        let stored = serde_json::to_string(&made).expect("JSON");
        assert_eq!(serde_json::from_str::<Vec<Condition>>(&stored).expect("conditions"), made);
    }

    fn statuses() -> impl Strategy<Value = Vec<(bool, u8, String)>> {
        prop::collection::vec((any::<bool>(), 0_u8..3, "\\PC{0,1500}"), 1..6)
    }

    proptest! {
        /// Whatever is said in whatever order: a time moves only with its status, order is the rows', and a message fits.
        #[test]
        fn times_move_only_with_statuses(passes in prop::collection::vec(statuses(), 1..8)) {
            const KINDS: [&str; 6] = ["Ready", "Reconciling", "Stalled", "Built", "Deployed", "Notified"];
            let mut before: Vec<Condition> = Vec::new();
            for (second, pass) in (1..).zip(&passes) {
                let rows: Vec<Row> = pass
                    .iter()
                    .zip(KINDS)
                    .filter(|((present, ..), _)| *present)
                    .map(|((_, status, text), kind)| {
                        let status = [Status::True, Status::False, Status::Unknown][usize::from(*status)];
                        Row::new(kind, status, "Reason", text)
                    })
                    .collect();
                let kinds: Vec<&str> = rows.iter().map(|row| row.kind).collect();
                let after = update(rows, &before, Some(1), at(second));
                prop_assert_eq!(after.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), kinds);
                for condition in &after {
                    let known = find(&before, &condition.type_).filter(|c| c.status == condition.status);
                    let wanted = known.map_or(second, |c| c.last_transition_time.0.as_second());
                    prop_assert_eq!(condition.last_transition_time.0.as_second(), wanted);
                    prop_assert!(condition.message.len() <= 1024 && !condition.message.contains('\n'));
                }
                before = after;
            }
        }
    }
}
