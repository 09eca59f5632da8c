//! What the protocol makes of a look: the one place where the product's own code is called.

use std::rc::Rc;

use promptrelease::{
    api::Cause,
    endpoint::{
        Decision, Log, Ms, Timing, Wish,
        log::{Course, Kind},
        next,
    },
};

use crate::{
    logs::{NOW, Pass, Passes, TIMING},
    step::Steps,
    world::{Process, View, WEIGHT, World, bits},
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
        let passes: Rc<Passes> = Passes { all }.into();
        self.logs.passes.insert((world.log, key), passes.clone());
        passes
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
