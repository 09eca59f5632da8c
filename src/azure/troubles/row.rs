//! What rows are made of, and what several have.

use crate::azure::Service;

/// One thing that goes wrong.
#[derive(Debug)]
pub struct Trouble {
    /// One word in CamelCase; Azure's own code where there is one. Unique.
    pub name: &'static str,
    pub places: &'static [Place],
    pub sign: Sign,
    pub blame: Blame,
    pub who: Who,
    /// What it means, as half a sentence. Empty where the message that it follows says so already.
    pub meaning: &'static str,
    /// What to do, as half a sentence. May hold the placeholders of [`super::fill`].
    pub remedy: &'static str,
    /// A command that finds the cause or mends it, for the documentation.
    pub command: &'static str,
    /// What Azure says, shortened, for the documentation.
    pub says: &'static str,
}

/// Where it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Entra ID's reply to the request for a token.
    Token,
    /// A service's reply to a call.
    Call,
    /// The end of an operation on a deployment, or the refusal to begin it.
    Operation,
    /// The end of a bulk run of Prompt flow.
    Run,
    /// A line of such a run.
    Line,
}

/// By what it is known. What is given must all fit; of several codes or texts, one.
#[derive(Debug)]
pub struct Sign {
    pub service: Option<Service>,
    pub statuses: &'static [u16],
    /// In any position of the chain, in any case.
    pub codes: &'static [&'static str],
    /// Parts of what the service says, in lower case.
    pub texts: &'static [&'static str],
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// What was sent: the same content would fail again.
    Content,
    /// Rights, quotas, networks, other clients, or Azure itself.
    Environment,
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever writes what is released.
    Author,
    /// Whoever owns the Azure resources.
    Owner,
    /// Whoever owns the cluster.
    Cluster,
    /// It passes.
    Nobody,
}

impl Trouble {
    /// `; <meaning>: <remedy>`, to go after what Azure said.
    pub fn told(&self) -> String {
        let Self { meaning, remedy, .. } = self;
        if meaning.is_empty() { format!("; {remedy}") } else { format!("; {meaning}: {remedy}") }
    }
}

pub(super) const ANY: Sign = Sign { service: None, statuses: &[], codes: &[], texts: &[] };

pub(super) const fn codes(codes: &'static [&'static str]) -> Sign {
    Sign { codes, ..ANY }
}

pub(super) const fn texts(texts: &'static [&'static str]) -> Sign {
    Sign { texts, ..ANY }
}

pub(super) const fn of(service: Service, status: &'static [u16]) -> Sign {
    Sign { service: Some(service), statuses: status, ..ANY }
}

/// What most rows have.
pub(super) const ROW: Trouble = Trouble {
    name: "",
    places: &[Place::Operation],
    sign: ANY,
    blame: Blame::Environment,
    who: Who::Owner,
    meaning: "",
    remedy: "",
    command: "",
    says: "",
};

pub(super) const ROLES: &str = "az role assignment list --assignee CLIENT-ID --all --output table";
pub(super) const CONNECTIONS: &str =
    "az ml connection list --resource-group GROUP --workspace-name WORKSPACE --output table";
