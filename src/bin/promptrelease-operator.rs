//! The operator: one process that holds the lease, watches both kinds and drives every endpoint.

use std::{net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use clap::Parser;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Config, ResourceExt,
    api::DynamicObject,
    runtime::{
        events::{Recorder, Reporter},
        reflector::Store,
    },
};
use promptrelease::{
    api, azure,
    controller::{self, Context, Memory, Tenants, Waits},
    endpoint::{Ms, Timing},
    leader::{self, Elector, Lease},
    metrics::Metrics,
    serve::{self, Health},
    stage::build::room::Room,
    telemetry,
};
use tokio::{net::TcpListener, signal::unix};
use tokio_util::sync::CancellationToken;

const NAME: &str = "promptrelease-operator";

/// Releases LLM flows on Azure ML: evaluated, canaried, promoted or taken back.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    /// Where /livez, /readyz and /metrics are served.
    #[arg(long, env = "LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Namespace of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "promptrelease-system")]
    namespace: String,
    /// Name of this pod, for the Lease and for Events.
    #[arg(long, env = "POD_NAME", default_value = NAME)]
    pod_name: String,
    #[command(flatten)]
    times: Times,
}

/// Times that a cluster hardly needs to change. What does not fit together is refused at the start.
#[derive(clap::Args, Debug)]
struct Times {
    /// How long the lease holds without renewal. Whole seconds.
    #[arg(long, default_value = "20s")]
    lease: api::Duration,
    /// Pause between two renewals.
    #[arg(long, default_value = "2s")]
    lease_renew: api::Duration,
    /// Time-out of one renewal.
    #[arg(long, default_value = "3s")]
    lease_call: api::Duration,
    /// After the start of its last successful renewal, how long a process acts as the holder.
    #[arg(long, default_value = "16s")]
    lease_deadline: api::Duration,
    /// Time-out of a write to Azure.
    #[arg(long, default_value = "8s")]
    azure_write: api::Duration,
    /// Time-out of a read from Azure.
    #[arg(long, default_value = "3s")]
    azure_read: api::Duration,
    /// Longest time by which a read of Azure may lag behind.
    #[arg(long, default_value = "30s")]
    read_lag: api::Duration,
    /// Distance of two looks that must agree.
    #[arg(long, default_value = "5s")]
    two_looks: api::Duration,
    /// A withdrawal that is not verified by then is paged.
    #[arg(long, default_value = "2m")]
    rollback_alarm: api::Duration,
    /// Longest time that a raise, or a promotion, may take to be read back.
    #[arg(long, default_value = "10m")]
    promotion_deadline: api::Duration,
    /// Azure unreadable, or a release unreadable, for this long while a canary has traffic.
    #[arg(long, default_value = "60s")]
    unreadable: api::Duration,
    /// How long a status that the API server refuses keeps a withdrawal back.
    #[arg(long, default_value = "30s")]
    status_refused: api::Duration,
    /// First pause before a write is tried again; it doubles up to a minute.
    #[arg(long, default_value = "5s")]
    back_off: api::Duration,
    /// Between looks at an endpoint while a withdrawal is under way.
    #[arg(long, default_value = "2s")]
    look_withdrawing: api::Duration,
    /// Between looks while a write is under way or lost.
    #[arg(long, default_value = "5s")]
    look_unsettled: api::Duration,
    /// Longest pause between looks while a canary has traffic.
    #[arg(long, default_value = "30s")]
    look_exposed: api::Duration,
    /// Pause between looks otherwise.
    #[arg(long, default_value = "5m")]
    look_steady: api::Duration,
    /// Between two looks at a run or a deployment.
    #[arg(long, default_value = "10s")]
    poll: api::Duration,
    /// Between two counts of an evaluation that is short of lines.
    #[arg(long, default_value = "30s")]
    second_count: api::Duration,
    /// How long Azure may keep a release from being built.
    #[arg(long, default_value = "120m")]
    build_deadline: api::Duration,
    /// How long Azure may take to bring up a deployment, the claim of the endpoint before it included.
    #[arg(long, default_value = "60m")]
    deploy_deadline: api::Duration,
    /// How long a pass may go on after SIGTERM. An upload takes longer than a pod has; the next leader repeats it.
    #[arg(long, default_value = "15s")]
    stop_within: api::Duration,
    /// How long a deployment that had traffic is kept at least, from when it has none, before it is deleted.
    #[arg(long, default_value = "10m")]
    delete_grace: api::Duration,
}

