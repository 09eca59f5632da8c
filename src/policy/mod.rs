//! Pure judgement: no IO, no clock, no runtime.

pub mod accounting;
pub mod availability;
pub mod canary;
pub mod comparison;
pub mod completeness;
pub mod dataset;
pub mod decimal;
pub mod digest;
pub mod gate;
pub mod manifest;
pub mod naming;
pub mod opens;
pub mod plan;
pub mod rule;
pub mod split;
pub mod telemetry;
pub mod windows;
