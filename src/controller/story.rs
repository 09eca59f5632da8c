//! What this pass wants: first what ends an attempt from outside, then its stage, or the next attempt.

mod interrupt;
mod scene;
#[cfg(test)]
mod tests;

use interrupt::{halted, interrupt};
pub use scene::{Holder, Scene, Turn};

use crate::{
    api::{
        ABORT, Cause, PromptReleaseSpec,
        log::{Attempt, Kind},
    },
    azure,
    controller::{
        context::Waits,
        objects::{Object, Release},
    },
    endpoint::Wish,
    policy::{
        digest,
        opens::{self, Asks, Opens},
        plan,
    },
    stage::{
        self, Decision, Facts, Stage, Then, Wait, build, canary, clean,
        deploy::{self, body::Recipe},
        evaluate, promote, roll_back,
    },
    view::waiting,
};

/// One turn. It may do one step of build or evaluate, which are idempotent by their own keys.
pub async fn turn(scene: &Scene<'_>) -> Turn {
    let Some(attempt) = scene.log.attempt.as_ref().filter(|a| a.ending.is_none()) else {
        return between(scene);
    };
    let stage = stage::stage_of(scene.log, scene.facts);
    if stage == Stage::RollBack {
        return Turn::settled(roll_back::next(attempt, scene.facts));
    }
    if let Some((cause, why)) = interrupt(scene, attempt) {
        if stage == Stage::Evaluate {
            evaluate::cancel(&scene.tenant.azure, scene.facts).await;
        }
        let actor = (cause == Cause::AbortRequested).then(|| format!("annotation {ABORT}"));
        return Turn { actor, ..Turn::withdraw(scene.facts, cause, why) };
    }
    let Holder::Present(release, spec) = scene.holder else {
        let why = match scene.holder {
            Holder::Invalid(_, _, why) => format!("the spec does not parse: {why}"),
            _ => String::new(),
        };
        return Turn::wait(scene.facts, scene.soon(why));
    };
    match halted(scene) {
        Some(why) if stage == Stage::Canary => Turn::settled(watch(scene, spec, attempt).await).or_halt(scene, why),
        Some(why) => Turn::wait(scene.facts, scene.soon(why)),
        None => go_on(scene, stage, release, spec, attempt).await,
    }
}

async fn go_on(
    scene: &Scene<'_>,
    stage: Stage,
    release: &Release,
    spec: &PromptReleaseSpec,
    attempt: &Attempt,
) -> Turn {
    let recipe = scene.tenant.known_location().and_then(|location| recipe(scene, location));
    if let Some(why) = recipe.and_then(|recipe| deploy::edited(&recipe, attempt, scene.deployments)) {
        return Turn::withdraw(scene.facts, Cause::Drift, why);
    }
    match stage {
        Stage::Build => build_one(scene, release, spec, attempt).await,
        Stage::Evaluate => {
            let turn = evaluate_one(scene, release, spec, attempt).await;
            if matches!(turn.wish, Wish::Withdraw(_)) {
                evaluate::cancel(&scene.tenant.azure, &turn.facts).await;
            }
            turn
        }
        Stage::Deploy => deploy_one(scene, release).await,
        Stage::Canary => Turn::settled(watch(scene, spec, attempt).await),
        Stage::Promote => {
            let ahead = promote::next(attempt, scene.facts);
            if promote::is_judged(scene.log) {
                Turn::settled(promote::or_withdraw(ahead, watch(scene, spec, attempt).await))
            } else {
                Turn::settled(ahead)
            }
        }
        Stage::RollBack | Stage::Clean => Turn::of(scene.facts.clone()),
    }
}

/// No attempt is open: the next one, or tidying.
fn between(scene: &Scene<'_>) -> Turn {
    let mut turn = Turn::of(scene.facts.clone());
    // Nothing begins before what is live was seen and is on record.
    if let (Holder::Present(release, spec), Some(_)) = (scene.holder, &scene.log.verified) {
        let abort = release.abort().ok().flatten();
        let hash = digest::revision_hash(&spec.artifact, spec.deployment.as_ref());
        let test_hash = digest::test_hash(spec);
        let (uid, endpoint) = (release.uid(), scene.endpoint.name());
        let asks = Asks {
            uid: &uid,
            endpoint: &endpoint,
            version: &spec.version,
            hash: &hash,
            test_hash: &test_hash,
            claimed_by: scene.held.map(|c| (c.name.as_str(), c.uid.as_str())),
            finalizer_stored: release.has_finalizer() && scene.endpoint.has_finalizer(),
            deleting: release.is_being_deleted() || scene.endpoint.is_being_deleted(),
            has_evaluation: spec.evaluation.is_some(),
            requires_evaluation: scene.spec.policy.require_evaluation,
            has_scores: scene.spec.application_insights.is_some(),
            abort: abort.as_ref(),
            rejected: &release.status.rejected,
            log: scene.log,
            deployments: scene.inventory,
        };
        let answer = match (opens::opens(&asks), halted(scene)) {
            (Opens::Yes(_), Some(why)) => Opens::EndpointNotReady { endpoint, why },
            (answer, _) => answer,
        };
        if let Opens::Yes(kind) = answer {
            turn.facts = Facts::default();
            turn.opening = Some(Box::new(attempt(scene, release, spec, kind, &hash, &test_hash)));
            return turn;
        }
        turn.answer = Some(answer);
    }
    if let Some(why) = halted(scene) {
        turn.wait = Some(scene.soon(why));
        return turn;
    }
    let (wish, until) = clean::next(scene.inventory, scene.log, scene.live, scene.instances_of_stable(), scene.now);
    turn.wish = wish;
    turn.wait = until.map(|until| Wait::until(until, String::new()));
    turn
}

