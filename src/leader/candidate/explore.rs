//! Every interleaving of two candidates and one Lease: reads and writes that are served early, late or never, replies
//! that are lost, writes that land after their sender gave up, and time passing in between. Times are relative to now
//! and versions are renamed by rank, so the space is finite and has no bound on its length.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::*;

/// Now, in every state.
const NOW: Moment = Moment::after_boot(Duration::from_secs(100));

const fn ticks(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A faithful candidate, or one with a mistake that must be found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Right,
    SeenSinceTheReadBegan,
    ValidSinceTheReply,
    WritesWithoutVersion,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Put {
    /// Version to replace; `None` creates.
    replaces: Option<String>,
    holder: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Call {
    None,
    Get { began: Moment, served: Option<Option<Record>> },
    Put { began: Moment, put: Put, served: Option<Option<Record>> },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Contender {
    candidate: Candidate,
    call: Call,
    /// Given up by its sender, but may still land.
    late: Option<Put>,
    ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    object: Option<Record>,
    both: [Contender; 2],
}

struct Explorer {
    rule: Rule,
    lease: Duration,
    deadline: Duration,
}

impl Explorer {
    fn start(&self) -> World {
        let timing = Timing { lease: self.lease, deadline: self.deadline, ..Timing::DEFAULT };
        let contender = |name: &str| Contender {
            candidate: Candidate::new(name.into(), &timing),
            call: Call::None,
            late: None,
            ended: false,
        };
        World { object: None, both: [contender("a"), contender("b")] }
    }

    /// Number of states, or the length of the shortest way to two leaders.
    fn explore(&self) -> Result<usize, usize> {
        let start = self.start();
        let mut depth = HashMap::from([(start.clone(), 0)]);
        let mut open = VecDeque::from([start]);
        while let Some(world) = open.pop_front() {
            let steps = depth[&world];
            let leads = |c: &Contender| !c.ended && c.candidate.valid_until.is_some_and(|until| until > NOW);
            if world.both.iter().all(leads) {
                return Err(steps);
            }
            for next in self.successors(&world) {
                let next = self.normal(next);
                if !depth.contains_key(&next) {
                    depth.insert(next.clone(), steps + 1);
                    open.push_back(next);
                }
            }
        }
        Ok(depth.len())
    }

    fn successors(&self, world: &World) -> Vec<World> {
        let mut all = vec![tick(world.clone())];
        for i in 0..2 {
            let change = |change: &dyn Fn(&mut World)| {
                let mut next = world.clone();
                change(&mut next);
                next
            };
            if world.both[i].late.is_some() {
                all.push(change(&|w| {
                    if let Some(put) = w.both[i].late.take() {
                        self.land(w, &put);
                    }
                }));
            }
            match &world.both[i].call {
                Call::None if world.both[i].ended => {}
                Call::None => {
                    all.push(change(&|w| self.begin(&mut w.both[i])));
                    if world.both[i].candidate.valid_until.is_some() {
                        all.push(change(&|w| resign(&mut w.both[i])));
                    }
                }
                Call::Get { served: None, .. } | Call::Put { served: None, .. } => {
                    all.push(change(&|w| self.serve(w, i)));
                    all.push(change(&|w| give_up(&mut w.both[i])));
                }
                _ => {
                    all.push(change(&|w| self.reply(&mut w.both[i])));
                    all.push(change(&|w| give_up(&mut w.both[i])));
                }
            }
        }
        all
    }

    fn begin(&self, c: &mut Contender) {
        match c.candidate.next(NOW) {
            Next::Read => c.call = Call::Get { began: NOW, served: None },
            Next::Wait(_) => c.candidate.look_again(),
            Next::End(_) => c.ended = true,
            Next::Write(step) => {
                let replaces = if let Step::Replace { version } = step { Some(version) } else { None };
                let put = Put { replaces, holder: Some(c.candidate.me.clone()) };
                c.call = Call::Put { began: NOW, put, served: None };
            }
        }
    }

    fn serve(&self, world: &mut World, i: usize) {
        let put = match &world.both[i].call {
            Call::Put { put, .. } => Some(put.clone()),
            _ => None,
        };
        let answer = put.map_or(world.object.clone(), |put| self.land(world, &put));
        if let Call::Get { served, .. } | Call::Put { served, .. } = &mut world.both[i].call {
            *served = Some(answer);
        }
    }

    /// The API server's part: compare and swap.
    fn land(&self, world: &mut World, put: &Put) -> Option<Record> {
        let unconditional = self.rule == Rule::WritesWithoutVersion && put.replaces.is_some();
        let current = world.object.as_ref().map(|record| &record.version);
        if current != put.replaces.as_ref() && !unconditional {
            return None;
        }
        // Ranks are below 1000; renamed at once.
        world.object = Some(Record { version: "1000".into(), holder: put.holder.clone(), duration: self.lease });
        world.object.clone()
    }

    fn reply(&self, c: &mut Contender) {
        match std::mem::replace(&mut c.call, Call::None) {
            Call::Get { began, served: Some(record) } => {
                let seen = if self.rule == Rule::SeenSinceTheReadBegan { began } else { NOW };
                c.candidate.read(record, seen);
            }
            Call::Put { began, served: Some(Some(record)), .. } => {
                let began = if self.rule == Rule::ValidSinceTheReply { NOW } else { began };
                c.candidate.won(record, began, NOW);
            }
            _ => c.candidate.look_again(),
        }
    }

    fn normal(&self, mut world: World) -> World {
        let floor = |moment: &mut Moment, oldest: Duration| {
            *moment = (*moment).max(Moment::after_boot(NOW.since(Moment::default()).saturating_sub(oldest)));
        };
        for c in &mut world.both {
            if let Some((_, first_seen)) = &mut c.candidate.seen {
                floor(first_seen, self.lease);
            }
            if let Some(until) = &mut c.candidate.valid_until {
                floor(until, Duration::ZERO);
            }
            match &mut c.call {
                Call::Get { began, .. } if self.rule == Rule::SeenSinceTheReadBegan => floor(began, self.lease),
                Call::Put { began, .. } if self.rule != Rule::ValidSinceTheReply => floor(began, self.deadline),
                // No one looks at it.
                Call::Get { began, .. } | Call::Put { began, .. } => *began = NOW,
                Call::None => {}
            }
            if c.ended {
                (c.candidate.seen, c.candidate.valid_until, c.candidate.stale) = (None, None, true);
            }
        }
        let ranks: BTreeSet<u64> = versions(&mut world).into_iter().filter_map(|v| v.parse().ok()).collect();
        let ranks: Vec<u64> = ranks.into_iter().collect();
        for version in versions(&mut world) {
            let rank = version.parse().ok().and_then(|v: u64| ranks.iter().position(|r| *r == v));
            *version = rank.unwrap_or_default().to_string();
        }
        world
    }
}

fn give_up(c: &mut Contender) {
    if let Call::Put { put, served: None, .. } = std::mem::replace(&mut c.call, Call::None) {
        c.late = Some(put);
    }
    c.candidate.look_again();
}

/// A clean stop: it ends, and the write that frees the Lease lands whenever it likes.
fn resign(c: &mut Contender) {
    c.ended = true;
    c.late = c.candidate.record().map(|record| Put { replaces: Some(record.version.clone()), holder: None });
}

fn tick(mut world: World) -> World {
    let earlier = |moment: &mut Moment| *moment = Moment::after_boot(moment.since(Moment::default().plus(ticks(1))));
    for c in &mut world.both {
        c.candidate.seen.iter_mut().for_each(|(_, first_seen)| earlier(first_seen));
        c.candidate.valid_until.iter_mut().for_each(earlier);
        if let Call::Get { began, .. } | Call::Put { began, .. } = &mut c.call {
            earlier(began);
        }
    }
    world
}

fn versions(world: &mut World) -> Vec<&mut String> {
    let mut all: Vec<&mut String> = world.object.iter_mut().map(|record| &mut record.version).collect();
    for c in &mut world.both {
        all.extend(c.candidate.seen.iter_mut().filter_map(|(record, _)| record.as_mut()).map(|r| &mut r.version));
        all.extend(c.late.iter_mut().filter_map(|put| put.replaces.as_mut()));
        match &mut c.call {
            Call::None => {}
            Call::Get { served, .. } => all.extend(served.iter_mut().flatten().map(|r| &mut r.version)),
            Call::Put { put, served, .. } => {
                all.extend(put.replaces.as_mut());
                all.extend(served.iter_mut().flatten().map(|r| &mut r.version));
            }
        }
    }
    all
}

fn explore(rule: Rule, lease: u64, deadline: u64) -> Result<usize, usize> {
    Explorer { rule, lease: ticks(lease), deadline: ticks(deadline) }.explore()
}

#[test]
fn two_candidates_never_lead_at_once() {
    let states = explore(Rule::Right, 2, 1).expect("never two leaders");
    assert!(states > 10_000, "{states} states are too few to mean anything");
}

#[test]
fn each_rule_is_needed() {
    for (rule, lease, deadline) in [
        (Rule::Right, 1, 2),
        (Rule::SeenSinceTheReadBegan, 2, 1),
        (Rule::ValidSinceTheReply, 2, 1),
        (Rule::WritesWithoutVersion, 2, 1),
    ] {
        let steps = explore(rule, lease, deadline).expect_err("two leaders");
        println!("{rule:?} with a lease of {lease} and a deadline of {deadline}: two leaders after {steps} steps");
    }
}
