//! Reads from the cloud what an endpoint is at this moment, and which content of the scenario its deployments hold: that of
//! the files which their models were registered from.

use jiff::Timestamp;

use super::{
    split::Tag,
    view::{Deployed, View},
};
use crate::sim::{
    arm::{Arm, DeploymentDoc},
    blob::Place,
    cloud::Sim,
    mutex::lock,
    scenario::{Chosen, Scenario, Subject, Traffic},
};

/// None: there is no such endpoint. `also` is a deployment of interest that may have neither traffic nor role.
pub fn view_of<'a>(
    sim: &Sim,
    scenario: &'a Scenario,
    endpoint: &str,
    also: Option<&str>,
    now: Timestamp,
) -> Option<View<'a>> {
    let arm = lock(&sim.arm);
    let endpoint = arm.endpoints().into_iter().find(|known| known.eq_ignore_ascii_case(endpoint))?;
    let spelled = |name: &str| arm.deployment(&endpoint, name).map(|doc| doc.name.clone());
    let live = arm.live(&endpoint).into_iter();
    let live: Vec<_> = live.map(|(name, weight)| (spelled(&name).unwrap_or(name), weight)).collect();
    let mut tag = Tag::parse(&arm.split_tag(&endpoint).unwrap_or_default());
    tag.deployments = tag.deployments.iter().filter_map(|name| spelled(name)).collect();
    let users = scenario.traffic(&endpoint);
    let names = live.iter().map(|(name, _)| name.as_str()).chain(tag.deployments.iter().map(String::as_str));
    let documents = names.chain(also).filter_map(|name| arm.deployment(&endpoint, name));
    let deployments = documents.map(|doc| (doc.name.clone(), deployed(sim, &arm, doc, scenario, users, now))).collect();
    Some(View { endpoint, live, tag, deployments, users, sampler: &scenario.sampler })
}

fn deployed<'a>(
    sim: &Sim,
    arm: &Arm,
    doc: &DeploymentDoc,
    scenario: &'a Scenario,
    users: Option<&Traffic>,
    now: Timestamp,
) -> Deployed<'a> {
    let content = content(sim, arm, doc, scenario);
    let version = doc.tags.get("promptrelease.version").unwrap_or(&doc.name).clone();
    Deployed::new(doc.ready(now), version, content, users)
}

/// The content that speaks for a deployment. One without a model, or whose files are gone, is known by its name only.
fn content<'a>(sim: &Sim, arm: &Arm, doc: &DeploymentDoc, scenario: &'a Scenario) -> Chosen<'a> {
    let uri = doc.model().and_then(|id| arm.model_uri(id));
    let folder = uri.and_then(|uri| Place::of_uri(&sim.settings, &uri));
    let blobs = lock(&sim.blobs);
    let files = folder.map(|folder| blobs.below(&folder)).unwrap_or_default();
    let files = files.into_iter().map(|(path, bytes)| (path, &bytes[..])).collect();
    scenario.content(&Subject { files, deployment: Some(&doc.name) })
}
