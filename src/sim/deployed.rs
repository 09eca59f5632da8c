//! Which content of the scenario a deployment holds: that of the files which its model was registered from.

use super::{
    Sim,
    arm::{Arm, DeploymentDoc},
    blob::Place,
    lock,
    scenario::{Chosen, Scenario, Subject},
};

/// The content that speaks for a deployment. One without a model, or whose files are gone, is known by its name only.
pub fn content<'a>(sim: &Sim, arm: &Arm, doc: &DeploymentDoc, scenario: &'a Scenario) -> Chosen<'a> {
    let uri = doc.model().and_then(|id| arm.model_uri(id));
    let folder = uri.and_then(|uri| Place::of_uri(&sim.settings, &uri));
    let blobs = lock(&sim.blobs);
    let files = folder.map(|folder| blobs.below(&folder)).unwrap_or_default();
    let files = files.into_iter().map(|(path, bytes)| (path, &bytes[..])).collect();
    scenario.content(&Subject { files, deployment: Some(&doc.name) })
}
