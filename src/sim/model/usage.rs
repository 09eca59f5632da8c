//! What each workspace connection was used for: who pays.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Requests that came with its key, refused or not.
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// By name of the connection.
pub(super) type ByConnection = BTreeMap<String, Usage>;

/// Four characters are a token, as a rule of thumb.
pub(super) const CHARS_PER_TOKEN: usize = 4;

/// Number of tokens of a text.
pub(super) fn tokens(text: &str) -> usize {
    text.chars().count().div_ceil(CHARS_PER_TOKEN)
}
