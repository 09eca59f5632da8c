//! What the protocol waits for, in words for the release that waits and for its endpoint.

use crate::{
    api::{At, Cause, endpoint::AzureEndpoint},
    azure::{Class, OnlineEndpoint},
    endpoint::{Ms, Remembered, Reply, Waiting, Why, tags},
    stage::deploy::failure,
    view::{
        trouble::{self, Trouble},
        waiting,
    },
};

/// A wait in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// For the release. None: the wish has its own words.
    pub why: Option<String>,
    /// Something is tried again.
    pub retry: Option<Cause>,
    /// For the endpoint.
    pub trouble: Option<Trouble>,
}

impl Said {
    fn waits(why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..Self::default() }
    }

    fn retries(cause: Cause, why: impl Into<String>) -> Self {
        Self { retry: Some(cause), ..Self::waits(why) }
    }

    fn needs(trouble: Trouble) -> Self {
        Self { why: Some(trouble.message.clone()), retry: None, trouble: Some(trouble) }
    }
}

/// What the words are made of, besides the wait itself.
pub struct Around<'a> {
    pub azure: &'a AzureEndpoint,
    /// Of the PromptEndpoint, as its name.
    pub namespace: &'a str,
    pub name: &'a str,
    pub live: Option<&'a OnlineEndpoint>,
    pub remembered: &'a Remembered,
    /// Why Azure could not be read.
    pub problem: Option<&'a str>,
    pub now: At,
}

/// The wait in words.
pub fn say(waits: &Waiting<String>, around: &Around<'_>) -> Said {
    let Around { azure, namespace, name, live, now, .. } = around;
    let now = *now;
    match waits {
        // A second look follows at once: nothing that anybody would see waits for it.
        Waiting::Nothing | Waiting::NotListed | Waiting::SecondLook { .. } => Said::default(),
        Waiting::Lagging { .. } => Said::waits(waiting::looking_again()),
        Waiting::Claimed { until } => Said::waits(waiting::claimed((*until).into(), now)),
        Waiting::EndpointGone { .. } => Said::needs(trouble::not_found(azure)),
        Waiting::Unreadable { since, denied } => unreadable(around, *since, *denied),
        Waiting::OtherOwner => {
            let theirs = live.and_then(|live| tags::read(&live.tags).owner).unwrap_or("another PromptEndpoint");
            Said::needs(trouble::other_owner(theirs, namespace, name))
        }
        Waiting::Updating { why } => Said::waits(waiting::updating(why.map(Why::as_str))),
        Waiting::ReadBack { seq, target, .. } => Said::waits(waiting::read_back(*seq, &target.to_string())),
        Waiting::Unanswered { seq, target, until, .. } => {
            Said::waits(waiting::unanswered(*seq, &target.to_string(), (*until).into()))
        }
        Waiting::Retry { why, reply, tries, .. } => retry(around, *why, *reply, *tries),
        Waiting::Throttled { until } => Said::waits(waiting::throttled((*until).into())),
        Waiting::LostWrite { split, until } => {
            Said::waits(waiting::lost_write(split.sole().map(String::as_str), (*until).into(), now))
        }
        Waiting::Unsettled { until } => Said::waits(waiting::unsettled((*until).into(), now)),
        Waiting::Conflict { split } => Said::needs(trouble::traffic_conflict(&split.to_string(), azure)),
        Waiting::NoStable { deployment } => Said::needs(trouble::no_stable(deployment, azure)),
        Waiting::StableLost { deployment } => Said::needs(trouble::stable_lost(deployment, azure)),
        Waiting::Mirrored { deployment } => {
            let percent = live.and_then(|live| live.mirrored(deployment)).unwrap_or_default();
            Said::needs(trouble::mirror_conflict(deployment, percent, azure))
        }
        Waiting::FirstPromotion => Said::waits(waiting::first_promotion()),
        Waiting::RetryDeployment { deployment, reply, tries, .. } => {
            let refused = around.remembered.refusal.as_ref().filter(|_| *reply == Reply::Refused);
            let (cause, what) = match refused.map(|(_, error)| failure::of_refusal(error)) {
                Some((cause, what)) => (cause, Some(what)),
                None => (Cause::DeploymentUnavailable, refusal(around, *reply)),
            };
            Said::retries(cause, waiting::retry_deployment(deployment, *tries, what.as_deref()))
        }
        other => Said { why: about_deployment(other, now), ..Said::default() },
    }
}

/// What stands between a deployment and its write.
fn about_deployment(waits: &Waiting<String>, now: At) -> Option<String> {
    Some(match waits {
        Waiting::NoDeployment => waiting::no_deployment(),
        Waiting::NotReady { deployment } => waiting::not_ready(deployment),
        Waiting::NameTaken { deployment } => waiting::name_taken(deployment),
        Waiting::NameHeld { deployment, until } => waiting::name_held(deployment, (*until).into(), now),
        // Tidying up is nothing that a release waits for.
        _ => return None,
    })
}

fn unreadable(around: &Around<'_>, since: Ms, denied: bool) -> Said {
    let why = around.problem.unwrap_or("no answer");
    let trouble = if denied { trouble::forbidden(why) } else { trouble::unreadable(why, since.into()) };
    Said { retry: Some(Cause::Unreadable), ..Said::needs(trouble) }
}

fn retry(around: &Around<'_>, why: Why, reply: Reply, tries: i64) -> Said {
    let cause = if why == Why::Withdraw { Cause::RollbackFailed } else { Cause::EndpointFailed };
    Said::retries(cause, waiting::retry(why.as_str(), tries, refusal(around, reply).as_deref()))
}

/// What Azure said to the last write.
fn refusal(around: &Around<'_>, reply: Reply) -> Option<String> {
    match (reply, &around.remembered.refusal) {
        (Reply::Busy, Some((_, error))) if error.class() == Class::Throttled => Some(error.to_string()),
        (Reply::Busy, _) => Some("the endpoint is Updating".to_owned()),
        (Reply::Refused, Some((_, error))) => Some(error.to_string()),
        (Reply::Failed, _) => Some("it was accepted and came to nothing".to_owned()),
        (Reply::NotSent, _) => Some("nothing was sent: the endpoint had changed, or the lease ran short".to_owned()),
        (Reply::Refused, None) | (Reply::Accepted, _) => None,
    }
}
