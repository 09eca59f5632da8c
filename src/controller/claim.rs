//! Which release an endpoint belongs to: the oldest that refers to it, until that object is gone. There is no queue.

use jiff::Timestamp;
use kube::{ResourceExt, api::DynamicObject};

use crate::api::{At, endpoint::ClaimedBy, log::ReleaseRef};

/// The name of a PromptEndpoint.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Who refers to the endpoint, and who holds it.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    pub held: Option<ClaimedBy>,
    pub all: Vec<Claimant>,
}

/// A release that refers to the endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claimant {
    created: Option<Timestamp>,
    pub name: String,
    pub uid: String,
}

impl Claimant {
    pub fn of(release: &DynamicObject) -> Self {
        Self {
            created: release.metadata.creation_timestamp.as_ref().map(|t| t.0),
            name: release.name_any(),
            uid: release.uid().unwrap_or_default(),
        }
    }
}

/// The claim after this look. It stays while the claimant exists, and with the release of an open attempt even if that
/// object is gone: its canary must be withdrawn before the next one begins.
pub fn claim(
    held: Option<&ClaimedBy>,
    open: Option<&ReleaseRef>,
    claimants: &[Claimant],
    now: At,
) -> Option<ClaimedBy> {
    if let Some(held) = held {
        let exists = claimants.iter().any(|c| c.uid == held.uid);
        if exists || open.is_some_and(|open| open.uid == held.uid) {
            return Some(held.clone());
        }
    }
    if let Some(open) = open {
        return Some(ClaimedBy { name: open.name.clone(), uid: open.uid.clone(), since: Some(now) });
    }
    let oldest = claimants.iter().min()?;
    Some(ClaimedBy { name: oldest.name.clone(), uid: oldest.uid.clone(), since: Some(now) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimant(name: &str, created: i64) -> Claimant {
        let created = Timestamp::from_second(created).ok();
        Claimant { created, name: name.into(), uid: format!("uid-of-{name}") }
    }

    fn holder(claim: Option<ClaimedBy>) -> Option<String> {
        claim.map(|c| c.name)
    }

    #[test]
    fn the_oldest_takes_it_and_keeps_it() {
        let (old, new) = (claimant("b", 1), claimant("a", 2));
        let first = claim(None, None, &[new.clone(), old.clone()], At::default());
        assert_eq!(holder(first.clone()), Some("b".into()));
        let older = claimant("c", 0);
        assert_eq!(holder(claim(first.as_ref(), None, &[older, old, new.clone()], At::default())), Some("b".into()));
        assert_eq!(holder(claim(first.as_ref(), None, &[new], At::default())), Some("a".into()), "the holder is gone");
    }

    #[test]
    fn an_open_attempt_keeps_it_even_if_its_release_is_gone() {
        let gone = ReleaseRef { name: "b".into(), uid: "uid-of-b".into() };
        let held = ClaimedBy { name: "b".into(), uid: "uid-of-b".into(), since: None };
        let other = [claimant("a", 2)];
        assert_eq!(holder(claim(Some(&held), Some(&gone), &other, At::default())), Some("b".into()));
        assert_eq!(holder(claim(None, Some(&gone), &other, At::default())), Some("b".into()), "status restored");
        assert_eq!(holder(claim(Some(&held), None, &other, At::default())), Some("a".into()));
    }

    #[test]
    fn a_namesake_is_another_release() {
        let held = ClaimedBy { name: "a".into(), uid: "before".into(), since: None };
        let claim = claim(Some(&held), None, &[claimant("a", 5)], At::default());
        assert_eq!(claim.map(|c| c.uid), Some("uid-of-a".into()));
    }
}
