//! What became of the last page or notice, as the condition Notified.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    conditions::{Row, Status, find},
    sentence,
};
use crate::api::At;

/// What became of the last page or notice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Notified<'a> {
    pub key: &'a str,
    pub delivery: Delivery<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delivery<'a> {
    /// All receivers took it: their names.
    Accepted(&'a [String]),
    /// It is tried again; what the receivers that did not take it said.
    Pending(&'a [String]),
    /// It was never accepted, and its time is over.
    GivenUp(&'a [String]),
}

/// The condition; what is known stays where nothing was tried. `since` is when that began which pages are about: what was
/// known before it is not spoken of any more.
pub fn row(notified: Option<Notified<'_>>, before: &[Condition], since: Option<At>) -> Option<Row> {
    let row = |status, reason: &str, message: String| Some(Row::new("Notified", status, reason, message));
    let Some(Notified { key, delivery }) = notified else {
        let known = find(before, "Notified")?;
        if since.is_some_and(|since| At::from(known.last_transition_time.0) < since) {
            return None;
        }
        let status = [Status::True, Status::False].into_iter().find(|s| s.as_str() == known.status);
        return row(status.unwrap_or(Status::Unknown), &known.reason, known.message.clone());
    };
    match delivery {
        Delivery::Accepted([]) => {
            row(Status::Unknown, "NoReceivers", "the PromptEndpoint names nobody in `notifications`".into())
        }
        Delivery::Accepted(by) => row(Status::True, "Delivered", format!("{} accepted {key}", sentence::list(by))),
        Delivery::Pending(problems) => {
            row(Status::False, "Pending", format!("{key} is tried again: {}", problems.join("; ")))
        }
        Delivery::GivenUp(problems) => row(
            Status::False,
            "GivenUp",
            format!("{key} was accepted by nobody for three days and is dropped: {}", problems.join("; ")),
        ),
    }
}
