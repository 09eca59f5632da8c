//! How live traffic differs from what was last read back, in the classes that are answered differently.

use super::scene::Scene;
use crate::{
    endpoint::{
        Live, Owner, State,
        log::{Log, Name, Verified},
        rules::Rule,
    },
    policy::split::Split,
};

/// A difference. None of these: live is as it was read back, or it cannot be told in this look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The look may be older than what was read back last.
    Lagging,
    /// The split is as it was, but our tags are gone: tools that replace all tags do that.
    Unclaimed,
    /// A late or failed write of ours.
    Own,
    /// Nobody has traffic, every caller gets an error.
    Empty,
    /// Another hand.
    Foreign,
    /// Another owner's tag.
    OtherOwner,
}

/// None while an operation is under way: what is shown then may be old or new.
pub fn of<N: Name>(scene: &Scene<'_, N>, live: &Live<N>) -> Option<Difference> {
    if let Owner::Other { handed_over: false } = live.owner {
        return Some(Difference::OtherOwner);
    }
    let known = known(&scene.log)?;
    if !live.at_rest() || (known.split == live.split && live.owner == Owner::Ours) {
        return None;
    }
    if scene.log.open_traffic().is_some_and(|intent| live.seq() == Some(intent.seq)) {
        return None;
    }
    let same_number = live.seq() == Some(known.seq);
    if !same_number && scene.look.begun < known.at + scene.timing.lag {
        return Some(Difference::Lagging);
    }
    Some(match () {
        () if known.split == live.split => Difference::Unclaimed,
        () if live.split.is_empty() => Difference::Empty,
        () if live.owner == Owner::Ours && !same_number && live.write.is_some() => Difference::Own,
        () => Difference::Foreign,
    })
}

/// What was last read back. A log that lost it, to an older schema say, still knows what it raised.
pub fn known<N: Name>(log: &Log<N>) -> Option<Verified<N>> {
    if log.verified.is_some() {
        return log.verified.clone();
    }
    let attempt = log.open()?;
    let raised = attempt.raised.iter().rev().find(|raised| raised.verified_at.is_some())?;
    let (canary, at) = (attempt.deployment.clone()?, raised.verified_at?);
    let split = match attempt.return_to.clone() {
        Some(stable) if raised.weight < 100 => Split::canary(stable, canary, raised.weight)?,
        _ => Split::all(canary),
    };
    Some(Verified { split, seq: raised.seq, at, why: None })
}

/// Whether the look shows exactly what was read back, number included, at rest and well.
pub fn is_exact<N: Name>(scene: &Scene<'_, N>, live: &Live<N>) -> bool {
    let Some(verified) = &scene.log.verified else { return false };
    let same_number = live.seq() == Some(verified.seq) || !scene.hold(Rule::CompareBySeq);
    live.state == State::Succeeded && live.owner == Owner::Ours && same_number && live.split == verified.split
}
