//! When an object that is being deleted may go: its traffic is back, and what is owed was delivered.

use kube::{Api, ResourceExt, api::DynamicObject};

use super::{
    Error,
    claim::Key,
    context::Context,
    objects::{self, Endpoint, Object as _, Release},
    round::Round,
};
use crate::api::{
    At, FINALIZER, FORGET,
    log::{Log, Owed},
};

/// Takes the finalizers away that nothing needs any more. True: the endpoint itself goes.
///
/// # Errors
/// The API server's.
pub async fn go_on(
    round: &Round<'_>,
    endpoint: &Endpoint,
    release: Option<&Release>,
    log: &Log,
    now: At,
) -> Result<bool, Error> {
    let endpoint_goes =
        endpoint.is_being_deleted() && endpoint.has_finalizer() && endpoint_may_go(round, endpoint, log, now);
    if let Some(release) = release.filter(|release| release.has_finalizer()) {
        let goes = endpoint_goes || (release.is_being_deleted() && release_may_go(round, release, log, now));
        if goes {
            let api = objects::releases(&round.context.client, round.key.namespace);
            objects::set_finalizer(&api, &release.raw, false).await?;
        }
    }
    if endpoint_goes {
        objects::set_finalizer(round.api, &endpoint.raw, false).await?;
    }
    Ok(endpoint_goes)
}

/// A person says that an endpoint which is being deleted is to be forgotten, whatever it has and whatever can be read of it.
pub fn is_forgotten(endpoint: &Endpoint) -> bool {
    endpoint.is_being_deleted() && endpoint.has_finalizer() && endpoint.annotation(FORGET).is_some()
}

/// Takes the finalizers of such an endpoint and of the releases that refer to it away; traffic stays as it is.
///
/// # Errors
/// The API server's.
pub async fn forget(
    context: &Context,
    api: &Api<DynamicObject>,
    endpoint: &Endpoint,
    key: Key<'_>,
) -> Result<(), Error> {
    let releases = objects::releases(&context.client, key.namespace);
    for known in context.releases.state() {
        let own = known.namespace().as_deref() == Some(key.namespace) && Release::endpoint_of(&known) == Some(key.name);
        if own && known.finalizers().iter().any(|f| f == FINALIZER) {
            objects::set_finalizer(&releases, &known, false).await?;
        }
    }
    objects::set_finalizer(api, &endpoint.raw, false).await?;
    tracing::warn!(namespace = key.namespace, endpoint = key.name, "forgotten, its traffic stays as it is");
    Ok(())
}

/// Nothing of the release's is exposed, and nobody has to be told about it any more. One that was promoted goes at once:
/// what serves is not touched.
fn release_may_go(round: &Round<'_>, release: &Release, log: &Log, now: At) -> bool {
    let own = log.attempt.as_ref().filter(|attempt| attempt.release.uid == release.uid());
    let open = own.is_some_and(|attempt| attempt.ending.is_none());
    !open && (own.is_none() || told(round, &log.outbox, release.deleted_at(), now))
}

/// Nothing is exposed or open.
fn endpoint_may_go(round: &Round<'_>, endpoint: &Endpoint, log: &Log, now: At) -> bool {
    let open = log.attempt.as_ref().is_some_and(|attempt| attempt.ending.is_none());
    let quiet = !open && log.unsettled.is_empty();
    quiet && told(round, &log.outbox, endpoint.deleted_at(), now)
}

/// Receivers that are down hold nobody up for long.
fn told(round: &Round<'_>, outbox: &[Owed], since: Option<At>, now: At) -> bool {
    let limit = round.context.waits.deliver_before_deletion;
    outbox.is_empty() || since.is_some_and(|since| now.since(since) >= limit)
}
