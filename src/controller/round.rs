//! The middle of a pass: one look, one turn, at most one write to Azure, and what is told about it.

use std::time::Duration;

use futures::channel::oneshot;
use kube::runtime::controller::Action;

pub use super::cluster::Round;
use super::{
    Error, alarms,
    context::Kept,
    deliver::{self, Delivered},
    endpoint_report::{self, Basis},
    objects::Object as _,
    pages,
    ports::ClusterPorts,
    report::{self, Paged},
    story::{self, Scene, Turn},
    telling::Telling,
};
use crate::{
    api::{
        At, Cause, PromptEndpointStatus, TAKE_OVER,
        log::{Kind, Log, Owed, ReleaseRef},
        status::CanaryStatus,
    },
    azure::{self, OnlineDeployment},
    endpoint::{
        Ms, Observed, Sight, State, Timing, Wish,
        convert::{self, Remarks},
        drive::{self, Request, Stored},
        observe::{Question, observe},
    },
    notify::{self, Taken},
    policy::plan,
    stage::{self, Facts, Stage},
    view::timeline,
};

impl Round<'_> {
    /// Looks at Azure, takes one turn, and tells what came of it.
    ///
    /// # Errors
    /// The API server's.
    pub async fn go(&self, log: Log, kept: &mut Kept) -> Result<Action, Error> {
        let facts = self.facts(&log);
        let has_facts = facts.is_some();
        let facts = facts.unwrap_or_default();
        let scene = Scene {
            endpoint: self.endpoint,
            spec: self.spec,
            holder: self.holder,
            held: self.claims.held.as_ref(),
            log: &log,
            facts: &facts,
            has_facts,
            tenant: self.tenant,
            owner: self.owner,
            waits: &self.context.waits,
            room: &self.context.room,
            refusal: None,
            live: None,
            deployments: &[],
            inventory: &[],
            verified: false,
            looked: At::default(),
            now: At::from(self.context.clock()),
        };
        let observed = self.look(&scene, kept).await;
        let refusal = kept.azure.refusal.clone();
        let (held, grace) = (self.claims.held.as_ref(), self.context.waits.delete_grace);
        let seen = endpoint_report::seen(self.endpoint, &log, &observed, held, self.owner, grace);
        let scene = Scene {
            refusal: refusal.as_ref(),
            live: observed.endpoint.as_ref(),
            deployments: &observed.deployments,
            inventory: &seen.deployments,
            verified: verified(&log, &observed),
            looked: observed.look.begun.into(),
            now: observed.now.into(),
            ..scene
        };
        let turn = self.or_unheard(&scene, story::turn(&scene).await).await;
        let creates = matches!(turn.wish, Wish::Create { .. })
            && drive::creates(&self.timing(), &convert::read(&log), &observed, &turn.wish, &kept.azure);
        let turn = if creates { story::as_evaluated(&scene, turn).await } else { turn };
        self.act(&scene, &seen, &turn, &observed, kept).await
    }

    /// No user meets a new version while nobody could be paged about it. The way back waits for no receiver.
    async fn or_unheard(&self, scene: &Scene<'_>, turn: Turn) -> Turn {
        let first = scene.log.attempt.as_ref().is_some_and(|a| a.is(Kind::Canary) && a.raised.is_empty());
        if !first || !matches!(turn.wish, Wish::Raise { .. } | Wish::Promote) {
            return turn;
        }
        let problems = pages::unusable(&self.context.client, self.key.namespace, &self.spec.notifications).await;
        match problems.is_empty() {
            true => turn,
            false => {
                turn.or_halt(scene, format!("gets no traffic before on-call can be paged: {}", problems.join("; ")))
            }
        }
    }

    /// The endpoint's own time for a lost write, which no write can be shorter than.
    fn timing(&self) -> Timing {
        let settle = i64::try_from(self.spec.settle.get().as_millis()).unwrap_or(i64::MAX);
        let (known, settle) = (self.context.timing, Ms(settle).max(self.context.timing.write));
        // Long enough for a second try where the first one's reply was lost.
        let promotion = known.promotion.max(settle + settle + known.deadline + known.lag);
        Timing { settle, promotion, ..known }
    }

    /// Those of the log's attempt, open or ended.
    fn facts(&self, log: &Log) -> Option<Facts> {
        Facts::of(&self.holder.release()?.status, log.attempt.as_ref()?)
    }

    async fn look(&self, scene: &Scene<'_>, kept: &mut Kept) -> Observed {
        let list = lists(scene);
        // The way back needs no body to compare with, and waits for nothing that it does not need.
        let compares = list && stage::stage_of(scene.log, scene.facts) != Stage::RollBack;
        let location = if compares { self.tenant.location().await.ok() } else { None };
        let recipe = location.and_then(|location| story::recipe(scene, location));
        let same_body = |found: &OnlineDeployment| {
            let recipe = recipe.as_ref()?;
            Some(azure::same_body(&recipe.body(&found.name), &found.body))
        };
        let before = &self.endpoint.status.deployments;
        let served = |name: &str| before.iter().any(|d| d.name.eq_ignore_ascii_case(name) && d.served);
        let record = convert::read(scene.log);
        let question = Question {
            azure: &self.tenant.azure,
            endpoint: &self.spec.azure.endpoint,
            owner: self.owner,
            take_over: self.endpoint.annotation(TAKE_OVER),
            log: &record,
            list,
            same_body: &same_body,
            served: &served,
            timing: &self.timing(),
        };
        observe(&question, &mut kept.azure, || self.context.clock()).await
    }

    /// At most one write to Azure; beside it, at most one entry of the outbox is delivered.
    async fn act(
        &self,
        scene: &Scene<'_>,
        seen: &PromptEndpointStatus,
        turn: &Turn,
        observed: &Observed,
        kept: &mut Kept,
    ) -> Result<Action, Error> {
        let problem = observed.problem.as_ref().map(ToString::to_string);
        let certain = endpoint_report::certain(self.endpoint);
        let basis = Basis {
            generation: self.endpoint.generation(),
            seen,
            observed,
            facts: &turn.facts,
            problem: problem.as_deref(),
            certain: certain.as_ref(),
            now: scene.now,
        };
        let on_the_way = |log: &Log| basis.on_the_way(log, None);
        let (announce, announced) = oneshot::channel();
        let Kept { azure: remembered, refused_since, taken, .. } = kept;
        let mut ports = ClusterPorts {
            context: self.context,
            api: self.api,
            endpoint: self.endpoint.clone(),
            log: scene.log.clone(),
            render: &on_the_way,
            remarks: self.remarks(scene, turn, observed),
            refused_since,
            announce: Some(announce),
            problem: None,
        };
        if let Some(attempt) = &turn.opening {
            let log = Log { owner: self.owner.to_owned(), attempt: Some((**attempt).clone()), ..scene.log.clone() };
            return opened(ports.put(log).await, ports.problem);
        }
        let location = self.tenant.known_location();
        let recipe = location.and_then(|location| story::recipe(scene, location));
        let body = |name: &str| recipe.as_ref().map(|recipe| recipe.body(name));
        let timing = self.timing();
        let request = Request {
            azure: &self.tenant.azure,
            endpoint: &self.spec.azure.endpoint,
            owner: self.owner,
            by: &self.context.by,
            timing: &timing,
            body: &body,
            instances: u32::try_from(scene.wanted_instances()).unwrap_or(1),
        };
        let record = convert::read(scene.log);
        let refusal = remembered.refusal.as_ref().map(|(_, error)| error.to_string());
        let alarms = |log: &Log, cause: Cause| {
            let azure = &self.spec.azure;
            alarms::Around { azure, log, observed, refusal: refusal.as_deref() }.words(cause)
        };
        let act = async {
            let progress = drive::pass(&mut ports, &request, &record, observed, &turn.wish, remembered).await;
            // Nothing more is going to be announced.
            ports.announce = None;
            progress
        };
        let (progress, delivered) = futures::join!(act, self.deliver(scene, turn, announced, taken, &alarms));
        if let Some((_, delivered)) = &delivered {
            taken.note(&delivered.key, &delivered.taken, &ports.log.outbox);
        }
        let telling = Telling { round: *self, scene, basis, turn, observed, remembered, progress, delivered };
        telling.tell(ports).await
    }

    fn remarks<'r>(&'r self, scene: &'r Scene<'_>, turn: &'r Turn, observed: &Observed) -> Remarks<'r> {
        let holder = self.claims.held.as_ref();
        let cause = match turn.wish {
            Wish::Withdraw(cause) => Some(cause),
            Wish::Promote => {
                let fast = scene.log.attempt.as_ref().is_some_and(|attempt| attempt.is(Kind::Fast));
                Some(if fast { Cause::FastPromoted } else { Cause::Promoted })
            }
            _ => None,
        };
        let last = scene.log.intent.as_ref().map(|last| last.seq);
        let refusal = scene.refusal.filter(|(seq, _)| Some(*seq) == last);
        Remarks {
            owner: self.owner,
            by: &self.context.by,
            namespace: self.key.namespace,
            holder: holder.map(|held| ReleaseRef { name: held.name.clone(), uid: held.uid.clone() }),
            deployments: scene.inventory,
            cause,
            evidence: &turn.why,
            actor: turn.actor.as_deref(),
            live: observed.look.live().map(|live| live.split.to_string()),
            refusal: refusal.map(|(_, error)| error.to_string()),
        }
    }

    /// What was due already, else what this pass adds. It is told with what this pass has found: the release's status
    /// still lacks the window, or the gate's results, that decided.
    async fn deliver(
        &self,
        scene: &Scene<'_>,
        turn: &Turn,
        announced: oneshot::Receiver<(Owed, Log)>,
        taken: &Taken,
        alarms: &(dyn Fn(&Log, Cause) -> Option<String> + Sync),
    ) -> Option<(Owed, Delivered)> {
        let now = scene.now;
        let (owed, log) = match notify::due(&scene.log.outbox, now) {
            Some(owed) => (owed.clone(), scene.log.clone()),
            None => announced.await.ok()?,
        };
        let status = self.holder.release().map(|release| &release.status);
        let mut timeline = status.filter(|_| scene.has_facts).map(|s| s.timeline.clone()).unwrap_or_default();
        for event in &turn.told {
            timeline::append(&mut timeline, now, event);
        }
        let alarm = owed.kind.parse().ok().and_then(|cause| alarms(&log, cause));
        let paged = Paged {
            namespace: self.key.namespace,
            endpoint: self.key.name,
            log: &log,
            facts: &turn.facts,
            timeline: &timeline,
            history: status.map_or(&[], |s| &s.history),
            traffic: self.endpoint.status.traffic.as_deref(),
            alarm: alarm.as_deref(),
        };
        let body = report::page(&owed, &paged);
        let (to, before) = (&self.spec.notifications, taken.by(&owed.key));
        let sent = self.context.clock();
        let delivered = deliver::deliver(self.context, self.key.namespace, to, before, &owed, &body, sent).await;
        Some((owed, delivered))
    }
}

