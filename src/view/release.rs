//! A release as people see it: the word of its stage, and its conditions.

mod events;
mod facts;
mod gate;
mod ready;
mod subject;
#[cfg(test)]
mod tests;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

pub use events::tell;
pub use gate::gate_found;
pub(in crate::view) use subject::exposed;
pub use subject::{Alarm, ReleaseView, Stage, Standing, Waiting};

use super::{
    claims,
    conditions::{self, Row},
    notified,
};
use crate::{
    api::{At, Outcome, log::Log},
    policy::opens::Opens,
};

/// `status.stage`, for people.
pub fn stage(view: &ReleaseView<'_>) -> String {
    match &view.standing {
        Standing::UnderWay(stage) => stage.as_str().to_owned(),
        Standing::Ended => view
            .attempt()
            .and_then(|a| a.ending.as_ref())
            .map_or_else(|| Outcome::Failed.as_str().to_owned(), |ending| ending.outcome.clone()),
        Standing::Answered(answer) => answer.outcome.map_or("Pending", Outcome::as_str).to_owned(),
    }
}

/// All conditions, in the order in which a release gets to them.
pub fn conditions(view: &ReleaseView<'_>, before: &[Condition], now: At) -> Vec<Condition> {
    let mut rows: Vec<Row> = vec![ready::ready(view)];
    rows.extend(ready::reconciling(view));
    rows.extend(ready::stalled(view));
    rows.extend([
        facts::built(view),
        gate::evaluation_complete(view),
        gate::evaluation_passed(view),
        facts::deployed(view),
        facts::traffic_verified(view),
        facts::canary_healthy(view),
    ]);
    // An older attempt's page is not spoken of any more.
    rows.extend(notified::row(view.notified, before, view.attempt().map(|a| a.started_at)));
    conditions::update(rows, before, view.generation, now)
}

/// What an answer of the policy means to the release of this uid that asks for this version. An answer about what the
/// last attempt showed is told as that attempt's ending. None: an attempt opens.
pub fn standing(opens: &Opens, log: &Log, uid: &str, version: &str, asker: &claims::Asker<'_>) -> Option<Standing> {
    let last = log.attempt.as_ref().filter(|a| a.release.uid == uid && a.version == version);
    let own = last.and_then(|a| a.ending.as_ref());
    let promoted = own.is_some_and(|e| e.outcome == Outcome::Promoted.as_str());
    let told_by_the_ending = match opens {
        Opens::AlreadyLive { .. } => promoted,
        Opens::RejectedBefore { .. } | Opens::EndedBefore { .. } | Opens::Aborted { live: false, .. } => {
            own.is_some() && !promoted
        }
        _ => false,
    };
    if told_by_the_ending {
        return Some(Standing::Ended);
    }
    claims::answer(opens, asker).map(Standing::Answered)
}
