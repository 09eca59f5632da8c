//! Room in memory for archives. All endpoints share it: the operator's memory has one limit.

use tokio::sync::{Semaphore, SemaphorePermit};

use super::archive::{MAX_PACKED, MAX_UNPACKED};

/// Archives that are held at once, packed and unpacked: more than one, so that a host that answers slowly keeps no other
/// team waiting.
const PLACES: usize = 2;

/// Half of what the Deployment allows the operator, in bytes; the other half is for all else.
const ROOM: u64 = 256 << 20;
const _: () = assert!(PLACES as u64 * (MAX_PACKED as u64 + MAX_UNPACKED) <= ROOM);

/// One for the whole process.
#[derive(Debug)]
pub struct Room(Semaphore);

/// What is taken of it, until it is dropped.
#[derive(Debug, Default)]
pub struct Place<'a> {
    _archive: Option<SemaphorePermit<'a>>,
}

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(PLACES))
    }
}

impl Room {
    /// A place for one archive. None: as many are held as may be.
    pub fn for_archive(&self) -> Option<Place<'_>> {
        self.0.try_acquire().ok().map(|permit| Place { _archive: Some(permit) })
    }
}
