//! The protocol of traffic: the only issuer of writes to an endpoint and its deployments.
//!
//! [`next`] is the only code that decides what is written, what is decided, and how an attempt ends. It is a pure and
//! total function of the log, a look at Azure, a stage's wish and the time; `tests/explore` runs it under every
//! interleaving of faults. [`observe`] makes looks, [`drive`] carries decisions out, [`convert`] reads and writes the log
//! as it is stored.

pub mod convert;
mod decision;
pub mod drive;
pub mod log;
mod look;
mod next;
pub mod observe;
mod rules;
mod spelling;
pub mod tags;
mod time;
mod timing;
mod wish;

pub use decision::{Decision, Waiting};
pub use log::{Log, Name, Owed, Reply, Target, Why};
pub use look::{Deployment, Live, Look, Memory, Operation, Owner, Provisioning, Roles, Sight, State, Written};
pub use next::next;
pub use observe::{Observed, Remembered};
pub use rules::{Rule, Rules};
pub use time::Ms;
pub use timing::Timing;
pub use wish::Wish;
