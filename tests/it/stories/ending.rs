//! How an attempt ends: at the gate, through no fault of its own, by what live answers show; and what is read about it.
