//! When to look again.

use super::scene::{Scene, Then};
use crate::endpoint::{
    Ms, Waiting, Why,
    log::{Intent, Name, Reply},
};

impl<N: Name> Scene<'_, N> {
    /// Waits as long as the log's state allows without a look.
    pub fn wait(&self, why: Waiting<N>) -> Then<N> {
        Then::Wait(self.now + self.period(), why)
    }

    /// Waits until then, with looks in between.
    pub fn wait_until(&self, until: Ms, why: Waiting<N>) -> Then<N> {
        Then::Wait(until.min(self.now + self.period()), why)
    }

    fn period(&self) -> Ms {
        let timing = self.timing;
        let open = self.log.open();
        let unsettled = self.log.open_traffic().is_some() || !self.log.unsettled.is_empty();
        let updating = self.look.live().is_some_and(|live| !live.at_rest());
        match open {
            Some(attempt) if attempt.withdraws() => timing.look_withdrawing,
            _ if unsettled || updating => timing.look_unsettled,
            Some(attempt) if attempt.was_given_traffic() => {
                timing.look_exposed.min(Ms(attempt.window.0 / 2)).max(timing.look_withdrawing)
            }
            _ if self.look.live().is_none() => timing.look_exposed,
            _ => timing.look_steady,
        }
    }

    /// When a write may be tried again: at once after the first failure that was not Azure's refusal, then after pauses
    /// that double.
    pub fn again_at(&self, intent: &Intent<N>) -> Ms {
        let noted = intent.deadline - self.timing.deadline;
        match intent.outcome {
            Some(Reply::NotSent | Reply::Busy | Reply::Failed) if intent.tries <= 1 => noted,
            Some(Reply::NotSent | Reply::Busy | Reply::Failed) => noted + self.pause(intent.tries - 1),
            Some(Reply::Refused | Reply::Accepted) | None => noted + self.pause(intent.tries),
        }
    }

    fn pause(&self, tries: i64) -> Ms {
        let (first, longest) = self.timing.backoff;
        let doublings = u32::try_from(tries - 1).unwrap_or(0).min(20);
        Ms(first.0.saturating_mul(1 << doublings)).min(longest)
    }

    /// What to say while the open write is not read back.
    pub fn reading_back(&self) -> Option<Then<N>> {
        let intent = self.log.open_traffic()?;
        let (seq, why) = (intent.seq, intent.why.unwrap_or(Why::Repair));
        let crate::endpoint::Target::Traffic(target) = intent.target.clone() else { return None };
        let waiting = match intent.outcome {
            Some(_) => Waiting::ReadBack { seq, why, target },
            None => {
                Waiting::Unanswered { seq, why, target, until: self.seen_from(intent.deadline + self.timing.settle) }
            }
        };
        Some(self.wait(waiting))
    }
}
