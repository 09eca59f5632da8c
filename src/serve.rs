//! What the kubelet and Prometheus ask over HTTP: `/livez`, `/readyz`, `/metrics`.
//!
//! - *Alive* means that a restart would not help. A leader that cannot reach the API server is alive: a new process could
//!   not reach it either, and would begin by waiting for the lease.
//! - *Ready* means that the process does its part: a leader whose caches are filled, or a standby that knows who leads
//!   and goes on asking. A standby has to count. While one pod of a Deployment with a single replica replaces another,
//!   the new one stands by until the old one has given the lease back; if it were not ready meanwhile, a rolling update
//!   would keep the old pod for ever, and after the loss of a node `kubectl rollout status` would report a failure that
//!   is none. Nothing is routed to an operator, so there is no traffic that a standby could get wrongly.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    leader::{Lease, Moment},
    metrics::{self, Metrics},
};

/// How long requests under way may hold up the end of the process.
const GRACE: Duration = Duration::from_secs(2);

/// What the rest of the process reports about itself. Clones report to the same place.
#[derive(Clone, Debug)]
pub struct Health {
    lease: Lease,
    facts: Arc<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    caches_synced: AtomicBool,
    controller_ended: AtomicBool,
}

/// An answer to a probe: the state in words, for whoever asks with curl.
type Answer = Result<String, String>;

impl Health {
    pub fn new(lease: Lease) -> Self {
        Self { lease, facts: Arc::default() }
    }

    /// The controller has listed everything that it watches.
    pub fn caches_synced(&self) {
        self.facts.caches_synced.store(true, Ordering::Release);
    }

    /// The controller has returned: nothing will be done any more.
    pub fn controller_ended(&self) {
        self.facts.controller_ended.store(true, Ordering::Release);
    }

    /// Whether this process holds the lease at `now`.
    pub fn leads(&self, now: Moment) -> bool {
        !self.lease.time_left(now).is_zero()
    }

    fn state(&self, now: Moment) -> ProcessState {
        ProcessState {
            caches_synced: self.facts.caches_synced.load(Ordering::Acquire),
            controller_ended: self.facts.controller_ended.load(Ordering::Acquire),
            leads: self.leads(now),
            lease_known: self.lease.known(),
            lease_over: self.lease.over(),
            holder: self.lease.holder(),
        }
    }
}

/// All that the answers rest on.
#[derive(Clone, Debug, Default)]
struct ProcessState {
    caches_synced: bool,
    controller_ended: bool,
    leads: bool,
    lease_known: bool,
    lease_over: bool,
    holder: Option<String>,
}

impl ProcessState {
    /// # Errors
    ///
    /// Only a restart helps, and why.
    fn alive(&self) -> Answer {
        if self.controller_ended {
            return Err("the controller has ended: nothing is watched or driven any more".into());
        }
        if self.lease_over {
            return Err("leadership has ended: this process should have exited".into());
        }
        Ok("alive".into())
    }

    /// # Errors
    ///
    /// What is missing.
    fn ready(&self) -> Answer {
        self.alive()?;
        if self.leads {
            return if self.caches_synced {
                Ok("leading".into())
            } else {
                Err("leading, but PromptEndpoints and PromptReleases have not all been listed yet".into())
            };
        }
        if !self.lease_known {
            return Err("the Lease has not been read yet: is the API server reachable, and may it be read?".into());
        }
        match &self.holder {
            Some(holder) => Ok(format!("standing by: {holder} holds the lease")),
            None => Ok("standing by: the lease is free".into()),
        }
    }
}

fn probe(answer: Answer) -> (StatusCode, String) {
    match answer {
        Ok(state) => (StatusCode::OK, format!("{state}\n")),
        Err(problem) => (StatusCode::SERVICE_UNAVAILABLE, format!("{problem}\n")),
    }
}

async fn livez(State((health, _)): State<(Health, Metrics)>) -> impl IntoResponse {
    probe(health.state(Moment::now()).alive())
}

async fn readyz(State((health, _)): State<(Health, Metrics)>) -> impl IntoResponse {
    probe(health.state(Moment::now()).ready())
}

async fn show_metrics(State((health, metrics)): State<(Health, Metrics)>) -> impl IntoResponse {
    // Asked now and not when it changed: a deadline passes without anybody doing something.
    metrics.leading(health.leads(Moment::now()));
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics.encode())
}

fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .with_state((health, metrics))
}

/// Answers until `shutdown`, and then for at most 2 s more.
///
/// # Errors
///
/// The listener breaks.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    metrics: Metrics,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let stop = CancellationToken::new();
    let server = axum::serve(listener, router(health, metrics)).with_graceful_shutdown(stop.clone().cancelled_owned());
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        served = &mut server => return served,
        () = shutdown => stop.cancel(),
    }
    // Whoever is still reading then has stopped doing so.
    tokio::time::timeout(GRACE, server).await.unwrap_or(Ok(()))
}

#[cfg(test)]
mod tests {
    use kube::{Client, Config};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::leader::{Elector, Settings, Timing};

    fn standby() -> ProcessState {
        ProcessState { lease_known: true, holder: Some("other".into()), ..ProcessState::default() }
    }

    #[test]
    fn a_standby_is_ready_so_that_a_rolling_update_can_end() {
        assert_eq!(standby().ready().as_deref(), Ok("standing by: other holds the lease"));
        assert!(ProcessState { lease_known: false, ..standby() }.ready().is_err());
    }

    #[test]
    fn a_leader_is_ready_when_its_caches_are_filled_and_alive_before() {
        let leading = ProcessState { leads: true, ..standby() };
        assert!(leading.ready().is_err());
        assert!(leading.alive().is_ok());
        assert_eq!(ProcessState { caches_synced: true, ..leading }.ready().as_deref(), Ok("leading"));
    }

    #[test]
    fn who_can_do_nothing_any_more_is_restarted() {
        for ended in [
            ProcessState { controller_ended: true, leads: true, caches_synced: true, ..standby() },
            ProcessState { lease_over: true, ..standby() },
        ] {
            assert!(ended.alive().is_err() && ended.ready().is_err(), "{ended:?}");
        }
    }

    async fn get(address: std::net::SocketAddr, path: &str) -> String {
        let mut connection = tokio::net::TcpStream::connect(address).await.expect("listens");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        connection.write_all(request.as_bytes()).await.expect("writes");
        let mut reply = String::new();
        connection.read_to_string(&mut reply).await.expect("reads");
        reply
    }

    #[tokio::test]
    async fn the_three_pages_answer_over_http() {
        let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().expect("a URL"))).expect("a client");
        let (namespace, name, identity) = ("x".into(), "x".into(), "x".into());
        let settings = Settings { namespace, name, identity, timing: Timing::DEFAULT };
        let (elector, lease) = Elector::new(client, settings);
        let health = Health::new(lease);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("binds");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, health.clone(), Metrics::new(), stop.clone().cancelled_owned()));

        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 200 "));
        let ready = get(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503 ") && ready.contains("has not been read yet"), "{ready}");
        let metrics = get(address, "/metrics").await;
        assert!(metrics.contains(metrics::CONTENT_TYPE) && metrics.contains("promptrelease_leader 0"), "{metrics}");
        health.controller_ended();
        assert!(get(address, "/livez").await.starts_with("HTTP/1.1 503 "));

        // A connection that says nothing holds nothing up.
        let _silent = tokio::net::TcpStream::connect(address).await.expect("listens");
        stop.cancel();
        server.await.expect("no panic").expect("no error");
        drop(elector);
    }
}
