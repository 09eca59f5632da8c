//! What the log says of the open attempt.

use super::scene::Scene;
use crate::endpoint::{
    Live, Ms, Owner, Waiting, Why,
    log::{Attempt, Log, Name},
};

/// Where there is nothing to return to, a promotion that is under way is the only way on: what would end it waits.
pub fn is_first_promotion<N>(attempt: &Attempt<N>) -> bool {
    attempt.return_to.is_none() && attempt.was_given_traffic()
}

/// A canary that no traffic was ever noted for, and that live shows none for, ends without a write.
pub fn needs_write<N: Name>(attempt: &Attempt<N>, live: &Live<N>) -> bool {
    attempt.was_given_traffic() || attempt.deployment.as_ref().is_some_and(|canary| live.split.share(canary) > 0)
}

/// Whether users may have its answers, by what is known without a look: traffic was noted for it, or read as its own.
pub fn is_exposed<N: Name>(log: &Log<N>, attempt: &Attempt<N>) -> bool {
    let read = log.verified.as_ref().zip(attempt.deployment.as_ref());
    attempt.was_given_traffic() || read.is_some_and(|(verified, canary)| verified.split.share(canary) > 0)
}

/// Whether a withdrawal was written after the last raise, and read back.
pub fn is_withdrawn<N: Name>(log: &Log<N>, attempt: &Attempt<N>) -> bool {
    let Some(verified) = &log.verified else { return false };
    let last = attempt.raised.iter().map(|raised| raised.seq).max().unwrap_or(0);
    attempt.withdraws() && verified.why == Some(Why::Withdraw) && verified.seq > last
}

/// Whether all traffic was read back as the attempt's deployment's, by the promotion's own number or a later one.
pub fn is_promoted<N: Name>(log: &Log<N>) -> bool {
    let Some((attempt, verified)) = log.open().zip(log.verified.as_ref()) else { return false };
    let by_promotion = attempt.raised.last().is_some_and(|last| last.weight == 100 && verified.seq >= last.seq);
    by_promotion && attempt.deployment.is_some() && verified.split.sole() == attempt.deployment.as_ref()
}

/// Whether the endpoint is ours as far as the look shows.
pub fn is_claimed<N: Name>(log: &Log<N>, live: &Live<N>) -> bool {
    live.owner == Owner::Ours && log.claimed.is_some()
}

/// Until when nothing is given more traffic, whatever else holds.
pub fn in_the_air<N: Name>(scene: &Scene<'_, N>) -> Option<(Ms, Waiting<N>)> {
    if scene.log.unsettled.iter().any(|u| u.target.deployment().is_none()) {
        let until = scene.lands_last() + scene.timing.two_looks;
        return Some((until, Waiting::Unsettled { until }));
    }
    let until = scene.log.claimed? + scene.timing.settle;
    (scene.now < until).then_some((until, Waiting::Claimed { until }))
}
