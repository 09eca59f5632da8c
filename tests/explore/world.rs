//! The world: Azure's endpoint, the network before it, two operator processes, a person, and what is true of the past.

use promptrelease::{
    endpoint::{Deployment, Ms, Provisioning, Target},
    endpoint::{
        Live, Look, Operation, Owner, Reply, Roles, Sight, State, Why, Written,
        log::{Course, Intent, Notice, Owed},
    },
    policy::split::Split,
};

use crate::{
    budget::{Budget, Fault},
    logs::{CANARY, LogId, Logs, NOW, STABLE, Story, TIMING},
};

/// Percent that the one step gives to the canary.
pub const WEIGHT: u8 = 10;
/// Writes of ours that can be under way at once. A way that needs more is cut off, and counted.
pub const NET: usize = 3;
/// Earlier sights of the endpoint that a lagging read can show.
pub const PASTS: usize = 2;

/// A split of the two deployments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Share {
    Nobody,
    Stable,
    Both,
    Canary,
}

/// A write of the split, as it travels. Number 0: another hand's, without our tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    pub seq: u8,
    pub share: Share,
    /// None: found, not written.
    pub why: Option<Why>,
}

/// What Azure shows while no operation is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    pub write: Write,
    pub failed: bool,
}

/// What Azure showed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Past {
    pub shown: Shown,
    /// Ticks for which it was shown, up to the distance of two looks.
    pub lasted: u8,
    /// Ticks since it was not true any more.
    pub over: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Azure {
    pub shown: Shown,
    /// Ticks for which it has been, up to the distance of two looks.
    pub since: u8,
    /// The operation under way.
    pub operation: Option<Write>,
    pub past: [Option<Past>; PASTS],
}

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flight {
    pub write: Write,
    /// Ticks until it has landed or is lost; [`OVERDUE`] for one that keeps to no time.
    pub left: u8,
}

pub const OVERDUE: u8 = 7;

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Between two passes.
    Idle,
    /// It has decided, and its log is on the way to the API server.
    Storing { log: LogId, writes: bool, pages: u8 },
    /// Its log is stored. It sends the write, or has sent it, and waits for Azure's reply: a write that is about to be
    /// sent is one that the network holds back. `alone`: nobody wrote the log since, so that the outcome can be stored.
    Sending { write: Write, alone: bool },
    /// It has the reply, which is on the way to the log.
    Replied { reply: Reply },
}

/// How the operation of a write ended, by its own document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    Running,
    Succeeded,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub phase: Phase,
    /// Ticks since it began to lead, up to [`LED_LONG`].
    pub led: u8,
    /// The operation whose document it can ask for.
    pub operation: Option<(u8, Fate)>,
    /// Notices that only its memory owes; with the outbox there are none.
    pub pages: u8,
}

/// From then on it makes no difference.
pub const LED_LONG: u8 = 4;

impl Process {
    pub const NEW: Self = Self { phase: Phase::Idle, led: 0, operation: None, pages: 0 };
}

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub log: LogId,
    pub backup: Option<LogId>,
    pub azure: Azure,
    pub net: [Option<Flight>; NET],
    pub processes: [Process; 2],
    pub leader: u8,
    pub aborted: bool,
    /// The time of a raise or a promotion that is not read back is over.
    pub late: bool,
    pub budget: Budget,
    /// Notices that were owed, and those that somebody accepted.
    pub owed: u8,
    pub told: u8,
    /// A withdrawal was recorded.
    pub withdrawn: bool,
    /// Traffic was raised after that.
    pub raised_after: bool,
    /// An ending was recorded that was not true.
    pub false_ending: bool,
    /// An ending was recorded while a write of ours could still land.
    pub freed_early: bool,
}

impl World {
    pub fn begin(story: Story, budget: Budget) -> Self {
        let write = Write { seq: 1, share: Share::of(&story.split()), why: Some(Why::Claim) };
        let shown = Shown { write, failed: false };
        let since = ticks(TIMING.two_looks);
        let leader = Process { led: LED_LONG, ..Process::NEW };
        Self {
            log: 0,
            backup: None,
            azure: Azure { shown, since, operation: None, past: [None; PASTS] },
            net: [None; NET],
            processes: [leader, Process::NEW],
            leader: 0,
            aborted: false,
            late: false,
            budget,
            owed: 0,
            told: 0,
            withdrawn: false,
            raised_after: false,
            false_ending: false,
            freed_early: false,
        }
    }

    pub fn lags(&self) -> bool {
        self.budget.left(Fault::LaggingRead) > 0
    }
}

/// A span as a number of ticks.
pub fn ticks(span: Ms) -> u8 {
    u8::try_from(span.0).expect("a few ticks")
}

