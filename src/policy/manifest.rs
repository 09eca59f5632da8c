//! What the sampler says of a window.

use crate::api::At;

/// What the sampler did in one window of one deployment: the event promptrelease.window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub deployment: String,
    pub start: At,
    pub end: At,
    /// Requests that the sampler saw.
    pub seen: i64,
    pub sampled: i64,
    pub judged: i64,
    /// Samples that the judge failed on.
    pub errors: i64,
    /// Requests of all status classes, and those of 5xx.
    pub requests: i64,
    pub server_errors: i64,
    pub ingested: At,
    pub item_id: String,
}