/// Deployments are read where one may be made, sent traffic or deleted: also where a raise may have to be sent again, and
/// where a withdrawal was tried in vain, perhaps since what it returns to is gone. While a canary is only watched, nothing
/// that they show would change anything.
fn lists(scene: &Scene<'_>) -> bool {
    match stage::stage_of(scene.log, scene.facts) {
        Stage::Build | Stage::Evaluate => false,
        Stage::RollBack => scene.log.withdrawal().is_some_and(|withdrawal| withdrawal.tries > 1),
        Stage::Deploy | Stage::Promote | Stage::Clean => true,
        Stage::Canary => {
            let attempt = scene.log.attempt.as_ref();
            let (canary, plan) = (scene.facts.canary.as_ref(), attempt.map(|a| &a.plan));
            let left = |c: &CanaryStatus| plan.map_or(0, |plan| plan::planned(plan, c.step)) - c.counted;
            let unverified = attempt.and_then(|a| a.raised.last()).is_some_and(|raised| raised.verified_at.is_none());
            unverified || canary.is_some_and(|canary| left(canary) <= 1)
        }
    }
}

/// The split is read back as that of the open attempt's last raise, by number.
fn verified(log: &Log, observed: &Observed) -> bool {
    let raised = log.attempt.as_ref().and_then(|a| a.raised.last()).filter(|r| r.verified_at.is_some());
    let (Some(raised), Some(verified), Sight::Live(live)) = (raised, &log.verified, &observed.look.endpoint) else {
        return false;
    };
    let as_written = live.seq() == Some(raised.seq) && verified.seq == raised.seq;
    as_written && live.state == State::Succeeded && live.split.to_string() == verified.split
}

/// The attempt is on record: the next pass takes its first step.
fn opened(stored: Stored, problem: Option<kube::Error>) -> Result<Action, Error> {
    match (stored, problem) {
        (Stored::Kept | Stored::Pruned | Stored::Conflict, _) | (_, None) => Ok(Action::requeue(Duration::ZERO)),
        (_, Some(error)) => Err(error.into()),
    }
}
