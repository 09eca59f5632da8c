//! Pure judgement: no IO, no clock, no runtime.

pub mod decimal;
pub mod digest;
pub mod naming;
