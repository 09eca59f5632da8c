//! The end of a pass: both statuses and the Events are brought up to date, deletions are let go on, and it is said when
//! the next pass is due.

use std::time::Duration;

use jiff::SignedDuration;
use kube::runtime::controller::Action;

use super::{
    Error, alarms, deletion,
    deliver::Delivered,
    endpoint_report::Basis,
    events::publish,
    objects::{self, Endpoint, Object as _, Release},
    ports::ClusterPorts,
    report::{self, Report},
    round::Round,
    story::{Holder, Scene, Turn},
    waits::{self, Around, Said},
};
use crate::{
    api::{
        At, Cause, PromptEndpoint, PromptRelease,
        log::{Attempt, Log, Owed},
    },
    endpoint::{
        Ms, Observed, Remembered,
        drive::{Progress, Stored},
    },
    notify, stage,
    view::{
        claims::{self, Asker},
        notified::{Delivery, Lack, Notified},
        release::{Alarm, ReleaseView, Standing, Waiting, standing},
        timeline::{Announcement, Event},
        trouble,
    },
};

/// Nobody changes anything, yet somebody may have: the pause where nothing else is due.
const STEADY: SignedDuration = SignedDuration::from_mins(5);

/// The shortest pause while a release takes no writes: the facts of its stages are lost with its status, so they would do the
/// same step again and again.
const AFTER_REFUSAL: Duration = Duration::from_secs(2);

/// Everything that a pass came to.
pub struct Telling<'a> {
    pub round: Round<'a>,
    pub scene: &'a Scene<'a>,
    /// What the endpoint's conditions follow from, as it was before the act.
    pub basis: Basis<'a>,
    pub turn: &'a Turn,
    pub observed: &'a Observed,
    pub remembered: &'a Remembered,
    pub progress: Progress,
    pub delivered: Option<(Owed, Delivered)>,
}

