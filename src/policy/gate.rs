//! The offline verdict: means per class, by ourselves, against the criteria.
//!
//! Whatever cannot be measured is an error of its own kind, never a pass and never the release's fault.

use super::{
    completeness::Complete,
    dataset::Dataset,
    decimal::{Decimal, Margin, Mean},
    rule::{Rule, RuleError, list},
};
use crate::api::{
    release::{Class, Criterion, Metric},
    status::{CriterionResult, MAX_ROWS_NAMED},
};

/// What the gate found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// One a criterion, in the order of the spec.
    pub results: Vec<Measured>,
    pub verdict: Verdict,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    /// Criteria that were not met, the worst first.
    Regression(Vec<Measured>),
    /// What could not be measured. Nothing is said about the release, not even by the criteria that could be.
    Error(Vec<GateError>),
}

impl Verdict {
    /// As in `status.evaluation.verdict`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Regression(_) => "Fail",
            Self::Error(_) => "Error",
        }
    }
}

/// One criterion and the mean that was held against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    pub class: String,
    pub metric: String,
    pub minimum: Decimal,
    /// Highest less lowest score.
    pub width: Decimal,
    /// Over all scores. None: it could not be measured.
    pub mean: Option<Mean>,
    /// Scores of each question.
    pub repeats: i64,
    /// Rows whose own mean is below the minimum, the worst first.
    pub failing: Vec<usize>,
}

impl Measured {
    pub fn passes(&self) -> bool {
        self.mean.is_some_and(|mean| mean.meets(self.minimum))
    }

    /// How far above its minimum, as a share of the scale.
    pub fn margin(&self) -> Option<Margin> {
        self.mean.map(|mean| mean.margin(self.minimum, self.width))
    }

    /// As in status.
    pub fn result(&self) -> CriterionResult {
        let verdict = match self.mean {
            None => "Error",
            Some(_) if self.passes() => "Pass",
            Some(_) => "Fail",
        };
        CriterionResult {
            class: self.class.clone(),
            metric: self.metric.clone(),
            minimum: self.minimum.to_string(),
            samples: self.mean.map_or(0, Mean::samples) / self.repeats.max(1),
            value: self.mean.and_then(|mean| mean.text(self.minimum)),
            verdict: verdict.into(),
            points_left: self.mean.map(|mean| mean.points_over(self.minimum, self.repeats)),
            failing: self.mean.map(|_| i64::try_from(self.failing.len()).unwrap_or(i64::MAX)),
            failing_rows: self.failing.iter().take(MAX_ROWS_NAMED).filter_map(|row| i64::try_from(*row).ok()).collect(),
        }
    }
}

/// Why a criterion could not be measured. Rows count from 0, as Prompt flow's lines do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    #[error("the proof of completeness is of {proven} rows, the data set has {rows}")]
    OtherSet { proven: usize, rows: usize },
    #[error("there is no criterion, so there is nothing to decide: add at least one to `criteria`")]
    NoCriteria,
    #[error(transparent)]
    Rule(#[from] RuleError),
    #[error("class {class} has no rows; the data set has: {known}")]
    UnknownClass { class: String, known: String },
    #[error("class {class} has {rows} of {declared} declared rows")]
    ShortClass { class: String, rows: i64, declared: i64 },
    #[error("row {row} has no output `{output}` for metric {metric}; the judge's outputs are: {known}")]
    MissingMetric { metric: String, output: String, row: usize, known: String },
    #[error("row {row}: {metric} is {found}, must be {allowed}")]
    BadScore { metric: String, row: usize, found: String, allowed: String },
}

