//! What an endpoint is at one moment: its split, its tag, and what its deployments hold.

use std::{borrow::Cow, collections::BTreeMap};

use super::split::Tag;
use crate::sim::scenario::{Behaviour, Chosen, Sampler, Traffic};

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

impl<'a> Deployed<'a> {
    pub fn new(ready: bool, version: String, content: Chosen<'a>, users: Option<&Traffic>) -> Self {
        let classes = users.into_iter().flat_map(|users| users.classes.keys());
        let known = classes.map(|class| (class.clone(), content.class(class))).collect();
        Self { ready, version, content, known }
    }

    pub fn behaviour(&self, class: &str) -> Cow<'_, Behaviour> {
        match self.known.get(class) {
            Some(behaviour) => Cow::Borrowed(behaviour),
            None => Cow::Owned(self.content.class(class)),
        }
    }
}

impl View<'_> {
    /// Deployments whose windows are told of although nobody asks: they have a role or traffic.
    pub fn watched(&self) -> impl Iterator<Item = &String> {
        let live = self.live.iter().map(|(name, _)| name).filter(|name| self.deployments.contains_key(*name));
        self.tag.deployments.iter().chain(live)
    }
}
