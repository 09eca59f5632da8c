//! What a look says of our writes.

use super::scene::Scene;
use crate::endpoint::{
    Live, Operation, Owner, State, Target, Why,
    log::{Intent, Name, Reply, Unsettled, Verified},
    rules::Rule,
};

/// A deployment's write frees the intent at once; it only holds the deployment's name until it is seen.
pub fn deployments<N: Name>(scene: &mut Scene<'_, N>) {
    let held = scene.log.intent.take_if(|intent| intent.is_open() && intent.target.deployment().is_some());
    if let Some(Intent { seq, target, deadline, outcome, .. }) = held {
        let done = outcome.is_some() && matches!(target, Target::Scale(_));
        if !done {
            scene.remember(Unsettled { seq, target, until: deadline + scene.timing.settle });
        }
    }
    let look = scene.look;
    let begun = look.begun;
    let from: Vec<_> = scene.log.unsettled.iter().map(|u| scene.seen_from(u.until)).collect();
    let mut from = from.into_iter();
    scene.log.unsettled.retain(|entry| {
        let over = from.next().is_some_and(|from| begun >= from);
        match &entry.target {
            Target::Traffic(_) => true,
            Target::Create(name) => !over && look.deployment(name).is_none(),
            Target::Delete(name) => !over && !look.is_missing(name),
            Target::Scale(_) => !over,
        }
    });
}

/// What became of the open write of the split.
pub fn traffic<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) {
    if !live.at_rest() {
        return;
    }
    if let Some(intent) = scene.log.open_traffic().cloned() {
        one(scene, live, &intent);
    }
    earlier_withdrawal(scene, live);
}

fn one<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, intent: &Intent<N>) {
    let Target::Traffic(target) = &intent.target else { return };
    let shows_target = live.split == *target;
    let landed = if scene.hold(Rule::CompareBySeq) { live.seq() == Some(intent.seq) } else { shows_target };
    if landed && shows_target && live.state == State::Succeeded {
        verified(scene, live, intent);
        return;
    }
    let failed = live.operation == Some((intent.seq, Operation::Failed));
    let lost = scene.confirmed_since(scene.seen_from(intent.deadline + scene.timing.settle));
    if landed {
        note_tags(scene, live);
    }
    if (landed || failed || lost)
        && let Some(intent) = scene.log.intent.as_mut()
    {
        intent.outcome = Some(Reply::Failed);
    }
}

fn verified<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>, intent: &Intent<N>) {
    let now = scene.now;
    let claims = intent.why == Some(Why::Claim) || (intent.why == Some(Why::Repair) && scene.log.claimed.is_none());
    if claims {
        scene.log.claimed = Some(now);
    }
    scene.log.verified = Some(Verified { split: live.split.clone(), seq: intent.seq, at: now, why: intent.why });
    scene.log.intent = None;
    let raised = scene.open_mut().and_then(|attempt| attempt.raised.iter_mut().find(|r| r.seq == intent.seq));
    if let Some(raised) = raised {
        raised.verified_at = Some(now);
    }
}

/// An operation that failed may leave its tags behind. If the split is what it was, only the number has changed.
fn note_tags<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) {
    if let (Some(verified), Some(seq)) = (scene.log.verified.as_mut(), live.seq())
        && verified.split == live.split
    {
        verified.seq = seq;
    }
}

/// A withdrawal of this attempt that was given up for a later one, or whose record was lost, is one all the same: what
/// counts is that it was written after the last raise.
fn earlier_withdrawal<N: Name>(scene: &mut Scene<'_, N>, live: &Live<N>) {
    let (Some(attempt), Some(write)) = (scene.log.open(), live.write) else { return };
    let back = attempt.deployment.as_ref().is_none_or(|canary| live.split.share(canary) == 0);
    let after = attempt.raised.iter().all(|raised| raised.seq < write.seq);
    let newer = scene.log.verified.as_ref().is_none_or(|verified| verified.seq < write.seq);
    let ours = live.owner == Owner::Ours && write.why == Some(Why::Withdraw) && write.n == attempt.n;
    let known = write.seq <= scene.log.seq;
    if attempt.withdraws() && ours && known && back && after && newer && live.state == State::Succeeded {
        let (split, at) = (live.split.clone(), scene.now);
        scene.log.verified = Some(Verified { split, seq: write.seq, at, why: write.why });
    }
}

/// Forgets writes that two equal looks, begun when they could not land any more, do not leave room for.
pub fn expire<N: Name>(scene: &mut Scene<'_, N>) {
    let over: Vec<_> = scene.log.unsettled.iter().map(|u| scene.confirmed_since(scene.seen_from(u.until))).collect();
    let mut over = over.into_iter();
    scene.log.unsettled.retain(|entry| !over.next().unwrap_or_default() || entry.target.deployment().is_some());
}
