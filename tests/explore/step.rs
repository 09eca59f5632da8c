//! What can happen next in a world.

use promptrelease::endpoint::{Ms, Reply, Why};

use crate::{
    budget::Fault,
    logs::{LogId, Logs, NOW, Pass, TIMING},
    world::{Fate, Flight, LED_LONG, OVERDUE, PASTS, Past, Phase, Process, Share, Shown, View, World, Write, ticks},
};

/// One step, for the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Looks { process: u8, view: View, pass: Pass },
    Stores { process: u8, log: LogId },
    GivesUp { process: u8 },
    StoresReply { process: u8, reply: Reply },
    Forgets { process: u8 },
    Delivers { process: u8 },
    Crashes { process: u8 },
    TakesOver { process: u8 },
    Aborts,
    TimeIsOver,
    Accepts(Write),
    Refuses { write: Write, reply: Reply },
    Loses(Write),
    Overdue(Write),
    Completes(Write),
    Fails { write: Write, shown: Shown },
    Hand(Write),
    BacksUp,
    Restores,
    Ticks,
}

/// Successors of a world.
pub struct Steps<'a> {
    pub logs: &'a mut Logs,
    /// Those that there was no room for.
    pub cut: u64,
    found: Vec<(Step, World)>,
}

impl<'a> Steps<'a> {
    pub fn new(logs: &'a mut Logs) -> Self {
        Self { logs, cut: 0, found: Vec::new() }
    }

    pub fn of(&mut self, world: &World) -> Vec<(Step, World)> {
        self.found.clear();
        for process in 0..2 {
            self.process(world, process);
        }
        self.network(world);
        self.operation(world);
        self.outside(world);
        self.tick(world);
        let mut found = std::mem::take(&mut self.found);
        for (_, world) in &mut found {
            self.settle(world);
        }
        found
    }

    fn push(&mut self, step: Step, world: World) {
        self.found.push((step, world));
    }

    fn process(&mut self, world: &World, process: u8) {
        let i = usize::from(process);
        let me = world.processes[i];
        match me.phase {
            Phase::Idle if world.leader == process => self.passes(world, process),
            Phase::Idle => {}
            Phase::Storing { log, writes, pages } => self.store(world, process, log, writes, pages),
            Phase::Sending { write, .. } => {
                if world.leader != process {
                    let mut after = *world;
                    after.net.iter_mut().for_each(|flight| {
                        flight.take_if(|flight| flight.write == write);
                    });
                    after.processes[i].phase = Phase::Idle;
                    self.push(Step::Forgets { process }, after);
                }
                if let Some(budget) = world.budget.spend(Fault::TimeOut) {
                    let mut after = World { budget, ..*world };
                    after.processes[i].phase = Phase::Idle;
                    self.push(Step::GivesUp { process }, after);
                }
            }
            Phase::Replied { reply } => {
                let log = self.logs.replied(world.log, reply);
                let mut after = *world;
                written(&mut after, process, log);
                after.processes[i].phase = Phase::Idle;
                self.push(Step::StoresReply { process, reply }, after);
            }
        }
        if me.pages > 0 {
            let mut after = *world;
            after.told |= me.pages;
            after.processes[i].pages = 0;
            self.push(Step::Delivers { process }, after);
        }
        if let Some(budget) = world.budget.spend(Fault::Crash).filter(|_| me != Process::NEW) {
            let mut after = World { budget, ..*world };
            after.processes[i] = Process::NEW;
            self.push(Step::Crashes { process }, after);
        }
    }

    fn passes(&mut self, world: &World, process: u8) {
        let i = usize::from(process);
        for view in world.views() {
            for pass in &self.decide(world, view).all {
                let mut after = *world;
                after.processes[i].phase = Phase::Storing { log: pass.log, writes: pass.writes, pages: pass.pages };
                self.push(Step::Looks { process, view, pass: *pass }, after);
            }
        }
    }

