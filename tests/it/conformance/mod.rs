//! Microsoft's own clients, unchanged, take the simulator for Azure: under Azure's host names, through its proxy, with
//! TLS verified and a federated assertion as a pod has one. What they do is in `tests/conformance`, a package a client.
//!
//! Two comparisons hold the rest together: the simulator's replies with recorded ones of Azure, and what the operator
//! writes with what the clients write for the same act. Known differences are in `tests/conformance/differences.yaml`,
//! and what each operation of the simulator is known by in `docs/fidelity.md`.

mod clients;
mod differences;
mod fidelity;
mod office;
mod recordings;
mod shape;
mod writes;