/// The record of a new attempt.
fn attempt(
    scene: &Scene<'_>,
    release: &Release,
    spec: &PromptReleaseSpec,
    kind: Kind,
    hash: &str,
    test_hash: &str,
) -> Attempt {
    let log = scene.log;
    let fast = kind == Kind::Fast;
    Attempt {
        n: log.attempt.as_ref().map_or(0, |last| last.n) + 1,
        kind: kind.as_str().to_owned(),
        release: crate::api::log::ReleaseRef { name: release.name(), uid: release.uid() },
        version: spec.version.clone(),
        hash: hash.to_owned(),
        test_hash: test_hash.to_owned(),
        deployment: log.previous.as_ref().filter(|_| fast).map(|p| p.deployment.clone()),
        return_to: log.stable.as_ref().map(|s| s.deployment.clone()),
        started_at: scene.now,
        plan: plan::plan(spec, scene.waits.delete_grace),
        ..Attempt::default()
    }
}

async fn build_one(scene: &Scene<'_>, release: &Release, spec: &PromptReleaseSpec, attempt: &Attempt) -> Turn {
    let (name, facts) = (release.name(), scene.facts);
    let plan = build::Plan { spec, release: &name, hash: &attempt.hash };
    let Then::Do(step) = build::next(facts).then else { return Turn::of(facts.clone()) };
    let overdue = || build::overdue(attempt.started_at, scene.waits.build, scene.now);
    let Some(place) = build::place(scene.room, &step) else {
        return match overdue() {
            Some(why) => Turn::withdraw(facts, Cause::BuildUnavailable, format!("{why}: {}", waiting::crowded())),
            None => Turn::wait(facts, scene.soon(waiting::crowded())),
        };
    };
    match build::act(&scene.tenant.azure, &plan, &step, facts, &place).await {
        Ok(facts) => Turn::of(facts),
        Err(build::BuildError::Azure(error)) => match overdue() {
            Some(why) => Turn::withdraw(facts, Cause::BuildUnavailable, format!("{why}: {error}")),
            None => Turn::retry(scene, Cause::BuildUnavailable, &error),
        },
        Err(error) => Turn::withdraw(facts, Cause::BuildFailed, error.to_string()),
    }
}

async fn evaluate_one(scene: &Scene<'_>, release: &Release, spec: &PromptReleaseSpec, attempt: &Attempt) -> Turn {
    let (uid, facts, azure) = (release.uid(), scene.facts, &scene.tenant.azure);
    let Waits { second_count, poll, .. } = *scene.waits;
    let protected = &scene.spec.policy.protected_connections;
    // The status may be of a stable before this one, if its last write was lost.
    let stable = release.status.stable.as_ref();
    let stable = stable.filter(|seen| scene.log.stable.as_ref().is_some_and(|s| s.deployment == seen.deployment));
    let plan = evaluate::Plan { spec, release_uid: &uid, attempt: attempt.n, protected, stable, second_count, poll };
    let failed = |error: azure::Error| match evaluate::overdue(spec, facts, scene.now) {
        Some(why) => Turn::withdraw(facts, Cause::EvalInfraError, format!("{why}: {error}")),
        None => {
            let facts = evaluate::begun(facts, scene.now);
            Turn { facts, ..Turn::retry(scene, Cause::EvalInfraError, &error) }
        }
    };
    let look = match evaluate::look(azure, &plan, facts).await {
        Ok(look) => look,
        Err(error) => return failed(error),
    };
    let decision = evaluate::next(&plan, facts, &look, scene.now);
    emit(scene, release, attempt, &decision.facts).await;
    let Then::Do(step) = decision.then else {
        let Decision { facts, told, then } = decision;
        let then = match then {
            Then::Ask(wish, why) => Then::Ask(wish, why),
            Then::Wait(wait) => Then::Wait(wait),
            Then::Go | Then::Do(_) => Then::Go,
        };
        return Turn::settled(Decision { facts, told, then });
    };
    let facts = &decision.facts;
    match evaluate::recall(azure, &plan, facts, &release.status.gate_verdicts, scene.now).await {
        Ok(None) => {}
        Ok(Some(facts)) => return Turn { why: evaluate::submitted(spec, &facts), ..Turn::of(facts) },
        Err(error) => return failed(error),
    }
    match evaluate::act(azure, &plan, &step, facts, scene.now).await {
        Ok(facts) => Turn { why: evaluate::submitted(spec, &facts), ..Turn::of(facts) },
        Err(evaluate::EvaluateError::Protected(why)) => Turn::withdraw(facts, Cause::PolicyViolation, why),
        Err(evaluate::EvaluateError::Azure(error)) => failed(error),
    }
}