fn ms(duration: &api::Duration) -> Ms {
    Ms(i64::try_from(duration.get().as_millis()).unwrap_or(i64::MAX))
}

impl Times {
    fn protocol(&self) -> Timing {
        Timing {
            lease: ms(&self.lease),
            renew: ms(&self.lease_renew),
            renew_timeout: ms(&self.lease_call),
            deadline: ms(&self.lease_deadline),
            write: ms(&self.azure_write),
            read: ms(&self.azure_read),
            lag: ms(&self.read_lag),
            two_looks: ms(&self.two_looks),
            rollback: ms(&self.rollback_alarm),
            promotion: ms(&self.promotion_deadline),
            unreadable: ms(&self.unreadable),
            gone: ms(&self.unreadable),
            refused: ms(&self.status_refused),
            backoff: (ms(&self.back_off), Timing::DEFAULT.backoff.1.max(ms(&self.back_off))),
            look_withdrawing: ms(&self.look_withdrawing),
            look_unsettled: ms(&self.look_unsettled),
            look_exposed: ms(&self.look_exposed),
            look_steady: ms(&self.look_steady),
            ..Timing::DEFAULT
        }
    }

    fn lease(&self) -> leader::Timing {
        leader::Timing {
            lease: self.lease.get(),
            renew: self.lease_renew.get(),
            call: self.lease_call.get(),
            deadline: self.lease_deadline.get(),
            write: self.azure_write.get(),
        }
    }

