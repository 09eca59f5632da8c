//! What rows are made of, and what several have.

use super::{Blame, Place, Service, Sign, Trouble, Who};

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
