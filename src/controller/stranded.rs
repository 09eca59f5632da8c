//! A small controller beside the other: it tells releases whose PromptEndpoint does not exist, which no pass would reach.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, channel::mpsc};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::{
        Controller,
        controller::Action,
        reflector::{ObjectRef, Store},
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    context::Context,
    first_list::stopped_before_the_first_list,
    losers,
    objects::{self, EndpointMeta, Object as _, Release},
};
use crate::{
    api::{FORGET, PromptRelease},
    view::claims,
};

/// What the API server refused is tried again after this time.
const AGAIN: Duration = Duration::from_secs(30);

struct Parts {
    context: Arc<Context>,
    endpoints: Store<EndpointMeta>,
}

/// Runs until `stop`. An endpoint that is made later is seen by the other controller, which works on it; that some went is
/// said by `gone`, after they left the store.
pub async fn run(
    client: Client,
    context: Arc<Context>,
    (endpoints, gone): (Store<EndpointMeta>, mpsc::Receiver<()>),
    stop: CancellationToken,
) {
    if endpoints.wait_until_ready().await.is_err() {
        return;
    }
    let kind = ApiResource::erase::<PromptRelease>(&());
    let releases: Api<DynamicObject> = Api::all_with(client, &kind);
    let controller = Controller::new_with(releases, watcher::Config::default(), kind);
    let store = controller.store();
    let passes = controller
        .reconcile_all_on(gone)
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile, after_error, Arc::new(Parts { context, endpoints }))
        .for_each(|_| async {});
    tokio::select! {
        () = passes => {}
        () = stopped_before_the_first_list(&store, &stop) => {}
    }
}

async fn reconcile(release: Arc<DynamicObject>, parts: Arc<Parts>) -> Result<Action, Error> {
    let (context, change) = (&parts.context, Ok(Action::await_change()));
    let Some(endpoint) = Release::endpoint_of(&release) else { return change };
    let namespace = release.namespace().unwrap_or_default();
    if parts.endpoints.get(&ObjectRef::new(endpoint).within(&namespace)).is_some() {
        return change;
    }
    let release = Release::read((*release).clone());
    if release.is_being_deleted() && release.has_finalizer() && release.annotation(FORGET).is_some() {
        objects::set_finalizer(&objects::releases(&context.client, &namespace), &release.raw, false).await?;
        return change;
    }
    let deleting = release.is_being_deleted() && release.has_finalizer();
    let answer = if deleting {
        claims::stranded_deletion(endpoint, &namespace, &release.name())
    } else {
        claims::no_endpoint(endpoint, &namespace)
    };
    losers::answered(context, &namespace, &release.name(), answer).await?;
    change
}

fn after_error(release: Arc<DynamicObject>, error: &Error, parts: Arc<Parts>) -> Action {
    parts.context.metrics.reconcile_failed(error.category());
    tracing::warn!(%error, name = release.name_any(), "a release could not be told that its endpoint does not exist");
    Action::requeue(AGAIN)
}
