//! What can be known of an archive before anything is uploaded.

use std::collections::BTreeSet;

use super::{
    BuildError,
    archive::{self, Folder},
    connections::{self, ConnectionError, Use},
    flow::{self, Flow},
    ignore,
    mapping::{self, Feeds},
};
use crate::{
    api::{
        PromptReleaseSpec,
        release::{Evaluation, PromptFlow, PromptFlowRunner},
        status,
    },
    policy::dataset::{Column, Dataset},
};

/// An archive that has nothing wrong with it.
#[derive(Debug)]
pub struct Checked {
    /// What is uploaded.
    pub folder: Folder,
    pub rows: Vec<status::ClassRows>,
    /// All connections that the deployment and the evaluation need.
    pub connections: Vec<Use>,
}

/// All checks on the archive, in the order in which their faults are easiest to understand.
///
/// # Errors
/// The first fault.
pub fn check(packed: &[u8], spec: &PromptReleaseSpec, flow: &PromptFlow) -> Result<Checked, BuildError> {
    let mut folder = archive::unpack(packed, &flow.archive.digest)?;
    let (content, faults) = inspect(&mut folder, spec, flow);
    if let Some(Fault { error, .. }) = faults.into_iter().next() {
        return Err(error);
    }
    let Content { dataset, connections, .. } = content;
    Ok(Checked { folder, rows: dataset.map_or_else(Vec::new, |dataset| dataset.counts()), connections })
}

/// What a release names in its archive. None: it is not asked for, or a fault says why it cannot be read.
#[derive(Debug, Default)]
pub struct Content {
    pub flow: Option<Flow>,
    pub dataset: Option<Dataset>,
    pub judge: Option<Flow>,
    pub feeds: Option<Feeds>,
    /// All connections that the deployment and the evaluation need.
    pub connections: Vec<Use>,
}

/// Something that is wrong, and the file in the archive that has it. No file: the manifest has.
#[derive(Debug)]
pub struct Fault {
    pub file: Option<String>,
    pub error: BuildError,
}

/// Leaves out of the folder what is not uploaded, and reads all that the release names, as far as it can be read.
pub fn inspect(folder: &mut Folder, spec: &PromptReleaseSpec, flow: &PromptFlow) -> (Content, Vec<Fault>) {
    let (mut content, mut faults) = (Content::default(), Vec::new());
    let main = flow.path.as_deref().unwrap_or_default();
    let runner = spec.evaluation.as_ref().and_then(|evaluation| evaluation.prompt_flow.as_ref());
    let flows: Vec<&str> = runner.map(|runner| runner.judge.path.as_str()).into_iter().chain([main]).collect();
    if let Err(why) = ignore::apply(folder, &flows) {
        return (content, vec![Fault { file: None, error: BuildError::Ignore(why) }]);
    }
    content.flow = read_flow(folder, main, &mut faults);
    if let Some(evaluation) = &spec.evaluation {
        let path = archive::normal(&evaluation.dataset.path);
        match questions(folder, &path, evaluation) {
            Ok(dataset) => content.dataset = Some(dataset),
            Err(error) => faults.push(Fault { file: Some(path.clone()), error }),
        }
        content.judge = runner.and_then(|runner| read_flow(folder, &runner.judge.path, &mut faults));
        if let (Some(judge), Some(runner)) = (&content.judge, runner)
            && let (Some(main), Some(dataset)) = (&content.flow, &content.dataset)
        {
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
    }
    match uses(folder, (main, content.flow.as_ref()), content.judge.as_ref(), runner) {
        Ok(connections) => content.connections = connections,
        Err(error) => faults.push(Fault { file: None, error: error.into() }),
    }
    (content, faults)
}

fn read_flow(folder: &Folder, path: &str, faults: &mut Vec<Fault>) -> Option<Flow> {
    let wrong = |error| faults.push(Fault { file: Some(flow::file(path)), error: BuildError::Flow(error) });
    flow::read(folder, path).map_err(wrong).ok()
}

fn questions(folder: &Folder, path: &str, evaluation: &Evaluation) -> Result<Dataset, BuildError> {
    let missing = || {
        let hint = folder.why_left_out(path).unwrap_or_default();
        BuildError::NoDataset { path: path.to_owned(), hint }
    };
    let bytes = folder.get(path).ok_or_else(missing)?;
    let wrong = |error| BuildError::Dataset { path: path.to_owned(), error };
    let dataset = Dataset::parse(bytes).map_err(wrong)?;
    dataset.check(&evaluation.dataset.classes).map_err(wrong)?;
    Ok(dataset)
}

/// The connections of both flows; overrides are held against them once both can be read.
fn uses(
    folder: &Folder,
    (path, main): (&str, Option<&Flow>),
    judge: Option<&Flow>,
    runner: Option<&PromptFlowRunner>,
) -> Result<Vec<Use>, ConnectionError> {
    let overrides = runner.map(|runner| runner.connection_overrides.as_slice()).unwrap_or_default();
    let known: Vec<&str> = overrides.iter().map(|overridden| overridden.from.as_str()).collect();
    let judge = judge.zip(runner).map(|(judge, runner)| (runner.judge.path.as_str(), judge));
    let both = main.map(|main| (path, main)).into_iter().chain(judge);
    let named = |(path, flow)| (path, flow::connections::named(flow, &folder.below(path), &known));
    let named: Vec<_> = both.map(named).collect();
    if main.is_some() && judge.is_some() {
        connections::check_overrides(&named, &known)?;
    }
    Ok(connections::needed(&named, runner))
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
