//! How a controller is stopped before it has listed its objects.

use futures::FutureExt as _;
use kube::runtime::reflector;
use tokio_util::sync::CancellationToken;

/// Returns after `stop` if the store is empty by then. A controller of kube that is stopped before its first list waits
/// for that list for ever; no pass can be under way then, so it may be dropped.
pub async fn stopped_before_the_first_list<K>(store: &reflector::Store<K>, stop: &CancellationToken)
where
    K: reflector::Lookup + Clone + 'static,
    K::DynamicType: Eq + std::hash::Hash + Clone,
{
    stop.cancelled().await;
    if store.wait_until_ready().now_or_never().is_some() {
        std::future::pending::<()>().await;
    }
}
