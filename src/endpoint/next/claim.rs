//! Making the endpoint ours, and well, with the split as it is.

use super::{
    facts,
    scene::{Scene, Then},
    withdraw,
};
use crate::{
    api::Cause,
    endpoint::{
        Live, State, Waiting, Why,
        log::{Attempt, Course, Name},
    },
};

/// Repairs of a failed endpoint that an attempt gets before it is withdrawn.
const REPAIRS: i64 = 3;

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
    match scene.pause(Why::Claim, &split) {
        Some(then) => then,
        None => scene.write(Why::Claim, split, live),
    }
}

/// A failed endpoint takes no increase; writing the split as it is brings it back, or shows that it does not come back.
pub fn repair_state<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    let split = live.split.clone();
    if let Some(then) = scene.pause(Why::Repair, &split) {
        return then;
    }
    if let Some(attempt) = scene.open_mut() {
        if attempt.repairs >= REPAIRS && !facts::is_first_promotion(attempt) {
            scene.decide(Course::Withdraw, Cause::EndpointFailed);
            return withdraw::next(scene, live);
        }
        attempt.repairs += 1;
    }
    scene.write(Why::Repair, split, live)
}

/// On an endpoint without a stable: a deployment that may be what users had.
pub fn stranger<N: Name>(scene: &Scene<'_, N>, attempt: &Attempt<N>) -> Option<N> {
    let mut others = scene.look.deployments.iter().filter(|(name, _)| Some(name) != attempt.deployment.as_ref());
    others.find(|(_, found)| !found.ours || found.served).map(|(name, _)| name.clone())
}
