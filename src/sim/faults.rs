//! Faults that tests script: what is to go wrong, for which request, how often.

/// The rules that are still to strike.
#[derive(Default)]
pub struct Faults {}
