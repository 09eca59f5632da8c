//! Releases that refer to an endpoint which another one holds are told so; there is no queue.

use super::{
    Error,
    claim::{Claimant, Claims, Key},
    context::Context,
    objects::{self, Object as _, Release},
    report,
};
use crate::{
    api::{At, log::Log},
    view::{
        claims::{self, Answer},
        release::{ReleaseView, Standing},
    },
};

/// Tells each of them once, and says nothing again as long as nothing changes. What cannot be written is tried again in
/// the next pass: the holder's traffic does not wait for it.
pub async fn tell(context: &Context, key: Key<'_>, all: &Claims) {
    let Some(holder) = &all.held else { return };
    let lost = |claimant: &&Claimant| claimant.uid != holder.uid;
    for loser in all.all.iter().filter(lost) {
        let answer = claims::claimed(&holder.name, key.name);
        if let Err(error) = answered(context, key.namespace, &loser.name, answer).await {
            context.metrics.reconcile_failed(error.category());
            tracing::warn!(%error, release = loser.name, "a release could not be told that another holds its endpoint");
        }
    }
}

/// Writes an answer into a release that nobody works on.
///
/// # Errors
/// The API server's.
pub async fn answered(context: &Context, namespace: &str, name: &str, answer: Answer) -> Result<(), Error> {
    let api = objects::releases(&context.client, namespace);
    let Some(release) = api.get_opt(name).await?.map(Release::read) else { return Ok(()) };
    let now = At::from(context.clock());
    let (log, misread) = (Log::default(), release.abort().err());
    let view = ReleaseView {
        namespace,
        name,
        generation: release.generation(),
        spec: release.spec.as_ref().ok(),
        log: &log,
        standing: Standing::Answered(answer),
        build: None,
        evaluation: None,
        canary: None,
        deployments: &[],
        traffic: None,
        waiting: None,
        alarm: None,
        misread: misread.as_deref(),
        notified: None,
    };
    let mut status = release.status.clone();
    report::stand(&mut status, &view, now);
    if status != release.status {
        objects::put_status(&api, &release.raw, &status).await?;
    }
    Ok(())
}
