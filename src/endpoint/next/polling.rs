//! When to look again.

use super::{
    difference,
    scene::{Scene, Then},
};
use crate::{
    endpoint::{
        Live, Ms, Target, Waiting, Why,
        log::{Intent, Name, Reply},
    },
    policy::split::Split,
};

impl<N: Name> Scene<'_, N> {
    /// Waits as long as the log's state allows without a look.
    pub fn wait(&self, why: Waiting<N>) -> Then<N> {
        Then::Wait(self.now + self.period(), why)
    }

    /// Waits until then, with looks in between. If that time has come, what is waited for is another look.
    pub fn wait_until(&self, until: Ms, why: Waiting<N>) -> Then<N> {
        let look = self.now + self.period();
        Then::Wait(if until > self.now { until.min(look) } else { look }, why)
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
            Some(Reply::NotSent | Reply::Busy | Reply::Failed) => noted + self.pause_after(intent.tries - 1),
            Some(Reply::Refused | Reply::Accepted) | None => noted + self.pause_after(intent.tries),
        }
    }

    fn pause_after(&self, tries: i64) -> Ms {
        let (first, longest) = self.timing.backoff;
        let doublings = u32::try_from(tries - 1).unwrap_or(0).min(20);
        Ms(first.0.saturating_mul(1 << doublings)).min(longest)
    }

    /// What to say while the open write is not read back.
    pub fn reading_back(&self) -> Option<Then<N>> {
        let intent = self.log.open_traffic()?;
        let (seq, why) = (intent.seq, intent.why.unwrap_or(Why::Repair));
        let Target::Traffic(target) = intent.target.clone() else { return None };
        let waiting = match intent.outcome {
            Some(_) => Waiting::ReadBack { seq, why, target },
            None => {
                Waiting::Unanswered { seq, why, target, until: self.seen_from(intent.deadline + self.timing.settle) }
            }
        };
        Some(self.wait(waiting))
    }
    /// The same write of the split was tried a moment ago.
    pub fn pause(&self, why: Why, target: &Split<N>) -> Option<Then<N>> {
        let intent = self.log.intent.as_ref()?;
        if intent.why != Some(why) || intent.target != Target::Traffic(target.clone()) {
            return None;
        }
        let (again, tries) = (self.again_at(intent), intent.tries);
        if self.now >= again {
            return None;
        }
        match intent.outcome {
            Some(reply) if !intent.is_open() => {
                Some(self.wait_until(again, Waiting::Retry { why, reply, tries, until: again }))
            }
            _ => self.reading_back(),
        }
    }

    /// An operation is under way, or a write that nothing else is done beside. Repairs are tried anew.
    pub fn busy(&self, live: &Live<N>) -> Option<Then<N>> {
        let open = self.log.open_traffic();
        if !live.at_rest() {
            return Some(self.wait(Waiting::Updating { why: open.and_then(|intent| intent.why) }));
        }
        let repairs = open.is_some_and(|intent| intent.why == Some(Why::Repair));
        if repairs { None } else { self.reading_back() }
    }

    /// The look may be older than what was read back last.
    pub fn lagging(&self) -> Then<N> {
        let until = difference::known(&self.log).map_or(self.now, |known| known.at) + self.timing.lag;
        self.wait_until(until, Waiting::Lagging { until })
    }

    /// Nothing to do, but perhaps something to read back.
    pub fn idle(&self) -> Then<N> {
        self.reading_back().unwrap_or_else(|| self.wait(Waiting::Nothing))
    }
}
