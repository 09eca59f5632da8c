//! What a call is about.

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::sim::{cloud::Sim, entra::Claims, http::Request, scenario::Scenario};

/// One call by somebody who may make it.
pub(super) struct Call<'a> {
    pub sim: &'a Arc<Sim>,
    pub req: &'a Request,
    pub caller: Claims,
    pub now: Timestamp,
    pub scenario: &'a Scenario,
    /// Names of the workspace's connections.
    pub connections: &'a BTreeSet<String>,
}
