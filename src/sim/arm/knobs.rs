//! What is not known for sure about Azure, as knobs, so that a client can be tested both ways.

use serde::{Deserialize, Serialize};

/// Every field has a default: the stricter of what is thinkable, or what most reports say.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Knobs {
    /// An operation is shown as running to at least this many looks (polls, reads or refused writes).
    pub min_looks: u32,
    /// Status of a write refused because an operation is under way: 409 or 400.
    pub busy_status: u16,
    /// Seconds in `Retry-After` of 202 replies and operation documents; 0 leaves the header out.
    pub retry_after: u32,
    /// GET of an endpoint that is `Updating` shows the accepted split and tags, not those that serve.
    pub show_accepted: bool,
    /// The operation's document says `Succeeded` this many looks before the resource's state does.
    pub state_lag_looks: u32,
    /// Reads of an endpoint show it as it was so many milliseconds ago.
    pub read_lag_ms: u64,
    /// Every second read of an endpoint shows it as it was so many milliseconds ago: reads go back in time.
    pub unsteady_reads_ms: u64,
    /// A failed endpoint write leaves its tags, though not its split.
    pub failed_applies_tags: bool,
    /// What the creation of a deployment does to the split.
    pub new_deployment: NewDeployment,
    /// What a PUT without `traffic` does to the split.
    pub absent_traffic: AbsentTraffic,
    /// A PUT without an `identity` block is refused.
    pub require_identity: bool,
    /// A PUT whose identity block carries read-only values (`principalId`, …) is refused.
    pub refuse_identity_values: bool,
    /// An endpoint write is refused while an operation runs on one of its deployments.
    pub deployment_blocks_endpoint: bool,
    /// An endpoint whose last update failed accepts writes.
    pub put_in_failed: bool,
    /// Only deployments in state `Succeeded` may get traffic; else those that have ever been provisioned may.
    pub traffic_needs_succeeded: bool,
    /// A deployment that has traffic may be deleted.
    pub delete_with_traffic: bool,
    /// PATCH replaces the tags; else it merges them.
    pub patch_replaces_tags: bool,
    /// A deployment is read back with Azure's defaults filled in and its durations respelt; else as it was sent.
    pub fill_defaults: bool,
    /// Seconds for which the document of an ended operation is kept; then its address is 404.
    pub operation_lifetime: i64,
    /// Refuse with 429 when the token bucket of the subscription is empty; it is counted and shown in any case.
    pub enforce_rate_limit: bool,
    /// A request does not show fields that came after its api-version, and its PUT drops them; else they are as any other.
    pub hide_newer_fields: bool,
}

/// What the creation of a deployment does to the split, from its acceptance on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NewDeployment {
    /// Nothing: it gets traffic when somebody writes it.
    Dark,
    /// It gets all traffic of an endpoint that gives none.
    First,
    /// It gets all traffic.
    All,
}

/// What a PUT without `traffic` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AbsentTraffic {
    /// The split becomes empty.
    Clear,
    /// The split stays.
    Keep,
}

impl Default for Knobs {
    fn default() -> Self {
        Self {
            min_looks: 2,
            busy_status: 409,
            retry_after: 1,
            show_accepted: false,
            state_lag_looks: 0,
            read_lag_ms: 0,
            unsteady_reads_ms: 0,
            failed_applies_tags: false,
            new_deployment: NewDeployment::Dark,
            absent_traffic: AbsentTraffic::Clear,
            require_identity: true,
            refuse_identity_values: true,
            deployment_blocks_endpoint: false,
            put_in_failed: true,
            traffic_needs_succeeded: true,
            delete_with_traffic: false,
            patch_replaces_tags: false,
            fill_defaults: true,
            operation_lifetime: 3600,
            enforce_rate_limit: false,
            hide_newer_fields: false,
        }
    }
}