/// Applies the criteria. It takes its lines from proofs that they are complete, one a repeat: there is no mean without.
/// A question counts with the mean of its scores; each has as many, so the mean of a class is that of all its scores.
pub fn judge(
    repeats: &[Complete<'_>],
    dataset: &Dataset,
    declared: &[Class],
    metrics: &[Metric],
    criteria: &[Criterion],
) -> Gate {
    let mut errors = Vec::new();
    let other = repeats.iter().map(Complete::rows).find(|rows| *rows != dataset.rows());
    if let Some(proven) = other.or(repeats.is_empty().then_some(0)) {
        errors.push(GateError::OtherSet { proven, rows: dataset.rows() });
    }
    if criteria.is_empty() {
        errors.push(GateError::NoCriteria);
    }
    errors.extend(short_classes(dataset, declared));
    let mut results = Vec::new();
    for criterion in criteria {
        let rule = match Rule::new(criterion, metrics) {
            Ok(rule) => rule,
            Err(error) => {
                errors.push(error.into());
                continue;
            }
        };
        let found = measure(&rule, repeats, dataset).map_err(|error| errors.push(error)).ok();
        let (mean, failing) = found.map_or((None, Vec::new()), |(mean, failing)| (Some(mean), failing));
        results.push(Measured {
            class: rule.class.to_owned(),
            metric: rule.metric.name.clone(),
            minimum: rule.minimum,
            width: rule.width(),
            mean,
            repeats: i64::try_from(repeats.len()).unwrap_or(i64::MAX),
            failing,
        });
    }
    errors.dedup();
    let verdict = verdict(errors, &results);
    Gate { results, verdict }
}

fn verdict(errors: Vec<GateError>, results: &[Measured]) -> Verdict {
    if !errors.is_empty() {
        return Verdict::Error(errors);
    }
    let mut failed: Vec<Measured> = results.iter().filter(|r| !r.passes()).cloned().collect();
    failed.sort_by_key(Measured::margin);
    if failed.is_empty() { Verdict::Pass } else { Verdict::Regression(failed) }
}

fn short_classes(dataset: &Dataset, declared: &[Class]) -> Vec<GateError> {
    let counts = dataset.counts();
    let rows = |class: &str| counts.iter().find(|c| c.class == class).map_or(0, |c| c.rows);
    declared
        .iter()
        .filter(|class| rows(&class.name) < class.rows)
        .map(|class| GateError::ShortClass { class: class.name.clone(), rows: rows(&class.name), declared: class.rows })
        .collect()
}

/// The mean over all scores, and the rows that are below the minimum by themselves.
fn measure(rule: &Rule<'_>, repeats: &[Complete<'_>], dataset: &Dataset) -> Result<(Mean, Vec<usize>), GateError> {
    let (mut mean, mut failing) = (Mean::default(), Vec::new());
    for row in (0..dataset.rows()).filter(|row| rule.covers(dataset.class(*row).unwrap_or_default())) {
        let of_row = question(rule, repeats, row)?;
        if !of_row.meets(rule.minimum) {
            failing.push((of_row.sum_millionths(), row));
        }
        mean = mean.plus(of_row);
    }
    if mean.samples() == 0 {
        let counts = dataset.counts();
        let known = list(counts.iter().map(|c| c.class.as_str()));
        return Err(GateError::UnknownClass { class: rule.class.to_owned(), known });
    }
    // Every question has as many scores, so that their sums order their means.
    failing.sort_unstable();
    Ok((mean, failing.into_iter().map(|(_, row)| row).collect()))
}

