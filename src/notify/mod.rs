//! Delivery of what the outbox owes: at least once, with a key by which receivers recognise a repeat.

mod outbox;
mod taken;
mod webhook;

pub use outbox::{GIVE_UP_AFTER, due, mark, retry_at};
pub use taken::Taken;
pub use webhook::{Delivery, Receiver, ReceiverError};
