//! Build: fetch the archive, prove that it is the one released, read its flow, upload it by content, register it.

pub mod archive;
pub mod checked;
pub mod connections;
pub mod content;
mod fault;
pub mod flow;
pub mod ignore;
pub mod mapping;
mod paths;
pub mod register;
pub mod room;
pub mod sizes;

pub use checked::{Checked, Content, Fault, inspect};
pub use fault::BuildError;
pub use register::Plan;
use room::{Place, Room};

use super::{Decision, Facts, Then};
use crate::{
    api::{At, PromptReleaseSpec, release::PromptFlow, status},
    azure::{self, Azure},
    policy::digest,
    view::sentence,
};

/// One step, idempotent by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Fetch, verify, unpack, check, upload what is not there yet.
    Upload,
    RegisterModel,
    RegisterEnvironment,
}

/// Why the build is given up, if its time is over.
pub fn overdue(started: At, deadline: jiff::SignedDuration, now: At) -> Option<String> {
    (now >= started.plus(deadline)).then(|| format!("the build did not succeed within {}", sentence::span(deadline)))
}

/// Which parts are missing: the facts say it, Azure need not be asked.
pub fn next(facts: &Facts) -> Decision<Step> {
    let build = facts.build.clone().unwrap_or_default();
    let step = match (&build.folder, &build.model) {
        (None, _) => Step::Upload,
        (_, None) => Step::RegisterModel,
        _ => Step::RegisterEnvironment,
    };
    Decision::new(facts.clone(), Then::Do(step))
}

/// The step's place in memory. None: it would hold an archive, and others hold as many as may be.
pub fn place<'r>(room: &'r Room, step: &Step) -> Option<Place<'r>> {
    match step {
        Step::Upload => room.for_archive(),
        Step::RegisterModel | Step::RegisterEnvironment => Some(Place::default()),
    }
}

/// Does one step, in its place in memory, and says what is known after it.
///
/// # Errors
/// [`BuildError::Azure`] is worth another try, the rest is the release's fault.
pub async fn act(
    azure: &Azure,
    plan: &Plan<'_>,
    step: &Step,
    facts: &Facts,
    _place: &Place<'_>,
) -> Result<Facts, BuildError> {
    let Some(flow) = &plan.spec.artifact.prompt_flow else {
        return Err(BuildError::NoArtifact);
    };
    let mut build = facts.build.clone().unwrap_or_default();
    match step {
        Step::Upload => {
            let packed = fetch(azure, flow).await?;
            let checked = checked::check(&packed, plan.spec, flow)?;
            drop(packed);
            let uploaded = upload(azure, plan.spec, &checked).await?;
            return Ok(Facts { canary: facts.canary.clone(), ..uploaded });
        }
        Step::RegisterModel => build.model = Some(register::model(azure, plan, flow, &build).await?),
        Step::RegisterEnvironment => build.environment = Some(register::environment(azure, plan, flow).await?),
    }
    Ok(Facts { build: Some(build), ..facts.clone() })
}

/// Uploads what has nothing wrong with it, and says what is known after it. Before that the workspace must have every
/// connection that it names.
///
/// # Errors
/// As [`act`].
pub async fn upload(azure: &Azure, spec: &PromptReleaseSpec, checked: &Checked) -> Result<Facts, BuildError> {
    if !checked.connections.is_empty() {
        let there = azure.connections().await?.value;
        connections::check(&checked.connections, &there, &azure.workspace_id().workspace)?;
    }
    let build = content::upload(azure, spec, checked).await?;
    let test_hash = Some(digest::test_hash(spec));
    let rows = build.rows.iter().map(|class| class.rows).sum();
    let evaluation = Some(status::EvaluationStatus { test_hash, rows, ..Default::default() });
    Ok(Facts { build: Some(build), evaluation, canary: None })
}

async fn fetch(azure: &Azure, flow: &PromptFlow) -> Result<bytes::Bytes, BuildError> {
    // Azure's errors name the address without its query, which may hold a signature.
    let url = url::Url::parse(&flow.archive.url).map_err(|e| BuildError::Gone(format!("`url` is no address, {e}")))?;
    match azure.fetch(&url, archive::MAX_PACKED).await {
        Err(error @ (azure::Error::NotFound { .. } | azure::Error::TooLarge { .. } | azure::Error::NotSent { .. })) => {
            Err(BuildError::Gone(error.to_string()))
        }
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_archives_are_held_at_once_and_what_holds_none_does_not_wait() {
        let room = Room::default();
        let mut held: Vec<_> = std::iter::from_fn(|| place(&room, &Step::Upload)).take(16).collect();
        assert_eq!(held.len(), 2);
        assert!(place(&room, &Step::RegisterModel).is_some() && place(&room, &Step::RegisterEnvironment).is_some());
        held.pop();
        assert!(place(&room, &Step::Upload).is_some(), "the place of one that is done");
    }
}
