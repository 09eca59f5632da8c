//! Two evaluations of the same questions, question by question: how hard a question is falls out of the difference. It
//! informs; the criteria decide.

use std::cmp::Ordering;

use super::{
    completeness::Complete,
    dataset::Dataset,
    decimal::{Decimal, Mean},
    gate,
    rule::Rule,
};
use crate::api::{
    release::{Criterion, Metric},
    status::{Differs, MAX_ROWS_NAMED},
};

/// One entry a metric that has a criterion and that both judged, over the rows that its criteria cover. A metric of which
/// either has no score for one of these rows is left out.
pub fn compare(
    ours: &[Complete<'_>],
    theirs: &[Complete<'_>],
    dataset: &Dataset,
    metrics: &[Metric],
    criteria: &[Criterion],
) -> Vec<Differs> {
    let of_metric = |metric: &Metric| {
        let rules: Vec<Rule<'_>> = criteria
            .iter()
            .filter(|c| c.metric == metric.name)
            .map(|c| Rule::new(c, metrics))
            .collect::<Result<_, _>>()
            .ok()?;
        let covers = |row: &usize| {
            let class = dataset.class(*row).unwrap_or_default();
            rules.iter().any(|rule| rule.covers(class))
        };
        let rule = rules.first()?;
        let rows = (0..dataset.rows()).filter(covers);
        let pairs: Vec<(usize, Mean, Mean)> = rows
            .map(|row| Some((row, gate::question(rule, ours, row).ok()?, gate::question(rule, theirs, row).ok()?)))
            .collect::<Option<_>>()?;
        Some(differs(&metric.name, &pairs))
    };
    metrics.iter().filter_map(of_metric).collect()
}

fn differs(metric: &str, pairs: &[(usize, Mean, Mean)]) -> Differs {
    // As fractions of each other's samples: repeats may differ in number.
    let change = |ours: &Mean, theirs: &Mean| {
        i128::from(ours.sum_millionths()) * i128::from(theirs.samples())
            - i128::from(theirs.sum_millionths()) * i128::from(ours.samples())
    };
    let mut changes: Vec<(i128, usize)> =
        pairs.iter().map(|(row, ours, theirs)| (change(ours, theirs), *row)).collect();
    changes.sort_unstable();
    let count = |wanted: Ordering| changes.iter().filter(|(change, _)| change.cmp(&0) == wanted).count();
    let (worse, same, better) = (count(Ordering::Less), count(Ordering::Equal), count(Ordering::Greater));
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    Differs {
        better: number(better),
        metric: metric.to_owned(),
        p: shown(sign_test(better, worse)),
        same: number(same),
        worse: number(worse),
        worse_rows: changes
            .iter()
            .take(worse.min(MAX_ROWS_NAMED))
            .filter_map(|(_, row)| i64::try_from(*row).ok())
            .collect(),
    }
}

/// The exact two-sided sign test: how likely a split of these questions at least so uneven is, if each is as likely to be
/// better as worse. Questions that are the same say nothing.
///
/// P = 2 Σ C(n, i) / 2ⁿ for i from 0 to the smaller number, at most 1 (W. J. Dixon and A. M. Mood, "The statistical sign
/// test", Journal of the American Statistical Association 41, 1946).
#[expect(clippy::cast_precision_loss, reason = "at most 100,000 questions")]
pub fn sign_test(better: usize, worse: usize) -> f64 {
    let (n, least) = (better + worse, better.min(worse));
    // As logarithms: 2⁻ⁿ itself is zero in a float from 1,075 questions on.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for i in 0..=least {
        sum += term.exp();
        term += ((n - i) as f64 / (i + 1) as f64).ln();
    }
    (2.0 * sum).min(1.0)
}

fn shown(p: f64) -> String {
    if p < 0.001 {
        return "<0.001".to_owned();
    }
    let thousandths = Decimal::from_f64((p * 1000.0).round() / 1000.0);
    thousandths.map_or_else(|| "1.000".to_owned(), |p| p.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::completeness::{Line, prove};

    fn lines(scores: &[i64]) -> Vec<Line> {
        let line = |(row, score): (usize, &i64)| Line {
            index: i64::try_from(row).expect("small"),
            status: "Completed".into(),
            outputs: json!({"g": score}).as_object().cloned().unwrap_or_default(),
            ..Line::default()
        };
        scores.iter().enumerate().map(line).collect()
    }

    fn found(ours: &[&[i64]], theirs: &[&[i64]], criteria: &serde_json::Value) -> Vec<Differs> {
        let dataset = "{\"class\":\"a\"}\n{\"class\":\"a\"}\n{\"class\":\"a\"}\n{\"class\":\"b\"}\n";
        let dataset = Dataset::parse(dataset.as_bytes()).expect("a data set");
        let metrics: Vec<Metric> =
            serde_json::from_value(json!([{"name": "g", "scale": {"min": 0, "max": 3}}, {"name": "h"}]))
                .expect("metrics");
        let criteria: Vec<Criterion> = serde_json::from_value(criteria.clone()).expect("criteria");
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (ours.iter().map(|s| lines(s)).collect(), theirs.iter().map(|s| lines(s)).collect());
        let proofs = |runs: &[Vec<Line>]| -> Vec<Vec<Line>> { runs.to_vec() };
        let (ours, theirs) = (proofs(&ours), proofs(&theirs));
        let ours: Vec<_> = ours.iter().map(|run| prove(4, run, run).expect("complete")).collect();
        let theirs: Vec<_> = theirs.iter().map(|run| prove(4, run, run).expect("complete")).collect();
        compare(&ours, &theirs, &dataset, &metrics, &criteria)
    }

    #[test]
    fn questions_are_compared_one_by_one_over_the_rows_that_have_a_criterion() {
        let a = json!([{"class": "a", "metric": "g", "minimum": 1}, {"class": "a", "metric": "h", "minimum": 1}]);
        let got = found(&[&[3, 1, 0, 0]], &[&[2, 1, 3, 3]], &a);
        assert_eq!(got.len(), 1, "nobody has a score of h: {got:?}");
        assert_eq!((got[0].better, got[0].same, got[0].worse), (1, 1, 1));
        assert_eq!((got[0].worse_rows.as_slice(), got[0].p.as_str()), (&[2][..], "1.000"));
        let all = json!([{"class": "*", "metric": "g", "minimum": 1}, {"class": "a", "metric": "g", "minimum": 2}]);
        let got = found(&[&[3, 1, 0, 2]], &[&[2, 1, 3, 3]], &all);
        assert_eq!((got[0].worse, got[0].worse_rows.as_slice()), (2, &[2, 3][..]), "the worst first");
    }

    #[test]
    fn repeats_may_differ_in_number() {
        let all = json!([{"class": "*", "metric": "g", "minimum": 1}]);
        // Means of 2.5, 1, 1, 3 against 2, 1, 2, 3.
        let got = found(&[&[3, 1, 2, 3], &[2, 1, 0, 3]], &[&[2, 1, 2, 3]], &all);
        assert_eq!((got[0].better, got[0].same, got[0].worse), (1, 2, 1));
    }

    #[test]
    fn a_sign_test_is_that_of_the_binomial() {
        // Python: 2 * sum(comb(n, i) for i in range(least + 1)) / 2 ** n
        for (better, worse, p) in
            [(0, 0, 1.0), (5, 5, 1.0), (1, 9, 0.021_484_375), (10, 0, 0.001_953_125), (20, 40, 0.013_489_294)]
        {
            let got = sign_test(better, worse);
            assert!((got - p).abs() < 1e-6, "{better} {worse}: {got}");
            assert!((sign_test(worse, better) - got).abs() < 1e-12);
        }
        assert!(
            sign_test(49_000, 51_000) < 1e-6 && sign_test(50_000, 50_000) > 0.99,
            "as many questions as there may be"
        );
        assert_eq!((shown(0.000_4), shown(0.021_484)), ("<0.001".into(), "0.021".into()));
    }
}
