//! Logs, each kept once. Times in them are relative to [`NOW`] and clamped, so that logs that the protocol cannot tell
//! apart are one.

use std::{collections::HashMap, rc::Rc};

use promptrelease::{
    api::Cause,
    endpoint::{
        Log, Ms, Reply, Rules, Timing,
        log::{Attempt, Kind, Verified},
    },
    policy::split::Split,
};

/// The present, in every log and look.
pub const NOW: Ms = Ms(1_000);
/// Longer ago than any span of [`TIMING`] that decides anything.
pub const LONG_AGO: Ms = Ms(NOW.0 - 10);

pub const STABLE: u8 = 0;
pub const CANARY: u8 = 1;

/// One tick each for what carries the proof. What only pages is out of reach and has tests of its own; what gives up, a raise
/// or a promotion, does so when the world says that its time is over.
pub const TIMING: Timing = Timing {
    deadline: Ms(1),
    settle: Ms(1),
    lag: Ms(1),
    two_looks: Ms(1),
    rollback: Ms(500),
    promotion: Ms(500),
    backoff: (Ms(0), Ms(0)),
    look_withdrawing: Ms(1),
    look_unsettled: Ms(1),
    look_exposed: Ms(1),
    look_steady: Ms(1),
    ..Timing::DEFAULT
};

/// Index of a log.
pub type LogId = u32;

/// What a pass over a log and a look comes to, for each wish that its stage may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passes {
    pub all: Vec<Pass>,
    /// The deployments that a wish to delete them would be granted for, a bit each.
    pub deletes: u8,
}

/// One that stores something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pass {
    pub log: LogId,
    /// It sends its intent too.
    pub writes: bool,
    /// Notices that this record adds.
    pub pages: u8,
}

/// All logs that were met.
pub struct Logs {
    pub all: Vec<Log<u8>>,
    ids: HashMap<Log<u8>, LogId>,
    aged: HashMap<LogId, LogId>,
    replied: HashMap<(LogId, Reply), LogId>,
    /// The numbers that each log mentions, a bit each.
    numbers: Vec<u64>,
    pub passes: HashMap<(LogId, u64), Rc<Passes>>,
    pub rules: Rules,
}

/// The attempt that is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// One step, then all traffic.
    Canary,
    /// Back to what served before: one write.
    Fast,
    /// Nothing served before.
    First,
    /// A person takes back what was promoted.
    Undo,
}

impl Story {
    /// Split of the endpoint when it begins.
    pub fn split(self) -> Split<u8> {
        match self {
            Self::Canary | Self::Fast => Split::all(STABLE),
            Self::First => Split::none(),
            Self::Undo => Split::all(CANARY),
        }
    }

    /// The log when the attempt is open and its deployment runs.
    fn log(self) -> Log<u8> {
        let kind = match self {
            Self::Canary | Self::First => Kind::Canary,
            Self::Fast => Kind::Fast,
            Self::Undo => Kind::Undo,
        };
        let attempt = Attempt {
            content: 7,
            deployment: Some(CANARY),
            return_to: (self != Self::First).then_some(STABLE),
            window: Ms(4),
            ..Attempt::new(1, kind)
        };
        let verified = Verified { split: self.split(), seq: 1, at: NOW, why: None };
        Log {
            seq: 1,
            stable: verified.split.sole().copied(),
            verified: Some(verified),
            claimed: Some(NOW),
            attempt: Some(attempt),
            ..Log::default()
        }
    }
}

impl Logs {
    /// With the first log at index 0, long after the claim.
    pub fn new(story: Story, rules: Rules) -> Self {
        let mut logs = Self {
            all: Vec::new(),
            ids: HashMap::new(),
            aged: HashMap::new(),
            replied: HashMap::new(),
            numbers: Vec::new(),
            passes: HashMap::new(),
            rules,
        };
        let mut log = story.log();
        shift(&mut log, NOW - LONG_AGO);
        logs.id(log);
        logs
    }

    pub fn get(&self, id: LogId) -> &Log<u8> {
        &self.all[id as usize]
    }

