//! What must hold in every state.

use std::fmt;

use promptrelease::endpoint::Why;

use crate::{
    step::{Step, Steps, in_the_air},
    world::{Phase, World, bits},
};

/// See the head of this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Property {
    Q,
    H,
    P,
    T,
    D,
    S,
}

impl Property {
    pub const ALL: [Self; 6] = [Self::Q, Self::H, Self::P, Self::T, Self::D, Self::S];

    pub fn is_broken(self, world: &World, steps: &mut Steps<'_>, at_rest: bool) -> bool {
        let logs = &steps.logs;
        match self {
            Self::Q => at_rest && logs.promised(world.log) != Some(world.azure.shown.write.share),
            Self::H => world.freed_early || (!logs.is_open(world.log) && an_attempts_write_is_in_the_air(world)),
            // What the log owes is delivered sooner or later, whoever leads.
            Self::P => at_rest && world.owed & !(world.told | bits(&logs.get(world.log).outbox)) != 0,
            Self::T => world.false_ending,
            Self::D => world.raised_after,
            Self::S => steps.deletable(world) & may_serve(world) != 0,
        }
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The deployments that have traffic, or that a write of ours may still give some, a bit each.
fn may_serve(world: &World) -> u8 {
    let under_way = world.net.iter().flatten().map(|flight| flight.write).chain(world.azure.operation);
    let splits = under_way.chain([world.azure.shown.write]).map(|write| write.share.split());
    splits.fold(0, |all, split| split.shares().fold(all, |all, (name, _)| all | 1 << name))
}

/// What the standing watch repairs is written while no attempt is open; nothing else is.
fn an_attempts_write_is_in_the_air(world: &World) -> bool {
    let under_way = world.net.iter().flatten().map(|flight| flight.write).chain(world.azure.operation);
    under_way.into_iter().any(|write| matches!(write.why, Some(Why::Raise | Why::Promote | Why::Withdraw)))
}

/// Nothing happens any more unless something goes wrong: no process has anything to do, not even later.
pub fn is_at_rest(world: &World, steps: &mut Steps<'_>) -> bool {
    let busy = in_the_air(world) || world.processes.iter().any(|p| p.phase != Phase::Idle || p.pages > 0);
    if busy {
        return false;
    }
    let own = |step: &Step| matches!(step, Step::Looks { .. } | Step::Delivers { .. });
    let found = steps.of(world);
    let moves = found.iter().any(|(step, after)| own(step) || (*step == Step::Ticks && after != world));
    !moves
}
