//! Every mutex of the simulator is a `std` one and is never held over an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks even if a panic elsewhere poisoned the mutex: the simulator's state is plain data.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
