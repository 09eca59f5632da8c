//! `BulkRuns/resume`: a run that goes on where another ended. Lines that were completed are kept, the others executed anew.
//! The request, and how the new run is shown, are those of Microsoft's client and of the recordings in its test suite.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use super::{
    call::Call,
    fault::Fault,
    run::{Resumed, Run},
    store::Flow,
    submission,
};
use crate::sim::http::Response;

/// Body of the request; what the simulator does not use is let pass.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resume {
    run_id: String,
    resume_from_run_id: String,
    #[serde(default)]
    run_display_name: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

impl Flow {
    /// Unlike a submission it comes without `aml-user-token`.
    pub(super) fn resume(&mut self, call: &Call<'_>) -> Result<Response, Fault> {
        let wanted: Resume = serde_json::from_slice(&call.req.body).map_err(|e| Fault::bad_request(&e.to_string()))?;
        submission::check_id(&wanted.run_id)?;
        if call.sim.promptflow.get().is_some() {
            return Err(Fault::bad_request("resuming is simulated only where a scenario executes the runs"));
        }
        if self.runs.contains_key(&wanted.run_id) {
            return Err(Fault::run_exists(&wanted.run_id));
        }
        let from = self.run(&wanted.resume_from_run_id)?;
        if !from.is_over() {
            return Err(Fault::bad_request(&format!("run {} is {}", wanted.resume_from_run_id, from.word())));
        }
        let resumed = Resumed {
            from: wanted.resume_from_run_id,
            snapshot_of: from.snapshot_of().to_owned(),
            kept: from.lines().iter().filter(|line| line.result.is_ok()).cloned().collect(),
        };
        let mut submission = from.submission.clone();
        submission.run_id.clone_from(&wanted.run_id);
        submission.session_id = Some(wanted.run_id.clone());
        submission.run_display_name = wanted.run_display_name.or_else(|| Some(from.notes.display_name.clone()));
        submission.description = wanted.description;
        submission.tags = wanted.tags;
        let mut run = Run::new(submission, from.graph.clone(), &call.caller, &call.scenario.runs, call.now);
        run.resumed = Some(resumed);
        self.runs.insert(wanted.run_id.clone(), run);
        Ok(Response::json(200, &json!(wanted.run_id)))
    }
}