    pub fn id(&mut self, mut log: Log<u8>) -> LogId {
        normalise(&mut log);
        if let Some(id) = self.ids.get(&log) {
            return *id;
        }
        let id = u32::try_from(self.all.len()).expect("fewer than 2^32 logs");
        let mut numbers = 0;
        for_each_number(&mut log, |seq| numbers |= 1_u64 << *seq);
        self.numbers.push(numbers);
        self.all.push(log.clone());
        self.ids.insert(log, id);
        id
    }

    /// The same log a tick later.
    pub fn aged(&mut self, id: LogId) -> LogId {
        if let Some(aged) = self.aged.get(&id) {
            return *aged;
        }
        let mut log = self.get(id).clone();
        shift(&mut log, Ms(1));
        let aged = self.id(log);
        self.aged.insert(id, aged);
        aged
    }

    /// The same log with the outcome of its intent.
    pub fn replied(&mut self, id: LogId, reply: Reply) -> LogId {
        if let Some(replied) = self.replied.get(&(id, reply)) {
            return *replied;
        }
        let mut log = self.get(id).clone();
        log.intent.iter_mut().for_each(|intent| intent.outcome = Some(reply));
        let replied = self.id(log);
        self.replied.insert((id, reply), replied);
        replied
    }

    /// The numbers that a log mentions, a bit each.
    pub fn numbers(&self, id: LogId) -> u64 {
        self.numbers[id as usize]
    }

    /// The same log with other numbers.
    pub fn renumbered(&mut self, id: LogId, new: impl Fn(i64) -> i64) -> LogId {
        let mut log = self.get(id).clone();
        for_each_number(&mut log, |seq| *seq = new(*seq));
        self.id(log)
    }
}

fn for_each_number(log: &mut Log<u8>, mut each: impl FnMut(&mut i64)) {
    each(&mut log.seq);
    log.verified.iter_mut().for_each(|verified| each(&mut verified.seq));
    log.intent.iter_mut().for_each(|intent| each(&mut intent.seq));
    log.unsettled.iter_mut().for_each(|entry| each(&mut entry.seq));
    log.attempt.iter_mut().flat_map(|attempt| &mut attempt.raised).for_each(|raised| each(&mut raised.seq));
}

/// Every time that decides anything, with the longest span for which it does.
fn for_each_time(log: &mut Log<u8>, mut each: impl FnMut(&mut Ms, Ms)) {
    let Timing { settle, lag, two_looks, .. } = TIMING;
    log.claimed.iter_mut().for_each(|claimed| each(claimed, settle));
    log.verified.iter_mut().for_each(|verified| each(&mut verified.at, lag.max(two_looks)));
    log.intent.iter_mut().for_each(|intent| each(&mut intent.deadline, settle + lag + two_looks));
    log.unsettled.iter_mut().for_each(|entry| each(&mut entry.until, lag + two_looks));
}

fn shift(log: &mut Log<u8>, span: Ms) {
    for_each_time(log, |time, _| *time = *time - span);
}

/// What the protocol cannot see, or does not look at, is made equal.
fn normalise(log: &mut Log<u8>) {
    for_each_time(log, |time, span| *time = (*time).max(NOW - span));
    log.previous = None;
    log.unsettled.sort_by_key(|entry| (entry.seq, entry.until));
    log.outbox.iter_mut().for_each(|owed| owed.created_at = NOW);
    // Without pauses a write that came to nothing is as good as none.
    log.intent.take_if(|intent| !intent.is_open());
    if let Some(intent) = log.intent.as_mut() {
        (intent.before, intent.tries) = (None, 1);
    }
    if let Some(attempt) = log.attempt.as_mut() {
        // Beyond three, one that is not withdrawn for it goes on as before.
        attempt.repairs = attempt.repairs.min(3);
        let noted = attempt.raised.iter_mut().flat_map(|raised| [&mut raised.noted_at, &mut raised.verified_at]);
        noted.flatten().for_each(|at| *at = NOW);
        attempt.decision.iter_mut().for_each(|decision| decision.at = NOW);
        attempt.ending.iter_mut().for_each(|ending| ending.at = NOW);
        assert!(attempt.alarms.iter().all(|alarm| *alarm != Cause::RollbackFailed), "out of reach in this timing");
    }
}
