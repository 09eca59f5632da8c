//! Who may lead, decided from what was seen and when: no clock, no IO.
//!
//! After client-go: times in the Lease are for people, since clocks of different machines differ. A candidate counts
//! from the moment at which it first saw the Lease as it is, and every write names the version that it replaces.

use std::time::Duration;

use super::{clock::Moment, timing::Timing};

/// A Lease as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// `metadata.resourceVersion`: changes with every write, and with nothing else.
    pub version: String,
    /// `None` once it was released.
    pub holder: Option<String>,
    /// `spec.leaseDurationSeconds` of whoever wrote it.
    pub duration: Duration,
}

/// What to do with a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is there: replace this version of it, with ourselves as the holder.
    Replace { version: String },
    /// It is not there.
    Create,
    /// Another holds it; it can be taken in so long, if it does not change.
    Wait { time: Duration, holder: String },
}

/// Decides on a Lease that this candidate first saw, as it is, at `first_seen`. `lease` is the candidate's own
/// [`Timing::lease`]; the longer of it and the holder's counts.
pub fn decide(record: Option<&Record>, me: &str, first_seen: Moment, lease: Duration, now: Moment) -> Step {
    let Some(record) = record else { return Step::Create };
    let replace = || Step::Replace { version: record.version.clone() };
    match &record.holder {
        None => replace(),
        Some(holder) if holder == me => replace(),
        Some(holder) => {
            let full = lease.max(record.duration);
            match full.saturating_sub(now.since(first_seen)) {
                Duration::ZERO => replace(),
                time => Step::Wait { time, holder: holder.clone() },
            }
        }
    }
}

/// What ends leadership, and with it the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// No renewal succeeded in time.
    Deadline,
    /// Somebody else holds the Lease.
    HeldBy(String),
    /// Given back on shutdown.
    Released,
}

/// What a candidate does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Read the Lease, then ask again.
    Read,
    Write(Step),
    /// Nothing, for so long; then read.
    Wait(Duration),
    End(End),
}

/// One process' view of the Lease.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    me: String,
    lease: Duration,
    deadline: Duration,
    /// The Lease as last read or written (`None`: absent), and when it was first seen so.
    seen: Option<(Option<Record>, Moment)>,
    /// `seen` may not be what is there now.
    stale: bool,
    valid_until: Option<Moment>,
}

impl Candidate {
    pub fn new(me: String, timing: &Timing) -> Self {
        let (lease, deadline) = (timing.lease, timing.deadline);
        Self { me, lease, deadline, seen: None, stale: true, valid_until: None }
    }

    /// End of leadership if nothing happens; `None` if it never began.
    pub fn valid_until(&self) -> Option<Moment> {
        self.valid_until
    }

    /// Who holds the Lease as far as is known.
    pub fn holder(&self) -> Option<&str> {
        self.record().and_then(|record| record.holder.as_deref())
    }

    /// The Lease as last seen.
    pub fn record(&self) -> Option<&Record> {
        self.seen.as_ref().and_then(|(record, _)| record.as_ref())
    }

    /// Whether the Lease was read at least once.
    pub fn informed(&self) -> bool {
        self.seen.is_some()
    }

    pub fn next(&self, now: Moment) -> Next {
        if self.valid_until.is_some_and(|until| now >= until) {
            return Next::End(End::Deadline);
        }
        let Some((record, first_seen)) = self.seen.as_ref().filter(|_| !self.stale) else { return Next::Read };
        let other = record.as_ref().and_then(|r| r.holder.as_ref()).filter(|holder| **holder != self.me);
        if let (Some(_), Some(other)) = (self.valid_until, other) {
            return Next::End(End::HeldBy(other.clone()));
        }
        match decide(record.as_ref(), &self.me, *first_seen, self.lease, now) {
            Step::Wait { time, .. } => Next::Wait(time),
            step => Next::Write(step),
        }
    }

    /// The Lease was read; `now` is after the reply, so that it is never seen before it was written.
    pub fn read(&mut self, record: Option<Record>, now: Moment) {
        self.stale = false;
        let version = |record: &Option<Record>| record.as_ref().map(|r| r.version.clone());
        if self.seen.as_ref().is_none_or(|(seen, _)| version(seen) != version(&record)) {
            self.seen = Some((record, now));
        }
    }

