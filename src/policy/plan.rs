//! Canary and promotion as an attempt keeps them, from the spec at the moment when it begins.

use jiff::SignedDuration;

use crate::api::{
    Duration, PromptReleaseSpec,
    log::Plan,
    release::{Canary, OnInconclusive, Promotion},
};

/// The plan of a new attempt. A step's windows are its duration over the window, rounded up: never less than was asked.
/// What served is kept for `grace` at least, however short `keepPreviousFor` is: answers that are being streamed, and callers
/// that name a deployment themselves, end or are noticed by then.
pub fn plan(spec: &PromptReleaseSpec, grace: SignedDuration) -> Plan {
    let PromptReleaseSpec { canary: Canary { steps, analysis, hold_timeout }, promotion, .. } = spec;
    let Promotion { keep_previous_for } = promotion;
    let window_ms = millis(&analysis.window).max(1);
    Plan {
        weights: steps.iter().map(|step| step.weight).collect(),
        windows: steps.iter().map(|step| windows(millis(&step.duration), window_ms)).collect(),
        window_ms,
        lateness_ms: millis(&analysis.lateness),
        min_samples: analysis.min_samples,
        consecutive_failures: analysis.consecutive_failures,
        consecutive_errors: analysis.consecutive_errors,
        on_inconclusive: word(analysis.on_inconclusive).into(),
        hold_timeout_ms: millis(hold_timeout),
        keep_previous_ms: millis(keep_previous_for).max(i64::try_from(grace.as_millis()).unwrap_or(i64::MAX)),
    }
}

/// Windows that a step must count, from 1; 1 for a step that the plan does not have.
pub fn planned(plan: &Plan, step: i64) -> i64 {
    usize::try_from(step - 1).ok().and_then(|i| plan.windows.get(i)).copied().unwrap_or(1).max(1)
}

fn windows(duration_ms: i64, window_ms: i64) -> i64 {
    (duration_ms / window_ms + i64::from(duration_ms % window_ms > 0)).max(1)
}

/// What an attempt does with a step that is over and inconclusive. A word that this operator does not know holds.
pub fn on_inconclusive(plan: &Plan) -> OnInconclusive {
    let all = [OnInconclusive::Hold, OnInconclusive::RollBack, OnInconclusive::Promote];
    all.into_iter().find(|what| word(*what) == plan.on_inconclusive).unwrap_or_default()
}

fn word(what: OnInconclusive) -> &'static str {
    match what {
        OnInconclusive::Hold => "Hold",
        OnInconclusive::RollBack => "RollBack",
        OnInconclusive::Promote => "Promote",
    }
}

fn millis(duration: &Duration) -> i64 {
    i64::try_from(duration.get().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GRACE: SignedDuration = SignedDuration::from_mins(10);

    fn plan(spec: &PromptReleaseSpec) -> Plan {
        super::plan(spec, GRACE)
    }

    #[test]
    fn what_served_is_kept_for_the_grace_at_least() {
        let kept = |keep: &str| {
            let spec = json!({"endpointRef": {"name": "e"}, "version": "1", "artifact": {},
                "promotion": {"keepPreviousFor": keep}});
            plan(&serde_json::from_value(spec).expect("valid")).keep_previous_ms
        };
        assert_eq!(["0s", "9m", "11m"].map(kept), [600_000, 600_000, 660_000]);
    }

    fn spec(canary: serde_json::Value) -> PromptReleaseSpec {
        serde_json::from_value(json!({
            "endpointRef": {"name": "e"}, "version": "1", "artifact": {}, "canary": canary,
        }))
        .expect("valid")
    }

    #[test]
    fn the_defaults_are_twenty_windows_of_a_minute_at_ten_percent() {
        let plan = plan(&spec(json!({})));
        assert_eq!((plan.weights.as_slice(), plan.windows.as_slice()), ([10].as_slice(), [20].as_slice()));
        assert_eq!((plan.window_ms, plan.lateness_ms, plan.min_samples), (60_000, 600_000, 4));
        assert_eq!((plan.consecutive_failures, plan.consecutive_errors), (3, 5));
        assert_eq!((plan.on_inconclusive.as_str(), plan.hold_timeout_ms), ("Hold", 14_400_000));
        assert_eq!(plan.keep_previous_ms, 86_400_000);
        assert_eq!((planned(&plan, 1), planned(&plan, 2), planned(&plan, 0)), (20, 1, 1));
    }

    #[test]
    fn a_step_is_never_shorter_than_asked() {
        let plan = plan(&spec(json!({"steps": [{"weight": 5, "duration": "100s"}], "analysis": {"window": "30s"}})));
        assert_eq!(plan.windows, [4]);
    }

    #[test]
    fn what_to_do_with_the_inconclusive_reads_back() {
        for word in ["Hold", "RollBack", "Promote"] {
            let plan = plan(&spec(json!({"analysis": {"onInconclusive": word}})));
            assert_eq!(format!("{:?}", on_inconclusive(&plan)), word);
        }
        let later = Plan { on_inconclusive: "Extend".into(), ..Plan::default() };
        assert_eq!(on_inconclusive(&later), OnInconclusive::Hold);
    }

    #[test]
    fn a_plan_is_small() {
        let size = serde_json::to_string(&plan(&spec(json!({})))).expect("JSON").len();
        assert!(size <= 1024, "{size} bytes");
    }
}
