//! The protocol of traffic under every interleaving of faults.
//!
//! The very `endpoint::next` of the product is run against a world that this crate owns: an Azure endpoint whose reads lag,
//! whose operations fail and whose network holds writes back; two operator processes that crash, time out and take over
//! from each other; a person who aborts. All states that can be reached are visited, breadth first, so a hole is shown by
//! the shortest way into it.
//!
//! The properties:
//!
//! - **Q** whatever comes to rest has the split that its ending promises;
//! - **H** the endpoint is never free while a write of ours can still land;
//! - **P** a withdrawal is announced;
//! - **T** an ending is true when it is recorded;
//! - **D** nothing is raised after a withdrawal;
//! - **S** nothing would be deleted that has traffic, or that a write of ours may still give some. And of every log and look
//!   that is met: nothing would be deleted, or raised, that copies of requests go to.

mod budget;
mod decide;
mod logs;
mod pack;
mod properties;
mod search;
mod show;
mod step;
mod tests;
mod world;
