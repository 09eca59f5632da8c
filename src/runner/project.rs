//! The folder that is packed into an archive, as it lies on a disk, and what is wrong with it.

use std::{fmt, fs, io, path::Path};

use bytes::Bytes;
use serde::Serialize;

use crate::{
    api::{PromptReleaseSpec, release::PromptFlow},
    policy::{dataset::Dataset, rule::EVERY_ROW},
    runner::{manifest::Release, outcome::Asked},
    stage::build::{
        self, Checked,
        archive::{self, Folder},
        flow::Flow,
        mapping::Feeds,
    },
    view::sentence,
};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Path of the file that has it.
    pub file: String,
    /// What is wrong; what is allowed.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.message)
    }
}

/// Everything that an evaluation needs, read and checked.
#[derive(Debug)]
pub struct Prepared {
    pub release: Release,
    pub flow_path: String,
    pub flow: Flow,
    pub dataset: Dataset,
    /// The data set's file as it is.
    pub rows: Bytes,
    pub judge: Flow,
    pub feeds: Feeds,
    /// What would be uploaded.
    pub checked: Checked,
}

impl Prepared {
    /// What an evaluation of it is of.
    pub fn asked(&self) -> Asked<'_> {
        Asked { release: &self.release.name, spec: &self.release.spec, dataset: &self.dataset, rows: &self.rows }
    }
}

/// Reads what the release names below `root` and checks it as a build does. `manifest`: the name of its file.
///
/// # Errors
/// All that a build would refuse; whatever is missing for an evaluation.
pub fn prepare(root: &Path, manifest: &str, release: Release) -> Result<Prepared, Vec<Finding>> {
    let of_manifest = |message: String| Finding { file: manifest.to_owned(), message };
    let Some(artifact) = release.spec.artifact.prompt_flow.clone() else {
        return Err(vec![of_manifest("spec.artifact.promptFlow: is missing; it names the flow".into())]);
    };
    let mut folder = read(root, &release.spec, &artifact).map_err(|e| vec![of_manifest(e.to_string())])?;
    let (content, faults) = build::inspect(&mut folder, &release.spec, &artifact);
    if !faults.is_empty() {
        let shown = |file: &str| root.join(file).display().to_string();
        let finding = |fault: build::Fault| match fault.file {
            Some(file) => {
                let message = here(&fault.error.to_string());
                let message = message.strip_prefix(&format!("{file}: ")).map(str::to_owned).unwrap_or(message);
                Finding { file: shown(&file), message }
            }
            None => of_manifest(here(&fault.error.to_string())),
        };
        return Err(faults.into_iter().map(finding).collect());
    }
    let rows = release.spec.evaluation.as_ref().and_then(|e| folder.get(&e.dataset.path)).cloned();
    let (Some(flow), Some(dataset), Some(rows), Some(judge), Some(feeds)) =
        (content.flow, content.dataset, rows, content.judge, content.feeds)
    else {
        return Err(vec![of_manifest("spec.evaluation: is missing; without it there is nothing to evaluate".into())]);
    };
    let flow_path = archive::normal(artifact.path.as_deref().unwrap_or_default());
    let checked = Checked { folder, rows: dataset.counts(), connections: content.connections };
    Ok(Prepared { release, flow_path, flow, dataset, rows, judge, feeds, checked })
}

/// Here is no archive yet, only what will be packed.
fn here(text: &str) -> String {
    text.replace("is not in the archive", "is not in the project")
}

