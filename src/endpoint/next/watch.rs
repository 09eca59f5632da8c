//! The standing watch: what live traffic should be is compared with what it is, also when no attempt is open.

use super::{
    deployments,
    difference::Difference,
    increase,
    scene::{Scene, Then},
};
use crate::{
    endpoint::{
        Live, Owner, Target, Waiting, Why, Wish,
        log::{Name, Verified},
        rules::Rule,
    },
    policy::split::Split,
};

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
    if let Some(then) = busy(scene, live).or_else(|| mend(scene, live, difference)) {
        return then;
    }
    if live.owner == (Owner::Other { handed_over: true }) {
        return increase::claim(scene, live);
    }
    match wish {
        Wish::Delete { deployment } => deployments::delete(scene, live, deployment),
        Wish::Scale { deployment } => deployments::scale(scene, live, deployment),
        _ => read_back_or(scene, Waiting::Nothing),
    }
}

/// An operation is under way, or a write that nothing else can be done beside.
pub fn busy<N: Name>(scene: &Scene<'_, N>, live: &Live<N>) -> Option<Then<N>> {
    let open = scene.log.open_traffic();
    if !live.at_rest() {
        return Some(scene.wait(Waiting::Updating { why: open.and_then(|intent| intent.why) }));
    }
    let privileged = open.is_some_and(|intent| intent.why == Some(Why::Repair));
    if privileged { None } else { scene.reading_back() }
}

pub fn read_back_or<N: Name>(scene: &Scene<'_, N>, why: Waiting<N>) -> Then<N> {
    scene.reading_back().unwrap_or_else(|| scene.wait(why))
}

pub fn lagging<N: Name>(scene: &Scene<'_, N>) -> Then<N> {
    let at = super::difference::known(&scene.log).map_or(scene.now, |known| known.at);
    let until = at + scene.timing.lag;
    scene.wait_until(until, Waiting::Lagging { until })
}

/// Puts right what no attempt is exposed to: our own late write and an empty split are repaired, another hand's choice of
/// one deployment is taken for stable. None: nothing to put right.
pub fn mend<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, difference: Option<Difference>) -> Option<Then<N>> {
    let Some(known) = scene.log.verified.clone() else { return Some(first(scene, live)) };
    let ours = scene.log.claimed.is_some() && !known.split.is_empty();
    match difference? {
        Difference::Unclaimed => None,
        Difference::Lagging => Some(lagging(scene)),
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

/// Back to what was read back last.
fn repair<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, target: Split<N>) -> Then<N> {
    let lost = target.shares().map(|(name, _)| name).find(|name| scene.look.is_missing(name)).cloned();
    if let Some(deployment) = lost {
        return scene.wait(Waiting::StableLost { deployment });
    }
    match pause(scene, Why::Repair, &target) {
        Some(then) => then,
        None => scene.write(Why::Repair, target, live),
    }
}

/// The same write was tried a moment ago.
pub fn pause<N: Name>(scene: &Scene<'_, N>, why: Why, target: &Split<N>) -> Option<Then<N>> {
    let intent = scene.log.intent.as_ref()?;
    if intent.why != Some(why) || intent.target != Target::Traffic(target.clone()) {
        return None;
    }
    let (again, tries) = (scene.again_at(intent), intent.tries);
    if scene.now >= again {
        return None;
    }
    match intent.outcome {
        Some(reply) if !intent.is_open() => {
            Some(scene.wait_until(again, Waiting::Retry { why, reply, tries, until: again }))
        }
        _ => scene.reading_back(),
    }
}