    /// Compare-and-swap of the log. What depends on the old one is void.
    fn store(&mut self, world: &World, process: u8, log: LogId, writes: bool, pages: u8) {
        let i = usize::from(process);
        let mut after = *world;
        let withdraws = self.logs.withdraws(log);
        let intent = self.logs.get(log).intent.as_ref().filter(|_| writes);
        let raises = intent.is_some_and(|intent| intent.why.is_some_and(Why::increases));
        after.raised_after |= raises && world.withdrawn;
        after.withdrawn |= withdraws;
        let write = intent.map(|intent| (Write::of(intent), intent.deadline - NOW));
        if let Some(promised) = self.logs.promised(log).filter(|_| self.logs.is_open(world.log)) {
            after.false_ending |= world.azure.operation.is_some() || world.azure.shown.write.share != promised;
            after.freed_early |= in_the_air(world);
        }
        written(&mut after, process, log);
        after.owed |= pages;
        let me = &mut after.processes[i];
        if self.logs.get(log).outbox.is_empty() {
            me.pages |= pages;
        }
        me.phase = Phase::Idle;
        match (write, after.net.iter_mut().find(|flight| flight.is_none())) {
            (None, _) => {}
            (Some((_, left)), _) if left < Ms::ZERO => me.phase = Phase::Replied { reply: Reply::NotSent },
            // It can be sent until its deadline, and lands in time after that.
            (Some((write, left)), Some(free)) => {
                *free = Some(Flight { write, left: ticks(left + TIMING.settle) });
                me.phase = Phase::Sending { write, alone: true };
            }
            (Some(_), None) => {
                self.cut += 1;
                return;
            }
        }
        self.push(Step::Stores { process, log }, after);
    }

    fn network(&mut self, world: &World) {
        for (k, flight) in world.net.iter().enumerate().filter_map(|(k, flight)| Some((k, (*flight)?))) {
            let write = flight.write;
            let mut landed = *world;
            landed.net[k] = None;
            let waiting =
                (0..2).find(|i| matches!(world.processes[*i].phase, Phase::Sending { write: w, .. } if w == write));
            if world.azure.operation.is_none() {
                let mut after = landed;
                begin(&mut after, write);
                if let Some(i) = waiting {
                    answer(&mut after.processes[i], Reply::Accepted);
                    after.processes[i].operation = Some((write.seq, Fate::Running));
                }
                self.push(Step::Accepts(write), after);
            } else {
                // Whether it was busy is read from the state, which may lag.
                let lags = world.lags() && waiting.is_some();
                for reply in [Some(Reply::Busy), lags.then_some(Reply::Refused)].into_iter().flatten() {
                    let mut after = landed;
                    if let Some(i) = waiting {
                        answer(&mut after.processes[i], reply);
                    }
                    self.push(Step::Refuses { write, reply }, after);
                }
            }
            if waiting.is_none() {
                self.push(Step::Loses(write), landed);
            }
        }
    }

    fn operation(&mut self, world: &World) {
        let Some(write) = world.azure.operation else { return };
        let mut after = *world;
        end(&mut after, write, Shown { write, failed: false }, Fate::Succeeded);
        self.push(Step::Completes(write), after);
        let Some(budget) = world.budget.spend(Fault::FailedOperation) else { return };
        let old = world.azure.shown;
        // Azure may have taken the tags already, and may or may not say that the endpoint is in a failed state.
        let tagged = Write { share: old.write.share, ..write };
        for left_behind in [old.write, tagged] {
            for failed in [false, true] {
                let shown = Shown { write: left_behind, failed };
                let mut after = World { budget, ..*world };
                end(&mut after, write, shown, Fate::Failed);
                self.push(Step::Fails { write, shown }, after);
            }
        }
    }

    fn outside(&mut self, world: &World) {
        if let Some(budget) = world.budget.spend(Fault::TakeOver) {
            let process = 1 - world.leader;
            let mut after = World { budget, leader: process, ..*world };
            after.processes[usize::from(process)].led = 0;
            self.push(Step::TakesOver { process }, after);
        }
        self.hand(world);
        if !self.logs.is_open(world.log) {
            return self.restore(world);
        }
        if let Some(budget) = world.budget.spend(Fault::Abort) {
            self.push(Step::Aborts, World { budget, aborted: true, ..*world });
        }
        if let Some(budget) = world.budget.spend(Fault::Late) {
            self.push(Step::TimeIsOver, World { budget, late: true, ..*world });
        }
        if world.budget.left(Fault::Restore) > 0 && world.backup.is_none() {
            self.push(Step::BacksUp, World { backup: Some(world.log), ..*world });
        }
    }

