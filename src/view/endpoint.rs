//! A PromptEndpoint as people see it: its conditions, and what stands in its way.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    conditions::{self, Row},
    notified::{self, Notified},
    release::Stage,
};
use crate::api::{
    At,
    endpoint::{AzureEndpoint, ClaimedBy, DeploymentSeen},
    log::Log,
};

/// What reads and the claim's write have shown of the identity's rights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Access<'a> {
    /// Nothing was asked yet.
    Unknown,
    /// Endpoint and deployments were read; `wrote`: and our tags are on the endpoint.
    Verified { wrote: bool },
    /// Azure refuses; the sentence with the role that is missing.
    Denied(&'a str),
}

/// Why an endpoint is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// One word in CamelCase.
    pub reason: &'static str,
    /// What is wrong, what is allowed, the next step.
    pub message: String,
    /// Trying again cannot help.
    pub needs_person: bool,
    /// It is about the split of the traffic.
    pub about_traffic: bool,
}

/// Everything that the conditions of an endpoint are made of.
#[derive(Clone, Debug)]
pub struct EndpointView<'a> {
    /// Of the PromptEndpoint.
    pub name: &'a str,
    pub generation: Option<i64>,
    /// None where it does not parse.
    pub azure: Option<&'a AzureEndpoint>,
    pub log: Option<&'a Log>,
    pub claimed_by: Option<&'a ClaimedBy>,
    pub deployments: &'a [DeploymentSeen],
    /// Split of the traffic as last verified.
    pub traffic: Option<&'a str>,
    pub access: Access<'a>,
    /// The first thing that stands in the way.
    pub trouble: Option<&'a Trouble>,
    /// Of the open attempt.
    pub stage: Option<Stage>,
    pub notified: Option<Notified<'a>>,
}

/// Ready, Stalled, AccessVerified, TrafficUndisturbed, Notified.
pub fn conditions(view: &EndpointView<'_>, before: &[Condition], now: At) -> Vec<Condition> {
    let rows: Vec<Row> = Vec::new();
    conditions::update(rows, before, view.generation, now)
}
