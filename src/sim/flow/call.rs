//! What a call is about.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::sim::{cloud::Sim, entra::Claims, http::Request, scenario::Scenario};

/// One call by somebody who may make it.
pub(super) struct Call<'a> {
    pub sim: &'a Sim,
    pub req: &'a Request,
    pub caller: Claims,
    pub now: Timestamp,
    pub scenario: &'a Scenario,
    /// Names of the workspace's connections.
    pub connections: &'a BTreeSet<String>,
}