    /// The portal keeps tags, other tools drop them all. It is done as soon as it is accepted.
    fn hand(&mut self, world: &World) {
        let Some(budget) = world.budget.spend(Fault::Hand).filter(|_| world.azure.operation.is_none()) else { return };
        let old = world.azure.shown.write;
        let kept = [Share::Stable, Share::Canary].map(|share| Write { share, ..old });
        let dropped = [Share::Nobody, Share::Stable, old.share].map(|share| Write { seq: 0, share, why: None });
        for write in kept.into_iter().chain(dropped).filter(|write| *write != old) {
            let mut after = World { budget, ..*world };
            remember(&mut after);
            after.azure.shown = Shown { write, failed: false };
            after.azure.since = 0;
            self.push(Step::Hand(write), after);
        }
    }

    fn restore(&mut self, world: &World) {
        let (Some(backup), Some(budget)) = (world.backup, world.budget.spend(Fault::Restore)) else { return };
        let mut after = World { log: backup, backup: None, budget, ..*world };
        // What only the lost log knew is nobody's promise; what Azure's tags say is.
        after.withdrawn = world.azure.shown.write.why == Some(Why::Withdraw);
        (after.owed, after.told, after.aborted, after.late) = (0, 0, false, false);
        let led = after.processes[usize::from(after.leader)].led;
        after.processes = [Process::NEW; 2];
        after.processes[usize::from(after.leader)].led = led;
        self.push(Step::Restores, after);
    }

    fn tick(&mut self, world: &World) {
        let mut after = *world;
        let mut overdue = None;
        for flight in after.net.iter_mut().flatten().filter(|flight| flight.left != OVERDUE) {
            if flight.left > 0 {
                flight.left -= 1;
                continue;
            }
            // By now it has landed, or it is lost; unless the protocol's one assumption about Azure does not hold.
            let Some(budget) = after.budget.spend(Fault::Overdue) else { return };
            after.budget = budget;
            flight.left = OVERDUE;
            overdue = Some(flight.write);
        }
        after.log = self.logs.aged(after.log);
        for process in &mut after.processes {
            process.led = (process.led + 1).min(LED_LONG);
            if let Phase::Storing { log, .. } = &mut process.phase {
                *log = self.logs.aged(*log);
            }
        }
        let two_looks = ticks(TIMING.two_looks);
        after.azure.since = (after.azure.since + 1).min(two_looks);
        for slot in &mut after.azure.past {
            if let Some(past) = slot {
                past.over += 1;
                if past.over >= ticks(TIMING.lag) {
                    *slot = None;
                }
            }
        }
        let step = overdue.map_or(Step::Ticks, Step::Overdue);
        self.push(step, after);
    }

    /// Makes worlds equal that differ in nothing that matters.
    fn settle(&mut self, world: &mut World) {
        let open = self.logs.get(world.log).open_traffic().map(|intent| intent.seq);
        for (i, process) in world.processes.iter_mut().enumerate() {
            if process.operation.is_some_and(|(seq, _)| Some(i64::from(seq)) != open) {
                let waits = matches!(process.phase, Phase::Replied { .. });
                process.operation = process.operation.filter(|_| waits);
            }
            if i != usize::from(world.leader) {
                process.led = 0;
                if process.phase == Phase::Idle {
                    process.operation = None;
                }
            }
        }
        let open = self.logs.is_open(world.log);
        if !open && world.backup.is_none() {
            world.aborted = false;
        }
        world.late &= open && !self.logs.withdraws(world.log);
        if !world.lags() {
            world.azure.past = [None; PASTS];
        }
        world.azure.past.sort_by_key(|past| past.map(order));
        world.net.sort_by_key(|flight| flight.map(|f| (f.write.seq, f.write.share as u8, f.left)));
        self.renumber(world);
    }