/// The verdict as events, in the pass that finds it. Nothing waits for them to be taken: what they say is in status too.
async fn emit(scene: &Scene<'_>, release: &Release, attempt: &Attempt, facts: &Facts) {
    let before = scene.facts.evaluation.as_ref().and_then(|known| known.verdict.as_ref());
    let found = facts.evaluation.as_ref().filter(|known| before.is_none() && known.verdict.is_some());
    let (Some(known), Some(component)) = (found, &scene.spec.application_insights) else { return };
    let (name, namespace, endpoint) = (release.name(), release.namespace(), scene.endpoint.name());
    let whose = evaluate::Whose {
        namespace: &namespace,
        release: &name,
        endpoint: &endpoint,
        version: &attempt.version,
        hash: &attempt.hash,
        attempt: attempt.n,
    };
    let events = evaluate::events(&whose, known, scene.now);
    if events.is_empty() {
        return;
    }
    if let Err(error) = scene.tenant.track(component, &events).await {
        tracing::warn!(release = name, %error, "the results of an evaluation were not sent to Application Insights");
    }
}

async fn deploy_one(scene: &Scene<'_>, release: &Release) -> Turn {
    let location = match scene.tenant.location().await {
        Ok(location) => location,
        Err(error) => return Turn::retry(scene, Cause::DeploymentUnavailable, &error),
    };
    let Some(recipe) = recipe(scene, location) else { return Turn::of(scene.facts.clone()) };
    let since = release.status.revision.as_ref().and_then(|r| r.deploying_since);
    let Waits { deploy: deadline, poll, .. } = *scene.waits;
    let plan = deploy::Plan { recipe, log: scene.log, refused: scene.refusal, since, deadline, poll };
    let found = scene.deployments.to_vec();
    let look = deploy::look(&scene.tenant.azure, &scene.spec.azure.endpoint, scene.log, found).await;
    Turn::settled(deploy::next(&plan, scene.facts, &look, scene.now))
}

/// What is about to be deployed is read once more, in the pass that sends the request: `turn` as it is, if all of it is
/// what was evaluated.
pub async fn as_evaluated(scene: &Scene<'_>, turn: Turn) -> Turn {
    let Holder::Present(_, spec) = scene.holder else { return turn };
    let (Some(flow), Some(built)) = (&spec.artifact.prompt_flow, &scene.facts.build) else { return turn };
    let Some(_place) = scene.room.for_archive() else {
        return Turn::wait(scene.facts, scene.soon(waiting::crowded()));
    };
    match build::content::differs(&scene.tenant.azure, flow, built).await {
        Ok(None) => turn,
        Ok(Some(why)) => Turn::withdraw(scene.facts, Cause::DeploymentUnavailable, why),
        Err(error) => Turn::retry(scene, Cause::DeploymentUnavailable, &error),
    }
}

/// What the attempt's deployment is made of, once it is built.
pub fn recipe<'a>(scene: &Scene<'a>, location: &'a str) -> Option<Recipe<'a>> {
    let Holder::Present(release, spec) = scene.holder else { return None };
    let attempt = scene.log.attempt.as_ref().filter(|a| a.ending.is_none() && a.version == spec.version)?;
    let build = scene.facts.build.as_ref()?;
    Some(Recipe {
        workspace: scene.tenant.azure.workspace_id(),
        location,
        endpoint: &scene.spec.azure.endpoint,
        owner: scene.owner,
        release: release.raw.metadata.name.as_deref()?,
        version: &attempt.version,
        hash: &attempt.hash,
        model: build.model.as_deref()?,
        environment: build.environment.as_deref()?,
        deployment: spec.deployment.as_ref(),
        instances: scene.wanted_instances(),
    })
}

async fn watch(scene: &Scene<'_>, spec: &PromptReleaseSpec, attempt: &Attempt) -> Decision<()> {
    let endpoint = &scene.spec.azure.endpoint;
    let source = match &scene.spec.application_insights {
        Some(component) => scene.tenant.scores(component).await.map(Some),
        None => Ok(None),
    };
    let look = match &source {
        Ok(source) => {
            let source = source.as_ref().map(|s| s as &dyn canary::scores::ScoreSource);
            canary::look(source, endpoint, attempt, scene.facts, scene.looked, scene.verified, scene.waits.poll).await
        }
        Err(error) => canary::Look::failed(error.to_string(), scene.looked, scene.verified, scene.waits.poll),
    };
    canary::next(spec, attempt, scene.facts, &look)
        .unwrap_or_else(|error| Decision::withdraw(scene.facts.clone(), Cause::InvalidSpec, error.to_string()))
}
