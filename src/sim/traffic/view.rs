//! What an endpoint is at one moment: its split, its tag, and what its deployments hold.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;

use super::split::Tag;
use crate::sim::{
    Sim, arm,
    arm::Arm,
    deployed, lock,
    scenario::{Behaviour, Chosen, Sampler, Scenario, Traffic},
};

/// One endpoint. Names are spelled as the deployments spell them.
pub struct View<'a> {
    pub endpoint: String,
    /// Percent by deployment, none of them 0.
    pub live: Vec<(String, u8)>,
    pub tag: Tag,
    pub deployments: BTreeMap<String, Deployed<'a>>,
    pub users: Option<&'a Traffic>,
    pub sampler: &'a Sampler,
}

/// One deployment of the endpoint.
pub struct Deployed<'a> {
    /// It answers.
    pub ready: bool,
    /// As its tag says, for the events; else its name.
    pub version: String,
    pub content: Chosen<'a>,
    /// Of the classes that the users ask for.
    known: BTreeMap<String, Behaviour>,
}

impl Deployed<'_> {
    pub fn behaviour(&self, class: &str) -> Cow<'_, Behaviour> {
        match self.known.get(class) {
            Some(behaviour) => Cow::Borrowed(behaviour),
            None => Cow::Owned(self.content.class(class)),
        }
    }
}

impl<'a> View<'a> {
    /// None: there is no such endpoint. `also` is a deployment of interest that may have neither traffic nor role.
    pub fn of(sim: &Sim, scenario: &'a Scenario, endpoint: &str, also: Option<&str>, now: Timestamp) -> Option<Self> {
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
        let deployments = documents.map(|doc| (doc.name.clone(), read(sim, &arm, doc, scenario, users, now))).collect();
        Some(Self { endpoint, live, tag, deployments, users, sampler: &scenario.sampler })
    }

    /// Deployments whose windows are told of although nobody asks: they have a role or traffic.
    pub fn watched(&self) -> impl Iterator<Item = &String> {
        let live = self.live.iter().map(|(name, _)| name).filter(|name| self.deployments.contains_key(*name));
        self.tag.deployments.iter().chain(live)
    }
}

fn read<'a>(
    sim: &Sim,
    arm: &Arm,
    doc: &arm::DeploymentDoc,
    scenario: &'a Scenario,
    users: Option<&Traffic>,
    now: Timestamp,
) -> Deployed<'a> {
    let content = deployed::content(sim, arm, doc, scenario);
    let classes = users.into_iter().flat_map(|users| users.classes.keys());
    let version = doc.tags.get("promptrelease.version").unwrap_or(&doc.name).clone();
    Deployed {
        ready: doc.ready(now),
        version,
        content,
        known: classes.map(|class| (class.clone(), content.class(class))).collect(),
    }
}
