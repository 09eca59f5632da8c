//! The listing of runs, and changes of what people wrote on them. The listing's envelope is as much of the index service's
//! as Microsoft's client reads.

use std::cmp::Reverse;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{call::Call, documents, fault::Fault, run::Run, store::Flow};
use crate::sim::http::Response;

/// Entities of one page at most.
const PAGE: usize = 100;

/// Body of a search.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Search {
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    page_size: Option<usize>,
    #[serde(default)]
    skip: usize,
}

#[derive(Deserialize)]
struct Filter {
    field: String,
    values: Vec<String>,
}

impl Filter {
    fn fits(&self, run: &Run) -> bool {
        let value = match self.field.as_str() {
            "annotations/archived" => run.notes.hidden.to_string(),
            "properties/runId" => run.submission.run_id.clone(),
            // All entities are runs, and all of one type.
            _ => return true,
        };
        self.values.contains(&value)
    }
}

impl Flow {
    /// Changes what people wrote on a run; the answer is the run.
    pub(super) fn modify(&mut self, call: &Call<'_>, id: &str) -> Result<Response, Fault> {
        let change = serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        let run = self.run_mut(id)?;
        run.notes.change(change);
        Ok(Response::json(200, &documents::state(call, run)["runMetadata"]))
    }

    /// Runs that fit, the newest first.
    pub(super) fn entities(&self, call: &Call<'_>) -> Result<Response, Fault> {
        let search: Search = serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        let mut found: Vec<&Run> =
            self.runs.values().filter(|run| search.filters.iter().all(|filter| filter.fits(run))).collect();
        found.sort_by_key(|run| Reverse(run.times().created));
        let most = search.page_size.unwrap_or(PAGE).min(PAGE);
        let shown: Vec<Value> =
            found.iter().skip(search.skip).take(most).map(|run| documents::entity(call, run)).collect();
        let next = search.skip + shown.len();
        let next = (next < found.len()).then_some(next);
        Ok(Response::json(200, &json!({"totalCount": found.len(), "value": shown, "nextSkip": next})))
    }
}
