//! What an evaluation found: every row accounted for, the gate's verdict, and the rows that speak against it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    api::{
        PromptReleaseSpec,
        status::{CriterionResult, EvaluationStatus},
    },
    policy::{
        completeness::{self, Line},
        dataset::Dataset,
        decimal::Decimal,
        gate::{self, Measured},
        rule::Rule,
    },
    view::{release, sentence},
};

/// In the order of how much is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    /// A criterion was not met: the release is worse than it may be.
    Regression,
    /// Nothing is known about the release.
    InfraError,
}

impl Verdict {
    /// Of a process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Regression => 1,
            Self::InfraError => 2,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Regression => "REGRESSION",
            Self::InfraError => "INFRA ERROR",
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// Answered and judged.
    Ok,
    /// Answered, and nobody judged it.
    NotJudged,
    /// The flow has no answer.
    FlowError,
    /// The judge has no score.
    JudgeError,
}

/// One question and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// From 0, as Prompt flow counts.
    pub row: usize,
    pub class: String,
    pub question: String,
    pub state: RowState,
    /// Why there is no answer or no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// By metric.
    pub scores: BTreeMap<String, Value>,
}

/// One criterion, its mean, and the rows that pull it down.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Criterion {
    #[serde(flatten)]
    pub result: CriterionResult,
    /// Mean less minimum, with its sign.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub margin: Option<String>,
    /// Rows whose own score is below the minimum.
    pub below: Vec<usize>,
}

impl Criterion {
    pub fn failed(&self) -> bool {
        self.result.verdict != "Pass"
    }
}

/// What is told of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub release: String,
    pub version: String,
    pub verdict: Verdict,
    /// Why, in one sentence.
    pub reason: String,
    pub criteria: Vec<Criterion>,
    pub rows: Vec<Row>,
}

impl Outcome {
    pub fn count(&self, state: RowState) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    /// Rows that have no answer or no score though they were asked.
    pub fn broken(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.state, RowState::FlowError | RowState::JudgeError))
    }
}

/// What was evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub release: &'a str,
    pub spec: &'a PromptReleaseSpec,
    pub dataset: &'a Dataset,
    /// The data set's file.
    pub rows: &'a [u8],
}

