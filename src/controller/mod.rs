//! The only code that talks to the Kubernetes API: one controller whose objects are PromptEndpoints, and a small one that
//! tells releases whose endpoint does not exist.

mod alarms;
mod claim;
mod cluster;
mod context;
mod deletion;
mod deliver;
mod endpoint_report;
mod error;
mod events;
mod first_list;
mod losers;
mod objects;
mod pages;
mod pass;
mod ports;
mod report;
mod round;
mod story;
mod stranded;
mod telling;
mod tenant;
mod unreadable;
mod waits;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, channel::mpsc};
use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DynamicObject},
    runtime::{
        Controller, Predicate, PredicateConfig, WatchStreamExt,
        controller::{Action, Config},
        predicates, reflector,
        reflector::ObjectRef,
        watcher,
    },
};
use tokio_util::sync::CancellationToken;

pub use context::{Context, Memory, Waits};
pub use error::Error;
use first_list::stopped_before_the_first_list;
use objects::EndpointMeta;
pub use objects::{Endpoint, Object, Release};
pub use tenant::Tenants;

use crate::{api::PromptRelease, serve::Health};

/// Endpoints that are worked on at once; each waits on Azure most of the time.
const CONCURRENCY: u16 = 16;

/// Watches both kinds and makes passes until `stop`. `make` gets the store of all releases and returns the context.
pub async fn run(
    client: Client,
    make: impl FnOnce(reflector::Store<DynamicObject>) -> Context,
    health: Health,
    stop: CancellationToken,
) {
    let kind = ApiResource::erase::<PromptRelease>(&());
    let releases: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let writer = reflector::store::Writer::new(kind.clone());
    let store = writer.as_reader();
    let context = Arc::new(make(store.clone()));
    // A release wakes its endpoint with every change: commands are annotations, which do not change the generation.
    let changed = watcher(releases, watcher::Config::default()).default_backoff().reflect(writer).touched_objects();
    // Only metadata is kept of endpoints; each pass reads the whole object. Our own status writes wake nobody.
    let endpoints: Api<EndpointMeta> = Api::all(client.clone());
    let (endpoint_store, endpoint_writer) = reflector::store::<EndpointMeta>();
    let (mut gone, endpoints_gone) = mpsc::channel(0);
    let wanted = predicates::generation.combine(predicates::annotations).combine(predicates::finalizers);
    let endpoints = watcher(endpoints, watcher::Config::default())
        .default_backoff()
        .reflect(endpoint_writer)
        .inspect_ok(move |event| {
            if matches!(event, watcher::Event::Delete(_) | watcher::Event::InitDone) {
                // Full: it is going to be looked at anyway.
                let _waiting = gone.try_send(());
            }
        })
        .applied_objects()
        .predicate_filter(wanted, PredicateConfig::default());
    let passes = Controller::for_stream(endpoints, endpoint_store.clone())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .watches_stream_with(
            changed,
            |release: DynamicObject| {
                let endpoint = Release::endpoint_of(&release).map(str::to_owned);
                let namespace = release.namespace().unwrap_or_default();
                endpoint.map(|name| ObjectRef::new(&name).within(&namespace))
            },
            kind,
        )
        .graceful_shutdown_on(stop.clone().cancelled_owned())
        .run(reconcile, after_error, context.clone())
        .for_each(|_| async {});
    let passes = async {
        tokio::select! {
            () = passes => {}
            () = stopped_before_the_first_list(&endpoint_store, &stop) => {}
        }
    };
    let stranded = stranded::run(client, context, (endpoint_store.clone(), endpoints_gone), stop.clone());
    let synced = async {
        if store.wait_until_ready().await.is_ok() && endpoint_store.wait_until_ready().await.is_ok() {
            health.caches_synced();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = async { futures::join!(passes, stranded) } => {}
        () = synced => {}
    }
    health.controller_ended();
}

#[tracing::instrument(name = "endpoint", skip_all, fields(namespace = endpoint.namespace(), name = endpoint.name_any()))]
async fn reconcile(endpoint: Arc<EndpointMeta>, context: Arc<Context>) -> Result<Action, Error> {
    let began = std::time::Instant::now();
    let namespace = endpoint.namespace().unwrap_or_default();
    let key = claim::Key { namespace: &namespace, name: &endpoint.name_any() };
    let result = pass::reconcile(&context, key).await;
    context.metrics.reconciled(began.elapsed());
    result
}

/// An error is the API server's, and passes: the next try comes soon, since a withdrawal may be waiting.
fn after_error(endpoint: Arc<EndpointMeta>, error: &Error, context: Arc<Context>) -> Action {
    context.metrics.reconcile_failed(error.category());
    let again = match error.category() {
        "conflict" => Duration::ZERO,
        _ => Duration::from_secs(2),
    };
    tracing::warn!(%error, name = endpoint.name_any(), "a pass failed");
    Action::requeue(again)
}
