//! Deployments: created dark, deleted only when nobody needs them, and never while a canary has traffic.

use super::{
    claim::claim,
    facts,
    scene::{Scene, Then},
    withdraw,
};
use crate::{
    api::Cause,
    endpoint::{
        Deployment, Live, Target, Waiting,
        log::{Attempt, Course, Name},
    },
};

/// Creates the attempt's deployment, or takes over one that is there already with the same body. A name means one body
/// for ever.
pub fn create<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, name: &N) -> Then<N> {
    if leaves_traffic(scene, live, name) {
        scene.decide(Course::Withdraw, Cause::DeploymentFailed);
        return withdraw::next(scene, live);
    }
    if let Some(then) = hindered(scene, name) {
        return then;
    }
    let in_role = scene.log.stable.as_ref() == Some(name)
        || scene.log.open().is_some_and(|attempt| attempt.return_to.as_ref() == Some(name));
    if in_role {
        return scene.wait(Waiting::NameTaken { deployment: name.clone() });
    }
    if !facts::is_claimed(&scene.log, live) {
        return claim(scene, live);
    }
    match scene.look.deployment(name).copied() {
        Some(Deployment { ours: true, same_body: Some(true), .. }) => {
            set_deployment(scene, name);
            scene.wait(Waiting::NotReady { deployment: name.clone() })
        }
        Some(_) => scene.wait(Waiting::NameTaken { deployment: name.clone() }),
        None => {
            let then = send(scene, Target::Create(name.clone()));
            if matches!(then, Then::Write) {
                set_deployment(scene, name);
            }
            then
        }
    }
}

/// Another name is wished for because the deployment of the one before cannot be used. It is not given up for the next as
/// long as it has traffic, which an endpoint's first may get by being created: nobody would take that back.
fn leaves_traffic<N: Name>(scene: &Scene<'_, N>, live: &Live<N>, name: &N) -> bool {
    let dark = scene.log.open().filter(|attempt| !attempt.was_given_traffic());
    let before = dark.and_then(|attempt| attempt.deployment.as_ref()).filter(|before| *before != name);
    before.is_some_and(|before| live.split.share(before) > 0)
}

/// Deletes what is ours and has no role. From then on it is nothing to go back to.
pub fn delete<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, name: &N) -> Then<N> {
    if let Some(then) = hindered(scene, name) {
        return then;
    }
    let attempt = scene.log.open();
    let used = |used: Option<&N>| used == Some(name);
    let in_use = used(scene.log.stable.as_ref())
        || attempt.is_some_and(|a| used(a.deployment.as_ref()) || used(a.return_to.as_ref()))
        || live.split.share(name) > 0
        || live.mirrored.contains(name);
    if in_use || !scene.look.deployment(name).is_some_and(|found| found.ours) {
        return scene.wait(Waiting::InUse { deployment: name.clone() });
    }
    let then = send(scene, Target::Delete(name.clone()));
    if matches!(then, Then::Write) {
        scene.log.previous.take_if(|previous| previous.deployment == *name);
    }
    then
}

/// Gives a deployment of ours as many instances as the spec says.
pub fn scale<N: Name>(scene: &mut Scene<'_, N>, name: &N) -> Then<N> {
    if let Some(then) = hindered(scene, name) {
        return then;
    }
    if !scene.look.deployment(name).is_some_and(|found| found.ours) {
        return scene.wait(Waiting::InUse { deployment: name.clone() });
    }
    send(scene, Target::Scale(name.clone()))
}

/// Operations on deployments can make the endpoint refuse a rollback for minutes, so nothing is done beside a canary.
fn hindered<N: Name>(scene: &Scene<'_, N>, name: &N) -> Option<Then<N>> {
    if let Some(then) = scene.reading_back() {
        return Some(then);
    }
    if scene.log.open().is_some_and(|attempt| attempt.was_given_traffic() || attempt.withdraws()) {
        return Some(scene.wait(Waiting::Quiet { deployment: name.clone() }));
    }
    if !scene.look.listed {
        return Some(scene.wait(Waiting::NotListed));
    }
    let held = scene.log.unsettled.iter().find(|u| u.target.deployment() == Some(name))?;
    let until = scene.seen_from(held.until);
    Some(scene.wait_until(until, Waiting::NameHeld { deployment: name.clone(), until }))
}

fn set_deployment<N: Name>(scene: &mut Scene<'_, N>, name: &N) {
    if let Some(attempt) = scene.open_mut().filter(|attempt: &&mut Attempt<N>| attempt.raised.is_empty()) {
        attempt.deployment = Some(name.clone());
    }
}

fn send<N: Name>(scene: &mut Scene<'_, N>, target: Target<N>) -> Then<N> {
    let last = scene.log.intent.as_ref().filter(|last| last.target == target);
    let paused = last.and_then(|last| Some((last.outcome?, last.tries, scene.again_at(last))));
    if let (Some((reply, tries, until)), Some(deployment)) = (paused, target.deployment().cloned())
        && scene.now < until
    {
        return scene.wait_until(until, Waiting::RetryDeployment { deployment, reply, tries, until });
    }
    scene.note(None, target, None)
}
