//! An evaluation on this machine, from the first question to the verdict.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    outcome::{Asked, Lines, Outcome},
    pf::{self, Run, RunError},
    progress::{Progress, what},
    project::Prepared,
};
use crate::{
    api::release::{Evaluation, PromptFlowRunner},
    policy::completeness::{self, Line},
    stage::{build::archive, evaluate::overridden},
};

/// Answers every question with the flow below `root`, has the judge score the answers, as often as the release repeats
/// it, and applies the criteria. `tell` is told of every row.
pub async fn evaluate(prepared: &Prepared, root: &Path, pf: &Path, tell: impl FnMut(Progress<'_>)) -> Outcome {
    let asked = prepared.asked();
    let Some(evaluation) = &prepared.release.spec.evaluation else {
        return asked.infra_error("the release has no evaluation".into());
    };
    let Some(runner) = &evaluation.prompt_flow else {
        return asked.infra_error("the evaluation has no runner".into());
    };
    let all = Here { prepared, asked, evaluation, runner, root, pf, tell }.all();
    match tokio::time::timeout(evaluation.timeout.get(), all).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => asked.infra_error(next_step(root, &error)),
        Err(_) => {
            let timeout = &evaluation.timeout;
            asked.infra_error(format!("the evaluation did not end within {timeout}, its `evaluation.timeout`"))
        }
    }
}

struct Here<'a, F> {
    prepared: &'a Prepared,
    asked: Asked<'a>,
    evaluation: &'a Evaluation,
    runner: &'a PromptFlowRunner,
    root: &'a Path,
    pf: &'a Path,
    tell: F,
}

impl<F: FnMut(Progress<'_>)> Here<'_, F> {
    /// All repeats, and what they say together.
    async fn all(mut self) -> Result<Outcome, RunError> {
        let (mut repeats, mut retries) = (Vec::new(), self.evaluation.retries());
        let wanted = self.evaluation.repeats();
        for repeat in 1..=wanted {
            let lines = loop {
                let lines = self.once(repeat, wanted).await?;
                let Some(why) = self.shortfall(&lines) else { break lines };
                if retries == 0 {
                    return Ok(self.asked.short(&lines, why));
                }
                retries -= 1;
                (self.tell)(Progress::Note(&format!("{why}; run once more")));
            };
            repeats.push(lines);
        }
        Ok(self.asked.judged(&repeats))
    }

    /// Why the two runs have nothing to be judged by. What is missing may be there another time; see `evaluation.retries`.
    fn shortfall(&self, Lines { answers, scores }: &Lines) -> Option<String> {
        let short = match scores {
            None => self.asked.short_of_answers(answers)?,
            Some(scores) => completeness::prove(self.prepared.dataset.rows(), answers, scores).err()?,
        };
        Some(completeness::sentence(&short))
    }

    /// One run of each kind; of the judge only if every question has an answer.
    async fn once(&mut self, repeat: i64, of: i64) -> Result<Lines, RunError> {
        let overrides = &self.runner.connection_overrides;
        let id = uuid::Uuid::new_v4().simple().to_string();
        let name = |run: &str| format!("{run}-{}-{}", self.prepared.release.spec.version, &id[..8]);
        let (base_name, judge_name) = (name("eval"), name("judge"));
        let data = self.root.join(archive::normal(&self.evaluation.dataset.path));
        let base = Run {
            name: &base_name,
            flow: self.root.join(&self.prepared.flow_path),
            data: data.clone(),
            mapping: &self.prepared.feeds.flow,
            connections: &overridden(&self.prepared.flow, overrides),
            base: None,
        };
        let answers = self.lines(&base, &what("answers", repeat, of)).await?;
        if self.asked.short_of_answers(&answers).is_some() {
            return Ok(Lines { answers, scores: None });
        }
        let judge = Run {
            name: &judge_name,
            flow: self.root.join(archive::normal(&self.runner.judge.path)),
            data,
            mapping: &self.prepared.feeds.judge,
            connections: &overridden(&self.prepared.judge, overrides),
            base: Some(&base_name),
        };
        let scores = Some(self.lines(&judge, &what("scores", repeat, of)).await?);
        Ok(Lines { answers, scores })
    }

    async fn lines(&mut self, run: &Run<'_>, what: &str) -> Result<Vec<Line>, RunError> {
        let (rows, tell) = (self.prepared.dataset.rows(), &mut self.tell);
        tell(Progress::Rows { what, done: 0, rows });
        pf::run(self.pf, run, |done| tell(Progress::Rows { what, done, rows })).await
    }
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
