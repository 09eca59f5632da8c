//! One leader at a time: a Kubernetes Lease, with a deadline that its holder keeps by itself.
//!
//! The holder stops believing in the lease [`Timing::deadline`] after the *start* of its last successful renewal, and a
//! taker waits the longer [`Timing::lease`] after it first *saw* that renewal, so their times do not overlap, whatever is
//! delayed, as long as their clocks run at the same speed (`candidate/explore.rs` tries every
//! interleaving). Deleting a held Lease by hand breaks this.

mod candidate;
mod clock;
mod elector;
mod handle;
mod timing;

pub use candidate::{Candidate, End, Next, Record, Step, decide};
pub use clock::Moment;
pub use elector::{Elector, Settings, client, identity};
pub use handle::{Lease, NoTime, Over, WriteSlot};
pub use timing::{Timing, Unsafe};
