//! What is decided about the open attempt, and whom that wakes. A decision is noted as soon as it is known, whatever
//! else has to wait.

use super::{difference::Difference, facts, scene::Scene};
use crate::{
    api::Cause,
    endpoint::{
        Live, Ms, Wish,
        log::{Attempt, Course, Decided, Kind, Name},
    },
};

/// Takes the decision that look and wish call for. The first cause in this order is the one that is told: a stage's or a
/// person's, another hand's, a raise or a promotion that does not come about.
pub fn latch<N: Name>(
    scene: &mut Scene<'_, N>,
    live: Option<&Live<N>>,
    wish: &Wish<N>,
    difference: Option<Difference>,
) {
    let Some(attempt) = scene.log.open().filter(|attempt| !attempt.withdraws()) else { return };
    let cause = wished(attempt, wish)
        .or_else(|| undo(attempt))
        .or_else(|| disturbed(attempt, live?, difference?))
        .or_else(|| late(scene, attempt));
    if let Some(cause) = cause {
        scene.decide(Course::Withdraw, cause);
        return;
    }
    if *wish == Wish::Promote && live.is_some_and(|live| may_be_promoted(scene, attempt, live)) {
        promote(scene);
    }
}

fn wished<N>(attempt: &Attempt<N>, wish: &Wish<N>) -> Option<Cause> {
    match wish {
        Wish::Withdraw(cause) if !facts::is_first_promotion(attempt) => Some(*cause),
        _ => None,
    }
}

fn undo<N>(attempt: &Attempt<N>) -> Option<Cause> {
    (attempt.kind == Kind::Undo).then_some(Cause::AbortRequested)
}

/// With an attempt exposed every difference is answered by taking its traffic back: it is never raised again to repair.
fn disturbed<N: Name>(attempt: &Attempt<N>, live: &Live<N>, difference: Difference) -> Option<Cause> {
    // A first release has no way back, unless another hand has made one.
    let no_way = facts::is_first_promotion(attempt) && (live.split.is_empty() || gives_traffic(attempt, live));
    if !facts::needs_write(attempt, live) || no_way || took_all(attempt, live) {
        return None;
    }
    match difference {
        Difference::Lagging => None,
        Difference::Own => Some(Cause::EndpointFailed),
        Difference::Unclaimed | Difference::Empty | Difference::Foreign | Difference::OtherOwner => Some(Cause::Drift),
    }
}

fn gives_traffic<N: Name>(attempt: &Attempt<N>, live: &Live<N>) -> bool {
    attempt.deployment.as_ref().is_some_and(|canary| live.split.share(canary) > 0)
}

/// The first deployment of an endpoint may get all traffic by being created. Only all of it is that; a part is a person's.
fn took_all<N: Name>(attempt: &Attempt<N>, live: &Live<N>) -> bool {
    let all = attempt.deployment.is_some() && live.split.sole() == attempt.deployment.as_ref();
    attempt.return_to.is_none() && all
}

/// What more traffic was noted for has its time, whatever stands in the way: a refusal, an operation that fails or never
/// ends, an endpoint that cannot be read. What may have been written is taken back by a write.
fn late<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>) -> Option<Cause> {
    let overdue = |since: Ms| scene.now >= since + scene.timing.promotion;
    match attempt.decision {
        Some(Decided { course: Course::Promote, at, .. }) => {
            (overdue(at) && !facts::is_promoted(&scene.log)).then_some(Cause::PromotionFailed)
        }
        Some(_) => None,
        None => {
            let last = attempt.raised.last().filter(|last| last.verified_at.is_none())?;
            last.noted_at.is_some_and(overdue).then_some(Cause::EndpointFailed)
        }
    }
}

/// Decides on a promotion.
pub fn promote<N: Name>(scene: &mut Scene<'_, N>) {
    let fast = scene.log.open().is_some_and(|attempt| attempt.kind == Kind::Fast);
    scene.decide(Course::Promote, if fast { Cause::FastPromoted } else { Cause::Promoted });
}

/// A promotion has its time from the decision, and is withdrawn after it: so a canary does not keep its traffic for ever
/// if something stands in the way. What is dark is decided in the write itself; see [`super::increase::begin`].
fn may_be_promoted<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>, live: &Live<N>) -> bool {
    let claimed = facts::is_claimed(&scene.log, live) && live.at_rest();
    let quiet = facts::in_the_air(scene).is_none() && scene.log.open_traffic().is_none();
    attempt.was_given_traffic() && attempt.deployment.is_some() && claimed && quiet
}

/// Outages that an attempt pages. What comes and goes more often than this is one trouble, and on-call knows of it.
const MAX_OUTAGES: i64 = 3;

/// Azure answers again, as two looks say: the next outage wakes somebody anew.
pub fn forget_unreadable<N: Name>(scene: &mut Scene<'_, N>) {
    let confirmed = scene.look.twin.is_some();
    let pages = |a: &&mut Attempt<N>| a.alarms.contains(&Cause::Unreadable) && a.outages + 1 < MAX_OUTAGES;
    let Some(attempt) = scene.open_mut().filter(|a| confirmed && pages(a)) else { return };
    attempt.alarms.retain(|alarm| *alarm != Cause::Unreadable);
    attempt.outages += 1;
}

/// Nobody can see whether users are well: somebody has to know.
pub fn alarm_unreadable<N: Name>(scene: &mut Scene<'_, N>, since: Ms, denied: bool) {
    let exposed =
        scene.log.open().is_some_and(|a| facts::is_exposed(&scene.log, a) && !facts::is_withdrawn(&scene.log, a));
    if exposed && (denied || scene.now - since >= scene.timing.unreadable) {
        scene.alarm(Cause::Unreadable);
    }
}
