//! The protocol's ports on this cluster: its log is the endpoint's status, its permission to write is the Lease.

use std::time::Duration;

use futures::channel::oneshot;
use jiff::Timestamp;
use kube::api::{Api, DynamicObject};

use super::{
    context::Context,
    objects::{self, Endpoint},
};
use crate::{
    api::{
        PromptEndpointStatus,
        log::{self, Owed},
    },
    endpoint::{
        self, Ms,
        convert::{self, Remarks},
        drive::{Note, Ports, Stored},
    },
    leader::{Moment, WriteSlot},
};

/// Everything in the endpoint's status that follows from its log and from what was looked at.
pub type Render<'a> = dyn Fn(&log::Log) -> PromptEndpointStatus + Send + Sync + 'a;

/// One pass's way to the log.
pub struct ClusterPorts<'a> {
    pub context: &'a Context,
    pub api: &'a Api<DynamicObject>,
    /// As last read or written; the next write is compared with it.
    pub endpoint: Endpoint,
    /// As last read or written.
    pub log: log::Log,
    pub render: &'a Render<'a>,
    /// What the protocol does not know of a decision and people want to.
    pub remarks: Remarks<'a>,
    pub refused_since: &'a mut Option<Ms>,
    /// Tells the delivery that an entry is stored.
    pub announce: Option<oneshot::Sender<(Owed, log::Log)>>,
    /// What the API server said to the last write that it did not keep.
    pub problem: Option<kube::Error>,
}

impl ClusterPorts<'_> {
    /// Stores `log` and what follows from it, if that differs from what is stored.
    pub async fn put(&mut self, log: log::Log) -> Stored {
        let wanted = (self.render)(&log);
        if wanted == self.endpoint.status {
            return Stored::Kept;
        }
        match objects::put_status(self.api, &self.endpoint.raw, &wanted).await {
            Ok(raw) => {
                *self.refused_since = None;
                self.endpoint = Endpoint::read(raw);
                let kept = self.endpoint.log.as_ref().ok().and_then(Option::as_ref) == Some(&log);
                self.log = log;
                if kept { Stored::Kept } else { Stored::Pruned }
            }
            Err(error) => self.not_stored(error),
        }
    }

    fn not_stored(&mut self, error: kube::Error) -> Stored {
        let stored = match &error {
            kube::Error::Api(status) if status.is_conflict() => Stored::Conflict,
            kube::Error::Api(status) if (400..500).contains(&status.code) => {
                let now = Ms(self.clock().as_millisecond());
                let since = *self.refused_since.get_or_insert(now);
                Stored::Refused { since, why: status.message.clone() }
            }
            error => Stored::Unanswered(error.to_string()),
        };
        self.problem = Some(error);
        stored
    }
}

impl Ports for ClusterPorts<'_> {
    type Slot = WriteSlot;

    async fn store(&mut self, log: &endpoint::Log<String>, note: Note<'_>) -> Stored {
        let merged = convert::merge(&self.log, log, &self.remarks, note.sha256);
        let news = note.pages.first().and_then(|page| convert::owed(page, &merged, &self.remarks));
        let stored = self.put(merged).await;
        let told = matches!(stored, Stored::Kept | Stored::Pruned | Stored::Refused { .. });
        if let (true, Some(owed)) = (told, news)
            && let Some(announce) = self.announce.take()
        {
            // Nobody listens any more: the outbox has it.
            let _unheard = announce.send((owed, self.log.clone()));
        }
        stored
    }

    fn begin_write(&self, needed: Duration) -> Option<Self::Slot> {
        self.context
            .lease
            .begin_write(needed, Moment::now())
            .inspect_err(|error| tracing::info!(%error, "no write to Azure now"))
            .ok()
    }

    async fn renewed(&self) {
        if self.context.lease.next_success().await.is_err() {
            // The process is about to exit.
            std::future::pending::<()>().await;
        }
    }

    fn clock(&self) -> Timestamp {
        self.context.clock()
    }
}
