//! A state in a few words of memory.

use promptrelease::endpoint::{Reply, Why};

use crate::{
    budget::Budget,
    world::{Azure, Fate, Flight, NET, PASTS, Past, Phase, Process, Share, Shown, World, Write},
};

pub const WORDS: usize = 5;
pub type Packed = [u64; WORDS];

/// Logs are numbered below this.
const LOG_BITS: u32 = 24;
/// Two for each fault.
const BUDGET_BITS: u32 = 20;

struct Bits {
    words: Packed,
    at: u32,
}

impl Bits {
    fn put(&mut self, value: u64, bits: u32) {
        assert!(value < 1 << bits, "{value} does not fit into {bits} bits");
        let (word, at) = ((self.at / 64) as usize, self.at % 64);
        self.words[word] |= value << at;
        if at + bits > 64 {
            self.words[word + 1] |= value >> (64 - at);
        }
        self.at += bits;
    }

    fn take(&mut self, bits: u32) -> u64 {
        let (word, at) = ((self.at / 64) as usize, self.at % 64);
        let mut value = self.words[word] >> at;
        if at + bits > 64 {
            value |= self.words[word + 1] << (64 - at);
        }
        self.at += bits;
        value & ((1 << bits) - 1)
    }

    #[expect(clippy::cast_possible_truncation, reason = "at most eight bits")]
    fn small(&mut self, bits: u32) -> u8 {
        self.take(bits) as u8
    }

    fn flag(&mut self) -> bool {
        self.take(1) == 1
    }
}

pub fn pack(world: &World) -> Packed {
    let mut bits = Bits { words: [0; WORDS], at: 0 };
    bits.put(u64::from(world.log), LOG_BITS);
    option(&mut bits, world.backup, |bits, id| bits.put(u64::from(id), LOG_BITS));
    let Azure { shown, since, operation, past } = world.azure;
    put_shown(&mut bits, shown);
    bits.put(since.into(), 2);
    option(&mut bits, operation, put_write);
    for past in past {
        option(&mut bits, past, |bits, past| {
            put_shown(bits, past.shown);
            bits.put(past.lasted.into(), 2);
            bits.put(past.over.into(), 2);
        });
    }
    for flight in world.net {
        option(&mut bits, flight, |bits, flight| {
            put_write(bits, flight.write);
            bits.put(flight.left.into(), 3);
        });
    }
    world.processes.iter().for_each(|process| put_process(&mut bits, process));
    bits.put(world.leader.into(), 1);
    bits.put(world.budget.0.into(), BUDGET_BITS);
    bits.put(world.owed.into(), 3);
    bits.put(world.told.into(), 3);
    for flag in [world.aborted, world.late, world.withdrawn, world.raised_after, world.false_ending, world.freed_early]
    {
        bits.put(flag.into(), 1);
    }
    bits.words
}

pub fn unpack(words: Packed) -> World {
    let bits = &mut Bits { words, at: 0 };
    let log = log_id(bits);
    let backup = taken(bits, log_id);
    let shown = take_shown(bits);
    let since = bits.small(2);
    let operation = taken(bits, take_write);
    let past: [Option<Past>; PASTS] = std::array::from_fn(|_| {
        taken(bits, |bits| Past { shown: take_shown(bits), lasted: bits.small(2), over: bits.small(2) })
    });
    let net: [Option<Flight>; NET] =
        std::array::from_fn(|_| taken(bits, |bits| Flight { write: take_write(bits), left: bits.small(3) }));
    let processes = std::array::from_fn(|_| take_process(bits));
    let leader = bits.small(1);
    let budget = Budget(u32::try_from(bits.take(BUDGET_BITS)).expect("fewer than 32 bits"));
    let (owed, told) = (bits.small(3), bits.small(3));
    let azure = Azure { shown, since, operation, past };
    let [aborted, late, withdrawn, raised_after, false_ending, freed_early] = std::array::from_fn(|_| bits.flag());
    World {
        log,
        backup,
        azure,
        net,
        processes,
        leader,
        aborted,
        late,
        budget,
        owed,
        told,
        withdrawn,
        raised_after,
        false_ending,
        freed_early,
    }
}

fn option<T>(bits: &mut Bits, value: Option<T>, put: impl FnOnce(&mut Bits, T)) {
    bits.put(value.is_some().into(), 1);
    if let Some(value) = value {
        put(bits, value);
    }
}

fn taken<T>(bits: &mut Bits, take: impl FnOnce(&mut Bits) -> T) -> Option<T> {
    bits.flag().then(|| take(bits))
}

fn log_id(bits: &mut Bits) -> u32 {
    u32::try_from(bits.take(LOG_BITS)).expect("24 bits")
}

const SHARES: [Share; 4] = [Share::Nobody, Share::Stable, Share::Both, Share::Canary];
const REPLIES: [Reply; 5] = [Reply::Accepted, Reply::Busy, Reply::Refused, Reply::NotSent, Reply::Failed];
const FATES: [Fate; 3] = [Fate::Running, Fate::Succeeded, Fate::Failed];

fn index<T: PartialEq>(all: &[T], one: &T) -> u64 {
    all.iter().position(|other| other == one).expect("listed") as u64
}

fn put_write(bits: &mut Bits, write: Write) {
    bits.put(write.seq.into(), 4);
    bits.put(index(&SHARES, &write.share), 2);
    bits.put(write.why.map_or(7, |why| index(&Why::ALL, &why)), 3);
}

fn take_write(bits: &mut Bits) -> Write {
    let seq = bits.small(4);
    let share = SHARES[usize::from(bits.small(2))];
    Write { seq, share, why: Why::ALL.get(usize::from(bits.small(3))).copied() }
}

fn put_shown(bits: &mut Bits, shown: Shown) {
    put_write(bits, shown.write);
    bits.put(shown.failed.into(), 1);
}

fn take_shown(bits: &mut Bits) -> Shown {
    Shown { write: take_write(bits), failed: bits.flag() }
}

fn put_process(bits: &mut Bits, process: &Process) {
    match process.phase {
        Phase::Idle => bits.put(0, 3),
        Phase::Storing { log, writes, pages } => {
            bits.put(1, 3);
            bits.put(log.into(), LOG_BITS);
            bits.put(writes.into(), 1);
            bits.put(pages.into(), 3);
        }
        Phase::Sending { write, alone } => {
            bits.put(2, 3);
            put_write(bits, write);
            bits.put(alone.into(), 1);
        }
        Phase::Replied { reply } => {
            bits.put(3, 3);
            bits.put(index(&REPLIES, &reply), 3);
        }
    }
    bits.put(process.led.into(), 3);
    option(bits, process.operation, |bits, (seq, fate)| {
        bits.put(seq.into(), 4);
        bits.put(index(&FATES, &fate), 2);
    });
    bits.put(process.pages.into(), 3);
}

fn take_process(bits: &mut Bits) -> Process {
    let phase = match bits.take(3) {
        0 => Phase::Idle,
        1 => Phase::Storing { log: log_id(bits), writes: bits.flag(), pages: bits.small(3) },
        2 => Phase::Sending { write: take_write(bits), alone: bits.flag() },
        _ => Phase::Replied { reply: REPLIES[usize::from(bits.small(3))] },
    };
    let led = bits.small(3);
    let operation = taken(bits, |bits| (bits.small(4), FATES[usize::from(bits.small(2))]));
    Process { phase, led, operation, pages: bits.small(3) }
}
