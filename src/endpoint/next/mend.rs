//! What live traffic should be, and is not, while no attempt is exposed to it.

use super::{
    difference::Difference,
    scene::{Scene, Then},
};
use crate::{
    endpoint::{
        Live, Owner, Waiting, Why,
        log::{Name, Verified},
    },
    policy::split::Split,
};

/// Puts right what no attempt is exposed to: our own late write and an empty split are repaired, another hand's choice of
/// one deployment is taken for stable. None: nothing to put right.
pub fn mend<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, difference: Option<Difference>) -> Option<Then<N>> {
    let Some(known) = scene.log.verified.clone() else { return Some(first(scene, live)) };
    let ours =
        scene.log.claimed.is_some() && !known.split.is_empty() && !is_first_deployment(scene, known.split.sole());
    match difference? {
        Difference::Unclaimed => None,
        Difference::Lagging => Some(scene.lagging()),
        Difference::OtherOwner => Some(scene.wait(Waiting::OtherOwner)),
        _ if scene.look.twin.is_none() => Some(second_look(scene, live)),
        Difference::Own | Difference::Empty if ours => Some(repair(scene, live, known.split)),
        Difference::Own | Difference::Empty | Difference::Foreign => Some(found(scene, live)),
    }
}

fn second_look<N: Name>(scene: &Scene<'_, N>, live: &Live<N>) -> Then<N> {
    let until = scene.look.begun + scene.timing.two_looks;
    scene.wait_until(until, Waiting::SecondLook { split: live.split.clone() })
}

/// The first look at an endpoint. A log that lost what was read back goes by its stable.
fn first<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    match scene.log.stable.clone().filter(|_| live.split.is_empty()) {
        Some(stable) => {
            let (split, at) = (Split::all(stable), scene.now - scene.timing.lag);
            let seq = live.seq().filter(|_| live.owner == Owner::Ours).unwrap_or(0);
            scene.log.verified = Some(Verified { split, seq, at, why: None });
            scene.wait(Waiting::Nothing)
        }
        None => found(scene, live),
    }
}

/// Takes what is live for what should be.
fn found<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    let sole = live.split.sole().cloned();
    if sole.is_none() && !live.split.is_empty() {
        return scene.wait(Waiting::Conflict { split: live.split.clone() });
    }
    let seq = live.seq().filter(|_| live.owner == Owner::Ours).unwrap_or(0);
    scene.log.verified = Some(Verified { split: live.split.clone(), seq, at: scene.now, why: None });
    if is_first_deployment(scene, sole.as_ref()) {
        return scene.wait(Waiting::Nothing);
    }
    let stable = &mut scene.log.stable;
    stable.clone_from(&sole);
    if scene.log.previous.as_ref().is_some_and(|previous| sole.as_ref() == Some(&previous.deployment)) {
        scene.log.previous = None;
    }
    if let Some(attempt) = scene.open_mut().filter(|attempt| !attempt.was_given_traffic()) {
        attempt.return_to = sole;
    }
    scene.wait(Waiting::Nothing)
}

/// Whether it is the open first release's own. Azure may give it all traffic when it is created; that is nothing to return
/// to and nothing to repair: it is promoted, or taken back.
fn is_first_deployment<N: Name>(scene: &Scene<'_, N>, deployment: Option<&N>) -> bool {
    let first = scene.log.open().filter(|attempt| attempt.return_to.is_none());
    deployment.is_some() && first.is_some_and(|attempt| attempt.deployment.as_ref() == deployment)
}

/// Back to what was read back last.
fn repair<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, target: Split<N>) -> Then<N> {
    let lost = target.shares().map(|(name, _)| name).find(|name| scene.look.is_missing(name)).cloned();
    if let Some(deployment) = lost {
        return scene.wait(Waiting::StableLost { deployment });
    }
    match scene.pause(Why::Repair, &target) {
        Some(then) => then,
        None => scene.write(Why::Repair, target, live),
    }
}
