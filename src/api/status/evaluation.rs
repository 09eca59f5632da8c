//! What the gate found. Every list is bounded by its writer: the whole stays far below what a status may weigh.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::At;

/// Classes that have an entry of their own; those beyond are counted in the totals only. As many as may be declared.
pub const MAX_CLASSES: usize = 32;
/// Rows that are named in one entry; the others are counted.
pub const MAX_ROWS_NAMED: usize = 10;

/// What the gate found.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct EvaluationStatus {
    /// Rows that the flow answered.
    #[serde(default)]
    pub answered: i64,
    /// Run of the flow over the data set; of several repeats the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_run: Option<String>,
    /// What became of the rows of each class, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub classes: Vec<ClassResult>,
    /// Against stable's last evaluation, question by question. It informs, and decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Version whose runs these are, where the same content was evaluated by the same test before: see `gateVerdicts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluated_as: Option<String>,
    /// Rows that the flow did not answer, as counted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_errors: Option<i64>,
    /// Answers that the judge did not score, as counted last. Absent as long as no judge run was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_errors: Option<i64>,
    /// Run of the judge over the answers; of several repeats the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judge_run: Option<String>,
    /// Answers that the judge scored.
    #[serde(default)]
    pub judged: i64,
    /// Answers that no judge was asked about, since not every row was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_judged: Option<i64>,
    /// Repeats before the last one, complete and judged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub repeats: Vec<Repeat>,
    /// One entry a criterion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub results: Vec<CriterionResult>,
    /// Runs that were made once more, of those that `evaluation.retries` allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried: Option<i64>,
    /// Why a run was last made once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_for: Option<String>,
    /// Rows of the data set.
    #[serde(default)]
    pub rows: i64,
    /// When completeness was first found wanting; it must be wanting twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_since: Option<At>,
    /// When the base run was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<At>,
    /// Of data set, judge, metrics and criteria as the spec names them, 8 hex digits: what the verdict is a verdict on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_hash: Option<String>,
    /// Pass, Fail, Error or Waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<String>,
    /// What was really read and used. The verdict holds for this and for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict_on: Option<VerdictOn>,
}

/// A repeat that is over: every row was answered and scored.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Repeat {
    /// Run of the flow over the data set.
    pub base_run: String,
    /// Run of the judge over the answers.
    pub judge_run: String,
}

/// Digests of what a verdict is a verdict on; equal keys are the same test of the same content.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct VerdictOn {
    /// Of the archive, as in sha256:<64 hex digits>.
    pub artifact: String,
    /// Of the data set's bytes, 8 hex digits.
    pub dataset: String,
    /// Model and connection of each node of the judge that asks one, as it ran.
    pub judge_model: String,
    /// Of all the others and of metrics and criteria, 8 hex digits.
    pub key: String,
    /// Of the judge's graph and of the files that its nodes name (prompts, code), 8 hex digits.
    pub rubric: String,
}

/// What became of the rows of one class.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct ClassResult {
    /// Value of the column `class`.
    pub class: String,
    /// Rows in an error, at most 10, from 0 as in Prompt flow's line numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub error_rows: Vec<i64>,
    /// Rows that the flow did not answer.
    pub flow_errors: i64,
    /// Answers that the judge did not score.
    pub judge_errors: i64,
    /// Answers that no judge was asked about. With the errors and `ok` it makes up the rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_judged: i64,
    /// Rows that were answered and scored.
    pub ok: i64,
    /// Rows of this class.
    pub rows: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &i64) -> bool {
    *count == 0
}

/// A verdict on scores that the gate came to, and where these can be read again.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct GateVerdict {
    /// Digest of the archive, as in sha256:<64 hex digits>. The key alone is short enough to be hit by chance.
    pub artifact: String,
    /// When it was found.
    pub at: At,
    /// What it is a verdict on: `verdictOn.key` of the evaluation.
    pub key: String,
    /// The evaluation's runs, a pair a repeat.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub runs: Vec<Repeat>,
    /// Pass or Fail.
    pub verdict: String,
    /// Version that was evaluated.
    pub version: String,
}