/// What lets an evaluation begin and then measure nothing, or spend what it should not.
pub fn doubts(prepared: &Prepared, manifest: &str) -> Vec<Finding> {
    let spec = &prepared.release.spec;
    let mut found = Vec::new();
    let outputs: Vec<&str> = prepared.judge.outputs.keys().map(String::as_str).collect();
    for metric in &spec.metrics {
        let output = metric.output.as_deref().unwrap_or(&metric.name);
        if spec.criteria.iter().any(|c| c.metric == metric.name) && !outputs.contains(&output) {
            let has = sentence::list(&outputs);
            found.push(format!("metric {}: the judge has no output `{output}`; it has {has}", metric.name));
        }
    }
    let counts = prepared.dataset.counts();
    for class in spec.criteria.iter().map(|c| c.class.as_str()).filter(|class| *class != EVERY_ROW) {
        if !counts.iter().any(|count| count.class == class) {
            let has: Vec<&str> = counts.iter().map(|count| count.class.as_str()).collect();
            found.push(format!(
                "criterion of class {class}: the data set has no row of it; it has {}",
                sentence::list(&has)
            ));
        }
    }
    let overrides = spec.evaluation.as_ref().and_then(|e| e.prompt_flow.as_ref()).map(|r| &r.connection_overrides);
    for change in overrides.into_iter().flatten() {
        let named = |flow: &Flow| flow.nodes.iter().any(|n| flow.keys_of_connection(n, &change.from).next().is_some());
        if !named(&prepared.flow) && !named(&prepared.judge) {
            let from = &change.from;
            found.push(format!(
                "connectionOverrides: `{from}` is named by no node of the flow or the judge; it must be a connection that one of them uses"
            ));
        }
    }
    found.into_iter().map(|message| Finding { file: manifest.to_owned(), message }).collect()
}

/// What is in order, in one line.
pub fn summary(prepared: &Prepared) -> String {
    let spec = &prepared.release.spec;
    let count = |n: usize, one: &str| sentence::count(i64::try_from(n).unwrap_or(i64::MAX), one);
    let (rows, classes) = (prepared.dataset.rows(), prepared.dataset.counts().len());
    let criteria = if spec.criteria.len() == 1 { "criterion" } else { "criteria" };
    format!(
        "{} {}: nothing is wrong; {}, {}, {} {}, {} {criteria}",
        prepared.release.name,
        spec.version,
        count(prepared.flow.nodes.len(), "node"),
        count(rows, "row"),
        classes,
        if classes == 1 { "class" } else { "classes" },
        spec.criteria.len(),
    )
}

/// They count at the archive's root and in the folders of both flows.
const IGNORE_FILES: [&str; 2] = [".amlignore", ".gitignore"];

/// Only what the release names is read: a project may hold much else.
fn read(root: &Path, spec: &PromptReleaseSpec, flow: &PromptFlow) -> io::Result<Folder> {
    let mut files = Vec::new();
    let mut bytes = 0;
    let judge = spec.evaluation.as_ref().and_then(|e| e.prompt_flow.as_ref()).map(|runner| runner.judge.path.as_str());
    for path in [flow.path.as_deref(), judge].into_iter().flatten().map(archive::normal) {
        collect(root, &path, &mut files, &mut bytes)?;
    }
    if flow.path.is_none() {
        collect(root, "", &mut files, &mut bytes)?;
    } else {
        for name in IGNORE_FILES {
            if let Some(content) = absent_is_none(fs::read(root.join(name)))? {
                files.push((name.to_owned(), content.into()));
            }
        }
    }
    if let Some(evaluation) = &spec.evaluation {
        let path = archive::normal(&evaluation.dataset.path);
        if let Some(content) = absent_is_none(fs::read(root.join(&path)))? {
            files.push((path, content.into()));
        }
    }
    Ok(files.into_iter().collect())
}

/// Dotfiles and caches are no part of a flow: a run leaves some behind.
fn collect(root: &Path, path: &str, files: &mut Vec<(String, Bytes)>, bytes: &mut u64) -> io::Result<()> {
    let Some(entries) = absent_is_none(fs::read_dir(root.join(path)))? else { return Ok(()) };
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let ignores = IGNORE_FILES.contains(&name.as_str());
        if name.starts_with('.') && !ignores || name == "__pycache__" {
            continue;
        }
        let inner = if path.is_empty() { name } else { format!("{path}/{name}") };
        let kind = fs::metadata(entry.path())?;
        if kind.is_dir() {
            collect(root, &inner, files, bytes)?;
            continue;
        }
        *bytes += kind.len();
        if *bytes > archive::MAX_UNPACKED || files.len() == archive::MAX_FILES {
            let (most, size) = (archive::MAX_FILES, archive::MAX_UNPACKED >> 20);
            return Err(io::Error::other(format!(
                "{path}: what the release names holds more than {most} files or {size} MiB, the most that an archive may have"
            )));
        }
        files.push((inner, fs::read(entry.path())?.into()));
    }
    Ok(())
}

/// What is not there is missed by the checks, which say what is wanted.
fn absent_is_none<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(e),
    }
}
