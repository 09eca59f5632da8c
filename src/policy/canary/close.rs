//! One window: whether it can be closed, and what it shows.