    /// A write that began at `started` succeeded, with this result.
    pub fn won(&mut self, record: Record, started: Moment, now: Moment) {
        self.stale = false;
        self.seen = Some((Some(record), now));
        self.valid_until = self.valid_until.max(Some(started.plus(self.deadline)));
    }

    /// Time has passed, or a write was refused or got no reply: read before anything else.
    pub fn look_again(&mut self) {
        self.stale = true;
    }
}

#[cfg(test)]
mod explore;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEASE: Duration = Duration::from_secs(20);

    fn held(by: Option<&str>, duration: u64) -> Record {
        Record { version: "7".into(), holder: by.map(str::to_owned), duration: Duration::from_secs(duration) }
    }

    fn at(secs: u64) -> Moment {
        Moment::after_boot(Duration::from_secs(secs))
    }

    #[test]
    fn a_taker_waits_a_full_lease_of_its_own_clock() {
        let record = held(Some("a"), 20);
        let decide = |now| decide(Some(&record), "b", at(100), LEASE, at(now));
        assert_eq!(decide(100), Step::Wait { time: LEASE, holder: "a".into() });
        assert_eq!(decide(119), Step::Wait { time: Duration::from_secs(1), holder: "a".into() });
        assert_eq!(decide(120), Step::Replace { version: "7".into() });
    }

    #[test]
    fn a_holder_with_a_longer_lease_is_given_it() {
        let record = held(Some("a"), 60);
        let step = decide(Some(&record), "b", at(100), LEASE, at(159));
        assert_eq!(step, Step::Wait { time: Duration::from_secs(1), holder: "a".into() });
    }

    #[test]
    fn a_released_lease_is_free_at_once() {
        assert_eq!(decide(Some(&held(None, 1)), "b", at(100), LEASE, at(100)), Step::Replace { version: "7".into() });
        assert_eq!(decide(None, "b", at(100), LEASE, at(100)), Step::Create);
    }

    #[test]
    fn a_renewal_starts_the_wait_anew_and_a_repeated_read_does_not() {
        let mut b = Candidate::new("b".into(), &Timing::DEFAULT);
        b.read(Some(held(Some("a"), 20)), at(100));
        b.read(Some(held(Some("a"), 20)), at(110));
        assert_eq!(b.next(at(119)), Next::Wait(Duration::from_secs(1)));
        b.read(Some(Record { version: "8".into(), ..held(Some("a"), 20) }), at(119));
        assert_eq!(b.next(at(120)), Next::Wait(Duration::from_secs(19)));
    }

    #[test]
    fn leadership_counts_from_the_start_of_the_renewal() {
        let mut a = Candidate::new("a".into(), &Timing::DEFAULT);
        a.won(held(Some("a"), 20), at(100), at(103));
        assert_eq!(a.valid_until(), Some(at(116)));
        a.look_again();
        assert_eq!(a.next(at(115)), Next::Read);
        assert_eq!(a.next(at(116)), Next::End(End::Deadline));
    }

    #[test]
    fn only_another_holder_or_the_deadline_ends_it() {
        let mut a = Candidate::new("a".into(), &Timing::DEFAULT);
        a.won(held(Some("a"), 20), at(100), at(100));
        a.read(None, at(101));
        assert_eq!(a.next(at(101)), Next::Write(Step::Create));
        a.read(Some(Record { version: "9".into(), ..held(None, 1) }), at(102));
        assert_eq!(a.next(at(102)), Next::Write(Step::Replace { version: "9".into() }));
        a.read(Some(Record { version: "10".into(), ..held(Some("b"), 20) }), at(103));
        assert_eq!(a.next(at(103)), Next::End(End::HeldBy("b".into())));
    }

    proptest! {
        /// A lease of somebody else is never taken before it was seen unchanged for the longer of the two durations.
        #[test]
        fn never_early(own in 1u64..100, theirs in 0u64..100, seen in 0u64..1000, later in 0u64..300) {
            let record = held(Some("a"), theirs);
            let step = decide(Some(&record), "b", at(seen), Duration::from_secs(own), at(seen + later));
            prop_assert_eq!(matches!(step, Step::Replace { .. }), later >= own.max(theirs));
        }
    }
}
