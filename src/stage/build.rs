//! build
pub mod archive;
pub mod flow;
