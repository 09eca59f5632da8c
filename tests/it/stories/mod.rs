//! Stories: given an endpoint and its team, when they release, then this is what users, on-call and `kubectl` see.
//!
//! Everything is as in production but Azure: a real API server, the built operator under its own ServiceAccount's rights,
//! the sample's manifests with short windows.

mod again;
mod alarms;
mod built;
mod crash;
mod ending;
mod evaluated;
mod golden;
mod in_the_way;
mod instances;
mod intact;
mod knobs;
mod owners;
mod page;
mod people;
mod receivers;
mod refused;
mod release;
mod steps;
pub mod team;
mod tokens;
mod troubles;
mod unmeasured;
