//! The gate without a cluster: the evaluation that a release names is made by a person or by continuous integration, and
//! judged by the very functions that the operator judges by. Nothing is released here.

pub mod local;
pub mod manifest;
pub mod outcome;
mod pf;
pub mod progress;
pub mod project;
pub mod remote;
pub mod report;