    /// Only the order of numbers matters, so they are kept small.
    fn renumber(&mut self, world: &mut World) {
        let mut used = self.logs.numbers(world.log);
        used |= world.backup.map_or(0, |id| self.logs.numbers(id));
        for process in &world.processes {
            used |= process.operation.map_or(0, |(seq, _)| 1 << seq);
            used |= match process.phase {
                Phase::Storing { log, .. } => self.logs.numbers(log),
                Phase::Sending { write, .. } => 1 << write.seq,
                Phase::Idle | Phase::Replied { .. } => 0,
            };
        }
        let past = world.azure.past.iter().flatten().map(|past| past.shown.write);
        let net = world.net.iter().flatten().map(|flight| flight.write);
        for write in past.chain(net).chain(world.azure.operation).chain([world.azure.shown.write]) {
            used |= 1 << write.seq;
        }
        // Zero means that there is no number.
        used |= 1;
        if (used + 1).is_power_of_two() {
            return;
        }
        let new = |seq: u8| u8::try_from((used & ((1 << seq) - 1)).count_ones()).expect("below 64");
        let wide = |seq: i64| i64::from(new(u8::try_from(seq).expect("small")));
        world.log = self.logs.renumbered(world.log, wide);
        world.backup = world.backup.map(|id| self.logs.renumbered(id, wide));
        for process in &mut world.processes {
            process.operation = process.operation.map(|(seq, fate)| (new(seq), fate));
            match &mut process.phase {
                Phase::Storing { log, .. } => *log = self.logs.renumbered(*log, wide),
                Phase::Sending { write, .. } => write.seq = new(write.seq),
                Phase::Idle | Phase::Replied { .. } => {}
            }
        }
        world.azure.past.iter_mut().flatten().for_each(|past| past.shown.write.seq = new(past.shown.write.seq));
        world.net.iter_mut().flatten().for_each(|flight| flight.write.seq = new(flight.write.seq));
        world.azure.operation.iter_mut().for_each(|write| write.seq = new(write.seq));
        world.azure.shown.write.seq = new(world.azure.shown.write.seq);
    }
}

fn order(past: Past) -> (u8, u8, u8, bool, u8, u8) {
    let Past { shown: Shown { write, failed }, lasted, over } = past;
    let why = write.why.map_or(9, |why| why as u8);
    (write.seq, write.share as u8, why, failed, lasted, over)
}

/// The log was written by a process: what another one has in hand rests on an older one.
fn written(world: &mut World, process: u8, log: LogId) {
    world.log = log;
    let other = &mut world.processes[usize::from(1 - process)];
    match &mut other.phase {
        Phase::Storing { .. } | Phase::Replied { .. } => other.phase = Phase::Idle,
        Phase::Sending { alone, .. } => *alone = false,
        Phase::Idle => {}
    }
}

/// A write of ours can still be sent, is under way, or is being applied.
pub fn in_the_air(world: &World) -> bool {
    world.azure.operation.is_some() || world.net.iter().any(Option::is_some)
}

fn answered(reply: Reply, alone: bool) -> Phase {
    if alone { Phase::Replied { reply } } else { Phase::Idle }
}

fn answer(process: &mut Process, reply: Reply) {
    if let Phase::Sending { alone, .. } = process.phase {
        process.phase = answered(reply, alone);
    }
}

/// Azure begins to apply a write.
fn begin(world: &mut World, write: Write) {
    remember(world);
    world.azure.operation = Some(write);
}

fn end(world: &mut World, write: Write, shown: Shown, fate: Fate) {
    world.azure.operation = None;
    if world.azure.shown != shown {
        world.azure.shown = shown;
        world.azure.since = 0;
    }
    for process in &mut world.processes {
        if let Some((_, known)) = process.operation.as_mut().filter(|(seq, _)| *seq == write.seq) {
            *known = fate;
        }
    }
}

/// What was shown until now can be read for a while.
fn remember(world: &mut World) {
    let past = Past { shown: world.azure.shown, lasted: world.azure.since, over: 0 };
    world.azure.past.rotate_right(1);
    world.azure.past[0] = Some(past);
}
