//! What ends an attempt from outside, and what keeps it from going on.

use super::scene::{Holder, Scene};
use crate::{
    api::{
        ABORT, Cause,
        log::{self, Attempt, Kind},
    },
    controller::objects::Object as _,
    policy::digest,
};

/// What ends an attempt from outside, the first in this order being the cause. A promotion that was earned is turned
/// round only by people's own word and by the loss of the release.
pub fn interrupt(scene: &Scene<'_>, attempt: &Attempt) -> Option<(Cause, String)> {
    let name = &attempt.release.name;
    if scene.endpoint.is_being_deleted() {
        return Some((Cause::Deleted, "the PromptEndpoint is being deleted".into()));
    }
    let release = match scene.holder {
        Holder::Gone | Holder::Nobody => return Some((Cause::Orphan, format!("PromptRelease {name} is gone"))),
        Holder::Invalid(release, since, error) => {
            if scene.now.since(*since) >= scene.waits.invalid {
                return Some((Cause::InvalidSpec, format!("PromptRelease {name} does not parse: {error}")));
            }
            release
        }
        Holder::Present(release, _) => release,
    };
    if release.uid() != attempt.release.uid {
        return Some((Cause::Orphan, format!("PromptRelease {name} was deleted and made again")));
    }
    if release.is_being_deleted() {
        return Some((Cause::Deleted, format!("PromptRelease {name} is being deleted")));
    }
    if let Some(abort) = release.abort().ok().flatten().filter(|abort| abort.names(&attempt.version, attempt.n)) {
        return Some((Cause::AbortRequested, format!("{ABORT}={abort} was set on PromptRelease {name}")));
    }
    if let (Some(why), false) = (newer_format(scene), attempt.raised.is_empty()) {
        return Some((Cause::StatusLost, why));
    }
    if !attempt.raised.is_empty() && attempt.is(Kind::Canary) && !scene.has_facts {
        return Some((Cause::StatusLost, format!("the status of PromptRelease {name} was lost in mid-canary")));
    }
    let Holder::Present(_, spec) = scene.holder else { return None };
    if attempt.decision.is_some() {
        return None;
    }
    if spec.version != attempt.version {
        return Some((Cause::Superseded, format!("version {} took its place", spec.version)));
    }
    if digest::test_hash(spec) != attempt.test_hash && !attempt.is(Kind::Fast) {
        return Some((Cause::Superseded, "`evaluation`, `metrics` or `criteria` changed".into()));
    }
    let waived = scene.facts.evaluation.as_ref().is_some_and(|e| e.verdict.as_deref() == Some("Waived"));
    (waived && scene.spec.policy.require_evaluation)
        .then(|| (Cause::PolicyViolation, "the endpoint's policy now requires an evaluation".into()))
}

/// Why nothing goes forward and only a withdrawal is written: what would decide cannot be read in full.
pub fn halted(scene: &Scene<'_>) -> Option<String> {
    let unreadable =
        || scene.endpoint.spec.as_ref().err().map(|why| format!("the PromptEndpoint does not parse: {why}"));
    newer_format(scene).or_else(unreadable)
}

/// A newer operator has written the status, and may mean by it what this one does not know.
fn newer_format(scene: &Scene<'_>) -> Option<String> {
    let found = scene.endpoint.format.filter(|found| *found > log::FORMAT)?;
    Some(format!("the PromptEndpoint's status has format {found}, this operator knows {}", log::FORMAT))
}
