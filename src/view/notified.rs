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
    /// Some did not, and it is tried again.
    Pending(Lack<'a>),
    /// Some did not, and its time is over.
    GivenUp(Lack<'a>),
}

/// What not all receivers took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lack<'a> {
    /// Names of those that did.
    pub taken: &'a [String],
    /// Names of those that did not.
    pub missing: &'a [String],
    /// What these said, each beginning with its name.
    pub problems: &'a [String],
}

impl Lack<'_> {
    /// `oncall accepted a/b/c.7/CanaryFailed, chat did not`
    fn words(&self, key: &str) -> String {
        let Self { taken, missing, .. } = self;
        match taken {
            [] => format!("{key} was accepted by nobody"),
            taken => format!("{} accepted {key}, {} did not", sentence::list(taken), sentence::list(missing)),
        }
    }

    fn why(&self) -> String {
        self.problems.join("; ")
    }
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
        Delivery::Pending(lack) => {
            let reason = if lack.taken.is_empty() { "Pending" } else { "PartlyDelivered" };
            row(Status::False, reason, format!("{}; it is tried again: {}", lack.words(key), lack.why()))
        }
        Delivery::GivenUp(lack) => {
            row(Status::False, "GivenUp", format!("{} in three days; it is dropped: {}", lack.words(key), lack.why()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn told(delivery: Delivery<'_>) -> (Status, String, String) {
        let row = row(Some(Notified { key: "a/b/c.7/CanaryFailed", delivery }), &[], None).expect("a row");
        (row.status, row.reason, row.message)
    }

    #[test]
    fn who_took_it_is_said_though_others_did_not() {
        let (taken, missing) = (names(&["oncall"]), names(&["chat", "tickets"]));
        let problems = names(&["chat answered 503", "tickets: no answer in time"]);
        let lack = Lack { taken: &taken, missing: &missing, problems: &problems };
        let (status, reason, message) = told(Delivery::Pending(lack));
        assert_eq!((status, reason.as_str()), (Status::False, "PartlyDelivered"));
        let wanted = "oncall accepted a/b/c.7/CanaryFailed, chat and tickets did not; it is tried again: chat answered \
                      503; tickets: no answer in time";
        assert_eq!(message, wanted);
        let dropped = told(Delivery::GivenUp(lack)).2;
        assert!(dropped.starts_with("oncall accepted a/b/c.7/CanaryFailed, chat and tickets did not in three days;"));
    }

    #[test]
    fn nobody_is_said_only_where_nobody_took_it() {
        let (missing, problems) = (names(&["oncall"]), names(&["oncall answered 503"]));
        let lack = Lack { taken: &[], missing: &missing, problems: &problems };
        let wanted = "a/b/c.7/CanaryFailed was accepted by nobody; it is tried again: oncall answered 503";
        assert_eq!(told(Delivery::Pending(lack)), (Status::False, "Pending".into(), wanted.into()));
        let (_, reason, message) = told(Delivery::GivenUp(lack));
        assert_eq!(reason, "GivenUp");
        assert!(message.contains("accepted by nobody in three days; it is dropped: oncall answered 503"), "{message}");
    }
}
