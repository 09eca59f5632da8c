//! What can be known of an archive before anything is uploaded.

use std::collections::BTreeSet;

use super::{
    BuildError,
    archive::{self, Folder},
    connections::{self, Use},
    flow, ignore, mapping,
};
use crate::{
    api::{PromptReleaseSpec, release::PromptFlow, status},
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
    let main_path = flow.path.as_deref().unwrap_or_default();
    let runner = spec.evaluation.as_ref().and_then(|evaluation| evaluation.prompt_flow.as_ref());
    let flows: Vec<&str> = runner.map(|runner| runner.judge.path.as_str()).into_iter().chain([main_path]).collect();
    ignore::apply(&mut folder, &flows).map_err(BuildError::Ignore)?;
    let main = flow::read(&folder, main_path)?;
    let overrides = runner.map(|runner| runner.connection_overrides.as_slice()).unwrap_or_default();
    let known: Vec<&str> = overrides.iter().map(|overridden| overridden.from.as_str()).collect();
    let named_in = |flow, path| flow::connections::named(flow, &folder.below(path), &known);
    let mut named = vec![(main_path, named_in(&main, main_path))];
    let Some(evaluation) = &spec.evaluation else {
        let connections = connections::needed(&named, None);
        return Ok(Checked { folder, rows: Vec::new(), connections });
    };
    let path = archive::normal(&evaluation.dataset.path);
    let bytes = folder.get(&path).cloned().ok_or_else(|| {
        let hint = folder.why_left_out(&path).unwrap_or_default();
        BuildError::NoDataset { path: path.clone(), hint }
    })?;
    let wrong = |error| BuildError::Dataset { path: path.clone(), error };
    let dataset = Dataset::parse(&bytes).map_err(wrong)?;
    dataset.check(&evaluation.dataset.classes).map_err(wrong)?;
    if let Some(runner) = &evaluation.prompt_flow {
        let judge = flow::read(&folder, &runner.judge.path)?;
        let feeds = mapping::feeds(flow.path.as_deref(), &main, &judge, &dataset, runner)?;
        no_holes(&dataset, &path, feeds.flow.values().chain(feeds.judge.values()))?;
        named.push((&runner.judge.path, named_in(&judge, &runner.judge.path)));
        connections::check_overrides(&named, &known)?;
    }
    let connections = connections::needed(&named, evaluation.prompt_flow.as_ref());
    Ok(Checked { folder, rows: dataset.counts(), connections })
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