/// One criterion at the gate. Decimals are text: written once, never recomputed from a float.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct CriterionResult {
    /// Class of the criterion; * is every row.
    pub class: String,
    /// Rows whose score (of several repeats the mean) is below the minimum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<i64>,
    /// The lowest of them, at most 10, the worst first; from 0 as in Prompt flow's line numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub failing_rows: Vec<i64>,
    /// Metric of the criterion.
    pub metric: String,
    /// Lowest mean that passes, as a decimal.
    pub minimum: String,
    /// Points that all its rows together may still lose before the criterion fails, as a decimal; below zero: points
    /// that it lacks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points_left: Option<String>,
    /// Questions that the mean is of; of several repeats each counts with its own mean.
    pub samples: i64,
    /// Mean of the scores, as a decimal; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Pass, Fail, NoData or Error.
    pub verdict: String,
}

/// Where the scores of an evaluation can be read again.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Evaluated {
    /// Of the data set's bytes, 8 hex digits. Only the same questions are compared.
    pub dataset: String,
    /// Model and connection of the judge.
    pub judge_model: String,
    /// The judge's runs, one a repeat.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub judge_runs: Vec<String>,
    /// Of the judge's graph and files, 8 hex digits.
    pub rubric: String,
    /// Version that was evaluated.
    pub version: String,
}

/// This evaluation against another one, question by question.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Comparison {
    /// One entry a metric that both judged, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub metrics: Vec<Differs>,
    /// Why nothing is compared, or what stands beside the numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Version that it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
}

/// How many questions are answered better or worse, by one metric.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Differs {
    /// Questions with a higher score than before.
    pub better: i64,
    /// The metric.
    pub metric: String,
    /// How likely so uneven a split of better and worse is if neither version is better: the two-sided sign test.
    pub p: String,
    /// Questions with the same score.
    pub same: i64,
    /// Questions with a lower score than before.
    pub worse: i64,
    /// The rows that fell the furthest, at most 10, the worst first; from 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    pub worse_rows: Vec<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<i64> {
        (0..MAX_ROWS_NAMED as i64).map(|n| 99_990 + n).collect()
    }

    /// With the most criteria, metrics, classes and rows that a spec allows, and the longest names.
    #[test]
    fn the_largest_evaluation_is_a_small_part_of_what_an_object_may_weigh() {
        let (name, run, long) = ("x".repeat(63), "r".repeat(64), "é".repeat(256));
        let (rows, count) = (rows(), 100_000);
        let class = ClassResult {
            class: name.clone(),
            error_rows: rows.clone(),
            flow_errors: count,
            judge_errors: count,
            not_judged: count,
            ok: count,
            rows: count,
        };
        let result = CriterionResult {
            class: name.clone(),
            failing: Some(count),
            failing_rows: rows.clone(),
            metric: name.clone(),
            minimum: "-1000.000000".into(),
            points_left: Some("-100000000.000000".into()),
            samples: count,
            value: Some("-1000.000000000000000000".into()),
            verdict: "NoData".into(),
        };
        let differs =
            Differs { better: count, metric: name, p: "1.000".into(), same: count, worse: count, worse_rows: rows };
        let repeat = Repeat { base_run: run.clone(), judge_run: run.clone() };
        let status = EvaluationStatus {
            base_run: Some(run.clone()),
            judge_run: Some(run),
            classes: vec![class; MAX_CLASSES],
            comparison: Some(Comparison {
                metrics: vec![differs; 16],
                note: Some(long.clone()),
                with: Some("v".repeat(26)),
            }),
            repeats: vec![repeat; 4],
            results: vec![result; 64],
            retried_for: Some(long.clone()),
            verdict_on: Some(VerdictOn { judge_model: long, ..VerdictOn::default() }),
            ..EvaluationStatus::default()
        };
        let bytes = serde_json::to_vec(&status).expect("JSON").len();
        assert!(bytes < 48 << 10, "{bytes}");
    }
}
