//! What happens next: pure and total, and the only code that decides what is written, what is decided, how an attempt
//! ends, and what is adopted.
//!
//! A pass folds the look into the log first (what became of our writes, numbers we do not know, differences), then takes
//! the decision that follows, and then acts on the log as it is now. If that is a write, the log and the write are one
//! record; if only the log changed, that is stored; else there is a reason to wait.

mod adopt;
mod attempt;
mod claim;
mod deployments;
mod difference;
mod ending;
mod facts;
mod increase;
mod latch;
mod mend;
mod polling;
mod scene;
mod settle;
mod watch;
mod withdraw;

#[cfg(test)]
mod tests;

use scene::{Scene, Then};

use super::{
    Decision, Live, Log, Look, Ms, Owner, Rules, Sight, Timing, Waiting, Wish,
    log::{Course, Name},
};

/// Decides on a look. `now` is by Azure's clock, after the look.
pub fn next<N: Name>(
    log: &Log<N>,
    look: &Look<N>,
    wish: &Wish<N>,
    timing: &Timing,
    rules: &Rules,
    now: Ms,
) -> Decision<N> {
    let mut scene = Scene::new(log, look, timing, rules, now);
    settle::deployments(&mut scene);
    let then = match &look.endpoint {
        Sight::Live(live) => seen(&mut scene, live, wish),
        Sight::Gone { since } => gone(&mut scene, *since, wish),
        Sight::Unreadable { since, denied } => blind(&mut scene, *since, *denied, wish),
    };
    scene.finish(log, then)
}

fn seen<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, wish: &Wish<N>) -> Then<N> {
    latch::forget_unreadable(scene);
    let foreign = live.owner == Owner::Other { handed_over: false };
    if !foreign {
        settle::traffic(scene, live);
        adopt::higher(scene, live, wish);
        settle::expire(scene);
    }
    let difference = difference::of(scene, live);
    latch::latch(scene, Some(live), wish, difference);
    match scene.course() {
        Some(Course::Withdraw) => withdraw::next(scene, live),
        _ if foreign => scene.wait(Waiting::OtherOwner),
        Some(Course::Promote) => increase::promote(scene, live, wish, difference),
        None if scene.log.open().is_some() => attempt::next(scene, live, wish, difference),
        None => watch::steady(scene, live, wish, difference),
    }
}

/// Azure does not know the endpoint. Where nothing is, nothing has traffic.
fn gone<N: Name>(scene: &mut Scene<'_, N>, since: Ms, wish: &Wish<N>) -> Then<N> {
    latch::latch(scene, None, wish, None);
    let surely = scene.now - since >= scene.timing.gone && scene.look.begun >= scene.lands_last();
    if scene.course() == Some(Course::Withdraw) && surely {
        ending::withdrawn(scene, None);
    }
    scene.wait(Waiting::EndpointGone { since })
}

/// A failed look is a fact: what was decided, and whom it wakes, does not wait for a better one.
fn blind<N: Name>(scene: &mut Scene<'_, N>, since: Ms, denied: bool, wish: &Wish<N>) -> Then<N> {
    latch::latch(scene, None, wish, None);
    latch::alarm_unreadable(scene, since, denied);
    withdraw::alarm_late(scene, None);
    scene.wait(Waiting::Unreadable { since, denied })
}
