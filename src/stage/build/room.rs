//! Room in memory for archives. All endpoints share it: the operator's memory has one limit.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Step,
    archive::{MAX_PACKED, MAX_UNPACKED},
};

/// Archives that are held at once, packed and unpacked: more than one, so that a host that answers slowly keeps no other
/// team waiting.
const PLACES: usize = 2;

/// Half of what the Deployment allows the operator, in bytes; the other half is for all else.
const ROOM: u64 = 256 << 20;
const _: () = assert!(PLACES as u64 * (MAX_PACKED as u64 + MAX_UNPACKED) <= ROOM);

/// One for the whole process.
#[derive(Debug)]
pub struct Room(Semaphore);

/// What a step needs while it is done.
#[derive(Debug)]
pub struct Place<'a> {
    _held: Option<SemaphorePermit<'a>>,
}

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(PLACES))
    }
}

impl Room {
    /// None: the step would hold an archive, and others hold as many as may be.
    pub fn place(&self, step: &Step) -> Option<Place<'_>> {
        match step {
            Step::Upload => self.0.try_acquire().ok().map(|held| Place { _held: Some(held) }),
            Step::RegisterModel | Step::RegisterEnvironment => Some(Place { _held: None }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_archives_as_fit_are_held_at_once_and_what_holds_none_does_not_wait() {
        let room = Room::default();
        let mut held: Vec<_> = (0..PLACES).map(|_| room.place(&Step::Upload).expect("a place")).collect();
        assert!(room.place(&Step::Upload).is_none());
        assert!(room.place(&Step::RegisterModel).is_some() && room.place(&Step::RegisterEnvironment).is_some());
        held.pop();
        assert!(room.place(&Step::Upload).is_some(), "the place of one that is done");
    }
}
