//! A number on Azure that the log does not know: the log went back in time, or a write went out without its record. Azure
//! is right then, and what is exposed is taken back.

use super::scene::Scene;
use crate::{
    api::Cause,
    endpoint::{
        Live, Owner, Target, Why, Wish, Written,
        log::{Attempt, Course, Ended, Kind, Name, Notice, Raised, Unsettled, Verified},
        rules::Rule,
    },
};

/// Adopts number, attempt and stable from the tags, if they are ahead of the log or were handed over by another owner.
pub fn higher<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, wish: &Wish<N>) {
    let Some(written) = live.write.filter(|_| live.at_rest()) else { return };
    let handed_over = live.owner == Owner::Other { handed_over: true };
    let ahead = written.seq > scene.log.seq && scene.hold(Rule::AdoptHigherSeq);
    let exposed = exposed(live);
    let taken = handed_over && exposed.is_some() && scene.log.open().is_none();
    if !ahead && !taken {
        return;
    }
    scene.set_aside();
    scene.log.seq = scene.log.seq.max(written.seq);
    // Whatever else went out unrecorded may still land.
    let until = scene.now + scene.timing.settle;
    scene.remember(Unsettled { seq: written.seq, target: Target::Traffic(live.split.clone()), until });
    scene.log.verified =
        Some(Verified { split: live.split.clone(), seq: written.seq, at: scene.now, why: written.why });
    if let Some(stable) = live.roles.stable.as_ref().or(live.split.sole()) {
        scene.log.stable = Some(stable.clone());
    }
    if let Some((canary, weight)) = exposed {
        take_back(scene, live, written, canary.clone(), weight);
    } else {
        close(scene, written, wish);
    }
}

/// The canary that has traffic, and its percent.
fn exposed<N: Name>(live: &Live<N>) -> Option<(&N, u8)> {
    let canary = live.roles.canary.as_ref().filter(|canary| live.roles.stable.as_ref() != Some(canary))?;
    let weight = live.split.share(canary);
    (weight > 0).then_some((canary, weight))
}

/// The attempt of the tags is withdrawn: the open one if that is it, else one that stands for it.
fn take_back<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, written: Written, canary: N, weight: u8) {
    let last = scene.log.attempt.as_ref().map_or(0, |attempt| attempt.n);
    let known = scene.log.open().is_some_and(|attempt| attempt.n == written.n);
    let step = scene.log.open().and_then(|a| a.raised.last()).map_or(1, |raised| raised.step + 1);
    let raised = Raised { step, weight, seq: written.seq, noted_at: None, verified_at: Some(scene.now) };
    if let Some(attempt) = scene.open_mut().filter(|_| known) {
        attempt.raised.push(raised);
        attempt.deployment = Some(canary);
        if attempt.return_to.is_none() {
            attempt.return_to.clone_from(&live.roles.stable);
        }
    } else {
        let mut orphan = Attempt::new(written.n.max(last), Kind::Orphan);
        orphan.deployment = Some(canary);
        orphan.return_to.clone_from(&live.roles.stable);
        orphan.raised.push(Raised { step: 1, ..raised });
        scene.log.attempt = Some(orphan);
    }
    scene.decide(Course::Withdraw, Cause::StatusBehind);
}

/// Nothing is exposed: the open attempt is not what Azure shows any more, so it ends.
fn close<N: Name>(scene: &mut Scene<'_, N>, written: Written, wish: &Wish<N>) {
    let (cause, at) = (Cause::StatusBehind, scene.now);
    let known = scene.log.open().is_some_and(|a| a.n == written.n && a.was_given_traffic());
    if known && written.why == Some(Why::Withdraw) {
        // Its own withdrawal, sent while the API server took no record: for the reason that still holds, if one does.
        let cause = if let Wish::Withdraw(cause) = wish { *cause } else { cause };
        scene.decide(Course::Withdraw, cause);
        return;
    }
    let Some(attempt) = scene.log.attempt.as_mut() else {
        if written.n > 0 {
            let ending = Some(Ended { outcome: cause.outcome(false), cause, at });
            scene.log.attempt = Some(Attempt { ending, ..Attempt::new(written.n, Kind::Orphan) });
        }
        return;
    };
    // Numbers are not used twice: pages and commands name them.
    attempt.n = attempt.n.max(written.n);
    if attempt.ending.is_none() {
        let cause = attempt.decision.filter(|d| d.course == Course::Withdraw).map_or(cause, |decision| decision.cause);
        attempt.ending = Some(Ended { outcome: cause.outcome(attempt.was_given_traffic()), cause, at });
        scene.page(Notice::Ended(cause));
    }
}