impl Asked<'_> {
    /// Nothing could be found out.
    pub fn infra_error(&self, reason: String) -> Outcome {
        self.outcome(Verdict::InfraError, reason, Vec::new(), Vec::new())
    }

    /// Whether the judge is worth its money: every row has an answer. None: it has.
    pub fn short_of_answers(&self, base: &[Line]) -> Option<Outcome> {
        let short = completeness::check_base(self.dataset.rows(), base).err()?;
        Some(self.outcome(Verdict::InfraError, completeness::sentence(&short), self.rows(base, None), Vec::new()))
    }

    /// The gate, as the operator applies it.
    pub fn judged(&self, base: &[Line], judge: &[Line]) -> Outcome {
        let rows = self.rows(base, Some(judge));
        let complete = match completeness::prove(self.dataset.rows(), base, judge) {
            Ok(complete) => complete,
            Err(short) => {
                return self.outcome(Verdict::InfraError, completeness::sentence(&short), rows, Vec::new());
            }
        };
        let PromptReleaseSpec { metrics, criteria, evaluation, .. } = self.spec;
        let declared = evaluation.as_ref().map_or(&[][..], |e| &e.dataset.classes);
        let gate = gate::judge(std::slice::from_ref(&complete), self.dataset, declared, metrics, criteria);
        let told: Vec<Criterion> = gate.results.iter().map(|measured| self.criterion(measured, judge)).collect();
        let (verdict, reason) = match &gate.verdict {
            gate::Verdict::Pass => (Verdict::Pass, self.found(&told)),
            gate::Verdict::Regression(failed) => {
                let failed: Vec<_> = failed.iter().map(Measured::result).collect();
                (Verdict::Regression, sentence::criteria_failed(&failed))
            }
            gate::Verdict::Error(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                (Verdict::InfraError, errors.join("; "))
            }
        };
        self.outcome(verdict, reason, rows, told)
    }

    fn outcome(&self, verdict: Verdict, reason: String, rows: Vec<Row>, criteria: Vec<Criterion>) -> Outcome {
        let (release, version) = (self.release.to_owned(), self.spec.version.clone());
        Outcome { release, version, verdict, reason, criteria, rows }
    }

    /// In the operator's words.
    fn found(&self, criteria: &[Criterion]) -> String {
        let rows = i64::try_from(self.dataset.rows()).unwrap_or(i64::MAX);
        let results = criteria.iter().map(|criterion| criterion.result.clone()).collect();
        let status = EvaluationStatus { judged: rows, rows, results, ..EvaluationStatus::default() };
        release::gate_found(&status, &self.spec.metrics)
    }

    fn rows(&self, base: &[Line], judge: Option<&[Line]>) -> Vec<Row> {
        let questions = questions(self.rows);
        let find =
            |lines: &[Line], row: usize| lines.iter().find(|line| usize::try_from(line.index) == Ok(row)).cloned();
        let nothing = || Line { error_message: Some("pf left no line of it".into()), ..Line::default() };
        (0..self.dataset.rows())
            .map(|row| {
                let answer = find(base, row).unwrap_or_else(nothing);
                let score = judge.map(|judge| find(judge, row).unwrap_or_else(nothing));
                let (state, cause) = match &score {
                    _ if !answer.answered() => (RowState::FlowError, answer.cause()),
                    None => (RowState::NotJudged, None),
                    Some(score) if !score.answered() => (RowState::JudgeError, score.cause()),
                    Some(_) => (RowState::Ok, None),
                };
                Row {
                    row,
                    class: self.dataset.class(row).unwrap_or_default().to_owned(),
                    question: questions.get(row).cloned().unwrap_or_default(),
                    state,
                    cause,
                    scores: score.map(|score| self.scores(&score.outputs)).unwrap_or_default(),
                }
            })
            .collect()
    }

    fn scores(&self, outputs: &Map<String, Value>) -> BTreeMap<String, Value> {
        let of = |m: &crate::api::release::Metric| {
            Some((m.name.clone(), outputs.get(m.output.as_ref().unwrap_or(&m.name))?.clone()))
        };
        self.spec.metrics.iter().filter_map(of).collect()
    }

    fn criterion(&self, measured: &Measured, judge: &[Line]) -> Criterion {
        let result = measured.result();
        let value = result.value.as_ref().and_then(|value| value.parse::<Decimal>().ok());
        let margin = value.and_then(|value| signed(value.millionths() - measured.minimum.millionths()));
        Criterion { margin, below: self.below(measured, judge), result }
    }

    fn below(&self, measured: &Measured, judge: &[Line]) -> Vec<usize> {
        let mut of = self.spec.criteria.iter().filter(|c| c.class == measured.class && c.metric == measured.metric);
        let Some(rule) = of.next().and_then(|criterion| Rule::new(criterion, &self.spec.metrics).ok()) else {
            return Vec::new();
        };
        let output = rule.metric.output.as_ref().unwrap_or(&rule.metric.name);
        let mut below: Vec<(Decimal, usize)> = judge
            .iter()
            .filter_map(|line| {
                let row = usize::try_from(line.index).ok()?;
                let score = rule.score(line.outputs.get(output)?).ok()?;
                (rule.covers(self.dataset.class(row)?) && score < rule.minimum).then_some((score, row))
            })
            .collect();
        below.sort_unstable();
        below.into_iter().map(|(_, row)| row).collect()
    }
}

fn signed(millionths: i64) -> Option<String> {
    let sign = if millionths < 0 { "" } else { "+" };
    Some(format!("{sign}{}", Decimal::from_millionths(millionths)?))
}

/// What each row asks: its column `question`, else the first text that it has beside its class.
fn questions(rows: &[u8]) -> Vec<String> {
    let of = |line: &[u8]| {
        let row: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
        let other = || row.iter().find(|(name, value)| *name != "class" && value.is_string()).map(|(_, value)| value);
        row.get("question").or_else(other).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    rows.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).map(of).collect()
}
