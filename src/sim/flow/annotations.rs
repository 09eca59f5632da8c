//! What people write on a run: its name on the page, words, tags, and whether it is shown; and the listing of runs in which
//! they look for them. The listing's envelope is as much of the index service's as Microsoft's client reads.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, call::Call, documents, fault::Fault, run::Run, store::Flow, submission::Submission};
use crate::sim::http::Response;

/// Entities of one page at most.
const PAGE: usize = 100;

/// They begin as the submission says.
#[derive(Clone, Debug)]
pub(super) struct Annotations {
    pub hidden: bool,
    pub display_name: String,
    pub description: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// Body of `modify`; what is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    hidden: Option<bool>,
    display_name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

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

impl Annotations {
    pub fn of(submission: &Submission) -> Self {
        Self {
            hidden: false,
            display_name: submission.run_display_name.clone().unwrap_or_else(|| submission.run_id.clone()),
            description: submission.description.clone(),
            tags: submission.tags.clone().unwrap_or_default(),
        }
    }

    fn change(&mut self, change: Change) {
        self.hidden = change.hidden.unwrap_or(self.hidden);
        self.description = change.description.or(self.description.take());
        self.tags.extend(change.tags);
        if let Some(name) = change.display_name {
            self.display_name = name;
        }
    }
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
    pub(super) fn modify(&mut self, call: &Call<'_>, id: &str) -> Answer {
        let change = serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        let run = self.run_mut(id)?;
        run.notes.change(change);
        Ok(Response::json(200, &documents::state(call, run)["runMetadata"]))
    }

    /// Runs that fit, the newest first.
    pub(super) fn entities(&self, call: &Call<'_>) -> Answer {
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
