//! Deploy: a deployment of its own for each body, without traffic, proven to run before anybody is sent there.

pub mod body;
pub mod failure;
#[cfg(test)]
mod tests;

use body::{Recipe, TAG_OWNER};
use failure::Failure;
use jiff::SignedDuration;
use url::Url;

use super::{Decision, Facts, Then, Wait};
use crate::{
    api::{
        At, Cause,
        log::{Attempt, Log, Reply},
    },
    azure::{self, Azure, OnlineDeployment, OperationStatus},
    endpoint::{Why, Wish},
    policy::{naming, split::Split},
    view::{sentence, timeline::Event},
};

/// Times that a first provisioning may fail before the attempt does: Azure lets nobody update such a deployment, so each
/// try has a name of its own.
const RECREATIONS: usize = 2;
/// Lines of the container's log.
const LOG_TAIL: u32 = 50;

/// What is to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub recipe: Recipe<'a>,
    pub log: &'a Log,
    /// The last write that Azure refused, by its number, and in which words.
    pub refused: Option<&'a (i64, azure::Error)>,
    /// First moment at which the endpoint's claim, or the deployment, was asked for.
    pub since: Option<At>,
    pub deadline: SignedDuration,
    pub poll: SignedDuration,
}

/// A creation that Azure refused.
#[derive(Clone, Copy, Debug)]
struct Refusal<'a> {
    deployment: &'a str,
    /// In a row.
    tries: i64,
    error: &'a azure::Error,
}

impl<'a> Refusal<'a> {
    /// None if the last write that was refused is another one.
    fn of(plan: &Plan<'a>) -> Option<Self> {
        let last = plan.log.intent.as_ref();
        let intent = last.filter(|i| i.kind == CREATE && i.reply() == Some(Reply::Refused))?;
        let (_, error) = plan.refused.filter(|(seq, _)| *seq == intent.seq)?;
        Some(Self { deployment: &intent.target, tries: intent.tries, error })
    }

    /// It would be refused for ever. A single answer may have been about an operation that was just ending.
    fn is_final(&self) -> bool {
        self.tries > 1 && failure::is_final(self.error)
    }
}

/// As in the log.
const CREATE: &str = "CreateDeployment";

/// What Azure shows.
#[derive(Debug, Default)]
pub struct Look {
    pub deployments: Vec<OnlineDeployment>,
    /// Why the attempt's deployment failed, if it did.
    pub failure: Option<Failure>,
}

/// Adds why the attempt's deployment failed to what was read of the endpoint. What cannot be read of a failure is left out.
pub async fn look(azure: &Azure, endpoint: &str, log: &Log, deployments: Vec<OnlineDeployment>) -> Look {
    let wanted = log.attempt.as_ref().and_then(|a| a.deployment.as_deref());
    let failed = deployments.iter().find(|d| Some(d.name.as_str()) == wanted && is_failed(d));
    let failure = match failed {
        Some(deployment) => Some(read_failure(azure, endpoint, deployment).await),
        None => None,
    };
    Look { deployments, failure }
}

async fn read_failure(azure: &Azure, endpoint: &str, deployment: &OnlineDeployment) -> Failure {
    let operation = deployment.body.pointer("/properties/properties/AzureAsyncOperationUri");
    let operation = operation.and_then(|uri| Url::parse(uri.as_str()?).ok());
    let fault = match operation {
        Some(url) => match azure.get_operation(&url).await.map(|seen| seen.value) {
            Ok(OperationStatus::Failed(fault)) => Some(fault),
            Ok(OperationStatus::Canceled(fault)) => fault,
            _ => None,
        },
        None => None,
    };
    let log_tail: azure::Result<String> = azure.deployment_logs(endpoint, &deployment.name, LOG_TAIL).await;
    Failure { fault, log_tail: log_tail.ok() }
}

/// What is about to get more traffic is not what was evaluated: somebody edited the deployment. None: it is, or it was not
/// read.
pub fn edited(recipe: &Recipe<'_>, attempt: &Attempt, deployments: &[OnlineDeployment]) -> Option<String> {
    let name = attempt.deployment.as_deref().filter(|_| !attempt.raised.is_empty())?;
    let found = deployments.iter().find(|found| found.name.eq_ignore_ascii_case(name))?;
    let differ = azure::differences(&recipe.body(name), &found.body);
    let (first, more) = (differ.first()?, differ.len() - 1);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some(format!("{name} is not what was evaluated any more: {first}{more} differs from the release"))
}

/// The endpoint is not claimed, which comes before its first deployment, and Azure did not take it twice or more. In words.
fn unclaimed(plan: &Plan<'_>) -> Option<String> {
    let last = plan.log.intent.as_ref();
    let claim = last.filter(|last| last.is_for(Why::Claim) && last.tries > 1 && !last.is_open())?;
    let refusal = plan.refused.filter(|(seq, _)| *seq == claim.seq);
    let why = refusal.map_or_else(String::new, |(_, error)| format!(": {error}"));
    Some(format!("the endpoint could not be claimed within {}{why}", sentence::span(plan.deadline)))
}

fn is_failed(deployment: &OnlineDeployment) -> bool {
    deployment.at_rest() && !deployment.succeeded()
}

