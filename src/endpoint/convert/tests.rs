//! What is stored of the protocol's log, and how much room it takes.

mod adopted;
mod bound;
mod evidence;
mod round_trip;
