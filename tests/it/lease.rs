//! The lease on the real API server. That no interleaving has two leaders is tried in `leader/candidate/explore.rs`; here
//! is what a model leaves out: real conflicts, real time, a network that drops packets.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use k8s_openapi::api::coordination::v1::Lease as LeaseObject;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use promptrelease::leader::{self, Elector, End, Lease, Settings, Timing};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ground::{Cable, Ground, config, wait_for};

const NAME: &str = "operator";

/// The shortest times that are safe, since a lease is whole seconds and 4 s longer than the deadline.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(7),
    renew: Duration::from_millis(200),
    call: Duration::from_millis(500),
    deadline: Duration::from_millis(2700),
    write: Duration::ZERO,
};
const _: () = assert!(TIMING.check().is_ok());

/// A process that stands for the lease.
struct Process {
    identity: String,
    lease: Lease,
    stop: CancellationToken,
    task: JoinHandle<End>,
}

impl Process {
    async fn start(namespace: &str, pod: &str, kubeconfig: &PathBuf) -> Self {
        let identity = leader::identity(pod);
        let client = leader::client(config(kubeconfig).await, &TIMING).expect("a client");
        let (namespace, name) = (namespace.to_owned(), NAME.to_owned());
        let settings = Settings { namespace, name, identity: identity.clone(), timing: TIMING };
        let (elector, lease) = Elector::new(client, settings);
        let stop = CancellationToken::new();
        let task = tokio::spawn(elector.run(stop.clone()));
        Self { identity, lease, stop, task }
    }

    async fn leads(&self) {
        tokio::time::timeout(crate::ground::LONG, self.lease.acquired()).await.expect("in time").expect("not over");
    }

    /// Knows that `other` leads.
    async fn stands_by(&self, other: &Self) {
        wait_for("the standby knows the leader", async || match self.lease.holder() {
            Some(holder) if holder == other.identity => Ok(()),
            holder => Err(format!("{holder:?}")),
        })
        .await;
        assert!(self.lease.known() && self.lease.time_left(leader::Moment::now()).is_zero());
    }

    async fn stopped(self) -> End {
        self.stop.cancel();
        self.task.await.expect("no panic")
    }
}

async fn stored(ground: &Ground, namespace: &str) -> LeaseObject {
    let api: Api<LeaseObject> = Api::namespaced(ground.client().await, namespace);
    api.get(NAME).await.expect("a Lease")
}

fn holder(lease: &LeaseObject) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref()
}

#[tokio::test]
async fn a_free_lease_is_taken_at_once_and_renewed_and_given_back() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("lease-free").await;
    let process = Process::start(&namespace, "one", &ground.plane().kubeconfig()).await;
    process.leads().await;
    let first = stored(ground, &namespace).await;
    assert_eq!(holder(&first), Some(process.identity.as_str()));
    assert_eq!(first.spec.as_ref().and_then(|spec| spec.lease_duration_seconds), Some(7));
    for _ in 0..2 {
        process.lease.next_success().await.expect("renewed");
    }
    let later = stored(ground, &namespace).await;
    assert_ne!(first.metadata.resource_version, later.metadata.resource_version);
    assert!(first.spec.and_then(|spec| spec.renew_time) < later.spec.and_then(|spec| spec.renew_time));

    assert_eq!(process.stopped().await, End::Released);
    assert_eq!(holder(&stored(ground, &namespace).await), None);
}

#[tokio::test]
async fn a_lease_that_is_given_back_is_taken_without_waiting_for_its_end() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("lease-handed-over").await;
    let kubeconfig = ground.plane().kubeconfig();
    let one = Process::start(&namespace, "one", &kubeconfig).await;
    one.leads().await;
    let two = Process::start(&namespace, "two", &kubeconfig).await;
    two.stands_by(&one).await;

    let asked = Instant::now();
    assert_eq!(one.stopped().await, End::Released);
    two.leads().await;
    assert!(asked.elapsed() < TIMING.lease, "{:?}", asked.elapsed());
    let lease = stored(ground, &namespace).await;
    assert_eq!(lease.spec.and_then(|spec| spec.lease_transitions), Some(1));
}

#[tokio::test]
async fn a_holder_that_is_cut_off_ends_before_another_takes_over() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("lease-cut-off").await;
    let cable = Cable::lay(ground).await;
    let one = Process::start(&namespace, "one", &cable.kubeconfig(&ground.plane().kubeconfig())).await;
    one.leads().await;
    let two = Process::start(&namespace, "two", &ground.plane().kubeconfig()).await;
    two.stands_by(&one).await;

    one.lease.next_success().await.expect("renewed");
    let cut = Instant::now();
    cable.cut();
    let lease = one.lease.clone();
    assert_eq!(one.task.await.expect("no panic"), End::Deadline);
    let ended = cut.elapsed();
    assert!(lease.time_left(leader::Moment::now()).is_zero() && lease.over());
    // The deadline is 2.7 s; the rest is for a busy machine.
    assert!(ended < Duration::from_secs(6), "{ended:?}");

    two.leads().await;
    let taken = cut.elapsed();
    // Its last renewal may have come some moments before the cut; a taker counts from when it saw it.
    let full = TIMING.lease - TIMING.renew;
    assert!(taken > full && taken < TIMING.lease + Duration::from_secs(10), "{taken:?}");
    assert!(ended < taken);
}

#[tokio::test]
async fn who_sees_another_holder_ends() {
    let ground = Ground::shared().await;
    let namespace = ground.namespace("lease-lost").await;
    let one = Process::start(&namespace, "one", &ground.plane().kubeconfig()).await;
    one.leads().await;
    let api: Api<LeaseObject> = Api::namespaced(ground.client().await, &namespace);
    let taken = json!({"spec": {"holderIdentity": "somebody"}});
    api.patch(NAME, &PatchParams::default(), &Patch::Merge(&taken)).await.expect("patched");
    assert_eq!(one.task.await.expect("no panic"), End::HeldBy("somebody".into()));
    assert_eq!(holder(&stored(ground, &namespace).await), Some("somebody"), "nothing was written after that");
}
