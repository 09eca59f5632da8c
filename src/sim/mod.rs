//! The Azure simulator: an HTTPS proxy under Azure's real host names. It shares no type, constant or parser with
//! `azure/`, so that a mistake there is not repeated here.

pub mod http;
