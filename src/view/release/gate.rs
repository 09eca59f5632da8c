//! What the gate found: whether every row was counted, whether every criterion was met, and how near it was.

use super::{
    ReleaseView, Stage,
    facts::{fault, metrics, undecided},
};
use crate::{
    api::{
        Cause,
        release::Metric,
        status::{Comparison, CriterionResult, Differs, EvaluationStatus},
    },
    policy::{
        accounting::RowStatus,
        decimal::{Decimal, Mean},
    },
    view::{
        conditions::{Row, Status},
        sentence,
    },
};

pub(super) fn evaluation_complete(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("EvaluationComplete", status, reason, message);
    match (verdict(view), fault(view, &[Cause::EvalInfraError])) {
        (_, Some(decision)) => {
            let rows = view.attempt().and(view.evaluation).map(|e| format!("; {}", rows(e))).unwrap_or_default();
            row(Status::False, &decision.cause, &format!("{}{rows}", decision.evidence))
        }
        (Some((e, "Pass" | "Fail")), _) => row(Status::True, "AllRowsJudged", &complete(e)),
        (Some((_, "Waived")), _) => row(Status::Unknown, "Waived", WAIVED),
        (Some((e, _)), _) => row(Status::False, Cause::EvalInfraError.as_str(), &rows(e)),
        (None, None) => undecided(view, "EvaluationComplete", Stage::Evaluating),
    }
}

/// `95 of 95 rows answered, 95 of 95 judged; a run was made once more (base run failed: …)`
fn complete(e: &EvaluationStatus) -> String {
    let before = e.evaluated_as.as_ref().map(|version| format!(", when it was {version}")).unwrap_or_default();
    let again = match (e.retried, &e.retried_for) {
        (Some(1), Some(why)) => format!("; a run was made once more ({})", sentence::clamp(why, WHY)),
        (Some(n), Some(why)) => format!("; {n} runs were made once more (last: {})", sentence::clamp(why, WHY)),
        _ => String::new(),
    };
    format!("{} of {} rows answered, {} of {} judged{before}{again}", e.answered, e.rows, e.judged, e.rows)
}

/// Bytes of a reason beside counts.
const WHY: usize = 128;

/// `of 95 rows 9 flow_error, 86 not_judged`: what became of them, in the words of their states.
fn rows(e: &EvaluationStatus) -> String {
    let Some(flow_errors) = e.flow_errors else { return "no row was counted".to_owned() };
    let counts = [
        (RowStatus::Ok, e.judged),
        (RowStatus::FlowError, flow_errors),
        (RowStatus::JudgeError, e.judge_errors.unwrap_or(0)),
        (RowStatus::NotJudged, e.not_judged.unwrap_or(0)),
    ];
    let counts = counts.iter().filter(|(_, n)| *n > 0).map(|(state, n)| format!("{n} {}", state.as_str()));
    format!("of {} {}", sentence::count(e.rows, "row"), counts.collect::<Vec<_>>().join(", "))
}

const UNJUDGED: &str = "no criterion was judged";
/// Nothing was judged, so nothing passed.
const WAIVED: &str = "the release has no `evaluation`, and the endpoint's policy requires none";

pub(super) fn evaluation_passed(view: &ReleaseView<'_>) -> Row {
    let row = |status, reason: &str, message: &str| Row::new("EvaluationPassed", status, reason, message);
    match (verdict(view), fault(view, &[Cause::EvalInfraError])) {
        (_, Some(decision)) => row(Status::Unknown, &decision.cause, UNJUDGED),
        (Some((e, "Pass")), _) => {
            let compared = e.comparison.as_ref().and_then(differs).map_or_else(String::new, |said| format!("; {said}"));
            let met = criteria(e, metrics(view), "criteria met");
            row(Status::True, "AllCriteriaMet", &format!("{met}{compared}"))
        }
        (Some((e, "Fail")), _) => {
            let failed: Vec<CriterionResult> = e.results.iter().filter(|r| r.verdict == "Fail").cloned().collect();
            row(Status::False, Cause::EvalRegression.as_str(), &sentence::criteria_failed(&failed))
        }
        (Some((_, "Waived")), _) => row(Status::Unknown, "Waived", WAIVED),
        (Some(_), _) => row(Status::Unknown, Cause::EvalInfraError.as_str(), UNJUDGED),
        (None, None) => undecided(view, "EvaluationPassed", Stage::Evaluating),
    }
}

