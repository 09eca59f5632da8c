//! Application Insights: envelopes come in at `*.in.applicationinsights.azure.com`, queries at
//! `api.applicationinsights.io`.
//!
//! An envelope is visible to queries, and `ingestion_time()` says so, when the ingestion delay has passed since it was
//! received. Shapes are those of the ingestion API 2.1, the query API v1 and the Azure Monitor exporter's envelopes.

use std::sync::Arc;

use super::{cloud::Sim, http};

mod envelope;
mod kql;
mod query;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod timespan;
mod track;

pub use envelope::{Event, Rejected};
pub use store::{Knobs, Store};

/// Answers for both APIs.
pub async fn handle(sim: &Arc<Sim>, req: &http::Request) -> http::Response {
    if req.host == query::HOST { query::handle(sim, req) } else { track::handle(sim, req) }
}
