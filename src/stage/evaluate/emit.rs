//! What an evaluation found as events in Application Insights, one a class, where it can be charted beside live answers.
//!
//! They are sent before the verdict is recorded, so an operator that dies in between is followed by one that sends them
//! once more. The component keeps both, and `eventId` is the same: `summarize take_any(*) by id =
//! tostring(customDimensions.eventId)` counts each once. What the component does not take is not sent again: status has it.

use std::collections::BTreeMap;

use crate::{
    api::{
        At,
        status::{CriterionResult, EvaluationStatus},
    },
    azure::CustomEvent,
    policy::{naming, rule::EVERY_ROW},
};

/// Name of the events.
pub const NAME: &str = "promptrelease.evaluation";

/// Whose evaluation it is.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    pub namespace: &'a str,
    pub release: &'a str,
    pub endpoint: &'a str,
    pub version: &'a str,
    pub hash: &'a str,
    pub attempt: i64,
}

/// One event a class, and one for the criteria over every row. None without a verdict on scores or their absence.
pub fn events(whose: &Whose<'_>, known: &EvaluationStatus, at: At) -> Vec<CustomEvent> {
    let dimensions = dimensions(whose, known);
    let event = |class: &str, counts: &[(&str, i64)]| {
        let mut measurements: BTreeMap<String, f64> =
            counts.iter().map(|(name, count)| ((*name).to_owned(), number(*count))).collect();
        for result in known.results.iter().filter(|result| result.class == class) {
            measurements.extend(measured(result));
        }
        let own = [("class", class.to_owned()), ("eventId", id(whose, known, class))];
        let own = own.map(|(name, value)| (name.to_owned(), value));
        let dimensions = dimensions.clone().into_iter().chain(own).collect();
        CustomEvent { name: NAME.into(), at: at.get(), dimensions, measurements }
    };
    let of_classes = known.classes.iter().map(|class| {
        let counts = [
            ("rows", class.rows),
            ("ok", class.ok),
            ("flowErrors", class.flow_errors),
            ("judgeErrors", class.judge_errors),
            ("notJudged", class.not_judged),
        ];
        event(&class.class, &counts)
    });
    let every = known.results.iter().any(|result| result.class == EVERY_ROW);
    of_classes.chain(every.then(|| event(EVERY_ROW, &[("rows", known.rows)]))).collect()
}

/// The same for the same class of the same runs in the same attempt, whoever sends it.
fn id(whose: &Whose<'_>, known: &EvaluationStatus, class: &str) -> String {
    let run = known.base_run.as_deref().unwrap_or_default();
    naming::page_key(whose.namespace, whose.release, whose.hash, whose.attempt, &format!("{run}/{class}"))
}

fn dimensions(whose: &Whose<'_>, known: &EvaluationStatus) -> BTreeMap<String, String> {
    let Whose { namespace, release, endpoint, version, hash, attempt } = *whose;
    let on = known.verdict_on.clone().unwrap_or_default();
    let all = [
        ("namespace", namespace.to_owned()),
        ("release", release.to_owned()),
        ("endpoint", endpoint.to_owned()),
        ("version", version.to_owned()),
        ("hash", hash.to_owned()),
        ("attempt", attempt.to_string()),
        ("verdict", known.verdict.clone().unwrap_or_default()),
        ("baseRun", known.base_run.clone().unwrap_or_default()),
        ("judgeRun", known.judge_run.clone().unwrap_or_default()),
        ("evaluatedAs", known.evaluated_as.clone().unwrap_or_else(|| version.to_owned())),
        ("artifact", on.artifact),
        ("dataset", on.dataset),
        ("rubric", on.rubric),
        ("judgeModel", on.judge_model),
        ("verdictKey", on.key),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `groundedness`, `groundedness.minimum`, `groundedness.failing`.
fn measured(result: &CriterionResult) -> impl Iterator<Item = (String, f64)> {
    let metric = &result.metric;
    let text = |text: &str| text.parse::<f64>().ok();
    let mean = result.value.as_deref().and_then(text).map(|mean| (metric.clone(), mean));
    let minimum = text(&result.minimum).map(|minimum| (format!("{metric}.minimum"), minimum));
    let failing = result.failing.map(|failing| (format!("{metric}.failing"), number(failing)));
    [mean, minimum, failing].into_iter().flatten()
}

#[expect(clippy::cast_precision_loss, reason = "at most 100,000 rows")]
fn number(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::{ClassResult, VerdictOn};

    #[test]
    fn each_class_is_an_event_with_its_means_and_failures() {
        let result = |class: &str, metric: &str, value: &str| CriterionResult {
            class: class.into(),
            metric: metric.into(),
            minimum: "2.850".into(),
            value: Some(value.into()),
            failing: Some(1),
            ..CriterionResult::default()
        };
        let class = |class: &str| ClassResult {
            class: class.into(),
            rows: 17,
            ok: 16,
            judge_errors: 1,
            ..ClassResult::default()
        };
        let known = EvaluationStatus {
            classes: vec![class("factual"), class("edge")],
            results: vec![result("factual", "groundedness", "2.882"), result("*", "refusal_rate", "0.9")],
            base_run: Some("eval-1".into()),
            rows: 34,
            verdict: Some("Pass".into()),
            verdict_on: Some(VerdictOn { key: "aabbccdd".into(), ..VerdictOn::default() }),
            ..EvaluationStatus::default()
        };
        let whose =
            Whose { namespace: "assistant", release: "r", endpoint: "prod", version: "1428", hash: "5f", attempt: 7 };
        let got = events(&whose, &known, At::default());
        let classes: Vec<&str> = got.iter().map(|event| event.dimensions["class"].as_str()).collect();
        assert_eq!(classes, ["factual", "edge", "*"]);
        assert_eq!((got[0].name.as_str(), got[0].dimensions["verdictKey"].as_str()), (NAME, "aabbccdd"));
        let ids = |at| events(&whose, &known, at).into_iter().map(|event| event.dimensions["eventId"].clone());
        let ids: Vec<Vec<String>> =
            [0, 9].map(|s| ids(At::from(jiff::Timestamp::from_second(s).unwrap())).collect()).into();
        assert_eq!(ids[0], ids[1], "sent twice, counted once");
        assert_eq!(ids[0][0], "assistant/r/5f.7/eval-1/factual");
        let numbers = &got[0].measurements;
        assert_eq!((numbers["groundedness"], numbers["groundedness.failing"], numbers["rows"]), (2.882, 1.0, 17.0));
        assert_eq!((got[1].measurements["judgeErrors"], got[2].measurements["refusal_rate"]), (1.0, 0.9));
        assert_eq!(got[1].measurements.get("groundedness"), None);
        assert_eq!(events(&whose, &EvaluationStatus::default(), At::default()), []);
    }
}
