//! What a pass works on: the log as it becomes, and the facts it rests on.

use crate::{
    api::{
        Cause, Severity,
        log::{MAX_OUTBOX, MAX_UNSETTLED},
    },
    endpoint::{
        Decision, Live, Log, Look, Ms, Owed, Rules, Target, Timing, Waiting, Why,
        log::{Attempt, Before, Course, Decided, Intent, Name, Notice, Unsettled},
        rules::Rule,
    },
};

/// Tries are counted up to here; pauses have long reached their longest.
const MAX_TRIES: i64 = 99;

pub struct Scene<'a, N> {
    pub log: Log<N>,
    pub look: &'a Look<N>,
    pub timing: &'a Timing,
    pub now: Ms,
    rules: &'a Rules,
    pages: Vec<Owed>,
}

/// How a pass goes on once the log is up to date.
pub enum Then<N> {
    /// The intent that was just noted is sent.
    Write,
    Wait(Ms, Waiting<N>),
}

impl<'a, N: Name> Scene<'a, N> {
    pub fn new(log: &Log<N>, look: &'a Look<N>, timing: &'a Timing, rules: &'a Rules, now: Ms) -> Self {
        Self { log: log.clone(), look, timing, rules, now, pages: Vec::new() }
    }

    pub fn finish(self, before: &Log<N>, then: Then<N>) -> Decision<N> {
        let Self { log, pages, .. } = self;
        match then {
            Then::Write => Decision::Write { log, pages },
            Then::Wait(..) if log != *before || !pages.is_empty() => Decision::Record { log, pages },
            Then::Wait(until, why) => Decision::Wait { until, why },
        }
    }

    pub fn hold(&self, rule: Rule) -> bool {
        self.rules.hold(rule)
    }

    pub fn open_mut(&mut self) -> Option<&mut Attempt<N>> {
        self.log.attempt.as_mut().filter(|attempt| attempt.ending.is_none())
    }

    /// Which way the open attempt goes, if it is decided.
    pub fn course(&self) -> Option<Course> {
        self.log.open().and_then(|attempt| attempt.decision).map(|decision| decision.course)
    }

    /// Decides about the open attempt, with the page in the same write. A decision only rises.
    pub fn decide(&mut self, course: Course, cause: Cause) {
        let at = self.now;
        let Some(attempt) = self.open_mut() else { return };
        if attempt.decision.is_some_and(|decided| decided.course >= course) {
            return;
        }
        attempt.decision = Some(Decided { course, cause, at });
        if cause.severity() == Severity::Page {
            self.page(Notice::Decided(cause));
        }
    }

    /// Pages about the open attempt, once for each cause as long as it stands. It takes the place of an earlier page about
    /// the same that is still owed: some receiver may have taken that one, and knows its key already.
    pub fn alarm(&mut self, cause: Cause) {
        let Some(attempt) = self.open_mut().filter(|attempt| !attempt.alarms.contains(&cause)) else { return };
        attempt.alarms.push(cause);
        let (n, notice) = (attempt.n, Notice::Alarm(cause));
        self.log.outbox.retain(|owed| owed.attempt != n || owed.notice != notice);
        self.page(notice);
    }

    pub fn page(&mut self, notice: Notice) {
        let Some(attempt) = self.log.attempt.as_ref().map(|attempt| attempt.n) else { return };
        let owed = Owed { attempt, notice, created_at: self.now };
        self.pages.push(owed);
        if self.hold(Rule::OutboxInVerdict) {
            // No attempt starts with as many entries that one could fill the rest, so this is for a log from elsewhere.
            if self.log.outbox.len() >= MAX_OUTBOX {
                self.log.outbox.remove(0);
            }
            self.log.outbox.push(owed);
        }
    }

    /// When looks show for certain whether a write that can be accepted until then has landed: they may be
    /// [`Timing::lag`] old, and a new leader does not trust the clock of the one before.
    pub fn seen_from(&self, until: Ms) -> Ms {
        until.max(self.look.leading_since + self.timing.settle) + self.timing.lag
    }

    /// When nothing of ours that changes a split can land, or be hidden from a look, any more.
    pub fn lands_last(&self) -> Ms {
        let open = self.log.open_traffic().map(|intent| intent.deadline + self.timing.settle);
        let lost = self.log.unsettled.iter().filter(|u| u.target.deployment().is_none()).map(|u| u.until);
        lost.chain(open).map(|until| self.seen_from(until)).max().unwrap_or(Ms::ZERO)
    }

    /// Both of two equal looks began after that moment.
    pub fn confirmed_since(&self, moment: Ms) -> bool {
        self.look.twin.is_some_and(|twin| twin >= moment)
    }

    /// Notes a write of the split.
    pub fn write(&mut self, why: Why, split: crate::policy::split::Split<N>, live: &Live<N>) -> Then<N> {
        let before = Before { split: live.split.clone(), seq: live.seq().unwrap_or(0) };
        self.note(Some(why), Target::Traffic(split), Some(before))
    }

    /// Notes a write: the next number, the time until which it may be sent. What was open before is set aside.
    pub fn note(&mut self, why: Option<Why>, target: Target<N>, before: Option<Before<N>>) -> Then<N> {
        let last = self.log.intent.as_ref().filter(|last| last.why == why && last.target == target);
        let tries = last.map_or(1, |last| (last.tries + 1).min(MAX_TRIES));
        self.set_aside();
        // Azure's number is only higher where the log could not be stored; then this goes out without its record.
        self.log.seq = self.log.seq.max(before.as_ref().map_or(0, |b| b.seq)) + 1;
        let (seq, deadline) = (self.log.seq, self.now + self.timing.deadline);
        self.log.intent = Some(Intent { seq, why, target, before, tries, deadline, outcome: None });
        Then::Write
    }

    /// Makes room for another intent: one that may still land is remembered until it cannot.
    pub fn set_aside(&mut self) {
        if let Some(intent) = self.log.intent.take().filter(Intent::is_open) {
            let until = intent.deadline + self.timing.settle;
            self.remember(Unsettled { seq: intent.seq, target: intent.target, until });
        }
    }

    /// Writes of the split are one entry: until when the last of them can land is all that matters. So are those of one
    /// deployment and kind. If there is no room for another, an entry's time is drawn out instead, the split's if it has
    /// one: until then nothing ends and nothing is raised.
    pub fn remember(&mut self, lost: Unsettled<N>) {
        let entries = &mut self.log.unsettled;
        let traffic = entries.iter().position(|u| u.target.split().is_some());
        let same = match lost.target {
            Target::Traffic(_) => traffic,
            _ => entries.iter().position(|u| u.target == lost.target),
        };
        let full = entries.len() >= MAX_UNSETTLED;
        let Some(i) = same.or_else(|| if full { traffic.or(Some(0)) } else { None }) else {
            entries.push(lost);
            return;
        };
        let entry = &mut entries[i];
        let (seq, until) = (entry.seq.max(lost.seq), entry.until.max(lost.until));
        let drawn_out = entry.target.split().is_some() && lost.target.split().is_none();
        let target = if drawn_out { entry.target.clone() } else { lost.target };
        *entry = Unsettled { seq, target, until };
    }
}
