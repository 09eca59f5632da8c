//! Giving a canary traffic: only with everything as it was read back, nothing of ours in the air, and a deployment that
//! runs.

use super::{
    claim::{claim, repair_state, stranger},
    difference::{Difference, is_exact},
    ending, facts, latch, mend,
    scene::{Scene, Then},
};
use crate::{
    endpoint::{
        Live, Provisioning, State, Waiting, Why, Wish,
        log::{Attempt, Name, Raised},
    },
    policy::split::Split,
};

/// Gives the canary `weight` percent.
pub fn raise<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, step: i64, weight: u8) -> Then<N> {
    let Some(attempt) = scene.log.open().cloned() else { return scene.wait(Waiting::Nothing) };
    let last = attempt.raised.last();
    let done = last.is_some_and(|last| last.step > step || (last.step == step && last.verified_at.is_some()));
    // A step never takes traffic away; that is what withdrawals are for.
    let less = last.is_some_and(|last| last.weight > weight);
    if done || less || step < 1 {
        return scene.idle();
    }
    let Some(canary) = attempt.deployment.clone() else { return scene.wait(Waiting::NoDeployment) };
    let Some(split) = attempt.return_to.clone().and_then(|stable| Split::canary(stable, canary, weight)) else {
        return scene.wait(Waiting::NoDeployment);
    };
    match prepare(scene, live) {
        Some(then) => then,
        None => note(scene, live, Why::Raise, split, step, weight),
    }
}

/// Decides on a promotion once nothing stands in its way, and sends it.
pub fn begin<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    if let Some(then) = prepare(scene, live) {
        return then;
    }
    if scene.log.open().is_some_and(|attempt| attempt.deployment.is_some()) {
        latch::promote(scene);
    }
    promote(scene, live, &Wish::Promote, None)
}

/// Carries a promotion out, and ends it.
pub fn promote<N: Name>(
    scene: &mut Scene<'_, N>,
    live: &Live<N>,
    wish: &Wish<N>,
    difference: Option<Difference>,
) -> Then<N> {
    if facts::is_promoted(&scene.log) && is_exact(scene, live) {
        return ending::when_settled(scene, live);
    }
    if let Some(then) = scene.busy(live) {
        let first = scene.log.open().is_some_and(facts::is_first_promotion);
        return if first && matches!(wish, Wish::Withdraw(_)) { scene.wait(Waiting::FirstPromotion) } else { then };
    }
    match difference {
        None => {}
        Some(Difference::Lagging) => return scene.lagging(),
        Some(_) => {
            // Nothing was given traffic yet, or there is nothing to return to; else it would be withdrawn by now.
            let mended = mend::mend(scene, live, difference);
            return mended.unwrap_or_else(|| claim(scene, live));
        }
    }
    let Some(attempt) = scene.log.open().cloned() else { return scene.wait(Waiting::Nothing) };
    let Some(canary) = attempt.deployment.clone() else { return scene.wait(Waiting::NoDeployment) };
    if let Some(then) = prepare(scene, live) {
        return then;
    }
    let last = attempt.raised.last();
    let step = last.map_or(1, |last| if last.weight == 100 { last.step } else { last.step + 1 });
    note(scene, live, Why::Promote, Split::all(canary), step, 100)
}

/// What has to be done or waited for before a canary is given more. None: it may be.
pub fn prepare<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Option<Then<N>> {
    if let Some(then) = scene.reading_back() {
        return Some(then);
    }
    if !facts::is_claimed(&scene.log, live) {
        return Some(claim(scene, live));
    }
    if let Some((until, waiting)) = facts::in_the_air(scene) {
        return Some(scene.wait_until(until, waiting));
    }
    let attempt = scene.log.open().cloned()?;
    if let Some(waiting) = not_ready(scene, &attempt).or_else(|| others(scene, live, &attempt)) {
        return Some(scene.wait(waiting));
    }
    (live.state != State::Succeeded).then(|| repair_state(scene, live))
}

/// Why the deployment cannot take traffic.
fn not_ready<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>) -> Option<Waiting<N>> {
    if !scene.look.listed {
        return Some(Waiting::NotListed);
    }
    let Some(deployment) = attempt.deployment.clone() else { return Some(Waiting::NoDeployment) };
    let held = scene.log.unsettled.iter().find(|u| u.target.deployment() == Some(&deployment));
    if let Some(held) = held {
        return Some(Waiting::NameHeld { deployment, until: scene.seen_from(held.until) });
    }
    match scene.look.deployment(&deployment) {
        Some(found) if found.same_body == Some(false) => Some(Waiting::NameTaken { deployment }),
        Some(found) if found.state == Provisioning::Succeeded => None,
        _ => Some(Waiting::NotReady { deployment }),
    }
}

/// Why what serves beside the canary does not allow it more.
fn others<N: Name>(scene: &Scene<'_, N>, live: &Live<N>, attempt: &Attempt<N>) -> Option<Waiting<N>> {
    let own = |name: &N| Some(name) == attempt.deployment.as_ref() || Some(name) == attempt.return_to.as_ref();
    if live.split.shares().any(|(name, _)| !own(name)) {
        return Some(Waiting::Conflict { split: live.split.clone() });
    }
    if let Some(mirrored) = live.mirrored.iter().find(|name| own(name)) {
        return Some(Waiting::Mirrored { deployment: mirrored.clone() });
    }
    match &attempt.return_to {
        Some(stable) if scene.look.is_missing(stable) => Some(Waiting::StableLost { deployment: stable.clone() }),
        Some(_) => None,
        None => stranger(scene, attempt).map(|deployment| Waiting::NoStable { deployment }),
    }
}

fn note<N: Name>(
    scene: &mut Scene<'_, N>,
    live: &Live<N>,
    why: Why,
    split: Split<N>,
    step: i64,
    weight: u8,
) -> Then<N> {
    if let Some(then) = scene.pause(why, &split) {
        return then;
    }
    let then = scene.write(why, split, live);
    let (seq, now) = (scene.log.seq, scene.now);
    let raised = Raised { step, weight, seq, noted_at: Some(now), verified_at: None };
    if let Some(attempt) = scene.open_mut() {
        match attempt.raised.last_mut().filter(|last| last.step == step) {
            Some(last) => *last = Raised { noted_at: last.noted_at.or(Some(now)), ..raised },
            None => attempt.raised.push(raised),
        }
    }
    then
}
