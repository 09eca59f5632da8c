//! The log as it is stored, and as the protocol sees it.
