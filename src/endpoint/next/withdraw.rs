//! Taking traffic back. It needs one record and waits for nothing else: not for the page, nor for a state `Succeeded`, nor
//! for writes that may still land. It is tried for ever.

use super::{
    difference::is_exact,
    ending, facts,
    scene::{Scene, Then},
};
use crate::{
    api::Cause,
    endpoint::{
        Live, Owner, State, Waiting, Why,
        log::{Attempt, Name},
        rules::Rule,
    },
    policy::split::Split,
};

/// Ends the attempt if its traffic is back, and writes the way back if not.
pub fn next<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    let Some(attempt) = scene.log.open().cloned() else { return scene.wait(Waiting::Nothing) };
    if !facts::needs_write(&attempt, live) {
        return ending::when_settled(scene, live);
    }
    let target = target(&attempt, live);
    if is_back(scene, &attempt, live, &target) {
        return ending::when_settled(scene, live);
    }
    alarm_late(scene, Some(live));
    alarm_lost(scene, &attempt);
    if live.owner == (Owner::Other { handed_over: false }) {
        return scene.wait(Waiting::OtherOwner);
    }
    if !live.at_rest() {
        return scene.wait(Waiting::Updating { why: scene.log.open_traffic().and_then(|intent| intent.why) });
    }
    if let Some(then) = scene.pause(Why::Withdraw, &target).or_else(|| lagging(scene, &attempt, live)) {
        return then;
    }
    scene.write(Why::Withdraw, target, live)
}

fn is_back<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>, live: &Live<N>, target: &Split<N>) -> bool {
    if !scene.hold(Rule::WrittenWithdrawal) && live.state == State::Succeeded && live.split == *target {
        return true;
    }
    facts::is_withdrawn(&scene.log, attempt) && is_exact(scene, live)
}

/// Where traffic goes. A split of another hand that gives the canary nothing is left as it is: a person's emergency is not
/// overwritten.
fn target<N: Name>(attempt: &Attempt<N>, live: &Live<N>) -> Split<N> {
    let canary = attempt.deployment.as_ref();
    let without_canary = canary.is_none_or(|canary| live.split.share(canary) == 0);
    if live.split.is_whole() && !live.split.is_empty() && without_canary {
        return live.split.clone();
    }
    if let Some(stable) = &attempt.return_to {
        return Split::all(stable.clone());
    }
    // A first release has nothing to return to, unless another hand has put one there.
    let mut others = live.split.shares().map(|(name, _)| name).filter(|name| Some(*name) != canary);
    match (others.next(), others.next()) {
        (Some(other), None) => Split::all(other.clone()),
        _ => Split::none(),
    }
}

/// Reads may lag: a look right after the withdrawal was read back does not call for another one, unless a second look
/// says the same.
fn lagging<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>, live: &Live<N>) -> Option<Then<N>> {
    let verified = scene.log.verified.as_ref().filter(|_| facts::is_withdrawn(&scene.log, attempt))?;
    let until = verified.at + scene.timing.lag;
    let older = live.seq().is_some_and(|seq| seq < verified.seq);
    let unsure = scene.look.begun < until && !scene.confirmed_since(verified.at);
    (older && unsure).then(|| scene.wait_until(until, Waiting::Lagging { until }))
}

/// Pages when traffic is not back in time.
pub fn alarm_late<N: Name>(scene: &mut Scene<'_, N>, live: Option<&Live<N>>) {
    let Some(attempt) = scene.log.open().filter(|attempt| attempt.withdraws()) else { return };
    let shown = live.is_some_and(|live| facts::needs_write(attempt, live));
    if !shown && !facts::is_exposed(&scene.log, attempt) {
        return;
    }
    let late = attempt.decision.is_some_and(|decision| scene.now >= decision.at + scene.timing.rollback);
    if late && !facts::is_withdrawn(&scene.log, attempt) {
        scene.alarm(Cause::RollbackFailed);
    }
}

/// Pages when the deployment to return to is not there. The withdrawal is tried all the same.
fn alarm_lost<N: Name>(scene: &mut Scene<'_, N>, attempt: &Attempt<N>) {
    let missing = attempt.return_to.as_ref().is_some_and(|stable| scene.look.is_missing(stable));
    if missing && scene.look.twin.is_some() {
        scene.alarm(Cause::StableLost);
    }
}
