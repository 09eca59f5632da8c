//! What an evaluation found: every row accounted for, the gate's verdict, and the rows that speak against it.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{
    api::{
        PromptReleaseSpec,
        release::Metric,
        status::{CriterionResult, EvaluationStatus},
    },
    policy::{
        accounting::{self, RowStatus},
        completeness::{self, Line, Shortfall},
        dataset::Dataset,
        decimal::Decimal,
        gate::{self, Measured},
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

/// One question and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// From 0, as Prompt flow counts.
    pub row: usize,
    pub class: String,
    pub question: String,
    #[serde(serialize_with = "state")]
    pub state: RowStatus,
    /// Why there is no answer or no score.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// By metric; with repeats, the mean of the row's scores.
    pub scores: BTreeMap<String, Value>,
}

fn state<S: Serializer>(state: &RowStatus, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(state.as_str())
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
    pub fn count(&self, state: RowStatus) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }

    /// Rows that have no answer or no score though they were asked.
    pub fn broken(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| matches!(row.state, RowStatus::FlowError | RowStatus::JudgeError))
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

/// What the two runs of one repeat left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    pub answers: Vec<Line>,
    /// None: the judge did not run.
    pub scores: Option<Vec<Line>>,
}

impl Asked<'_> {
    /// Nothing could be found out.
    pub fn infra_error(&self, reason: String) -> Outcome {
        self.outcome(Verdict::InfraError, reason, Vec::new(), Vec::new())
    }

    /// Whether the judge is worth its money: every row has an answer. None: it has.
    pub fn short_of_answers(&self, answers: &[Line]) -> Option<Vec<Shortfall>> {
        completeness::check_base(self.dataset.rows(), answers).err()
    }

    /// Nothing could be found out for want of answers or scores, which the lines show.
    pub fn short(&self, lines: &Lines, reason: String) -> Outcome {
        self.outcome(Verdict::InfraError, reason, self.rows(std::slice::from_ref(lines)), Vec::new())
    }

    /// The gate, as the operator applies it. A question counts with the mean of its scores.
    pub fn judged(&self, repeats: &[Lines]) -> Outcome {
        let rows = self.dataset.rows();
        let mut complete = Vec::new();
        for lines in repeats {
            match completeness::prove(rows, &lines.answers, lines.scores.as_deref().unwrap_or_default()) {
                Ok(proof) => complete.push(proof),
                Err(short) => return self.short(lines, completeness::sentence(&short)),
            }
        }
        let PromptReleaseSpec { metrics, criteria, evaluation, .. } = self.spec;
        let declared = evaluation.as_ref().map_or(&[][..], |e| &e.dataset.classes);
        let gate = gate::judge(&complete, self.dataset, declared, metrics, criteria);
        let told: Vec<Criterion> = gate.results.iter().map(criterion).collect();
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
        self.outcome(verdict, reason, self.rows(repeats), told)
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

    /// A row is as it was in the repeat that left it in the worst state.
    fn rows(&self, repeats: &[Lines]) -> Vec<Row> {
        let questions = questions(self.rows);
        let states = repeats.iter().map(|l| accounting::rows(self.dataset, &l.answers, l.scores.as_deref()));
        let states: Vec<Vec<RowStatus>> = states.collect();
        let row = |row: usize| {
            let seen = states.iter().zip(repeats).map(|(states, lines)| (states[row], lines));
            let worst = seen.min_by_key(|(state, _)| badness(*state));
            Row {
                row,
                class: self.dataset.class(row).unwrap_or_default().to_owned(),
                question: questions.get(row).cloned().unwrap_or_default(),
                state: worst.map_or(RowStatus::FlowError, |(state, _)| state),
                cause: worst.and_then(|(state, lines)| cause(state, lines, row)),
                scores: self.scores(repeats, row),
            }
        };
        (0..self.dataset.rows()).map(row).collect()
    }

    fn scores(&self, repeats: &[Lines], row: usize) -> BTreeMap<String, Value> {
        let lines: Vec<&Line> = repeats.iter().filter_map(|lines| line(lines.scores.as_deref()?, row)).collect();
        let of = |metric: &Metric| {
            let output = metric.output.as_ref().unwrap_or(&metric.name);
            Some((metric.name.clone(), mean(lines.iter().filter_map(|line| line.outputs.get(output)).collect())?))
        };
        self.spec.metrics.iter().filter_map(of).collect()
    }
}

/// The worst first.
fn badness(state: RowStatus) -> u8 {
    match state {
        RowStatus::FlowError => 0,
        RowStatus::JudgeError => 1,
        RowStatus::Answered => 2,
        RowStatus::Ok => 3,
    }
}

/// Why the row has no answer or no score.
fn cause(state: RowStatus, lines: &Lines, row: usize) -> Option<String> {
    let of = match state {
        RowStatus::FlowError => Some(&lines.answers),
        RowStatus::JudgeError => lines.scores.as_ref(),
        RowStatus::Ok | RowStatus::Answered => None,
    }?;
    line(of, row).map_or_else(|| Some("the run left no line of it".to_owned()), Line::cause)
}

fn line(lines: &[Line], row: usize) -> Option<&Line> {
    lines.iter().find(|line| usize::try_from(line.index) == Ok(row))
}

/// One score as it is; of several, the mean of those that are numbers, true counting as 1.
fn mean(scores: Vec<&Value>) -> Option<Value> {
    if let [one] = scores.as_slice() {
        return Some((*one).clone());
    }
    let number = |value: &Value| value.as_f64().or_else(|| value.as_bool().map(|yes| f64::from(u8::from(yes))));
    let numbers: Vec<f64> = scores.into_iter().filter_map(number).collect();
    #[expect(clippy::cast_precision_loss, reason = "repeats are few")]
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    // None of no number at all.
    serde_json::Number::from_f64(mean).map(Value::Number)
}

fn criterion(measured: &Measured) -> Criterion {
    let result = measured.result();
    let value = result.value.as_ref().and_then(|value| value.parse::<Decimal>().ok());
    let margin = value.and_then(|value| signed(value.millionths() - measured.minimum.millionths()));
    Criterion { margin, below: measured.failing.clone(), result }
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
