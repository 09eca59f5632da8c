//! What the protocol waits for, in words for the release that waits and for its endpoint.

use crate::{
    api::{At, Cause, endpoint::AzureEndpoint},
    azure::OnlineEndpoint,
    endpoint::{Ms, Remembered, Reply, Waiting, Why, tags},
    view::trouble::{self, Trouble},
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
    /// Of the PromptEndpoint.
    pub name: &'a str,
    pub live: Option<&'a OnlineEndpoint>,
    pub remembered: &'a Remembered,
    /// Why Azure could not be read.
    pub problem: Option<&'a str>,
    pub now: At,
}

fn at(ms: Ms) -> At {
    jiff::Timestamp::from_millisecond(ms.0).unwrap_or(jiff::Timestamp::MAX).into()
}

/// The wait in words.
pub fn say(waiting: &Waiting<String>, around: &Around<'_>) -> Said {
    let Around { azure, name, live, now, .. } = around;
    let state = live.map_or("Updating", |live| live.provisioning_state.as_str());
    match waiting {
        Waiting::Nothing | Waiting::NotListed | Waiting::Claimed { .. } | Waiting::Lagging { .. } => Said::default(),
        Waiting::EndpointGone { .. } => Said::needs(trouble::not_found(azure)),
        Waiting::Unreadable { since, denied } => unreadable(around, *since, *denied),
        Waiting::OtherOwner => {
            let theirs = live.and_then(|live| tags::read(&live.tags).owner).unwrap_or("another PromptEndpoint");
            Said::needs(trouble::other_owner(theirs, name))
        }
        Waiting::Updating { .. } => Said::waits(trouble::busy(state)),
        Waiting::ReadBack { target, .. } | Waiting::Unanswered { target, .. } => {
            Said::waits(trouble::reading_back(&target.to_string()))
        }
        Waiting::Retry { why, reply, tries, .. } => retry(around, *why, *reply, *tries, state),
        Waiting::LostWrite { split, until } => {
            Said::waits(trouble::settling(split.sole().map(String::as_str), at(*until), *now))
        }
        Waiting::Unsettled { until } => Said::waits(trouble::unsettled(1, at(*until), *now)),
        Waiting::SecondLook { split } => Said::waits(format!("{split} was seen once, and is looked at again")),
        Waiting::Conflict { split } => Said::needs(trouble::traffic_conflict(&split.to_string(), &azure.endpoint)),
        Waiting::NoStable { deployment } => {
            Said::needs(trouble::traffic_conflict(&format!("{deployment}=0"), &azure.endpoint))
        }
        Waiting::StableLost { deployment } => Said::needs(trouble::stable_lost(deployment, &azure.endpoint)),
        Waiting::NoDeployment => Said::waits("its deployment is not there yet"),
        Waiting::NotReady { deployment } => Said::waits(format!("{deployment} is not ready for traffic yet")),
        Waiting::NameTaken { deployment } => {
            Said::waits(format!("a deployment {deployment} exists that is not this release's"))
        }
        Waiting::NameHeld { deployment, until } => {
            let until = at(*until).clock();
            Said::waits(format!("a write to {deployment} without a reply may still land until {until}"))
        }
        Waiting::RetryDeployment { deployment, reply, tries, .. } => {
            let why = refusal(around, *reply, state);
            Said::retries(Cause::DeploymentFailed, format!("{deployment} could not be written, try {tries}: {why}"))
        }
        Waiting::Quiet { .. } | Waiting::InUse { .. } => Said::default(),
        Waiting::FirstPromotion => {
            Said::waits("a first release has nothing to return to: it is ended once it has all traffic")
        }
    }
}

fn unreadable(around: &Around<'_>, since: Ms, denied: bool) -> Said {
    let why = around.problem.unwrap_or("no answer");
    let trouble = if denied { trouble::forbidden(why) } else { trouble::unreadable(why, at(since)) };
    Said { retry: Some(Cause::Unreadable), ..Said::needs(trouble) }
}

fn retry(around: &Around<'_>, why: Why, reply: Reply, tries: i64, state: &str) -> Said {
    let said = refusal(around, reply, state);
    let cause = match why {
        Why::Withdraw => Cause::RollbackFailed,
        _ => Cause::EndpointFailed,
    };
    Said::retries(cause, format!("{said}; try {tries}"))
}

/// What Azure said to the last write.
fn refusal(around: &Around<'_>, reply: Reply, state: &str) -> String {
    match (reply, &around.remembered.refusal) {
        (Reply::Busy, _) => trouble::busy(state),
        (Reply::Refused, Some((_, error))) => error.to_string(),
        (Reply::Refused, None) => "Azure refused the write".to_owned(),
        (Reply::NotSent, _) => "nothing was sent, since the lease was about to run out or the endpoint had changed".into(),
        (Reply::Failed, _) => "Azure accepted the write, and it came to nothing".to_owned(),
        (Reply::Accepted, _) => "Azure works on it".to_owned(),
    }
}
