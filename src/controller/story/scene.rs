//! What a turn rests on, and what it comes to.

use crate::{
    api::{
        At, Cause, PromptEndpointSpec, PromptReleaseSpec,
        endpoint::{ClaimedBy, DeploymentSeen},
        log::{Attempt, Log},
    },
    azure::{self, OnlineDeployment, OnlineEndpoint},
    controller::{
        context::Waits,
        objects::{Endpoint, Release},
        tenant::Tenant,
    },
    endpoint::Wish,
    policy::opens::Opens,
    stage::{Decision, Facts, Then, Wait, build::room::Room},
    view::timeline::Event,
};

/// The release that holds the endpoint.
#[derive(Clone, Debug)]
pub enum Holder {
    /// Nobody refers to the endpoint.
    Nobody,
    Present(Box<Release>, Box<PromptReleaseSpec>),
    /// It does not parse, since when.
    Invalid(Box<Release>, At, String),
    /// The object that an open attempt was made for is gone.
    Gone,
}

impl Holder {
    pub fn release(&self) -> Option<&Release> {
        match self {
            Self::Present(release, _) | Self::Invalid(release, ..) => Some(release),
            Self::Nobody | Self::Gone => None,
        }
    }
}

/// Everything that a turn rests on.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    pub endpoint: &'a Endpoint,
    pub spec: &'a PromptEndpointSpec,
    pub holder: &'a Holder,
    pub held: Option<&'a ClaimedBy>,
    pub log: &'a Log,
    pub facts: &'a Facts,
    /// Whether the release's status speaks of the open attempt.
    pub has_facts: bool,
    pub tenant: &'a Tenant,
    pub owner: &'a str,
    pub waits: &'a Waits,
    pub room: &'a Room,
    /// The last write that Azure refused, by its number, and in which words.
    pub refusal: Option<&'a (i64, azure::Error)>,
    /// The endpoint as it was read. None: it was not.
    pub live: Option<&'a OnlineEndpoint>,
    pub deployments: &'a [OnlineDeployment],
    /// The same, and what is known of them besides.
    pub inventory: &'a [DeploymentSeen],
    /// The split is read back as the open attempt's, by number.
    pub verified: bool,
    /// When the look at Azure began.
    pub looked: At,
    pub now: At,
}

/// What a pass wants.
#[derive(Debug)]
pub struct Turn {
    pub wish: Wish<String>,
    /// One line; for a withdrawal the evidence.
    pub why: String,
    pub actor: Option<String>,
    pub facts: Facts,
    pub told: Vec<Event>,
    pub wait: Option<Wait>,
    /// An attempt to open.
    pub opening: Option<Box<Attempt>>,
    /// Why no attempt is opened.
    pub answer: Option<Opens>,
}

impl Turn {
    pub(super) fn of(facts: Facts) -> Self {
        let (wish, why) = (Wish::Nothing, String::new());
        Self { wish, why, actor: None, facts, told: Vec::new(), wait: None, opening: None, answer: None }
    }

    pub(super) fn withdraw(facts: &Facts, cause: Cause, why: impl Into<String>) -> Self {
        Self { wish: Wish::Withdraw(cause), why: why.into(), ..Self::of(facts.clone()) }
    }

    pub(super) fn wait(facts: &Facts, wait: Wait) -> Self {
        Self { wait: Some(wait), ..Self::of(facts.clone()) }
    }

    /// A decision whose steps are done.
    pub(super) fn settled(decision: Decision<()>) -> Self {
        let Decision { facts, told, then } = decision;
        let mut turn = Self { told, ..Self::of(facts) };
        match then {
            Then::Ask(wish, why) => (turn.wish, turn.why) = (wish, why),
            Then::Wait(wait) => turn.wait = Some(wait),
            Then::Go | Then::Do(()) => {}
        }
        turn
    }

    /// A withdrawal stays wanted; what goes forward is not.
    pub fn or_halt(self, scene: &Scene<'_>, why: String) -> Self {
        match self.wish {
            Wish::Withdraw(_) => self,
            _ => Self { facts: self.facts, told: self.told, ..Self::wait(scene.facts, scene.soon(why)) },
        }
    }

    /// Azure did not do it; tried again, and said so.
    pub(super) fn retry(scene: &Scene<'_>, cause: Cause, error: &azure::Error) -> Self {
        let pause = error.retry_after().and_then(|after| jiff::SignedDuration::try_from(after).ok());
        let until = scene.now.plus(pause.unwrap_or(scene.waits.poll).max(scene.waits.poll));
        Self::wait(scene.facts, Wait { until, why: error.to_string(), retry: Some(cause) })
    }
}

impl Scene<'_> {
    /// Looks again after the usual pause.
    pub(super) fn soon(&self, why: String) -> Wait {
        Wait::until(self.now.plus(self.waits.poll), why)
    }

    /// What the spec says of stable, once stable is on record. A spec that names another version, which was refused or has
    /// not begun yet, says nothing of it.
    pub(super) fn instances_of_stable(&self) -> Option<i64> {
        let (Holder::Present(_, spec), Some(_)) = (self.holder, &self.log.verified) else { return None };
        let serves = self.log.stable.as_ref()?.version.as_ref() == Some(&spec.version);
        spec.instance_count.filter(|_| serves)
    }

    /// As the spec says, else as many as stable has: one would be too few for all traffic.
    pub fn wanted_instances(&self) -> i64 {
        let spec = match self.holder {
            Holder::Present(_, spec) => spec.instance_count,
            _ => None,
        };
        spec.or(self.log.stable.as_ref().and_then(|s| s.instances)).unwrap_or(1)
    }
}
