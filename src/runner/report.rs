//! One outcome in the words of those who read it: people, programs, continuous integration, a pull request.

mod junit;
mod lines;
mod markdown;
mod text;

pub use junit::junit;
pub use markdown::markdown;
pub use text::text;

use super::outcome::Outcome;

/// For programs: [`Outcome`] as it is, with the exit code.
pub fn json(outcome: &Outcome) -> String {
    let mut value = serde_json::to_value(outcome).unwrap_or_default();
    value["exitCode"] = outcome.verdict.exit_code().into();
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        api::PromptReleaseSpec,
        policy::{accounting::RowStatus, completeness::Line, dataset::Dataset},
        runner::outcome::{Asked, Lines, Verdict},
    };

    const ROWS: &str = r#"{"class": "factual", "question": "What's the limit?"}
{"class": "multi_hop", "question": "Who <b>owns</b> it, @team?"}
{"class": "multi_hop", "question": "Which way | and when?"}
"#;

    fn spec() -> PromptReleaseSpec {
        serde_json::from_value(json!({
            "endpointRef": {"name": "prod"}, "version": "7", "artifact": {},
            "metrics": [{"name": "groundedness", "type": "Integer", "scale": {"min": 0, "max": 3}}],
            "criteria": [
                {"class": "factual", "metric": "groundedness", "minimum": 2.9},
                {"class": "multi_hop", "metric": "groundedness", "minimum": 2.85},
            ],
        }))
        .expect("a spec")
    }

    fn line(index: i64, outputs: serde_json::Value) -> Line {
        let outputs = outputs.as_object().cloned().unwrap_or_default();
        Line { index, status: "Completed".into(), outputs, ..Line::default() }
    }

    /// Whose answers have these scores; none: the row failed.
    fn outcome(scores: [Option<i64>; 3]) -> Outcome {
        let (spec, dataset) = (spec(), Dataset::parse(ROWS.as_bytes()).expect("a data set"));
        let asked = Asked { release: "assistant", spec: &spec, dataset: &dataset, rows: ROWS.as_bytes() };
        let answers: Vec<Line> = (0..3).map(|row| line(row, json!({"answer": "a"}))).collect();
        let message = "Execution failure in 'safety_check': (HttpResponseError) 429 TooMany";
        let failed =
            |row| Line { index: row, status: "Failed".into(), error_message: Some(message.into()), ..Line::default() };
        let score = |(row, score): (i64, &Option<i64>)| {
            score.map_or_else(|| failed(row), |score| line(row, json!({"groundedness": score})))
        };
        let scores = (0..).zip(&scores).map(score).collect();
        asked.judged(&[Lines { answers, scores: Some(scores) }])
    }

    #[test]
    fn a_pass_says_what_was_tightest() {
        let passed = outcome([Some(3), Some(3), Some(3)]);
        assert_eq!((passed.verdict, passed.verdict.exit_code()), (Verdict::Pass, 0));
        assert_eq!(
            text(&passed),
            "assistant 7: PASS\n\
             3 of 3 rows, 2 of 2 criteria; tightest factual: groundedness=3.000, threshold 2.900 (n=1), 0.100 points left \
             to lose\n\
             3 rows: 3 ok, 0 flow errors, 0 judge errors\n\n\
             class      metric        n   mean  minimum  margin\n\
             factual    groundedness  1  3.000    2.900  +0.100  pass\n\
             multi_hop  groundedness  2  3.000    2.850  +0.150  pass\n"
        );
        assert!(junit(&passed).contains("tests=\"2\" failures=\"0\" errors=\"0\""));
    }

    #[test]
    fn a_regression_names_the_rows_below_the_minimum_the_worst_first() {
        let failed = outcome([Some(3), Some(2), Some(1)]);
        assert_eq!(failed.verdict.exit_code(), 1);
        assert_eq!(failed.criteria[1].below, [2, 1]);
        let told = text(&failed);
        assert!(told.contains("multi_hop: groundedness=1.500 below threshold 2.850 (n=2)\n"), "{told}");
        assert!(
            told.ends_with(
                "\nmulti_hop: groundedness, 2 rows below 2.850, the worst first\n  1 row 2: Which way | and when?\n  2 row 1: \
                 Who <b>owns</b> it, @team?\n"
            ),
            "{told}"
        );
        let program: serde_json::Value = serde_json::from_str(&json(&failed)).expect("JSON");
        assert_eq!((&program["verdict"], &program["exitCode"]), (&json!("regression"), &json!(1)));
        assert_eq!(program["criteria"][1]["margin"], "-1.350");
        assert_eq!(program["rows"][2]["scores"]["groundedness"], 1);
        let ci = junit(&failed);
        assert!(ci.contains("tests=\"2\" failures=\"1\" errors=\"0\""), "{ci}");
        assert!(ci.contains("1 row 2: Which way | and when?\n2 row 1: Who &lt;b&gt;owns&lt;/b&gt; it"), "{ci}");
    }

    /// Golden: what stands on the pull request.
    #[test]
    fn a_comment_holds_the_table_and_nothing_of_a_question_comes_alive() {
        assert_eq!(markdown(&outcome([Some(3), Some(2), Some(1)])), include_str!("report/comment.md"));
    }

    #[test]
    fn a_row_without_a_score_is_nobodys_regression() {
        let broken = outcome([Some(3), None, Some(0)]);
        assert_eq!((broken.verdict, broken.verdict.exit_code()), (Verdict::InfraError, 2));
        assert_eq!(broken.count(RowStatus::JudgeError), 1);
        let cause = "429 TooMany in safety_check";
        assert_eq!(broken.reason, format!("1 of 3 answers has no judgement ({cause}); nothing was judged"));
        assert!(text(&broken).ends_with(&format!("no score ({cause}): row 1: Who <b>owns</b> it, @team?\n")));
        assert!(junit(&broken).contains("tests=\"2\" failures=\"0\" errors=\"2\""));
    }
}
