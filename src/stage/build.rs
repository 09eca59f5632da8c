//! Build: fetch the archive, prove that it is the one released, read its flow, upload it by content, register it.

pub mod archive;
pub mod flow;
pub mod mapping;
pub mod room;

use std::collections::BTreeSet;

use archive::{ArchiveError, Folder};
use flow::{Flow, FlowError};
use mapping::{Feeds, MappingError};
use room::{Place, Room};

use super::{Decision, Facts, Then};
use crate::{
    api::{
        At, PromptReleaseSpec,
        release::{Evaluation, PromptFlow},
        status,
    },
    azure::{self, AssetKind, Azure, Datastore, EnvironmentBody, ModelBody, Route},
    policy::{
        dataset::{Column, Dataset, DatasetError},
        digest, naming,
    },
    view::sentence,
};

/// What registering needs to know.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub spec: &'a PromptReleaseSpec,
    /// Of the PromptRelease: the model's name.
    pub release: &'a str,
    /// Of artifact and deployment.
    pub hash: &'a str,
}

/// One step, idempotent by content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Fetch, verify, unpack, check, upload what is not there yet.
    Upload,
    RegisterModel,
    RegisterEnvironment,
}

/// Why a build step did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error("{path}: {error}")]
    Dataset { path: String, error: DatasetError },
    #[error("`{0}` is not in the archive: `evaluation.dataset.path` must name a file in it")]
    NoDataset(String),
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error("{path}: line {line} has no column `{column}`, from which an input is fed; every line must have it")]
    Hole { path: String, column: String, line: usize },
    #[error("`artifact.promptFlow` is not set: name the flow's archive there")]
    NoArtifact,
    #[error("archive cannot be fetched: {0}")]
    Gone(String),
    #[error("`environmentImage` {0} has no digest; it must be pinned, as in registry/name@sha256:<64 hex digits>")]
    Unpinned(String),
    /// Azure understood what it was sent and finds it wrong; it would find the same again.
    #[error("what the release names is not taken: {0}")]
    Invalid(azure::Error),
    /// Not the archive's fault, and tried again.
    #[error(transparent)]
    Azure(azure::Error),
}

impl From<azure::Error> for BuildError {
    /// Only a 400, 413 or 422 is about the content. A conflict, a policy, a missing right, container or connection can
    /// be mended without another version.
    fn from(error: azure::Error) -> Self {
        match error {
            azure::Error::Refused { status: 400 | 413 | 422, .. } => Self::Invalid(error),
            error => Self::Azure(error),
        }
    }
}

/// Why the build is given up, if its time is over.
pub fn overdue(started: At, deadline: jiff::SignedDuration, now: At) -> Option<String> {
    (now >= started.plus(deadline)).then(|| format!("the build did not succeed within {}", sentence::span(deadline)))
}

/// Everything about an archive that can be known before anything is uploaded.
#[derive(Debug)]
pub struct Checked {
    pub folder: Folder,
    pub rows: Vec<status::ClassRows>,
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
            let checked = check(&packed, plan.spec, flow)?;
            build = upload(azure, plan.spec, &checked).await?;
            let test_hash = Some(digest::test_hash(plan.spec));
            let rows = build.rows.iter().map(|class| class.rows).sum();
            let evaluation = Some(status::EvaluationStatus { test_hash, rows, ..Default::default() });
            return Ok(Facts { build: Some(build), evaluation, ..facts.clone() });
        }
        Step::RegisterModel => build.model = Some(register_model(azure, plan, flow, &build).await?),
        Step::RegisterEnvironment => build.environment = Some(register_environment(azure, plan, flow).await?),
    }
    Ok(Facts { build: Some(build), ..facts.clone() })
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

/// All checks on the archive, in the order in which their faults are easiest to understand.
///
/// # Errors
/// The first fault.
pub fn check(packed: &[u8], spec: &PromptReleaseSpec, flow: &PromptFlow) -> Result<Checked, BuildError> {
    let folder = archive::unpack(packed, &flow.archive.digest)?;
    let (content, faults) = inspect(&folder, spec, flow);
    match faults.into_iter().next() {
        Some(Fault { error, .. }) => Err(error),
        None => Ok(Checked { folder, rows: content.dataset.map_or_else(Vec::new, |dataset| dataset.counts()) }),
    }
}

/// What a release names in its archive. None: it is not asked for, or a fault says why it cannot be read.
#[derive(Debug, Default)]
pub struct Content {
    pub flow: Option<Flow>,
    pub dataset: Option<Dataset>,
    pub judge: Option<Flow>,
    pub feeds: Option<Feeds>,
}

/// Something that is wrong, and the file in the archive that has it. No file: the manifest has.
#[derive(Debug)]
pub struct Fault {
    pub file: Option<String>,
    pub error: BuildError,
}

