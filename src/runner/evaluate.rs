//! An evaluation on this machine, from the first question to the verdict.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    local::{self, Run, RunError},
    outcome::{Asked, Outcome},
    project::Prepared,
};
use crate::{
    policy::completeness::Line,
    stage::{build::archive, evaluate::overridden},
};

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// `answers` or `scores`.
    pub what: &'a str,
    pub done: usize,
    pub rows: usize,
}

/// Answers every question with the flow below `root`, has the judge score the answers, and applies the criteria.
/// `seen` is told of every row.
pub async fn evaluate(prepared: &Prepared, root: &Path, pf: &Path, mut seen: impl FnMut(&Seen<'_>)) -> Outcome {
    let asked = Asked {
        release: &prepared.release.name,
        spec: &prepared.release.spec,
        dataset: &prepared.dataset,
        rows: &prepared.rows,
    };
    let Some(evaluation) = &prepared.release.spec.evaluation else {
        return asked.infra_error("the release has no evaluation".into());
    };
    let both = runs(prepared, &asked, root, pf, &mut seen);
    match tokio::time::timeout(evaluation.timeout.get(), both).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => asked.infra_error(next_step(root, &error)),
        Err(_) => {
            let timeout = &evaluation.timeout;
            asked.infra_error(format!("the evaluation did not end within {timeout}, its `evaluation.timeout`"))
        }
    }
}

async fn runs(
    prepared: &Prepared,
    asked: &Asked<'_>,
    root: &Path,
    pf: &Path,
    seen: &mut impl FnMut(&Seen<'_>),
) -> Result<Outcome, RunError> {
    let Some(evaluation) = &prepared.release.spec.evaluation else {
        return Ok(asked.infra_error("the release has no evaluation".into()));
    };
    let Some(runner) = &evaluation.prompt_flow else {
        return Ok(asked.infra_error("the evaluation has no runner".into()));
    };
    let (rows, overrides) = (prepared.dataset.rows(), &runner.connection_overrides);
    let id = uuid::Uuid::new_v4().simple().to_string();
    let name = |what: &str| format!("{what}-{}-{}", prepared.release.spec.version, &id[..8]);
    let (base_name, judge_name) = (name("eval"), name("judge"));
    let data = root.join(archive::normal(&evaluation.dataset.path));
    let base = Run {
        name: &base_name,
        flow: root.join(&prepared.flow_path),
        data: data.clone(),
        mapping: &prepared.feeds.flow,
        connections: &overridden(&prepared.flow, overrides),
        base: None,
    };
    let answers = lines(pf, &base, "answers", rows, seen).await?;
    if let Some(short) = asked.short_of_answers(&answers) {
        return Ok(short);
    }
    let judge = Run {
        name: &judge_name,
        flow: root.join(archive::normal(&runner.judge.path)),
        data,
        mapping: &prepared.feeds.judge,
        connections: &overridden(&prepared.judge, overrides),
        base: Some(&base_name),
    };
    let scores = lines(pf, &judge, "scores", rows, seen).await?;
    Ok(asked.judged(&answers, &scores))
}

async fn lines(
    pf: &Path,
    run: &Run<'_>,
    what: &str,
    rows: usize,
    seen: &mut impl FnMut(&Seen<'_>),
) -> Result<Vec<Line>, RunError> {
    seen(&Seen { what, done: 0, rows });
    local::run(pf, run, |done| seen(&Seen { what, done, rows })).await
}

/// The error with what to do about it.
fn next_step(root: &Path, error: &RunError) -> String {
    let RunError::NoConnection(name) = error else { return error.to_string() };
    let file = describing(root, name).unwrap_or_else(|| PathBuf::from("FILE"));
    format!("{error}: make it with `pf connection create --file {} --set api_key=<key>`", file.display())
}

/// The file in the project that describes a connection of this name.
fn describing(root: &Path, name: &str) -> Option<PathBuf> {
    let wanted = |path: &Path| {
        let yaml = path.extension().is_some_and(|end| end == "yml" || end == "yaml");
        let text = yaml.then(|| fs::read_to_string(path).ok()).flatten()?;
        let described: serde_json::Value = serde_saphyr::from_str(&text).ok()?;
        (described["name"] == name && described.get("type").is_some()).then_some(())
    };
    let folders = [root.join("connections"), root.to_owned()];
    let mut files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    files.find_map(|file| wanted(&file.path()).map(|()| file.path()))
}
