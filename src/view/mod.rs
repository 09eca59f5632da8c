//! Objects as sentences: conditions, Events, timelines and pages say the same thing in the same words. Pure: no IO, no
//! clock.

pub mod by_hand;
pub mod canary;
pub mod claims;
pub mod conditions;
pub mod endpoint;
pub mod notified;
pub mod page;
pub mod release;
pub mod sentence;
pub mod timeline;
pub mod trouble;
pub mod waiting;

#[cfg(test)]
mod golden;
