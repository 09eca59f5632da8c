//! What `next` decides, a sentence of the protocol each. How the sentences work together is explored in `tests/explore`.

mod adopting;
mod bench;
mod deployments;
mod endings;
mod raising;
mod watching;
mod withdrawing;
