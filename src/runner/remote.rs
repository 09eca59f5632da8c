//! An evaluation in the workspace, in the operator's own steps: uploaded, run and judged as that of a release. There is no
//! object and no deployment. What stays there is the uploaded content, under its address, and the runs.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{
    outcome::{Asked, Lines, Outcome},
    progress::{Progress, what},
    project::Prepared,
};
use crate::{
    api::{At, Cause, release::Evaluation},
    azure::{self, Azure, Class},
    endpoint::Wish,
    policy::completeness,
    stage::{
        Facts, Then,
        build::{self, BuildError},
        evaluate::{self, EvaluateError, Look, Plan},
    },
};

/// Where a release is evaluated, and how patiently.
#[derive(Clone, Copy, Debug)]
pub struct Remote<'a> {
    pub azure: &'a Azure,
    /// Connections that no run may use.
    pub protected: &'a [String],
    /// Between two looks at a run.
    pub poll: SignedDuration,
    /// Between two counts of an evaluation that is short of lines.
    pub second_count: SignedDuration,
}

/// How often a write is made before the service counts as away. Reads of what was paid for are made as long as the
/// evaluation may last.
const TRIES: u32 = 5;
/// For the service to be told that nobody waits any more.
const FAREWELL: Duration = Duration::from_secs(10);

/// Evaluates a release. Whoever waits no longer completes `stop`; then, as after any other early end, the service is asked
/// to stop the run that is under way.
pub async fn evaluate(
    remote: &Remote<'_>,
    prepared: &Prepared,
    stop: impl Future<Output = ()>,
    tell: impl FnMut(Progress<'_>),
) -> Outcome {
    let release = uuid::Uuid::new_v4().to_string();
    let plan = Plan {
        spec: &prepared.release.spec,
        // Runs of their own, each time.
        release_uid: &release,
        attempt: 1,
        protected: remote.protected,
        stable: None,
        second_count: remote.second_count,
        poll: remote.poll,
    };
    let asked = prepared.asked();
    let mut drive = Drive { remote, prepared, plan, asked, tell, shown: None, pending: None };
    let mut facts = Facts::default();
    let ended = tokio::select! {
        ended = drive.until_judged(&mut facts) => ended,
        () = stop => Err("it was stopped before it had ended".to_owned()),
    };
    let farewell = async {
        match &drive.pending {
            Some(run) => evaluate::cancel_run(remote.azure, run).await,
            None => evaluate::cancel(remote.azure, &facts).await,
        }
    };
    // Who is in a hurry has said so twice by now.
    let _late = tokio::time::timeout(FAREWELL, farewell).await;
    ended.unwrap_or_else(|why| asked.infra_error(why))
}

/// Why a step was not done.
enum Failed {
    /// What the release or the endpoint's policy says keeps it from being done.
    Release(String),
    Azure(azure::Error),
}

impl From<BuildError> for Failed {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Azure(error) => Self::Azure(error),
            error => Self::Release(error.to_string()),
        }
    }
}

impl From<EvaluateError> for Failed {
    fn from(error: EvaluateError) -> Self {
        match error {
            EvaluateError::Azure(error) => Self::Azure(error),
            EvaluateError::Protected(why) => Self::Release(why),
        }
    }
}

impl From<azure::Error> for Failed {
    fn from(error: azure::Error) -> Self {
        Self::Azure(error)
    }
}

struct Drive<'a, F> {
    remote: &'a Remote<'a>,
    prepared: &'a Prepared,
    plan: Plan<'a>,
    asked: Asked<'a>,
    tell: F,
    /// The rows of which run were told last.
    shown: Option<(String, usize)>,
    /// The run that is being submitted.
    pending: Option<String>,
}

