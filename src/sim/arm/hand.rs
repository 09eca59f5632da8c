//! Changes by somebody else: a person with `az`, a pipeline. They take effect at once, and leave the marks that they
//! leave in Azure: another `lastModifiedBy`, and tags that are gone unless they were sent along.

use std::collections::BTreeMap;

use super::store::{Arm, DeploymentDoc, Endpoint, Split};
use crate::sim::{settings::Settings, world::DeploymentFacts};

/// Who it was, in `lastModifiedBy`.
const SOMEBODY: &str = "somebody@example.com";

impl Arm {
    /// Replaces what is given: the split, the tags or both. `traffic` is checked as Azure checks it.
    ///
    /// # Errors
    /// Says why Azure would not take it.
    pub fn hand_on_endpoint(
        &mut self,
        settings: &Settings,
        name: &str,
        traffic: Option<BTreeMap<String, u8>>,
        tags: Option<BTreeMap<String, String>>,
    ) -> Result<(), String> {
        let (now, knobs) = (self.clock.now(), self.knobs.clone());
        let endpoint = self.settled(settings, name)?;
        if let Some(traffic) = &traffic {
            check(endpoint, traffic)?;
        }
        endpoint.change(settings, &knobs, (now, SOMEBODY), |split: &mut Split| {
            split.traffic = traffic.unwrap_or(std::mem::take(&mut split.traffic));
            split.tags = tags.unwrap_or(std::mem::take(&mut split.tags));
        });
        Ok(())
    }

    /// Mirrors requests like this and no other way; empty ends it.
    ///
    /// # Errors
    /// One of them has live traffic, or there is no such endpoint.
    pub fn hand_mirrors(&mut self, settings: &Settings, of: &str, mirror: BTreeMap<String, u8>) -> Result<(), String> {
        let (now, knobs) = (self.clock.now(), self.knobs.clone());
        let endpoint = self.settled(settings, of)?;
        let live =
            mirror.keys().find(|name| endpoint.serving(now).traffic.get(*name).is_some_and(|weight| *weight > 0));
        if let Some(name) = live {
            return Err(format!(
                "deployment {name} of endpoint {of} has live traffic, and Azure mirrors nothing to it then"
            ));
        }
        endpoint.change(settings, &knobs, (now, SOMEBODY), |split| split.mirror = mirror);
        Ok(())
    }

    /// Deletes an endpoint with its deployments.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn hand_deletes_endpoint(&mut self, name: &str) -> Result<(), String> {
        self.endpoints.remove(&name.to_ascii_lowercase()).map(drop).ok_or_else(|| self.unknown(name))
    }

    /// Adds a deployment that is provisioned, or replaces one.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub fn hand_on_deployment(&mut self, settings: &Settings, of: &str, facts: &DeploymentFacts) -> Result<(), String> {
        let doc = DeploymentDoc::existing(facts, self.clock.now());
        let endpoint = self.settled(settings, of)?;
        endpoint.deployments.insert(facts.name.to_ascii_lowercase(), doc);
        Ok(())
    }

    /// Deletes a deployment. Its traffic goes with it.
    ///
    /// # Errors
    /// There is no such endpoint or deployment.
    pub fn hand_deletes_deployment(&mut self, settings: &Settings, of: &str, name: &str) -> Result<(), String> {
        let (now, knobs) = (self.clock.now(), self.knobs.clone());
        let endpoint = self.settled(settings, of)?;
        if endpoint.deployments.remove(&name.to_ascii_lowercase()).is_none() {
            return Err(format!("endpoint {of} has no deployment {name:?}; {}", deployments(endpoint)));
        }
        endpoint.change(settings, &knobs, (now, SOMEBODY), |split| {
            split.traffic.retain(|of, _| !of.eq_ignore_ascii_case(name));
            split.mirror.retain(|of, _| !of.eq_ignore_ascii_case(name));
        });
        Ok(())
    }

    /// An endpoint without a running operation. As with any write, the attempt is a look at it.
    fn settled(&mut self, settings: &Settings, name: &str) -> Result<&mut Endpoint, String> {
        let (unknown, now) = (self.unknown(name), self.clock.now());
        let endpoint = self.see_endpoint(settings, now, name).ok_or(unknown)?;
        if endpoint.state.is_terminal() {
            return Ok(endpoint);
        }
        let state = endpoint.state.as_str();
        Err(format!(
            "endpoint {name} is {state}, and Azure takes no write then; ask again when its operation has ended"
        ))
    }

    fn unknown(&self, name: &str) -> String {
        format!("there is no endpoint {name:?}; there are: {}", self.endpoints().join(", "))
    }
}

fn deployments(endpoint: &Endpoint) -> String {
    let names: Vec<&str> = endpoint.deployments.values().map(|d| d.name.as_str()).collect();
    format!("it has: {}", names.join(", "))
}

fn check(endpoint: &Endpoint, traffic: &BTreeMap<String, u8>) -> Result<(), String> {
    let sum: u32 = traffic.values().map(|weight| u32::from(*weight)).sum();
    if sum != 0 && sum != 100 {
        return Err(format!("the percentages must add up to 0 or 100, not {sum}"));
    }
    match traffic.keys().find(|name| !endpoint.deployments.contains_key(&name.to_ascii_lowercase())) {
        Some(name) => Err(format!("endpoint {} has no deployment {name:?}; {}", endpoint.name, deployments(endpoint))),
        None => Ok(()),
    }
}