impl Share {
    pub fn of(split: &Split<u8>) -> Self {
        match (split.share(&STABLE), split.share(&CANARY)) {
            (0, 0) => Self::Nobody,
            (100, 0) => Self::Stable,
            (0, 100) => Self::Canary,
            (90, WEIGHT) => Self::Both,
            other => panic!("nobody writes {other:?}"),
        }
    }

    pub fn split(self) -> Split<u8> {
        match self {
            Self::Nobody => Split::none(),
            Self::Stable => Split::all(STABLE),
            Self::Canary => Split::all(CANARY),
            Self::Both => Split::canary(STABLE, CANARY, WEIGHT).expect("a split"),
        }
    }

    fn roles(self) -> Roles<u8> {
        match self {
            Self::Nobody => Roles::default(),
            Self::Stable => Roles { stable: Some(STABLE), canary: None },
            Self::Canary => Roles { stable: Some(CANARY), canary: None },
            Self::Both => Roles { stable: Some(STABLE), canary: Some(CANARY) },
        }
    }
}

impl Write {
    pub fn of(intent: &Intent<u8>) -> Self {
        let Target::Traffic(split) = &intent.target else { panic!("no deployment is created here") };
        let seq = u8::try_from(intent.seq).expect("numbers are kept small");
        Self { seq, share: Share::of(split), why: intent.why }
    }
}

/// One way to see the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// None: an operation is under way.
    pub shown: Option<Shown>,
    /// An equal look was possible the distance of two looks ago.
    pub twin: bool,
    pub stale: bool,
}

impl World {
    /// All ways in which a look at this moment can turn out.
    pub fn views(&self) -> Vec<View> {
        let two_looks = ticks(TIMING.two_looks);
        let shown = self.azure.operation.is_none().then_some(self.azure.shown);
        let fresh = View { shown, twin: shown.is_some() && self.azure.since >= two_looks, stale: false };
        let mut views = vec![fresh];
        if self.lags() {
            let old = self.azure.past.iter().flatten();
            views.extend(old.map(|p| View { shown: Some(p.shown), twin: p.lasted >= two_looks, stale: true }));
        }
        views
    }

    /// What the leader's look shows it, in its own words.
    pub fn look(&self, view: View) -> Look<u8> {
        let process = &self.processes[usize::from(self.leader)];
        let shown = view.shown.unwrap_or(self.azure.shown);
        let state = match view.shown {
            None => State::Updating,
            Some(Shown { failed: true, .. }) => State::Failed,
            Some(_) => State::Succeeded,
        };
        let ours = shown.write.seq > 0;
        let written = Written { seq: i64::from(shown.write.seq), n: 1, why: shown.write.why };
        let operation = process.operation.filter(|_| view.shown.is_some()).and_then(|(seq, fate)| match fate {
            Fate::Running => None,
            Fate::Succeeded => Some((i64::from(seq), Operation::Succeeded)),
            Fate::Failed => Some((i64::from(seq), Operation::Failed)),
        });
        let live = Live {
            state,
            split: shown.write.share.split(),
            mirrored: Vec::new(),
            owner: if ours { Owner::Ours } else { Owner::Absent },
            write: ours.then_some(written),
            roles: if ours { shown.write.share.roles() } else { Roles::default() },
            operation,
        };
        let runs = Deployment { state: Provisioning::Succeeded, same_body: Some(true), ours: true, served: false };
        Look {
            begun: NOW,
            leading_since: NOW - Ms(i64::from(process.led)),
            twin: view.twin.then_some(NOW - TIMING.two_looks),
            endpoint: Sight::Live(live),
            deployments: vec![(STABLE, runs), (CANARY, runs)],
            listed: true,
        }
    }
}

/// Which notices these are, a bit each.
pub fn bits(pages: &[Owed]) -> u8 {
    pages.iter().fold(0, |bits, owed| {
        bits | match owed.notice {
            Notice::Decided(_) => 1,
            Notice::Alarm(_) => 2,
            Notice::Ended(_) => 4,
        }
    })
}

impl Logs {
    pub fn withdraws(&self, id: LogId) -> bool {
        let decision = self.get(id).attempt.as_ref().and_then(|attempt| attempt.decision);
        decision.is_some_and(|decision| decision.course == Course::Withdraw)
    }

    pub fn is_open(&self, id: LogId) -> bool {
        self.get(id).open().is_some()
    }

    /// What the ending promises; None while there is none.
    pub fn promised(&self, id: LogId) -> Option<Share> {
        let log = self.get(id);
        let ended = log.attempt.as_ref().is_some_and(|attempt| attempt.ending.is_some());
        ended.then(|| log.stable.map_or(Share::Nobody, |stable| Share::of(&Split::all(stable))))
    }
}