impl<F: FnMut(Progress<'_>)> Drive<'_, F> {
    /// Look, decide, act, until there is a verdict. `facts` holds what was begun, for whoever stops it.
    ///
    /// # Errors
    /// Why nothing could be found out.
    async fn until_judged(&mut self, facts: &mut Facts) -> Result<Outcome, String> {
        let (azure, spec, plan) = (self.remote.azure, self.plan.spec, self.plan.clone());
        self.note(&format!("uploading to {}", azure.workspace_id().workspace));
        let prepared = self.prepared;
        *facts = self.patiently(async || build::upload(azure, spec, &prepared.checked).await, is_away).await?;
        loop {
            let over = |_| evaluate::overdue(spec, facts, now());
            let look = self.patiently(async || evaluate::look(azure, &plan, facts).await, over).await?;
            self.show(facts, &look).await;
            let decision = evaluate::next(&plan, facts, &look, now());
            *facts = decision.facts;
            match decision.then {
                Then::Do(step) => {
                    self.pending = Some(evaluate::run_id(&plan, &step, facts));
                    let act = async || evaluate::act(azure, &plan, &step, facts, now()).await;
                    let after = self.patiently(act, is_away).await?;
                    *facts = after;
                    self.pending = None;
                    self.note(&evaluate::submitted(spec, facts));
                }
                Then::Wait(wait) => {
                    if wait.retry.is_some() {
                        self.note(&wait.why);
                    }
                    pause(wait.until.since(now())).await;
                }
                Then::Go if facts.gate_open() => return Ok(self.asked.judged(&lines(look))),
                // The next repeat.
                Then::Go => {}
                Then::Ask(wish, why) => return self.withdrawn(&wish, why, look),
            }
        }
    }

    /// A regression is told with what was measured; anything else with the rows, if there are any.
    fn withdrawn(&self, wish: &Wish<String>, why: String, look: Look) -> Result<Outcome, String> {
        let lines = lines(look);
        match (wish, lines.last()) {
            (Wish::Withdraw(Cause::EvalRegression), Some(_)) => {
                Ok(Outcome { reason: why, ..self.asked.judged(&lines) })
            }
            (_, Some(last)) => Ok(self.asked.short(last, why)),
            (_, None) => Err(why),
        }
    }

    /// The answer of a call that is made again where the next answer may be another. `over` says of a number of tries why
    /// it is not.
    async fn patiently<T, E: Into<Failed>>(
        &mut self,
        call: impl AsyncFn() -> Result<T, E>,
        over: impl Fn(u32) -> Option<String>,
    ) -> Result<T, String> {
        let mut tries = 0;
        loop {
            let error = match call().await.map_err(Into::into) {
                Ok(answer) => return Ok(answer),
                Err(Failed::Release(why)) => return Err(why),
                Err(Failed::Azure(error)) => error,
            };
            tries += 1;
            if !may_pass(&error) {
                return Err(error.to_string());
            }
            if let Some(why) = over(tries) {
                return Err(format!("{why}: {error}"));
            }
            self.note(&format!("{error}; trying again"));
            let wanted = error.retry_after().and_then(|after| SignedDuration::try_from(after).ok());
            pause(wanted.unwrap_or_default().max(self.remote.poll)).await;
        }
    }

    fn note(&mut self, text: &str) {
        (self.tell)(Progress::Note(text));
    }

    /// How many rows are done, when it is more than was told last.
    async fn show(&mut self, facts: &Facts, look: &Look) {
        let Some(known) = &facts.evaluation else { return };
        let repeat = i64::try_from(known.repeats.len()).unwrap_or(i64::MAX).saturating_add(1);
        let of = self.plan.spec.evaluation.as_ref().map_or(1, Evaluation::repeats);
        let (run, name, ended) = match (&known.judge_run, &known.base_run) {
            (Some(judge), _) => (judge, "scores", &look.judge_lines),
            (None, Some(base)) => (base, "answers", &look.base_lines),
            (None, None) => return,
        };
        let (what, rows) = (what(name, repeat, of), self.prepared.dataset.rows());
        let before = self.shown.as_ref().filter(|(shown, _)| shown == run).map(|(_, done)| *done);
        let done = match ended {
            Some(lines) => usize::try_from(completeness::answered(rows, lines)).unwrap_or(rows),
            // For want of a reply nothing is shown; the next look will tell.
            None => match evaluate::so_far(self.remote.azure, facts, before.unwrap_or_default()).await {
                Ok(done) => done,
                Err(_) => return,
            },
        };
        if before != Some(done) {
            (self.tell)(Progress::Rows { what: &what, done, rows });
            self.shown = Some((run.clone(), done));
        }
    }
}

/// Of all repeats that were read, the last one last. Empty: not even answers were.
fn lines(look: Look) -> Vec<Lines> {
    let earlier = look.repeats.into_iter().map(|(answers, scores)| Lines { answers, scores: Some(scores) });
    let last = look.base_lines.map(|answers| Lines { answers, scores: look.judge_lines });
    if last.is_some() { earlier.chain(last).collect() } else { Vec::new() }
}

fn is_away(tries: u32) -> Option<String> {
    (tries >= TRIES).then(|| format!("given up after {tries} tries"))
}

/// Whether the same call may have another answer. What a person has to mend is told at once.
fn may_pass(error: &azure::Error) -> bool {
    matches!(error.class(), Class::Unknown | Class::Throttled) || matches!(error, azure::Error::Unreachable { .. })
}

fn now() -> At {
    Timestamp::now().into()
}

async fn pause(length: SignedDuration) {
    tokio::time::sleep(Duration::try_from(length).unwrap_or_default()).await;
}
