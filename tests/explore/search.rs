//! Breadth first, every state once.

use std::{collections::BTreeSet, fmt};

use promptrelease::{api::Cause, endpoint::Rules};

use crate::{
    budget::{Budget, Fault},
    logs::{Logs, Story},
    pack::{Packed, WORDS, pack, unpack},
    properties::{Property, is_at_rest},
    step::{Step, Steps},
    world::World,
};

/// What is explored.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub story: Story,
    pub rules: Rules,
    pub faults: &'a [Fault],
    pub properties: &'a [Property],
    /// The search gives up beyond so many states.
    pub most: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    pub states: usize,
    pub logs: usize,
    /// States at rest.
    pub at_rest: usize,
    /// For which causes attempts ended.
    pub causes: BTreeSet<Cause>,
    /// Steps that there was no room for.
    pub cut: u64,
    /// Bytes of one state, with what it takes to find it again.
    pub bytes: usize,
    /// All states were visited.
    pub finished: bool,
    pub broken: Option<Broken>,
}

/// A property that does not hold, and the shortest way there.
#[derive(Debug)]
pub struct Broken {
    pub property: Property,
    pub trace: Vec<Step>,
}

/// States by number, in the order in which they were found.
struct Seen {
    states: Vec<Packed>,
    parents: Vec<u32>,
    /// Open addressing; zero is free, else a state's number plus one.
    slots: Vec<u32>,
}

/// Multiplies and mixes; states are no adversary's.
#[expect(clippy::cast_possible_truncation, reason = "masked by the caller")]
fn hash(state: &Packed) -> usize {
    let mixed = state.iter().fold(0_u64, |hash, word| {
        let hash = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^ (hash >> 29)
    });
    (mixed ^ (mixed >> 32)) as usize
}

impl Seen {
    fn new() -> Self {
        Self { states: Vec::new(), parents: Vec::new(), slots: vec![0; 1 << 12] }
    }

    /// Whether it is new.
    fn insert(&mut self, state: Packed, parent: usize) -> bool {
        if self.states.len() * 4 >= self.slots.len() * 3 {
            self.grow();
        }
        let slot = self.slot(&state);
        if self.slots[slot] != 0 {
            return false;
        }
        self.states.push(state);
        self.parents.push(u32::try_from(parent).expect("fewer than 2^32 states"));
        self.slots[slot] = u32::try_from(self.states.len()).expect("fewer than 2^32 states");
        true
    }

    fn slot(&self, state: &Packed) -> usize {
        let mask = self.slots.len() - 1;
        let mut slot = hash(state) & mask;
        while self.slots[slot] != 0 && self.states[self.slots[slot] as usize - 1] != *state {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn grow(&mut self) {
        self.slots = vec![0; self.slots.len() * 2];
        for number in 0..self.states.len() {
            let slot = self.slot(&self.states[number]);
            self.slots[slot] = u32::try_from(number + 1).expect("fewer than 2^32 states");
        }
    }
}

pub fn explore(question: &Question<'_>) -> Report {
    let mut logs = Logs::new(question.story, question.rules);
    let mut seen = Seen::new();
    let mut steps = Steps::new(&mut logs);
    let (mut at_rest, mut broken) = (0, None);
    seen.insert(pack(&World::begin(question.story, Budget::of(question.faults))), 0);
    let mut number = 0;
    while number < seen.states.len() && seen.states.len() < question.most {
        let world = unpack(seen.states[number]);
        let rests = is_at_rest(&world, &mut steps);
        at_rest += usize::from(rests);
        let property = question.properties.iter().find(|p| p.is_broken(&world, &mut steps, rests));
        if let Some(property) = property {
            broken = Some(Broken { property: *property, trace: trace(&seen, &mut steps, number) });
            break;
        }
        for (_, after) in steps.of(&world) {
            seen.insert(pack(&after), number);
        }
        number += 1;
    }
    let (cut, states) = (steps.cut, seen.states.len());
    let bytes = WORDS * 8 + 4 + 4 * seen.slots.len() / states.max(1);
    let endings = logs.all.iter().filter_map(|log| log.attempt.as_ref()?.ending);
    let causes = endings.map(|ending| ending.cause).collect();
    Report { states, logs: logs.all.len(), at_rest, causes, cut, bytes, finished: number == states, broken }
}

fn trace(seen: &Seen, steps: &mut Steps<'_>, mut number: usize) -> Vec<Step> {
    let mut trace = Vec::new();
    while number != 0 {
        let parent = seen.parents[number] as usize;
        let after = unpack(seen.states[number]);
        let step = steps.of(&unpack(seen.states[parent])).into_iter().find(|(_, world)| *world == after);
        trace.extend(step.map(|(step, _)| step));
        number = parent;
    }
    trace.reverse();
    trace
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} does not hold after {} steps:", self.property, self.trace.len())?;
        for (i, step) in self.trace.iter().enumerate() {
            writeln!(f, "{:>3}. {step}", i + 1)?;
        }
        Ok(())
    }
}
