//! How an attempt ends. It is recorded only when nothing of ours can land any more, and recording it frees the endpoint.

use super::{
    difference,
    scene::{Scene, Then},
};
use crate::{
    api::log::MAX_WITHDRAWN,
    endpoint::{
        Live, Ms, Waiting,
        log::{Course, Ended, Name, Notice, Previous},
        rules::Rule,
    },
    policy::split::Split,
};

/// Records the ending, or waits for a write that may still land.
pub fn when_settled<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) -> Then<N> {
    if scene.hold(Rule::EndingWaits)
        && let Err(until) = settled(scene)
    {
        let split = difference::known(&scene.log).map_or_else(|| live.split.clone(), |known| known.split);
        let lost = || scene.wait_until(until, Waiting::LostWrite { split, until });
        return scene.reading_back().unwrap_or_else(lost);
    }
    match scene.course() {
        Some(Course::Promote) => promoted(scene),
        _ => withdrawn(scene, Some(&live.split)),
    }
    scene.wait(Waiting::Nothing)
}

/// Nothing is open, and every lost write is past its time by two equal looks that show it.
fn settled<N: Name>(scene: &Scene<'_, N>) -> Result<(), Ms> {
    let open = scene.log.open_traffic().is_some();
    let lost = scene.log.unsettled.iter().any(|u| u.target.deployment().is_none());
    if open || lost { Err(scene.lands_last() + scene.timing.two_looks) } else { Ok(()) }
}

/// All traffic is read back as the attempt's deployment's. The one before is kept warm.
fn promoted<N: Name>(scene: &mut Scene<'_, N>) {
    let now = scene.now;
    let Some(attempt) = scene.open_mut() else { return };
    let Some(decision) = attempt.decision else { return };
    let outcome = decision.cause.outcome(true);
    attempt.ending = Some(Ended { outcome, cause: decision.cause, at: now });
    let (deployment, before) = (attempt.deployment.clone(), attempt.return_to.clone());
    let keep_until = now + attempt.keep_previous;
    scene.log.stable.clone_from(&deployment);
    let before = before.filter(|before| Some(before) != deployment.as_ref());
    scene.log.previous = before.map(|deployment| Previous { deployment, keep_until });
    scene.log.intent = None;
    scene.page(Notice::Ended(decision.cause));
}

/// The attempt's deployment has no traffic, `live` has what is shown. None: the endpoint is gone.
pub fn withdrawn<N: Name>(scene: &mut Scene<'_, N>, live: Option<&Split<N>>) {
    let now = scene.now;
    let Some(attempt) = scene.open_mut() else { return };
    let Some(decision) = attempt.decision else { return };
    let given = attempt.was_given_traffic();
    attempt.ending = Some(Ended { outcome: decision.cause.outcome(given), cause: decision.cause, at: now });
    let content = attempt.content;
    if given {
        scene.log.withdrawn.retain(|withdrawn| *withdrawn != content);
        if scene.log.withdrawn.len() >= MAX_WITHDRAWN {
            scene.log.withdrawn.remove(0);
        }
        scene.log.withdrawn.push(content);
    }
    if let Some(split) = live.filter(|_| given) {
        if let Some(stable) = split.sole() {
            scene.log.stable = Some(stable.clone());
        } else if split.is_empty() {
            scene.log.stable = None;
        }
    }
    let (previous, stable) = (&scene.log.previous, &scene.log.stable);
    if previous.as_ref().map(|previous| &previous.deployment) == stable.as_ref() {
        scene.log.previous = None;
    }
    scene.set_aside();
    scene.page(Notice::Ended(decision.cause));
}
