//! The one integration crate: what is true of the whole, on real parts.

mod architecture;
mod bench;
mod cli;
mod conformance;
mod crd;
mod demo;
mod flows;
mod ground;
mod identity;
mod lease;
mod prerequisites;
mod process;
mod prompt_flow;
mod rbac;
mod registry;
mod simulator;
mod stories;
mod troubles;
