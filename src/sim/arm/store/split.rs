//! The split of an endpoint.

use std::collections::BTreeMap;

/// What an endpoint write replaces and an operation applies: live and mirrored percentages by deployment, and tags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub traffic: BTreeMap<String, u8>,
    pub mirror: BTreeMap<String, u8>,
    pub tags: BTreeMap<String, String>,
}

impl Split {
    /// Percent of live or mirrored traffic of a deployment.
    pub fn weight(&self, deployment: &str) -> u8 {
        let of = |map: &BTreeMap<String, u8>| {
            map.iter().find(|(name, _)| name.eq_ignore_ascii_case(deployment)).map_or(0, |(_, weight)| *weight)
        };
        of(&self.traffic).max(of(&self.mirror))
    }

    /// Takes over the tags of a PATCH.
    pub fn patch_tags(&mut self, tags: Option<BTreeMap<String, String>>, replace: bool) {
        match tags {
            Some(tags) if replace => self.tags = tags,
            Some(tags) => self.tags.extend(tags),
            None => {}
        }
    }
}