impl Telling<'_> {
    /// Tells, and says when the next pass is due.
    ///
    /// # Errors
    /// The API server's.
    pub async fn tell(self, ports: ClusterPorts<'_>) -> Result<Action, Error> {
        let now = self.remembered.azure_time(self.round.context.clock()).into();
        let said = self.said();
        let (log, given_up) = self.marked(&ports.log, now);
        let notified = self.notified(given_up);
        let basis = Basis { now, ..self.basis };
        let status = |log: &Log| match &self.progress {
            Progress::Wait(..) | Progress::NotStored(Stored::Pruned) => {
                basis.status(log, said.trouble.as_ref(), notified)
            }
            Progress::Again(_) | Progress::NotStored(_) => basis.on_the_way(log, notified),
        };
        // What this pass has recorded counts, also if the status cannot be written below.
        self.count(&ports.log);
        let mut ports = ClusterPorts { render: &status, ..ports };
        let stored = ports.put(log.clone()).await;
        if let Stored::Refused { why, .. } | Stored::Unanswered(why) = &stored {
            tracing::warn!(why, "the endpoint's status could not be written");
        }
        let endpoint = ports.endpoint;
        self.tell_endpoint(&endpoint).await;
        let told = self.tell_release(&endpoint, &log, &said, notified, now).await;
        // What is owed does not wait for a status that cannot be stored.
        let release = match &told {
            Ok(release) => release.as_ref(),
            Err(_) => self.round.holder.release(),
        };
        let gone = deletion::go_on(&self.round, &endpoint, release, &log, now).await;
        let due = self.due(&log, &stored, now);
        match told.and(gone) {
            Ok(true) => Ok(Action::await_change()),
            Ok(false) => Ok(Action::requeue(due)),
            Err(error) => {
                let why = error.refusal().map(str::to_owned).ok_or(error)?;
                self.refused(&why).await;
                Ok(Action::requeue(due.max(AFTER_REFUSAL)))
            }
        }
    }

    fn said(&self) -> Said {
        let around = Around {
            azure: &self.round.spec.azure,
            namespace: self.round.key.namespace,
            name: self.round.key.name,
            live: self.observed.endpoint.as_ref(),
            remembered: self.remembered,
            problem: self.basis.problem,
            now: self.observed.now.into(),
        };
        match &self.progress {
            Progress::Wait(_, waiting) => waits::say(waiting, &around),
            Progress::NotStored(Stored::Pruned) => Said { trouble: Some(trouble::crd_outdated()), ..Said::default() },
            Progress::NotStored(_) | Progress::Again(_) => Said::default(),
        }
    }

    /// The log after the delivery, and whether its entry was given up.
    fn marked(&self, log: &Log, now: At) -> (Log, bool) {
        let Some((_, delivered)) = &self.delivered else { return (log.clone(), false) };
        let (outbox, given_up) = notify::mark(&log.outbox, &delivered.key, delivered.accepted(), now);
        (Log { outbox, ..log.clone() }, given_up)
    }

    fn notified(&self, given_up: bool) -> Option<Notified<'_>> {
        let (_, delivered) = self.delivered.as_ref()?;
        let Delivered { taken, missing, problems, .. } = delivered;
        let lack = Lack { taken, missing, problems };
        let delivery = match (delivered.accepted(), given_up) {
            (true, _) => Delivery::Accepted(taken),
            (false, true) => Delivery::GivenUp(lack),
            (false, false) => Delivery::Pending(lack),
        };
        Some(Notified { key: &delivered.key, delivery })
    }

    /// The endpoint has no timeline, so an Event says that it begins to need a person.
    async fn tell_endpoint(&self, endpoint: &Endpoint) {
        let (context, key) = (self.round.context, self.round.key);
        let (before, after) = (&self.basis.seen.conditions, &endpoint.status.conditions);
        context.metrics.stalled(
            key.namespace,
            key.name,
            after.iter().any(|c| c.type_ == "Stalled" && c.status == "True"),
        );
        if let Some(told) = Announcement::of_stall(before, after) {
            publish::<PromptEndpoint>(context, &endpoint.raw, told).await;
        }
    }

    /// The holder's status, and its Events.
    async fn tell_release(
        &self,
        endpoint: &Endpoint,
        log: &Log,
        said: &Said,
        notified: Option<Notified<'_>>,
        now: At,
    ) -> Result<Option<Release>, Error> {
        let Some(release) = self.round.holder.release() else { return Ok(None) };
        let uid = release.uid();
        let attempt = log.attempt.as_ref().filter(|attempt| attempt.release.uid == uid);
        let (alarm, misread) = (attempt.and_then(|attempt| self.alarm(attempt, log)), release.abort().err());
        let waiting = self.waiting(said);
        let facts = &self.turn.facts;
        let view = ReleaseView {
            namespace: self.round.key.namespace,
            name: &release.name(),
            generation: release.generation(),
            spec: release.spec.as_ref().ok(),
            log,
            standing: self.standing(release, attempt, log, said),
            build: facts.build.as_ref(),
            evaluation: facts.evaluation.as_ref(),
            canary: facts.canary.as_ref(),
            deployments: &endpoint.status.deployments,
            traffic: endpoint.status.traffic.as_deref(),
            waiting,
            alarm: alarm.as_ref().map(|(cause, what)| Alarm { cause: *cause, what }),
            misread: misread.as_deref(),
            notified,
        };
        let misread = misread.clone().map(|why| Event::Misread { why });
        let looked = self.turn.told.iter().map(|event| (self.scene.now, event.clone()));
        let since = misread.into_iter().chain(self.delivery(attempt, notified)).map(|event| (now, event));
        let told = looked.chain(since).collect();
        let spec = release.spec.as_ref().ok();
        let report = Report { release, spec, view, attempt, facts, told, now };
        let (status, events) = report::release(&report);
        let mut release = release.clone();
        if status != release.status {
            let api = objects::releases(&self.round.context.client, self.round.key.namespace);
            release = Release::read(objects::put_status(&api, &release.raw, &status).await?);
        }
        for event in events {
            publish::<PromptRelease>(self.round.context, &release.raw, announced(&event, attempt)).await;
        }
        Ok(Some(release))
    }

    /// An Event is the only place left where it can be told.
    async fn refused(&self, why: &str) {
        self.round.context.metrics.reconcile_failed("api");
        tracing::warn!(why, "the API server refuses what is to be written into a release");
        if let Some(release) = self.round.holder.release() {
            publish::<PromptRelease>(self.round.context, &release.raw, Announcement::of_refused_writes(why)).await;
        }
    }

    fn standing(&self, release: &Release, attempt: Option<&Attempt>, log: &Log, said: &Said) -> Standing {
        if let Some(stage) = attempt.and_then(|_| report::stage(stage::stage_of(log, &self.turn.facts))) {
            return Standing::UnderWay(stage);
        }
        if let Holder::Invalid(_, _, why) = self.round.holder {
            return Standing::Answered(claims::invalid(why));
        }
        let version = release.spec.as_ref().map_or("", |spec| &spec.version);
        let (uid, name) = (release.uid(), release.name());
        let asker = Asker { namespace: self.round.key.namespace, release: &name, azure: &self.round.spec.azure };
        let answered = self.turn.answer.as_ref().and_then(|opens| standing(opens, log, &uid, version, &asker));
        let unasked = || {
            if self.scene.log.verified.is_some() {
                return Standing::Answered(claims::Answer::waits("Pending", ""));
            }
            let trouble = self.basis.certain.or(said.trouble.as_ref()).map(|trouble| trouble.message.as_str());
            Standing::Answered(claims::unseen(self.round.key.name, trouble))
        };
        // In the pass that ends it no question was asked yet.
        let ended = || attempt.filter(|a| a.ending.is_some() && a.version == version).map(|_| Standing::Ended);
        answered.or_else(ended).unwrap_or_else(unasked)
    }

    /// The protocol's own waiting comes first: it stands between a stage and what it wants.
    fn waiting<'v>(&'v self, said: &'v Said) -> Option<Waiting<'v>> {
        if let Some(why) = &said.why {
            return Some(Waiting { why, retry: said.retry });
        }
        match &self.turn.wait {
            Some(wait) => Some(Waiting { why: &wait.why, retry: wait.retry }),
            None => Some(Waiting { why: &self.turn.why, retry: None }).filter(|w| !w.why.is_empty()),
        }
    }

    fn alarm(&self, attempt: &Attempt, log: &Log) -> Option<(Cause, String)> {
        let refusal = self.remembered.refusal.as_ref().map(|(_, error)| error.to_string());
        let (azure, observed) = (&self.round.spec.azure, self.observed);
        let around = alarms::Around { azure, log, observed, refusal: refusal.as_deref() };
        let waits = match &self.progress {
            Progress::Wait(_, waits) => Some(waits),
            Progress::NotStored(_) | Progress::Again(_) => None,
        };
        around.standing(attempt, waits)
    }

    /// What became of a delivery: who took it, as an event of the attempt that it is about, and who did not in three days.
    /// What is tried again is told by the condition Notified.
    fn delivery(&self, attempt: Option<&Attempt>, notified: Option<Notified<'_>>) -> Vec<Event> {
        let Some((owed, delivered)) = &self.delivered else { return Vec::new() };
        let reason = owed.kind.clone();
        let mut told = Vec::new();
        // A receiver may take one long after its attempt, in whose timeline it would be another's.
        let own = attempt.is_some_and(|attempt| report::is_about(owed, self.round.key.namespace, attempt));
        if own && !delivered.by.is_empty() {
            let page = reason.parse::<Cause>().is_ok_and(|cause| cause.severity() == crate::api::Severity::Page);
            told.push(Event::Delivered { by: delivered.by.clone(), reason: reason.clone(), page });
        }
        if notified.is_some_and(|n| matches!(n.delivery, Delivery::GivenUp(_))) {
            let to = if delivered.taken.is_empty() { Vec::new() } else { delivered.missing.clone() };
            told.push(Event::Undelivered { to, reason, why: delivered.problems.join("; ") });
        }
        told
    }

    fn count(&self, log: &Log) {
        let (metrics, key) = (&self.round.context.metrics, self.round.key);
        let open = log.attempt.as_ref().filter(|a| a.ending.is_none());
        metrics.exposed(key.namespace, key.name, open.is_some_and(|a| !a.raised.is_empty()));
        let before = self.scene.log.attempt.as_ref().and_then(|a| a.ending.as_ref());
        let ended = log.attempt.as_ref().and_then(|a| a.ending.as_ref()).filter(|_| before.is_none());
        if let Some(ending) = ended
            && let (Ok(outcome), Ok(cause)) = (ending.outcome.parse(), ending.reason.parse())
        {
            metrics.ended(outcome, cause);
        }
    }

    /// The earliest of what the protocol, the stage and the outbox wait for.
    fn due(&self, log: &Log, stored: &Stored, now: At) -> Duration {
        let azure_now = self.observed.now;
        let from_azure = |until: Ms| SignedDuration::from_millis((until - azure_now).0);
        let protocol = match (&self.progress, stored) {
            (_, Stored::Conflict) | (Progress::NotStored(Stored::Conflict) | Progress::Again(None), _) => {
                SignedDuration::ZERO
            }
            (Progress::Again(Some(until)) | Progress::Wait(until, _), _) => from_azure(*until),
            (Progress::NotStored(_), _) => SignedDuration::from_secs(2),
        };
        let stage = match &self.turn.wait {
            Some(wait) => wait.until.since(azure_now.into()),
            // A step was done: the next one is not kept waiting.
            None if self.turn.facts != *self.scene.facts => SignedDuration::ZERO,
            None => STEADY,
        };
        let outbox = log.outbox.iter().map(|owed| owed.next_at.since(now)).min().unwrap_or(STEADY);
        let due = protocol.min(stage).min(outbox).max(SignedDuration::ZERO);
        Duration::try_from(due).unwrap_or_default()
    }
}

fn announced(event: &Event, attempt: Option<&Attempt>) -> Announcement {
    let (version, n) = attempt.map_or(("", 0), |attempt| (attempt.version.as_str(), attempt.n));
    event.announce(version, n)
}
