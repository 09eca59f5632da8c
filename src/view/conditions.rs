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