/// Reads all that the release names, as far as it can be read.
pub fn inspect(folder: &Folder, spec: &PromptReleaseSpec, flow: &PromptFlow) -> (Content, Vec<Fault>) {
    let (mut content, mut faults) = (Content::default(), Vec::new());
    let read_flow = |path: &str, faults: &mut Vec<Fault>| {
        let wrong = |error| faults.push(Fault { file: Some(flow::file(path)), error: BuildError::Flow(error) });
        flow::read(folder, path).map_err(wrong).ok()
    };
    content.flow = read_flow(flow.path.as_deref().unwrap_or_default(), &mut faults);
    let Some(evaluation) = &spec.evaluation else { return (content, faults) };
    let path = archive::normal(&evaluation.dataset.path);
    match questions(folder, &path, evaluation) {
        Ok(dataset) => content.dataset = Some(dataset),
        Err(error) => faults.push(Fault { file: Some(path.clone()), error }),
    }
    let Some(runner) = &evaluation.prompt_flow else { return (content, faults) };
    content.judge = read_flow(&runner.judge.path, &mut faults);
    if let (Some(main), Some(judge), Some(dataset)) = (&content.flow, &content.judge, &content.dataset) {
        match mapping::feeds(flow.path.as_deref(), main, judge, dataset, runner) {
            Err(error) => faults.push(Fault { file: None, error: error.into() }),
            Ok(feeds) => {
                let fed = feeds.flow.values().chain(feeds.judge.values());
                let hole = no_holes(dataset, &path, fed).err();
                faults.extend(hole.map(|error| Fault { file: Some(path), error }));
                content.feeds = Some(feeds);
            }
        }
    }
    (content, faults)
}

fn questions(folder: &Folder, path: &str, evaluation: &Evaluation) -> Result<Dataset, BuildError> {
    let bytes = folder.get(path).ok_or_else(|| BuildError::NoDataset(path.to_owned()))?;
    let wrong = |error| BuildError::Dataset { path: path.to_owned(), error };
    let dataset = Dataset::parse(bytes).map_err(wrong)?;
    dataset.check(&evaluation.dataset.classes).map_err(wrong)?;
    Ok(dataset)
}

/// A column that is missing in one row aborts the whole run on the service; here it costs nothing.
fn no_holes<'a>(dataset: &Dataset, path: &str, fed: impl Iterator<Item = &'a String>) -> Result<(), BuildError> {
    let columns: BTreeSet<&str> = fed.filter_map(|source| source.strip_prefix("${data.")?.strip_suffix('}')).collect();
    for column in columns {
        if let Column::MissingInLine(line) = dataset.column(column) {
            return Err(BuildError::Hole { path: path.to_owned(), column: column.to_owned(), line });
        }
    }
    Ok(())
}

/// Where the content of this address lies in the workspace's datastore.
fn root(address: &str) -> String {
    format!("LocalUpload/{address}")
}

async fn upload(azure: &Azure, spec: &PromptReleaseSpec, checked: &Checked) -> Result<status::Build, BuildError> {
    let store = azure.default_datastore().await?.value;
    let root = root(&checked.folder.content_address());
    for (path, content) in checked.folder.files() {
        azure.put_if_absent(&store, &format!("{root}/{path}"), content.clone()).await?;
    }
    let dataset = spec.evaluation.as_ref().map(|e| format!("{root}/{}", archive::normal(&e.dataset.path)));
    Ok(status::Build {
        bytes: i64::try_from(checked.folder.bytes()).unwrap_or(i64::MAX),
        dataset,
        folder: Some(root),
        rows: checked.rows.clone(),
        ..status::Build::default()
    })
}

/// The datastore's path in the spelling that assets and runs use.
pub fn datastore_uri(azure: &Azure, store: &Datastore, path: &str) -> String {
    let id = azure.workspace_id();
    format!(
        "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}/datastores/{}/paths/{path}",
        id.subscription, id.resource_group, id.workspace, store.name
    )
}

async fn register_model(
    azure: &Azure,
    plan: &Plan<'_>,
    flow: &PromptFlow,
    build: &status::Build,
) -> Result<String, BuildError> {
    let store = azure.default_datastore().await?.value;
    let folder = build.folder.clone().unwrap_or_default();
    let path = match archive::normal(flow.path.as_deref().unwrap_or_default()) {
        root if root.is_empty() => folder,
        path => format!("{folder}/{path}"),
    };
    let (name, version) = (naming::model(plan.release), naming::model_version(&plan.spec.version, plan.hash));
    let body = ModelBody {
        uri: datastore_uri(azure, &store, &path),
        // Lifts Azure's limit on a request's time from 180 s to 300 s.
        properties: [("azureml.promptflow.source_flow_id".to_owned(), plan.release.to_owned())].into(),
        tags: [("promptrelease.hash".to_owned(), plan.hash.to_owned())].into(),
    };
    azure.put_asset(AssetKind::Model, &name, &version, &body.to_json()).await?;
    Ok(format!("{name}:{version}"))
}

async fn register_environment(azure: &Azure, plan: &Plan<'_>, flow: &PromptFlow) -> Result<String, BuildError> {
    let name = naming::environment(plan.release);
    let unpinned = || BuildError::Unpinned(flow.environment_image.clone());
    let version = naming::environment_version(&flow.environment_image).ok_or_else(unpinned)?;
    let health = Route { path: "/health".into(), port: 8080 };
    let body = EnvironmentBody {
        image: flow.environment_image.clone(),
        liveness: health.clone(),
        readiness: health,
        scoring: Route { path: "/score".into(), port: 8080 },
        tags: [("promptrelease.hash".to_owned(), plan.hash.to_owned())].into(),
    };
    azure.put_asset(AssetKind::Environment, &name, version, &body.to_json()).await?;
    Ok(format!("{name}:{version}"))
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
