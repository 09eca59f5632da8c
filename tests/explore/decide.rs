//! What the protocol makes of a look: the one place where the product's own code is called.

use std::rc::Rc;

use promptrelease::{
    api::Cause,
    endpoint::{
        Decision, Live, Log, Look, Ms, Rules, Sight, Target, Timing, Why, Wish,
        log::{Course, Intent, Kind},
        next,
    },
};

use crate::{
    logs::{CANARY, NOW, Pass, Passes, STABLE, TIMING},
    step::Steps,
    world::{Phase, Process, View, WEIGHT, World, bits},
};

/// The same times when that of a raise or a promotion is over.
const LATE: Timing = Timing { promotion: Ms(0), ..TIMING };

impl Steps<'_> {
    /// What the protocol makes of a look, for each wish that a stage may have.
    pub fn decide(&mut self, world: &World, view: View) -> Rc<Passes> {
        let process = &world.processes[usize::from(world.leader)];
        let key = key(world, view, process);
        if let Some(passes) = self.logs.passes.get(&(world.log, key)) {
            return passes.clone();
        }
        let (log, look) = (self.logs.get(world.log).clone(), world.look(view));
        let timing = if world.late { &LATE } else { &TIMING };
        let mut all: Vec<Pass> = Vec::new();
        for wish in wishes(&log, world.aborted) {
            let (log, pages, writes) = match next(&log, &look, &wish, timing, &self.logs.rules, NOW) {
                Decision::Wait { until, .. } => {
                    assert!(until > NOW, "a wait that is over: {wish:?} {log:?} {look:?}");
                    continue;
                }
                Decision::Record { log, pages } => (log, pages, false),
                Decision::Write { log, pages } => (log, pages, true),
            };
            let pass = Pass { log: self.logs.id(log), writes, pages: bits(&pages) };
            if !all.contains(&pass) {
                all.push(pass);
            }
        }
        let asked = Asked { log: &log, look: &look, timing, rules: &self.logs.rules };
        asked.beside_mirrored(&wishes(&log, world.aborted));
        let passes = Rc::new(Passes { all, deletes: asked.deletes(&look) });
        self.logs.passes.insert((world.log, key), passes.clone());
        passes
    }

    /// The deployments that the leader would delete if it were wished for now, a bit each.
    pub fn deletable(&mut self, world: &World) -> u8 {
        if world.processes[usize::from(world.leader)].phase != Phase::Idle {
            return 0;
        }
        world.views().into_iter().fold(0, |all, view| all | self.decide(world, view).deletes)
    }
}

/// What else is asked of a log and a look. Nothing comes of it: in no story is a deployment deleted, or mirrored to.
struct Asked<'a> {
    log: &'a Log<u8>,
    look: &'a Look<u8>,
    timing: &'a Timing,
    rules: &'a Rules,
}

impl Asked<'_> {
    /// The write that a wish comes to.
    fn written(&self, look: &Look<u8>, wish: &Wish<u8>) -> Option<Intent<u8>> {
        match next(self.log, look, wish, self.timing, self.rules, NOW) {
            Decision::Write { log, .. } => log.intent,
            Decision::Record { .. } | Decision::Wait { .. } => None,
        }
    }

    /// The deployments that a wish to delete them is granted for, a bit each.
    fn deletes(&self, look: &Look<u8>) -> u8 {
        let granted = |name: &u8| {
            let written = self.written(look, &Wish::Delete { deployment: *name });
            written.is_some_and(|intent| intent.target == Target::Delete(*name))
        };
        [STABLE, CANARY].iter().filter(|name| granted(name)).fold(0, |all, name| all | 1 << name)
    }

    /// Where copies of requests go, nothing is deleted, and nothing is given traffic.
    fn beside_mirrored(&self, wishes: &[Wish<u8>]) {
        let Sight::Live(live) = &self.look.endpoint else { return };
        for name in [STABLE, CANARY] {
            let live = Live { mirrored: vec![name], ..live.clone() };
            let look = Look { endpoint: Sight::Live(live.clone()), ..self.look.clone() };
            let gives = |intent: &Intent<u8>| {
                let more = intent.target.split().is_some_and(|split| split.share(&name) > live.split.share(&name));
                more && intent.why.is_some_and(Why::increases)
            };
            let given = wishes.iter().find(|wish| self.written(&look, wish).as_ref().is_some_and(gives));
            let deleted = self.deletes(&look) >> name & 1 == 1;
            assert!(given.is_none() && !deleted, "{name} is mirrored to: {given:?} {deleted} {:?} {look:?}", self.log);
        }
    }
}

/// Everything that a pass depends on besides the log.
fn key(world: &World, view: View, process: &Process) -> u64 {
    let shown = view.shown.unwrap_or(world.azure.shown);
    let mut key = u64::from(view.shown.is_some());
    let mut add = |value: u64, of: u64| {
        assert!(value < of);
        key = key * of + value;
    };
    add(view.twin.into(), 2);
    add(shown.write.seq.into(), 16);
    add(shown.write.share as u64, 4);
    add(shown.write.why.map_or(7, |why| why as u64), 8);
    add(shown.failed.into(), 2);
    add(process.led.into(), 8);
    let (seq, fate) = process.operation.map_or((0, 3), |(seq, fate)| (seq, fate as u64));
    add(seq.into(), 16);
    add(fate, 4);
    add(world.aborted.into(), 2);
    add(world.late.into(), 2);
    key
}

/// What a stage may wish for, whatever it was that it saw.
fn wishes(log: &Log<u8>, aborted: bool) -> Vec<Wish<u8>> {
    let Some(attempt) = log.open() else { return vec![Wish::Nothing] };
    let failed = Wish::Withdraw(Cause::CanaryFailed);
    match attempt.decision.map(|decision| decision.course) {
        Some(Course::Withdraw) => vec![Wish::Nothing],
        _ if aborted => vec![Wish::Withdraw(Cause::AbortRequested)],
        Some(Course::Promote) => vec![Wish::Promote, failed],
        None => match attempt.raised.last() {
            Some(last) if last.verified_at.is_some() => vec![Wish::Nothing, Wish::Promote, failed],
            Some(_) => vec![Wish::Nothing],
            None if attempt.kind == Kind::Fast || attempt.return_to.is_none() => vec![Wish::Promote],
            None => vec![Wish::Raise { step: 1, weight: WEIGHT }],
        },
    }
}