/// The scores of one question by one metric, one a repeat.
///
/// # Errors
/// A score that is missing, or is none.
pub fn question(rule: &Rule<'_>, repeats: &[Complete<'_>], row: usize) -> Result<Mean, GateError> {
    let output = rule.metric.output.as_deref().unwrap_or(&rule.metric.name);
    let mut mean = Mean::default();
    for line in repeats.iter().filter_map(|complete| complete.lines().get(row)) {
        let value = line.outputs.get(output).ok_or_else(|| GateError::MissingMetric {
            metric: rule.metric.name.clone(),
            output: output.to_owned(),
            row,
            known: list(line.outputs.keys().map(String::as_str)),
        })?;
        mean.add(rule.score(value).map_err(|(found, allowed)| GateError::BadScore {
            metric: rule.metric.name.clone(),
            row,
            found,
            allowed,
        })?);
    }
    Ok(mean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::policy::completeness::{Line, prove};

    const ARTICLE: [(&str, i64, i64); 2] = [("factual", 34, 101), ("multi_hop", 17, 49)];

    fn dataset(classes: &[(&str, i64)]) -> Dataset {
        let text: String = classes
            .iter()
            .flat_map(|(class, rows)| (0..*rows).map(move |_| format!("{{\"class\":\"{class}\"}}\n")))
            .collect();
        Dataset::parse(text.as_bytes()).expect("valid")
    }

    fn line(index: usize, outputs: Value) -> Line {
        let outputs = outputs.as_object().cloned().unwrap_or_default();
        Line { index: index as i64, status: "Completed".into(), outputs, ..Line::default() }
    }

    /// Whole scores of 0 to 3 that add up to `points` in each class.
    fn lines(classes: &[(&str, i64, i64)]) -> Vec<Line> {
        let scores = classes.iter().flat_map(|(_, rows, points)| (0..*rows).map(move |i| (points - 3 * i).clamp(0, 3)));
        scores.enumerate().map(|(i, score)| line(i, json!({"groundedness": score, "refused": score > 1}))).collect()
    }

    fn metrics() -> Vec<Metric> {
        serde_json::from_value(json!([
            {"name": "groundedness", "type": "Integer", "scale": {"min": 0, "max": 3}},
            {"name": "refusal_rate", "type": "Boolean", "output": "refused"},
        ]))
        .expect("valid")
    }

    fn criteria(list: &[(&str, &str, f64)]) -> Vec<Criterion> {
        list.iter()
            .map(|(class, metric, minimum)| Criterion {
                class: (*class).into(),
                live: None,
                metric: (*metric).into(),
                minimum: *minimum,
            })
            .collect()
    }

    fn run(classes: &[(&str, i64, i64)], judged: &[Line], metrics: &[Metric], criteria: &[Criterion]) -> Gate {
        let counts: Vec<_> = classes.iter().map(|(class, rows, _)| (*class, *rows)).collect();
        let set = dataset(&counts);
        judge(&[prove(set.rows(), judged, judged).expect("complete")], &set, &[], metrics, criteria)
    }

    fn errors(gate: Gate) -> String {
        match gate.verdict {
            Verdict::Error(errors) => errors.iter().map(|e| format!("{e}\n")).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_articles_pass_with_the_mean_of_each_class() {
        let rules = criteria(&[
            ("factual", "groundedness", 2.90),
            ("multi_hop", "groundedness", 2.85),
            ("*", "refusal_rate", 0.85),
        ]);
        let gate = run(&ARTICLE, &lines(&ARTICLE), &metrics(), &rules);
        assert_eq!(gate.verdict, Verdict::Pass);
        let multi_hop = gate.results[1].result();
        assert_eq!((multi_hop.value.as_deref(), multi_hop.samples), (Some("2.882"), 17));
        assert_eq!(gate.results[2].result().samples, 51);
        assert_eq!(gate.results[2].result().verdict, "Pass");
    }

    #[test]
    fn a_class_shows_what_it_may_still_lose_and_which_rows_fell_the_furthest() {
        let judged: Vec<Line> =
            [3, 1, 3, 2, 3].iter().enumerate().map(|(i, s)| line(i, json!({"groundedness": s}))).collect();
        let rules = criteria(&[("a", "groundedness", 2.25), ("a", "groundedness", 2.5)]);
        let gate = run(&[("a", 5, 12)], &judged, &metrics(), &rules);
        let shown = |n: usize| {
            let result = gate.results[n].result();
            (result.points_left, result.failing, result.failing_rows, result.verdict)
        };
        assert_eq!(shown(0), (Some("0.750".into()), Some(2), vec![1, 3], "Pass".into()));
        assert_eq!(shown(1), (Some("-0.500".into()), Some(2), vec![1, 3], "Fail".into()));
        let many = lines(&[("a", 40, 0)]);
        let gate = run(&[("a", 40, 0)], &many, &metrics(), &criteria(&[("a", "groundedness", 1.0)]));
        let result = gate.results[0].result();
        assert_eq!((result.failing, result.failing_rows.len()), (Some(40), 10), "the others are counted");
    }

    #[test]
    fn a_question_counts_with_the_mean_of_its_repeats() {
        let set = dataset(&[("a", 2)]);
        let scored = |scores: [i64; 2]| -> Vec<Line> {
            scores.iter().enumerate().map(|(i, s)| line(i, json!({"groundedness": s}))).collect()
        };
        // By themselves the first repeat passes and the others do not.
        let runs = [scored([3, 3]), scored([3, 1]), scored([2, 1])];
        let proofs: Vec<_> = runs.iter().map(|run| prove(2, run, run).expect("complete")).collect();
        let gate = judge(&proofs, &set, &[], &metrics(), &criteria(&[("a", "groundedness", 2.1)]));
        let result = gate.results[0].result();
        assert_eq!((result.value.as_deref(), result.samples, result.verdict.as_str()), (Some("2.167"), 2, "Pass"));
        // 8/3 + 5/3 less twice 2.1, rounded down; row 1 is below the minimum on average.
        assert_eq!((result.points_left.as_deref(), result.failing_rows), (Some("0.133333"), vec![1]));
        assert!(
            errors(judge(&[], &set, &[], &metrics(), &criteria(&[("a", "groundedness", 2.1)])))
                .contains("is of 0 rows")
        );
    }

    #[test]
    fn a_missed_criterion_is_the_releases_fault() {
        let classes = [("factual", 34, 101), ("multi_hop", 17, 46)];
        let rules = criteria(&[("factual", "groundedness", 2.98), ("multi_hop", "groundedness", 2.85)]);
        let Verdict::Regression(failed) = run(&classes, &lines(&classes), &metrics(), &rules).verdict else {
            panic!("no regression")
        };
        let worst = failed[0].result();
        assert_eq!(
            (worst.class.as_str(), worst.value.as_deref(), worst.minimum.as_str()),
            ("multi_hop", Some("2.706"), "2.850")
        );
        assert_eq!(failed.len(), 2);
    }

    #[test]
    fn what_cannot_be_measured_is_an_error_of_its_own_kind() {
        let set = [("a", 2, 6)];
        let told = |outputs: Value, metrics: &[Metric]| {
            let judged = [line(0, json!({"groundedness": 3, "refused": true})), line(1, outputs)];
            errors(run(&set, &judged, metrics, &criteria(&[("a", "groundedness", 2.0), ("a", "refusal_rate", 0.5)])))
        };
        let all = metrics();
        for (outputs, what) in [
            (
                json!({"refused": true}),
                "row 1 has no output `groundedness` for metric groundedness; the judge's outputs are: refused",
            ),
            (
                json!({"groundedness": null, "refused": true}),
                "row 1: groundedness is null, must be a whole number from 0.000 to 3.000",
            ),
            (json!({"groundedness": "3", "refused": true}), "is the text \"3\""),
            (json!({"groundedness": 2.5, "refused": true}), "is the number 2.5"),
            (json!({"groundedness": 4, "refused": true}), "is the number 4"),
            (json!({"groundedness": -1, "refused": true}), "is the number -1"),
            (json!({"groundedness": true, "refused": true}), "groundedness is true"),
            (json!({"groundedness": 3, "refused": 1}), "refusal_rate is the number 1, must be true or false"),
            (json!({"groundedness": 3}), "row 1 has no output `refused` for metric refusal_rate"),
        ] {
            let text = told(outputs, &all);
            assert!(text.contains(what), "{text}");
        }
        assert!(
            told(json!({"groundedness": 3, "refused": true}), &all[..1])
                .contains("names no metric; `metrics` has: groundedness")
        );
    }

    #[test]
    fn classes_must_be_there_and_whole() {
        let set = dataset(&[("a", 2)]);
        let judged = lines(&[("a", 2, 6)]);
        let complete = prove(2, &judged, &judged).expect("complete");
        let told = |declared: &[Class], rules: &[Criterion]| {
            errors(judge(std::slice::from_ref(&complete), &set, declared, &metrics(), rules))
        };
        let rules = criteria(&[("b", "groundedness", 1.0)]);
        assert_eq!(told(&[], &rules), "class b has no rows; the data set has: a\n");
        let rules = criteria(&[("a", "groundedness", 1.0)]);
        let declared = [Class { name: "a".into(), rows: 3 }];
        assert_eq!(told(&declared, &rules), "class a has 2 of 3 declared rows\n");
        assert!(told(&[], &[]).contains("add at least one"));
        let other = dataset(&[("a", 3)]);
        assert!(
            errors(judge(std::slice::from_ref(&complete), &other, &[], &metrics(), &rules))
                .contains("proof of completeness is of 2 rows")
        );
    }

    #[test]
    fn a_metric_is_asked_only_of_the_classes_it_judges() {
        let set = [("a", 1, 3), ("b", 1, 3)];
        let judged = [line(0, json!({"groundedness": 3})), line(1, json!({"refused": true}))];
        let rules = criteria(&[("a", "groundedness", 2.0), ("b", "refusal_rate", 0.5)]);
        assert_eq!(run(&set, &judged, &metrics(), &rules).verdict, Verdict::Pass);
    }

    proptest! {
        /// One broken byte, row or name, and the gate does not pass.
        #[test]
        fn nothing_broken_passes(rows in 1_i64..30, at in 0_usize..30, what in 0..6) {
            let classes = [("a", rows, 3 * rows)];
            let mut judged = lines(&classes);
            let (mut metrics, mut rules) = (metrics(), criteria(&[("a", "groundedness", 2.85)]));
            prop_assert_eq!(run(&classes, &judged, &metrics, &rules).verdict, Verdict::Pass);
            let at = at % judged.len();
            match what {
                0 => { judged.remove(at); }
                1 => { let score = judged[at].outputs.remove("groundedness"); judged[at].outputs.insert("ground".into(), score.unwrap_or_default()); }
                2 => { judged[at].outputs.insert("groundedness".into(), json!(2.999)); }
                3 => metrics[0].name = "other".into(),
                4 => rules[0].class = "b".into(),
                _ => { judged[at].outputs.insert("groundedness".into(), json!(3.1)); }
            }
            let set = dataset(&[("a", rows)]);
            let full = lines(&classes);
            let passes = prove(set.rows(), &full, &judged)
                .is_ok_and(|proof| judge(&[proof], &set, &[], &metrics, &rules).verdict == Verdict::Pass);
            prop_assert!(!passes);
        }

        /// Against a mean computed the plain way, in whole points.
        #[test]
        fn judges_by_the_exact_mean(scores in prop::collection::vec(0_i64..=3, 1..60), hundredths in 0_i64..=300) {
            let judged: Vec<Line> = scores.iter().enumerate().map(|(i, s)| line(i, json!({"groundedness": s}))).collect();
            #[expect(clippy::cast_precision_loss, reason = "at most 300")]
            let rules = criteria(&[("a", "groundedness", hundredths as f64 / 100.0)]);
            let n = scores.len() as i64;
            let verdict = run(&[("a", n, 0)], &judged, &metrics(), &rules).verdict;
            prop_assert_eq!(verdict == Verdict::Pass, scores.iter().sum::<i64>() * 100 >= hundredths * n);
        }
    }
}