/// `95 of 95 rows, 9 of 9 criteria; tightest multi_hop: groundedness=2.882, threshold 2.850 (n=17), 0.550 points left to
/// lose; …`: all that the gate found, the comparison with stable at its end.
pub fn gate_found(evaluation: &EvaluationStatus, metrics: &[Metric]) -> String {
    let EvaluationStatus { judged, rows, comparison, .. } = evaluation;
    let compared = comparison.as_ref().and_then(compared).map_or_else(String::new, |compared| format!("; {compared}"));
    format!("{judged} of {rows} rows, {}{compared}", criteria(evaluation, metrics, "criteria"))
}

/// `9 of 9 criteria met; tightest …`
fn criteria(evaluation: &EvaluationStatus, metrics: &[Metric], words: &str) -> String {
    let results = &evaluation.results;
    let met = results.iter().filter(|r| r.verdict == "Pass").count();
    let tightest = tightest(results, metrics).map_or_else(String::new, |tightest| format!("; {tightest}"));
    format!("{met} of {} {words}{tightest}", results.len())
}

/// `against 1427: groundedness 3 better, 5 worse, 87 same (p=0.727)`; a difference that chance explains is told as that by
/// its number.
fn compared(comparison: &Comparison) -> Option<String> {
    let told = |differs: &Differs| {
        let Differs { metric, better, worse, same, .. } = differs;
        format!("{metric} {better} better, {worse} worse, {same} same ({})", p(differs))
    };
    against(comparison, comparison.metrics.iter().map(told).collect())
}

/// `against 1427: groundedness worse (p=0.012)`: for a condition only what chance does not explain.
fn differs(comparison: &Comparison) -> Option<String> {
    let clear = comparison.metrics.iter().filter(|differs| is_clear(differs));
    let told = |differs: &Differs| {
        let way = if differs.worse > differs.better { "worse" } else { "better" };
        format!("{} {way} ({})", differs.metric, p(differs))
    };
    let clear: Vec<String> = clear.map(told).collect();
    let none = !comparison.metrics.is_empty() && clear.is_empty();
    against(comparison, if none { vec!["no clear difference".to_owned()] } else { clear })
}

/// From here down a split of better and worse is called a difference.
const CLEAR: f64 = 0.05;

fn is_clear(differs: &Differs) -> bool {
    differs.p.trim_start_matches('<').parse::<f64>().is_ok_and(|p| p < CLEAR)
}

fn p(differs: &Differs) -> String {
    differs.p.strip_prefix('<').map_or_else(|| format!("p={}", differs.p), |below| format!("p<{below}"))
}

fn against(comparison: &Comparison, said: Vec<String>) -> Option<String> {
    let with = comparison.with.as_deref().filter(|_| !said.is_empty())?;
    Some(format!("against {with}: {}", sentence::within(&said, 256)))
}

/// The criterion that was met with the least to spare, as a share of its metric's scale.
fn tightest(results: &[CriterionResult], metrics: &[Metric]) -> Option<String> {
    let margin = |r: &CriterionResult| {
        let (value, minimum): (Decimal, Decimal) = (r.value.as_ref()?.parse().ok()?, r.minimum.parse().ok()?);
        let scale = metrics.iter().find(|m| m.name == r.metric).and_then(|m| m.scale.as_ref());
        let width = scale.and_then(|s| Decimal::from_f64(s.max - s.min)).unwrap_or(Decimal::ONE);
        Some(Mean::of(value.millionths(), 1).margin(minimum, width))
    };
    let (_, r) = results.iter().filter_map(|r| margin(r).map(|m| (m, r))).min_by_key(|(margin, _)| *margin)?;
    let value = r.value.as_deref().unwrap_or_default();
    let left = r.points_left.as_deref().filter(|left| !left.starts_with('-'));
    let left = left.map_or_else(String::new, |left| format!(", {} points left to lose", thousandths(left)));
    Some(format!("tightest {}: {}={value}, threshold {} (n={}){left}", r.class, r.metric, r.minimum, r.samples))
}

