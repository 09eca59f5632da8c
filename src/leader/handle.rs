//! What the rest of the process knows of the lease, and the writes that must return before it is given back.

use std::time::Duration;

use tokio::sync::watch;

use super::clock::Moment;

/// Published by the lease task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct State {
    pub valid_until: Option<Moment>,
    pub successes: u64,
    pub holder: Option<String>,
    /// The Lease was read at least once.
    pub informed: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Writes {
    under_way: usize,
    draining: bool,
}

/// The lease as everybody but its task sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Lease {
    state: watch::Receiver<State>,
    writes: watch::Sender<Writes>,
}

/// Why no write may begin now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoTime {
    #[error(
        "the lease is valid for {left:?} more and a write may take {needed:?}: wait for the next renewal and look again"
    )]
    Short { left: Duration, needed: Duration },
    #[error("the process is stopping: the next leader goes on from the log")]
    Stopping,
}

/// The lease task has ended, so there will be no renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("leadership has ended; the process is about to exit")]
pub struct Over;

/// A write that is under way. While one exists the lease is not given back.
#[derive(Debug)]
pub struct WriteSlot(watch::Sender<Writes>);

impl Lease {
    pub(super) fn new(state: watch::Receiver<State>) -> Self {
        Self { state, writes: watch::Sender::new(Writes::default()) }
    }

    /// How long this process may still believe that it leads; zero if it does not.
    pub fn time_left(&self, now: Moment) -> Duration {
        self.state.borrow().valid_until.map_or(Duration::ZERO, |until| until.since(now))
    }

    /// Permission for one write that takes at most `needed`. Nothing may be awaited between this and the write. Keep the
    /// slot until the write returned or timed out.
    ///
    /// # Errors
    ///
    /// Too little time is left, or the process is stopping.
    pub fn begin_write(&self, needed: Duration, now: Moment) -> Result<WriteSlot, NoTime> {
        let left = self.time_left(now);
        if left < needed || left.is_zero() {
            return Err(NoTime::Short { left, needed });
        }
        let begun = self.writes.send_if_modified(|writes| {
            writes.under_way += usize::from(!writes.draining);
            !writes.draining
        });
        if begun { Ok(WriteSlot(self.writes.clone())) } else { Err(NoTime::Stopping) }
    }

    /// Returns at the next renewal that succeeds.
    ///
    /// # Errors
    ///
    /// The lease task ends first.
    pub async fn next_success(&self) -> Result<(), Over> {
        let mut state = self.state.clone();
        let before = state.borrow_and_update().successes;
        state.wait_for(|state| state.successes > before).await.map(drop).map_err(|_| Over)
    }

    /// Returns when this process leads; at once if it does.
    ///
    /// # Errors
    ///
    /// The lease task ends first.
    pub async fn acquired(&self) -> Result<(), Over> {
        self.state.clone().wait_for(|state| state.valid_until.is_some()).await.map(drop).map_err(|_| Over)
    }

    /// Whether the Lease was read, so that it is known who leads.
    pub fn known(&self) -> bool {
        self.state.borrow().informed
    }

    /// Who leads, as far as is known.
    pub fn holder(&self) -> Option<String> {
        self.state.borrow().holder.clone()
    }

    /// Whether the lease task has ended. Nothing renews the lease any more.
    pub fn over(&self) -> bool {
        self.state.has_changed().is_err()
    }

    /// Lets no write begin any more, and returns when those under way have returned.
    pub async fn drain(&self) {
        self.writes.send_modify(|writes| writes.draining = true);
        let mut writes = self.writes.subscribe();
        // It cannot fail: we hold the sender.
        let _all_returned = writes.wait_for(|writes| writes.under_way == 0).await.is_ok();
    }
}

impl Drop for WriteSlot {
    fn drop(&mut self) {
        self.0.send_modify(|writes| writes.under_way -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    const NOW: Moment = Moment::after_boot(Duration::from_secs(1000));

    fn held(left: u64) -> (watch::Sender<State>, Lease) {
        let valid_until = Some(NOW.plus(Duration::from_secs(left)));
        let (publish, state) = watch::channel(State { valid_until, ..State::default() });
        (publish, Lease::new(state))
    }

    #[test]
    fn a_write_needs_its_whole_time() {
        let (_publish, lease) = held(8);
        assert!(lease.begin_write(Duration::from_secs(8), NOW).is_ok());
        let needed = Duration::from_secs(9);
        let short = lease.begin_write(needed, NOW).expect_err("too long");
        assert_eq!(short, NoTime::Short { left: Duration::from_secs(8), needed });
        assert!(
            lease.begin_write(Duration::ZERO, NOW.plus(Duration::from_secs(8))).is_err(),
            "the deadline itself is past"
        );
    }

    #[test]
    fn who_never_led_has_no_time() {
        let (publish, lease) = held(0);
        publish.send_modify(|state| state.valid_until = None);
        assert_eq!(lease.time_left(NOW), Duration::ZERO);
        assert!(lease.begin_write(Duration::ZERO, NOW).is_err());
    }

    #[test]
    fn the_lease_is_not_given_back_while_a_write_is_under_way() {
        let (_publish, lease) = held(10);
        let slot = lease.begin_write(Duration::from_secs(1), NOW).expect("time enough");
        let mut drain = Box::pin(lease.drain());
        assert!((&mut drain).now_or_never().is_none());
        assert_eq!(lease.begin_write(Duration::from_secs(1), NOW).expect_err("draining"), NoTime::Stopping);
        drop(slot);
        assert!(drain.now_or_never().is_some());
    }

    #[test]
    fn the_next_success_is_a_later_one() {
        let (publish, lease) = held(10);
        publish.send_modify(|state| state.successes = 3);
        let mut next = Box::pin(lease.next_success());
        assert!((&mut next).now_or_never().is_none());
        publish.send_modify(|state| state.successes = 4);
        assert_eq!(next.now_or_never(), Some(Ok(())));
        let next = lease.next_success();
        drop(publish);
        assert!(lease.over());
        assert_eq!(next.now_or_never(), Some(Err(Over)));
    }
}