    fn waits(&self) -> Waits {
        let signed = |d: &api::Duration| d.signed();
        Waits {
            poll: signed(&self.poll),
            second_count: signed(&self.second_count),
            build: signed(&self.build_deadline),
            deploy: signed(&self.deploy_deadline),
            delete_grace: signed(&self.delete_grace),
            invalid: signed(&self.unreadable),
            deliver_before_deletion: SignedDuration::from_mins(15),
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    telemetry::init();
    let started = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = started.context("no runtime").and_then(|runtime| runtime.block_on(operate(args)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the operator ends");
            ExitCode::FAILURE
        }
    }
}

/// What a process has before it leads.
struct Process {
    client: Client,
    cluster: String,
    identity: String,
    lease: Lease,
    metrics: Metrics,
}

impl Process {
    fn context(self, args: &Args, timing: Timing, http: reqwest::Client, releases: Store<DynamicObject>) -> Context {
        let Self { client, cluster, identity, lease, metrics } = self;
        let timeouts = azure::Timeouts {
            read: args.times.azure_read.get(),
            write: args.times.azure_write.get(),
            ..azure::Timeouts::default()
        };
        let reporter = Reporter { controller: NAME.into(), instance: Some(args.pod_name.clone()) };
        Context {
            tenants: Tenants::new(client.clone(), http.clone(), timeouts, Arc::new(metrics.clone())),
            recorder: Recorder::new(client.clone(), reporter),
            client,
            http,
            lease,
            metrics,
            cluster,
            by: identity.rsplit('_').next().unwrap_or_default().chars().take(4).collect(),
            timing,
            waits: args.times.waits(),
            releases,
            room: Room::default(),
            memory: Memory::default(),
        }
    }
}

async fn operate(args: Args) -> Result<()> {
    let (timing, lease_timing) = (args.times.protocol(), args.times.lease());
    timing.check().map_err(anyhow::Error::msg).context("these times do not fit together")?;
    lease_timing.check().context("the times of the lease are unsafe")?;
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut config = Config::infer().await.context("no way to an API server: set KUBECONFIG or run in a cluster")?;
    // HTTPS_PROXY is the way to Azure. kube takes it for the API server too and does not look at NO_PROXY.
    config.proxy_url = None;
    let lease_client = leader::client(config.clone(), &lease_timing)?;
    let (watching, asking) = (client(config.clone(), None)?, client(config, Some(ANSWER))?);
    let cluster = cluster(&asking).await?;
    let identity = leader::identity(&args.pod_name);
    let settings = leader::Settings {
        namespace: args.namespace.clone(),
        name: NAME.into(),
        identity: identity.clone(),
        timing: lease_timing,
    };
    let (elector, lease) = Elector::new(lease_client, settings);
    let (stop_work, stop_lease) = (CancellationToken::new(), CancellationToken::new());
    let mut elector = tokio::spawn(elector.run(stop_lease.clone()));
    let (health, metrics) = (Health::new(lease.clone()), Metrics::new());
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    tracing::info!(listen = %listener.local_addr()?, %identity, "started");
    let serving = serve::serve(listener, health.clone(), metrics.clone(), stop_lease.clone().cancelled_owned());
    let serving = tokio::spawn(serving);
    let stopping = stop_work.clone();
    tokio::spawn(async move {
        terminated().await;
        tracing::info!("asked to stop");
        stopping.cancel();
    });
    let process = Process { client: asking, cluster, identity, lease: lease.clone(), metrics };
    let work = async {
        tokio::select! {
            led = lease.acquired() => if led.is_err() { return Ok(()) },
            () = stop_work.cancelled() => return Ok(()),
        }
        tracing::info!("this process leads");
        let http = azure::http::client(NAME, Duration::from_secs(5)).context("no HTTP client")?;
        let stop_within = args.times.stop_within.get();
        let make = |releases| process.context(&args, timing, http, releases);
        tokio::select! {
            () = controller::run(watching, make, health, stop_work.clone()) => {}
            () = over(&stop_work, stop_within, &lease) => tracing::warn!("a pass that goes on is cut off: the next leader repeats it"),
        }
        anyhow::Ok(())
    };
    let ended = tokio::select! {
        worked = work => { worked?; None }
        end = &mut elector => Some(end?),
    };
    if let Some(end) = ended {
        anyhow::bail!("leadership has ended: {end:?}");
    }
    // Writes under way have returned, or the lease task waits for them.
    stop_lease.cancel();
    let end = elector.await?;
    serving.await??;
    anyhow::ensure!(end == leader::End::Released, "leadership has ended: {end:?}");
    tracing::info!("stopped, the lease is given back");
    Ok(())
}

/// Returns so long after it was asked to stop, when no write to Azure is under way.
async fn over(stop: &CancellationToken, within: Duration, lease: &Lease) {
    stop.cancelled().await;
    tokio::time::sleep(within).await;
    lease.drain().await;
}

/// A pass holds the way back of its endpoint, so no call of one may hang. A watch is quiet for longer than this.
const ANSWER: Duration = Duration::from_secs(5);

/// kube's own retries would keep a withdrawal waiting for minutes.
fn client(mut config: Config, answers_within: Option<Duration>) -> Result<Client> {
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    config.write_timeout = Some(Duration::from_secs(10));
    config.read_timeout = answers_within;
    // Else the time that a connection was idle would count.
    config.reset_reader_on_write = true;
    Client::try_from(config).context("the API server's address or certificates cannot be used")
}

/// Names the cluster in tags on Azure.
async fn cluster(client: &Client) -> Result<String> {
    let namespace: Namespace = Api::all(client.clone())
        .get("kube-system")
        .await
        .context("namespace kube-system cannot be read; its uid names the cluster")?;
    namespace.uid().context("namespace kube-system has no uid")
}

async fn terminated() {
    let mut term = match unix::signal(unix::SignalKind::terminate()) {
        Ok(term) => term,
        Err(error) => {
            tracing::error!(%error, "no signals can be had");
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