/// The name that this attempt's deployment has, or should get.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    /// It runs.
    Ready(String),
    /// Azure works on it.
    Changing(String),
    /// Nothing of this name exists.
    Free(String),
    /// As many as are allowed failed, this one last.
    Exhausted(String),
}

/// Goes through `d-<version>`, `--2`, `--3`: the first that runs our body is reused, one with another body is left alone.
fn name(plan: &Plan<'_>, deployments: &[OnlineDeployment]) -> Name {
    let mut failed = 0;
    let mut taken: Vec<String> = Vec::new();
    loop {
        let version = plan.recipe.version;
        let Some(name) = naming::next_deployment(version, taken.iter().map(String::as_str)) else {
            return Name::Exhausted(naming::deployment(version));
        };
        let Some(found) = deployments.iter().find(|d| d.name.eq_ignore_ascii_case(&name)) else {
            return Name::Free(name);
        };
        let ours = found.tags.get(TAG_OWNER).is_some_and(|owner| owner == plan.recipe.owner);
        if ours && azure::same_body(&plan.recipe.body(&name), &found.body) {
            if found.succeeded() {
                return Name::Ready(name);
            }
            if !found.at_rest() {
                return Name::Changing(name);
            }
            failed += 1;
            if failed > RECREATIONS {
                return Name::Exhausted(name);
            }
        }
        taken.push(name);
    }
}

/// The attempt's deployment, if it failed and has traffic all the same, as an endpoint's first may get by being created:
/// that is taken back instead of trying another name.
fn failed_with_traffic<'a>(log: &'a Log, look: &'a Look) -> Option<(&'a str, &'a Failure)> {
    let (failure, name) = look.failure.as_ref().zip(log.attempt.as_ref()?.deployment.as_ref())?;
    let live: Split<String> = log.verified.as_ref()?.split.parse().ok()?;
    (live.share(name) > 0).then_some((name, failure))
}

/// Creates, waits, and asks for the first traffic; or says why there is nothing that could take any.
pub fn next(plan: &Plan<'_>, facts: &Facts, look: &Look, now: At) -> Decision<()> {
    let facts = facts.clone();
    if let Some((failed, failure)) = failed_with_traffic(plan.log, look) {
        let (cause, why) = failure::explain(failed, failure);
        return Decision::withdraw(facts, cause, why);
    }
    let name = name(plan, &look.deployments);
    let late = plan.since.is_some_and(|since| now >= since.plus(plan.deadline));
    let gives_up = plan.since.map_or_else(String::new, |s| format!("; gives up at {}", s.plus(plan.deadline).clock()));
    if let Some(why) = unclaimed(plan).filter(|_| late && matches!(name, Name::Free(_))) {
        return Decision::withdraw(facts, Cause::DeploymentUnavailable, why);
    }
    let refused = |name: &str| Refusal::of(plan).filter(|refusal| refusal.deployment.eq_ignore_ascii_case(name));
    let overdue = |name: &str, facts| {
        let why = format!("{name} was not ready within {}", sentence::span(plan.deadline));
        Decision::withdraw(facts, Cause::DeploymentUnavailable, why)
    };
    match name {
        Name::Exhausted(name) => {
            let (cause, why) = failure::explain(&name, look.failure.as_ref().unwrap_or(&Failure::default()));
            Decision::withdraw(facts, cause, why)
        }
        Name::Free(name) => match refused(&name) {
            Some(refusal) if late || refusal.is_final() => {
                let (cause, what) = failure::of_refusal(refusal.error);
                Decision::withdraw(facts, cause, format!("{name} was refused: {what}"))
            }
            _ if late => overdue(&name, facts),
            _ => {
                let why = format!("{name} is being created, without traffic{gives_up}");
                Decision::new(facts, Then::Ask(Wish::Create { deployment: name }, why))
            }
        },
        Name::Changing(name) if late => overdue(&name, facts),
        Name::Changing(name) => {
            let why = format!("{name} is Creating, without traffic{gives_up}");
            Decision::new(facts, Then::Wait(Wait::until(now.plus(plan.poll), why)))
        }
        Name::Ready(name) => ready(plan, facts, name),
    }
}

/// The first traffic: all of it only where there is nobody to compare with.
fn ready(plan: &Plan<'_>, facts: Facts, name: String) -> Decision<()> {
    let attempt = plan.log.attempt.as_ref();
    let told = vec![Event::Deployed { deployment: name.clone(), instances: plan.recipe.instances }];
    let first_release = attempt.is_some_and(|a| a.return_to.is_none());
    let weight = attempt.and_then(|a| a.plan.weights.first()).and_then(|w| u8::try_from(*w).ok()).unwrap_or(1);
    let same = attempt.and_then(|a| a.deployment.as_deref()) == Some(name.as_str());
    let then = if !same {
        // One that an earlier attempt left dark: the protocol takes it over without a write.
        Then::Ask(Wish::Create { deployment: name.clone() }, format!("{name} is there already, without traffic"))
    } else if first_release {
        Then::Ask(Wish::Promote, format!("{name} is the first here, nothing serves beside it"))
    } else {
        Then::Ask(Wish::Raise { step: 1, weight }, format!("{name} is ready for {weight} % of the traffic"))
    };
    Decision { facts, told, then }
}