/// A decimal cut to three places: what is left to lose is not told as more than it is.
fn thousandths(decimal: &str) -> &str {
    let end = decimal.find('.').map_or(decimal.len(), |point| point + 4);
    decimal.get(..end).unwrap_or(decimal)
}

fn verdict<'v>(view: &'v ReleaseView<'_>) -> Option<(&'v EvaluationStatus, &'v str)> {
    let evaluation = view.attempt().and(view.evaluation)?;
    Some((evaluation, evaluation.verdict.as_deref()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(name: &str, better: i64, worse: i64, p: &str) -> Differs {
        Differs { metric: name.into(), better, worse, p: p.into(), same: 84 - better - worse, ..Differs::default() }
    }

    fn compared_with(metrics: Vec<Differs>) -> Comparison {
        Comparison { metrics, with: Some("1427".into()), note: None }
    }

    #[test]
    fn a_condition_names_only_differences_that_chance_does_not_explain() {
        let several =
            [metric("groundedness", 4, 17, "0.007"), metric("citation", 9, 0, "<0.001"), metric("tone", 3, 5, "0.727")];
        let several = compared_with(several.into());
        assert_eq!(
            differs(&several).as_deref(),
            Some("against 1427: groundedness worse (p=0.007); citation better (p<0.001)")
        );
        let all = compared(&several).expect("compared");
        assert!(all.ends_with("; tone 3 better, 5 worse, 76 same (p=0.727)"), "{all}");
        let alike = compared_with(vec![metric("tone", 3, 5, "0.727"), metric("groundedness", 0, 5, "0.063")]);
        assert_eq!(differs(&alike).as_deref(), Some("against 1427: no clear difference"));
        let not_compared = Comparison { note: Some("no comparison: why".into()), ..compared_with(Vec::new()) };
        assert_eq!((differs(&not_compared), compared(&not_compared)), (None, None));
    }

    #[test]
    fn the_points_that_are_left_are_not_rounded_up() {
        for (exact, told) in [("0.366668", "0.366"), ("3.400", "3.400"), ("0.5", "0.5"), ("12", "12")] {
            assert_eq!(thousandths(exact), told);
        }
    }

    #[test]
    fn every_row_has_one_of_four_states() {
        let rows_of = |answered, judged, flow_errors, judge_errors, not_judged| {
            rows(&EvaluationStatus {
                rows: 95,
                answered,
                judged,
                flow_errors,
                judge_errors,
                not_judged,
                ..EvaluationStatus::default()
            })
        };
        assert_eq!(rows_of(86, 0, Some(9), None, Some(86)), "of 95 rows 9 flow_error, 86 not_judged");
        assert_eq!(rows_of(95, 92, Some(0), Some(3), None), "of 95 rows 92 ok, 3 judge_error");
        assert_eq!(rows_of(0, 0, None, None, None), "no row was counted");
    }

    #[test]
    fn a_run_that_was_made_once_more_is_told_beside_the_counts() {
        let known = EvaluationStatus { answered: 95, judged: 95, rows: 95, ..EvaluationStatus::default() };
        assert_eq!(complete(&known), "95 of 95 rows answered, 95 of 95 judged");
        let retried =
            EvaluationStatus { retried: Some(1), retried_for: Some("base run failed: X".into()), ..known.clone() };
        assert!(complete(&retried).ends_with("judged; a run was made once more (base run failed: X)"));
        let recalled = EvaluationStatus { evaluated_as: Some("1427".into()), ..known };
        assert!(complete(&recalled).ends_with("95 of 95 judged, when it was 1427"));
    }
}
