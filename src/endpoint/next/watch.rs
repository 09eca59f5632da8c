//! The standing watch: an ending ends the attempt, not the looking.

use super::{
    claim, deployments,
    difference::Difference,
    mend,
    scene::{Scene, Then},
};
use crate::endpoint::{Live, Owner, Waiting, Wish, log::Name, rules::Rule};

/// No attempt is open.
pub fn steady<N: Name>(
    scene: &mut Scene<'_, N>,
    live: &Live<N>,
    wish: &Wish<N>,
    difference: Option<Difference>,
) -> Then<N> {
    if !scene.hold(Rule::StandingWatch) && scene.log.attempt.is_some() {
        return scene.wait(Waiting::Nothing);
    }
    if let Some(then) = scene.busy(live).or_else(|| mend::mend(scene, live, difference)) {
        return then;
    }
    if live.owner == (Owner::Other { handed_over: true }) {
        return claim::claim(scene, live);
    }
    match wish {
        Wish::Delete { deployment } => deployments::delete(scene, live, deployment),
        Wish::Scale { deployment } => deployments::scale(scene, deployment),
        _ => scene.idle(),
    }
}
