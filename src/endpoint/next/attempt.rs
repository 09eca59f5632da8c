//! An open attempt that nothing was decided about: its stage's wish is granted as far as the endpoint allows.

use super::{
    deployments,
    difference::Difference,
    increase, mend,
    scene::{Scene, Then},
};
use crate::endpoint::{Live, Waiting, Wish, log::Name};

pub fn next<N: Name>(
    scene: &mut Scene<'_, N>,
    live: &Live<N>,
    wish: &Wish<N>,
    difference: Option<Difference>,
) -> Then<N> {
    if let Some(then) = scene.busy(live) {
        return then;
    }
    let given = scene.log.open().is_some_and(crate::endpoint::log::Attempt::was_given_traffic);
    if !given && let Some(then) = mend::mend(scene, live, difference) {
        return then;
    }
    match difference {
        Some(Difference::Lagging) => return scene.lagging(),
        // A first release's; any other that has traffic is withdrawn for it.
        Some(_) if given => return scene.wait(Waiting::Conflict { split: live.split.clone() }),
        _ => {}
    }
    match wish {
        Wish::Nothing => match noted(scene) {
            Some((step, weight)) => increase::raise(scene, live, step, weight),
            None => scene.idle(),
        },
        Wish::Withdraw(_) => scene.wait(Waiting::FirstPromotion),
        Wish::Raise { step, weight } => increase::raise(scene, live, *step, *weight),
        Wish::Promote => increase::prepare(scene, live).unwrap_or_else(|| scene.wait(Waiting::Nothing)),
        Wish::Create { deployment } => deployments::create(scene, live, deployment),
        Wish::Delete { deployment } => deployments::delete(scene, live, deployment),
        Wish::Scale { deployment } => deployments::scale(scene, deployment),
    }
}

/// A step that was noted and never read back is carried on without another wish.
fn noted<N: Name>(scene: &Scene<'_, N>) -> Option<(i64, u8)> {
    let last = scene.log.open()?.raised.last().filter(|last| last.verified_at.is_none())?;
    (last.weight < 100).then_some((last.step, last.weight))
}
