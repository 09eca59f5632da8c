//! Giving a canary traffic: only with everything as it was read back, nothing of ours in the air, and a deployment that
//! runs.

use super::{
    attempt,
    difference::{Difference, is_exact},
    ending, latch,
    scene::{Scene, Then},
    watch, withdraw,
};
use crate::{
    api::Cause,
    endpoint::{
        Live, Ms, Owner, Provisioning, State, Target, Waiting, Why, Wish,
        log::{Attempt, Course, Log, Name, Raised},
    },
    policy::split::Split,
};

/// Repairs of a failed endpoint that an attempt gets before it is withdrawn.
const REPAIRS: i64 = 3;

/// Gives the canary `weight` percent.
pub fn raise<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, step: i64, weight: u8) -> Then<N> {
    let Some(attempt) = scene.log.open().cloned() else { return scene.wait(Waiting::Nothing) };
    let last = attempt.raised.last();
    let done = last.is_some_and(|last| last.step > step || (last.step == step && last.verified_at.is_some()));
    // A step never takes traffic away; that is what withdrawals are for.
    let less = last.is_some_and(|last| last.weight > weight);
    if done || less || step < 1 {
        return watch::read_back_or(scene, Waiting::Nothing);
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

/// Carries a promotion out, and ends it.
pub fn promote<N: Name>(
    scene: &mut Scene<'_, N>,
    live: &Live<N>,
    wish: &Wish<N>,
    difference: Option<Difference>,
) -> Then<N> {
    let exact = scene.log.verified.as_ref().is_some_and(|verified| is_exact(live, verified));
    if exact && is_promoted(&scene.log) {
        return ending::when_settled(scene, live);
    }
    if let Some(then) = watch::busy(scene, live) {
        return then;
    }
    if attempt::waits_for_promotion(scene, wish) && scene.log.open_traffic().is_some() {
        return scene.wait(Waiting::FirstPromotion);
    }
    match difference {
        None => {}
        Some(Difference::Lagging) => return watch::lagging(scene),
        Some(_) => {
            // Nothing was given traffic yet, or there is nothing to return to; else it would be withdrawn by now.
            let mended = watch::mend(scene, live, difference);
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

/// Whether all traffic was read back as the attempt's deployment's, by the promotion's own number.
pub fn is_promoted<N: Name>(log: &Log<N>) -> bool {
    let Some((attempt, verified)) = log.open().zip(log.verified.as_ref()) else { return false };
    let by_promotion = attempt.raised.last().is_some_and(|last| last.weight == 100 && verified.seq >= last.seq);
    by_promotion && attempt.deployment.is_some() && verified.split.sole() == attempt.deployment.as_ref()
}

/// Whether nothing stands in a promotion's way that goes by the clock: its own time runs from the decision.
pub fn may_be_decided<N: Name>(scene: &Scene<'_, N>, live: &Live<N>) -> bool {
    let attempt = scene.log.open();
    let has_deployment = attempt.is_some_and(|attempt| attempt.deployment.is_some());
    let claimed = live.owner == Owner::Ours && scene.log.claimed.is_some();
    has_deployment && claimed && live.at_rest() && in_the_air(scene).is_none() && scene.log.open_traffic().is_none()
}

/// What has to be done or waited for before a canary is given more. None: it may be.
pub fn prepare<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Option<Then<N>> {
    if let Some(then) = scene.reading_back() {
        return Some(then);
    }
    if live.owner != Owner::Ours || scene.log.claimed.is_none() {
        return Some(claim(scene, live));
    }
    if let Some(waiting) = in_the_air(scene) {
        return Some(scene.wait_until(waiting.0, waiting.1));
    }
    let attempt = scene.log.open().cloned()?;
    if let Some(waiting) = not_ready(scene, &attempt).or_else(|| others(scene, live, &attempt)) {
        return Some(scene.wait(waiting));
    }
    (live.state != State::Succeeded).then(|| repair_state(scene, live))
}

/// Until when nothing is given more traffic, whatever else holds.
fn in_the_air<N: Name>(scene: &Scene<'_, N>) -> Option<(Ms, Waiting<N>)> {
    if scene.log.unsettled.iter().any(|u| u.target.deployment().is_none()) {
        let until = scene.lands_last() + scene.timing.two_looks;
        return Some((until, Waiting::Unsettled { until }));
    }
    let until = scene.log.claimed? + scene.timing.settle;
    (scene.now < until).then_some((until, Waiting::Claimed { until }))
}

/// Why the deployment cannot take traffic.
fn not_ready<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>) -> Option<Waiting<N>> {
    if !scene.look.listed {
        return Some(Waiting::NotListed);
    }
    let Some(deployment) = attempt.deployment.clone() else { return Some(Waiting::NoDeployment) };
    let held = scene.log.unsettled.iter().find(|u| u.target.deployment() == Some(&deployment));
    if let Some(held) = held {
        return Some(Waiting::NameHeld { deployment, until: scene.lands_until(held.until - scene.timing.settle) });
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
    match &attempt.return_to {
        Some(stable) if scene.look.is_missing(stable) => Some(Waiting::StableLost { deployment: stable.clone() }),
        Some(_) => None,
        None => stranger(scene, attempt).map(|deployment| Waiting::NoStable { deployment }),
    }
}

/// On an endpoint without a stable: a deployment that may be what users had.
fn stranger<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>) -> Option<N> {
    let mut others = scene.look.deployments.iter().filter(|(name, _)| Some(name) != attempt.deployment.as_ref());
    others.find(|(_, found)| !found.ours || found.served).map(|(name, _)| name.clone())
}

/// The split as it is, with our tags: it claims the endpoint, and proves that Azure takes our write before one matters.
pub fn claim<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    if let Some(then) = scene.reading_back() {
        return then;
    }
    if !live.split.is_whole() {
        return scene.wait(Waiting::Conflict { split: live.split.clone() });
    }
    let stranger = scene.log.open().and_then(|attempt| stranger(scene, attempt));
    if let Some(deployment) = stranger.filter(|_| live.split.is_empty() && scene.log.stable.is_none()) {
        return scene.wait(Waiting::NoStable { deployment });
    }
    if live.state != State::Succeeded {
        return repair_state(scene, live);
    }
    let split = live.split.clone();
    match watch::pause(scene, Why::Claim, &split) {
        Some(then) => then,
        None => scene.write(Why::Claim, split, live),
    }
}

/// A failed endpoint takes no increase; writing the split as it is brings it back, or shows that it does not come back.
fn repair_state<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    let split = live.split.clone();
    if let Some(then) = watch::pause(scene, Why::Repair, &split) {
        return then;
    }
    if let Some(attempt) = scene.open_mut() {
        if attempt.repairs >= REPAIRS && !latch::is_first_promotion(attempt) {
            scene.decide(Course::Withdraw, Cause::EndpointFailed);
            return withdraw::next(scene, live);
        }
        attempt.repairs += 1;
    }
    scene.write(Why::Repair, split, live)
}

fn note<N: Name>(
    scene: &mut Scene<'_, N>,
    live: &Live<N>,
    why: Why,
    split: Split<N>,
    step: i64,
    weight: u8,
) -> Then<N> {
    if let Some(then) = watch::pause(scene, why, &split) {
        return then;
    }
    let then = scene.write(why, split, live);
    let seq = scene.log.seq;
    let raised = Raised { step, weight, seq, verified_at: None };
    if let Some(attempt) = scene.open_mut() {
        match attempt.raised.last_mut().filter(|last| last.step == step) {
            Some(last) => *last = raised,
            None => attempt.raised.push(raised),
        }
    }
    then
}

/// Whether the write that is open has this target.
pub fn is_open_for<N: Name>(log: &Log<N>, why: Why, split: &Split<N>) -> bool {
    log.open_traffic().is_some_and(|i| i.why == Some(why) && i.target == Target::Traffic(split.clone()))
}
