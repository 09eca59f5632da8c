//! What an endpoint's status says in a pass. Pure.

use jiff::SignedDuration;

use super::{
    objects::{Endpoint, Object as _},
    report,
};
use crate::{
    api::{
        At, PromptEndpointStatus,
        endpoint::ClaimedBy,
        log::{self, Log},
    },
    azure::Class,
    endpoint::{Observed, Owner, Sight, State},
    stage::{self, Facts, clean},
    view::{
        endpoint::{self as wording, Access, EndpointView},
        notified::Notified,
        trouble::{self, Trouble},
    },
};

/// The endpoint's status after a look, its log and its conditions as they were.
pub fn seen(
    endpoint: &Endpoint,
    log: &Log,
    observed: &Observed,
    held: Option<&ClaimedBy>,
    owner: &str,
    grace: SignedDuration,
) -> PromptEndpointStatus {
    let before = &endpoint.status;
    let mut status = PromptEndpointStatus {
        format: before.format.max(Some(log::FORMAT)),
        observed_generation: endpoint.generation(),
        claimed_by: held.cloned(),
        ..before.clone()
    };
    let (Some(endpoint), Sight::Live(live)) = (&observed.endpoint, &observed.look.endpoint) else { return status };
    status.scoring_uri.clone_from(&endpoint.scoring_uri);
    if live.state == State::Succeeded {
        status.traffic = Some(live.split.to_string());
    }
    if observed.look.listed {
        let (found, now) = (&observed.deployments, observed.now.into());
        status.deployments = clean::inventory(&before.deployments, found, &endpoint.traffic, log, owner, grace, now);
    } else {
        for deployment in &mut status.deployments {
            deployment.weight = endpoint.traffic.get(&deployment.name).copied().map_or(0, i64::from);
            deployment.served |= deployment.weight > 0;
        }
    }
    status
}

/// What the conditions follow from, besides the log.
#[derive(Clone, Copy)]
pub struct Basis<'a> {
    pub generation: Option<i64>,
    /// The status as looked at, its conditions as they were.
    pub seen: &'a PromptEndpointStatus,
    pub observed: &'a Observed,
    /// Of the log's attempt.
    pub facts: &'a Facts,
    /// Why Azure could not be read.
    pub problem: Option<&'a str>,
    /// What stands in the way whatever the pass comes to; see [`certain`].
    pub certain: Option<&'a Trouble>,
    pub now: At,
}

/// What is known to stand in the way before Azure is looked at.
pub fn certain(endpoint: &Endpoint) -> Option<Trouble> {
    let known = endpoint.format.unwrap_or_default();
    if known > log::FORMAT {
        return Some(trouble::newer_format(known, log::FORMAT));
    }
    endpoint.spec.as_ref().err().map(|why| trouble::invalid_spec(why))
}

impl Basis<'_> {
    /// The status with this log at the end of a pass that knows what stands in the way.
    pub fn status(&self, log: &Log, trouble: Option<&Trouble>, notified: Option<Notified<'_>>) -> PromptEndpointStatus {
        let trouble = self.certain.or(trouble);
        let status = PromptEndpointStatus { log: Some(log.clone()), ..self.seen.clone() };
        let view = EndpointView {
            generation: self.generation,
            log: status.log.as_ref(),
            deployments: &status.deployments,
            traffic: status.traffic.as_deref(),
            access: self.access(),
            trouble,
            stage: report::stage(stage::stage_of(log, self.facts)),
            notified,
        };
        let conditions = wording::conditions(&view, &self.seen.conditions, self.now);
        PromptEndpointStatus { conditions, ..status }
    }

    /// The status with this log while the next thing is yet to be done. What follows from the log goes with it, so that it
    /// costs no second write; but if something stood in the way, a pass that waits says whether it still does.
    pub fn on_the_way(&self, log: &Log, notified: Option<Notified<'_>>) -> PromptEndpointStatus {
        let in_order = |kind: &str| self.seen.conditions.iter().any(|c| c.type_ == kind && c.status == "True");
        let well = self.problem.is_none() && in_order("Ready") && in_order("TrafficUndisturbed");
        if well || self.certain.is_some() {
            return self.status(log, None, notified);
        }
        let conditions = wording::only_notified(&self.seen.conditions, notified, self.generation, self.now);
        PromptEndpointStatus { log: Some(log.clone()), conditions, ..self.seen.clone() }
    }

    fn access(&self) -> Access<'_> {
        let denied = self.observed.problem.as_ref().is_some_and(|p| p.class() == Class::Denied);
        match (&self.observed.look.endpoint, self.problem) {
            (_, Some(why)) if denied => Access::Denied(why),
            (Sight::Live(live), _) => Access::Verified { wrote: live.owner == Owner::Ours },
            _ => Access::Unknown,
        }
    }
}
