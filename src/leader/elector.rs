//! The lease task: the only writer of the Lease.

use std::time::Duration;

use k8s_openapi::{api::coordination::v1::Lease as LeaseObject, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{Api, Client, Config, api::PostParams};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    candidate::{Candidate, End, Next, Record, Step},
    clock::Moment,
    handle::{Lease, State},
    timing::Timing,
};

/// Which Lease, and who asks for it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub namespace: String,
    /// Of the Lease.
    pub name: String,
    /// Of this process; see [`identity`].
    pub identity: String,
    pub timing: Timing,
}

/// A holder's name that no other process ever has: a container that restarts in its pod is not the one before it, whose
/// writes may still be under way.
pub fn identity(pod: &str) -> String {
    format!("{pod}_{}", uuid::Uuid::new_v4())
}

/// A client for the lease alone: it gives up after `timing.call`, and repeats nothing by itself, since kube's own
/// retries can go on for minutes.
///
/// # Errors
///
/// The configuration has no usable credentials or certificates.
pub fn client(mut config: Config, timing: &Timing) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.connect_timeout = Some(timing.call);
    config.read_timeout = Some(timing.call);
    config.write_timeout = Some(timing.call);
    config.reset_reader_on_write = true;
    Client::try_from(config)
}

/// One candidate.
pub struct Elector {
    api: Api<LeaseObject>,
    settings: Settings,
    candidate: Candidate,
    /// As last read or written, so that a renewal keeps what others added.
    object: Option<LeaseObject>,
    successes: u64,
    state: watch::Sender<State>,
    lease: Lease,
}

impl Elector {
    /// `client` should come from [`client`]. The times are used as they are; [`Timing::check`] is the caller's.
    pub fn new(client: Client, settings: Settings) -> (Self, Lease) {
        let (state, seen) = watch::channel(State::default());
        let lease = Lease::new(seen);
        let elector = Self {
            api: Api::namespaced(client, &settings.namespace),
            candidate: Candidate::new(settings.identity.clone(), &settings.timing),
            settings,
            object: None,
            successes: 0,
            state,
            lease: lease.clone(),
        };
        (elector, lease)
    }

    /// Stands for the lease, renews it, and returns when leadership has ended or, after `stop`, when it was given back.
    /// The process must then exit. Failed calls do not end it: the deadline does.
    pub async fn run(mut self, stop: CancellationToken) -> End {
        loop {
            let pause = self.round().await;
            self.publish();
            if let Next::End(end) = self.candidate.next(Moment::now()) {
                tracing::error!(?end, "leadership has ended");
                self.state.send_modify(|state| state.valid_until = None);
                return end;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return self.give_back().await,
            }
        }
    }

    /// One read or write or both, within the time of a call. Returns the time to the next.
    async fn round(&mut self) -> Duration {
        let Timing { renew, call, .. } = self.settings.timing;
        match tokio::time::timeout(call, self.try_round()).await {
            Ok(Ok(pause)) => pause,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the lease could not be read or written");
                self.candidate.look_again();
                renew
            }
            Err(_) => {
                tracing::warn!(limit = ?call, "no answer about the lease");
                self.candidate.look_again();
                renew
            }
        }
    }

    async fn try_round(&mut self) -> Result<Duration, kube::Error> {
        let renew = self.settings.timing.renew;
        if self.candidate.next(Moment::now()) == Next::Read {
            self.object = self.api.get_opt(&self.settings.name).await?;
            self.candidate.read(self.object.as_ref().map(record), Moment::now());
        }
        match self.candidate.next(Moment::now()) {
            Next::Write(step) => {
                let started = Moment::now();
                match self.write(&step).await {
                    Ok(object) => {
                        self.candidate.won(record(&object), started, Moment::now());
                        self.object = Some(object);
                        self.successes += 1;
                        Ok(renew)
                    }
                    Err(kube::Error::Api(s)) if s.is_conflict() || s.is_already_exists() || s.is_not_found() => {
                        self.candidate.look_again();
                        // Somebody was faster: see who, soon.
                        Ok(renew / 10)
                    }
                    Err(e) => Err(e),
                }
            }
            Next::Wait(time) => {
                self.candidate.look_again();
                Ok(time.min(renew))
            }
            Next::Read | Next::End(_) => Ok(renew),
        }
    }

    async fn write(&self, step: &Step) -> Result<LeaseObject, kube::Error> {
        let object = self.claim();
        match step {
            Step::Create => self.api.create(&PostParams::default(), &object).await,
            // The object carries the resourceVersion that it was read with: a lost race is a 409.
            _ => self.api.replace(&self.settings.name, &PostParams::default(), &object).await,
        }
    }

    /// The Lease as it was seen, with this process as its holder.
    fn claim(&self) -> LeaseObject {
        let now = MicroTime(jiff::Timestamp::now());
        let me = Some(self.settings.identity.clone());
        let mut object = self.object.clone().unwrap_or_default();
        object.metadata.name = Some(self.settings.name.clone());
        let spec = object.spec.get_or_insert_default();
        if spec.holder_identity != me {
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |n| n.saturating_add(1)));
            spec.acquire_time = Some(now.clone());
            spec.holder_identity = me;
        }
        spec.renew_time = Some(now);
        spec.lease_duration_seconds = i32::try_from(self.settings.timing.lease.as_secs()).ok();
        object
    }

    /// Ends leadership after the writes under way have returned, or at the deadline, and frees the Lease so that the
    /// next leader need not wait.
    async fn give_back(mut self) -> End {
        // Not longer than the deadline: a write that has not returned by then is in the log, as unknown.
        let left = self.lease.time_left(Moment::now());
        let drained = tokio::time::timeout(left, self.lease.drain()).await.is_ok();
        self.state.send_modify(|state| state.valid_until = None);
        if self.candidate.valid_until().is_none() || !drained {
            return End::Released;
        }
        match tokio::time::timeout(self.settings.timing.call, self.free()).await {
            Ok(Ok(())) => tracing::info!("the lease was given back"),
            // It runs out by itself.
            Ok(Err(error)) => tracing::warn!(%error, "the lease could not be given back"),
            Err(_) => tracing::warn!("no answer while giving back the lease"),
        }
        End::Released
    }

    async fn free(&mut self) -> Result<(), kube::Error> {
        if self.candidate.next(Moment::now()) == Next::Read {
            self.object = self.api.get_opt(&self.settings.name).await?;
        }
        let me = Some(self.settings.identity.as_str());
        let Some(mut object) = self.object.take() else { return Ok(()) };
        let Some(spec) = object.spec.as_mut().filter(|spec| spec.holder_identity.as_deref() == me) else {
            return Ok(());
        };
        spec.holder_identity = None;
        self.api.replace(&self.settings.name, &PostParams::default(), &object).await.map(drop)
    }

    fn publish(&self) {
        let new = State {
            valid_until: self.candidate.valid_until(),
            successes: self.successes,
            holder: self.candidate.holder().map(str::to_owned),
            informed: self.candidate.informed(),
        };
        self.state.send_if_modified(|state| {
            let changed = *state != new;
            *state = new;
            changed
        });
    }
}

fn record(object: &LeaseObject) -> Record {
    let spec = object.spec.clone().unwrap_or_default();
    let seconds = spec.lease_duration_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
    Record {
        version: object.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(seconds),
    }
}
