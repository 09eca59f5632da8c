//! What the service keeps: runs.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{fault::Fault, run::Run};

/// All runs of the workspace.
#[derive(Debug, Default)]
pub struct Flow {
    pub(super) runs: BTreeMap<String, Run>,
}

impl Flow {
    pub(super) fn run(&self, id: &str) -> Result<&Run, Fault> {
        self.runs.get(id).ok_or_else(|| Fault::no_run(id))
    }

    pub(super) fn run_mut(&mut self, id: &str) -> Result<&mut Run, Fault> {
        self.runs.get_mut(id).ok_or_else(|| Fault::no_run(id))
    }

    /// Ids and states of all runs, for the control API.
    pub fn describe(&self) -> Value {
        self.runs.iter().map(|(id, run)| (id.clone(), json!(run.word()))).collect::<serde_json::Map<_, _>>().into()
    }
}
