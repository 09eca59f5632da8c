use serde_json::json;

use super::*;
use crate::{
    api::{
        Cause, PromptReleaseSpec,
        log::{Attempt, Decision, Ending, Intent, Previous, Raised, ReleaseRef, Stable},
        status::CanaryStatus,
    },
    policy::plan,
    view::{
        by_hand,
        claims::{self, Asker},
        timeline::Event,
        trouble, waiting,
    },
};

fn at(time: &str) -> At {
    format!("2026-11-20T{time}Z").parse::<jiff::Timestamp>().expect(time).into()
}

/// 1428 beside 1427, opened at 17:02:41.
fn log() -> Log {
    let spec = spec();
    let attempt = Attempt {
        n: 7,
        kind: "Canary".into(),
        release: ReleaseRef { name: "support-assistant".into(), uid: "6a9d8db9".into() },
        version: "1428".into(),
        hash: "5f3a9c1e".into(),
        deployment: Some("d-1428".into()),
        return_to: Some("d-1427".into()),
        started_at: at("17:02:41"),
        plan: plan::plan(&spec, jiff::SignedDuration::ZERO),
        ..Attempt::default()
    };
    let stable = Stable { deployment: "d-1427".into(), version: Some("1427".into()), ..Stable::default() };
    Log { stable: Some(stable), attempt: Some(attempt), ..Log::default() }
}

fn spec() -> PromptReleaseSpec {
    serde_json::from_value(json!({"endpointRef": {"name": "prod"}, "version": "1428", "artifact": {}})).expect("a spec")
}

impl Log {
    fn exposed(mut self) -> Self {
        let verified_at = Some(at("17:10:52"));
        self.attempt.as_mut().expect("an attempt").raised =
            vec![Raised { step: 1, weight: 10, seq: 41, noted_at: None, verified_at }];
        self
    }

    fn decided(mut self, kind: &str, cause: &str, evidence: &str) -> Self {
        let decision = Decision {
            kind: kind.into(),
            cause: cause.into(),
            evidence: evidence.into(),
            at: at("17:14:22"),
            actor: None,
        };
        self.attempt.as_mut().expect("an attempt").decision = Some(decision);
        self
    }

    fn ended(mut self, outcome: &str) -> Self {
        let attempt = self.attempt.as_mut().expect("an attempt");
        let reason = attempt.decision.as_ref().map_or("Promoted", |d| &d.cause).to_owned();
        attempt.ending = Some(Ending { outcome: outcome.into(), reason, blame: None, at: at("17:14:25") });
        self
    }
}

fn view<'a>(log: &'a Log, spec: &'a PromptReleaseSpec, standing: Standing) -> ReleaseView<'a> {
    ReleaseView {
        namespace: "assistant",
        name: "support-assistant",
        generation: Some(7),
        spec: Some(spec),
        log,
        standing,
        build: None,
        evaluation: None,
        canary: None,
        deployments: &[],
        traffic: Some("d-1427=100"),
        waiting: None,
        alarm: None,
        misread: None,
        notified: None,
    }
}

/// Stage, then Ready, Reconciling and Stalled as `status reason`, then the message of Ready.
fn shows(view: &ReleaseView<'_>) -> (String, [String; 3], String) {
    let conditions = conditions(view, &[], at("17:20:00"));
    let word = |kind: &str| {
        let found = conditions::find(&conditions, kind);
        found.map_or_else(|| "-".to_owned(), |c| format!("{} {}", c.status, c.reason))
    };
    let message = conditions::find(&conditions, "Ready").map(|c| c.message.clone()).unwrap_or_default();
    (stage(view), ["Ready", "Reconciling", "Stalled"].map(word), message)
}

fn condition(view: &ReleaseView<'_>, kind: &str) -> String {
    let conditions = conditions(view, &[], at("17:20:00"));
    let found = conditions::find(&conditions, kind);
    found.map_or_else(|| "-".to_owned(), |c| format!("{} {}: {}", c.status, c.reason, c.message))
}

fn words(ready: &str, reconciling: &str, stalled: &str) -> [String; 3] {
    [ready, reconciling, stalled].map(str::to_owned)
}

#[test]
fn every_stage_is_unknown_and_reconciling() {
    let (log, spec) = (log(), spec());
    for stage in
        [Stage::Building, Stage::Evaluating, Stage::Deploying, Stage::Canary, Stage::Promoting, Stage::RollingBack]
    {
        let (word, conditions, message) = shows(&view(&log, &spec, Standing::UnderWay(stage)));
        assert_eq!(word, stage.as_str());
        assert_eq!(conditions, words(&format!("Unknown {word}"), "True Progressing", "-"));
        assert!(!message.is_empty(), "{word}");
    }
}

#[test]
fn a_fault_that_is_tried_again_says_so() {
    let (log, spec) = (log(), spec());
    let retry = Some(Cause::EvalInfraError);
    let waiting = Some(Waiting { why: "POST submit: throttled, tried again", retry });
    let view = ReleaseView { waiting, ..view(&log, &spec, Standing::UnderWay(Stage::Evaluating)) };
    let (stage, conditions, message) = shows(&view);
    assert_eq!(stage, "Evaluating");
    assert_eq!(conditions, words("Unknown EvalInfraError", "True ProgressingWithRetry", "-"));
    assert_eq!(message, "POST submit: throttled, tried again");
}

#[test]
fn a_canary_that_is_held_reconciles_nothing() {
    let (log, spec) = (log().exposed(), spec());
    let status = CanaryStatus { step: 1, steps: 1, weight: 10, counted: 20, windows: 20, ..CanaryStatus::default() };
    let why = "held at 10 %: no scores in 20 windows";
    let held = ReleaseView {
        canary: Some(&status),
        waiting: Some(Waiting { why, retry: None }),
        ..view(&log, &spec, Standing::UnderWay(Stage::Canary))
    };
    assert_eq!(shows(&held), ("Canary".into(), words("Unknown Held", "-", "-"), why.into()));
    let nineteen = CanaryStatus { counted: 19, ..status.clone() };
    let view = ReleaseView { canary: Some(&nineteen), ..held };
    assert_eq!(shows(&view).1, words("Unknown Canary", "True Progressing", "-"));
}

#[test]
fn promoted_serves_and_says_what_stays_warm() {
    let mut log =
        log().exposed().decided("Promote", "Promoted", "20m passed, 8 of 8 live criteria met").ended("Promoted");
    let keep_until = Some(at("23:00:00"));
    log.previous = Some(Previous { deployment: "d-1427".into(), keep_until, ..Previous::default() });
    let spec = spec();
    let view = view(&log, &spec, Standing::Ended);
    let message = "1428 serves 100 %; d-1427 stays warm until 2026-11-20T23:00:00Z";
    assert_eq!(shows(&view), ("Promoted".into(), words("True Promoted", "-", "-"), message.into()));
    assert_eq!(condition(&view, "CanaryHealthy"), "True Passed: 20m passed, 8 of 8 live criteria met");
}

#[test]
fn what_ended_badly_is_stalled_or_tools_would_wait_for_ever() {
    let evidence = "9 of 95 rows have no answer (429 ContentSafetyTooManyRequests in safety_check); nothing was judged";
    let dark = log().decided("Withdraw", "EvalInfraError", evidence).ended("Failed");
    let spec = spec();
    let view = view(&dark, &spec, Standing::Ended);
    let message = format!("EvalInfraError: {evidence}");
    assert_eq!(shows(&view), ("Failed".into(), words("False EvalInfraError", "-", "True EvalInfraError"), message));
    assert_eq!(condition(&view, "EvaluationComplete"), format!("False EvalInfraError: {evidence}"));
    assert_eq!(condition(&view, "EvaluationPassed"), "Unknown EvalInfraError: no criterion was judged");
    assert_eq!(condition(&view, "TrafficVerified"), "Unknown NoTraffic: 1428 never had traffic");
}

#[test]
fn every_cause_that_ends_badly_names_a_next_step() {
    let spec = spec();
    for cause in Cause::ALL.iter().filter(|c| c.blame().is_some()) {
        let log = log().exposed().decided("Withdraw", cause.as_str(), "why").ended(cause.outcome(true).as_str());
        let view = view(&log, &spec, Standing::Ended);
        let stalled = condition(&view, "Stalled");
        assert!(stalled.starts_with(&format!("True {cause}: nothing more will happen by itself; ")), "{stalled}");
        assert!(stalled.contains("version") || stalled.contains("policy"), "{stalled}");
    }
}

#[test]
fn what_had_traffic_says_where_it_is() {
    let spec = spec();
    let message = |log: Log| shows(&view(&log, &spec, Standing::Ended)).2;
    let decided = |log: Log, cause: &str| log.decided("Withdraw", cause, "why");
    assert_eq!(message(decided(log().exposed(), "CanaryFailed").ended("RolledBack")), "rolled back to 1427: why");
    assert_eq!(
        message(decided(log().exposed(), "Drift").ended("Aborted")),
        "Drift: why; all traffic is back on d-1427"
    );
    assert_eq!(message(decided(log(), "Superseded").ended("Aborted")), "Superseded: why");
    let mut first = decided(log().exposed(), "PromotionFailed");
    first.attempt.as_mut().expect("an attempt").return_to = None;
    assert_eq!(message(first.ended("Failed")), "PromotionFailed: why; nothing serves now");
}

#[test]
fn a_rollback_that_fails_is_no_ending_and_needs_somebody() {
    let mut log = log().exposed().decided("Withdraw", "CanaryFailed", "why");
    let (why, target) = (Some("Withdraw".into()), "d-1427=100".into());
    log.intent = Some(Intent { seq: 42, kind: "SetTraffic".into(), why, target, ..Intent::default() });
    let spec = spec();
    let what = trouble::rollback_failed(
        6,
        "Forbidden on onlineEndpoints/write",
        &by_hand::tests::azure("prod"),
        Some("d-1427"),
    );
    let alarm = Some(Alarm { cause: Cause::RollbackFailed, what: &what });
    let traffic = Some("d-1427=90 d-1428=10");
    let view = ReleaseView { alarm, traffic, ..view(&log, &spec, Standing::UnderWay(Stage::RollingBack)) };
    let message = "ROLLBACK FAILED 6 times: Forbidden on onlineEndpoints/write. By hand: az ml online-endpoint update \
                   --subscription 00000000-0000-0000-0000-000000000001 -g rg -w ws -n prod --traffic d-1427=100";
    let conditions = words("False RollbackFailed", "-", "True RollbackFailed");
    assert_eq!(shows(&view), ("RollingBack".into(), conditions, message.into()));
    assert_eq!(condition(&view, "TrafficVerified"), "Unknown Writing: d-1427=100 is being written (write 42)");
    let alarm = Some(Alarm { cause: Cause::Unreadable, what: "Azure cannot be read" });
    let view = ReleaseView { alarm, ..view };
    assert_eq!(shows(&view).1, words("Unknown Unreadable", "True ProgressingWithRetry", "-"));
}

#[test]
fn while_an_ending_waits_for_a_lost_write() {
    let log = log().exposed().decided("Withdraw", "CanaryFailed", "why");
    let spec = spec();
    let why = waiting::lost_write(Some("d-1427"), at("17:19:00"), at("17:15:30"));
    let waiting = Some(Waiting { why: &why, retry: None });
    let view = ReleaseView { waiting, ..view(&log, &spec, Standing::UnderWay(Stage::RollingBack)) };
    assert_eq!(shows(&view).2, "why; traffic is back on d-1427; watching 4m more for a lost write");
    let mut timeline = Vec::new();
    tell(&mut timeline, &view, &[], at("17:15:30"));
    assert_eq!(
        timeline.last().map(String::as_str),
        Some("2026-11-20T17:15:30Z  traffic verified: d-1427=100; rolled back 4m 38s after the first user")
    );
}

#[test]
fn one_pass_tells_in_the_order_in_which_it_happened() {
    let log = log().exposed().decided("Promote", "Promoted", "12s passed").ended("Promoted");
    let spec = spec();
    let told = Event::Delivered { by: vec!["oncall".into()], reason: "Promoted".into(), page: false };
    let unmeasured = Event::WindowUnmeasured { number: 9, why: "no window event came".into() };
    let told = [(at("17:14:26"), told), (at("17:14:22"), unmeasured)];
    let mut timeline = Vec::new();
    tell(&mut timeline, &view(&log, &spec, Standing::Ended), &told, at("17:14:26"));
    let last: Vec<&str> = timeline.iter().skip(2).filter_map(|line| line.strip_prefix("2026-11-20T17:14:")).collect();
    assert_eq!(
        last,
        [
            "22Z  window 9 not measured: no window event came",
            "22Z  promoting: 12s passed",
            "25Z  traffic verified: d-1427=100; 1428 serves everybody",
            "26Z  oncall told: Promoted",
        ]
    );
}

#[test]
fn traffic_that_was_never_read_back_as_raised_is_not_called_back() {
    let mut log = log().exposed().decided("Withdraw", "AbortRequested", "why");
    log.attempt.as_mut().expect("an attempt").raised[0].verified_at = None;
    let spec = spec();
    let mut timeline = Vec::new();
    tell(&mut timeline, &view(&log, &spec, Standing::UnderWay(Stage::RollingBack)), &[], at("17:15:30"));
    assert!(!timeline.iter().any(|line| line.contains("traffic verified")), "{timeline:?}");
}

#[test]
fn an_answer_is_told_as_the_ending_that_it_repeats() {
    let azure = by_hand::tests::azure("prod");
    let asker = Asker { namespace: "assistant", release: "support-assistant", azure: &azure };
    let standing = |opens: &Opens, log: &Log, uid: &str, version: &str| standing(opens, log, uid, version, &asker);
    let rejected = Opens::RejectedBefore { version: "1428".into(), outcome: "RolledBack".into(), at: at("17:14:22") };
    let live = Opens::AlreadyLive { version: "1428".into(), deployment: "d-1428".into() };
    let rolled_back = log().exposed().decided("Withdraw", "CanaryFailed", "why").ended("RolledBack");
    assert_eq!(standing(&rejected, &rolled_back, "6a9d8db9", "1428"), Some(Standing::Ended));
    let promoted = log().exposed().decided("Promote", "Promoted", "why").ended("Promoted");
    assert_eq!(standing(&live, &promoted, "6a9d8db9", "1428"), Some(Standing::Ended));
    for (opens, log, uid, version) in [
        (&rejected, &promoted, "6a9d8db9", "1428"),
        (&live, &promoted, "other", "1428"),
        (&live, &rolled_back, "6a9d8db9", "1427"),
    ] {
        assert!(matches!(standing(opens, log, uid, version), Some(Standing::Answered(_))), "{opens:?}");
    }
    assert_eq!(standing(&Opens::Yes(crate::api::log::Kind::Fast), &promoted, "6a9d8db9", "1427"), None);
}

#[test]
fn git_reverted_to_what_serves() {
    let log = log().exposed().decided("Withdraw", "CanaryFailed", "why").ended("RolledBack");
    let spec = PromptReleaseSpec { version: "1427".into(), ..spec() };
    let live = Opens::AlreadyLive { version: "1427".into(), deployment: "d-1427".into() };
    let azure = by_hand::tests::azure("prod");
    let asker = Asker { namespace: "assistant", release: "support-assistant", azure: &azure };
    let answer = claims::answer(&live, &asker).expect("an answer");
    let view = view(&log, &spec, Standing::Answered(answer));
    let message = "1427 serves 100 %; it already did, nothing was changed";
    assert_eq!(shows(&view), ("Promoted".into(), words("True AlreadyLive", "-", "-"), message.into()));
    assert_eq!(condition(&view, "TrafficVerified"), "True ReadBack: d-1427=100");
    assert_eq!(condition(&view, "CanaryHealthy"), "Unknown AlreadyLive: nothing was run for 1427");
}

#[test]
fn an_answer_that_needs_somebody_is_failed_and_stalled() {
    let (log, spec) = (Log::default(), spec());
    let view = view(&log, &spec, Standing::Answered(claims::no_endpoint("prod", "assistant")));
    let message = "EndpointNotFound: PromptEndpoint prod does not exist in namespace assistant";
    let conditions = words("False EndpointNotFound", "-", "True EndpointNotFound");
    assert_eq!(shows(&view), ("Failed".into(), conditions, message.into()));
}

#[test]
fn an_order_that_is_not_understood_is_said_beside_what_goes_on() {
    let (log, spec) = (log(), spec());
    let misread = Some("the order promptrelease.io/abort is not understood: why");
    let view = ReleaseView { misread, ..view(&log, &spec, Standing::UnderWay(Stage::Building)) };
    let message = "the order promptrelease.io/abort is not understood: why; building 1428";
    assert_eq!(shows(&view), ("Building".into(), words("Unknown Building", "True Progressing", "-"), message.into()));
}

#[test]
fn a_new_attempt_does_not_speak_of_the_page_before_it() {
    let (log, spec) = (log(), spec());
    let view = view(&log, &spec, Standing::UnderWay(Stage::Building));
    let told = |time: &str| {
        let row = Row::new("Notified", conditions::Status::True, "Delivered", "oncall accepted a/b/c.6/CanaryFailed");
        let before = conditions::update(vec![row], &[], Some(6), at(time));
        let after = super::conditions(&view, &before, at("17:20:00"));
        conditions::find(&after, "Notified").is_some()
    };
    assert!(!told("16:00:00") && told("17:03:00"));
}

#[test]
fn every_condition_has_a_word_and_a_message_from_the_first_pass_on() {
    let (log, spec) = (log(), spec());
    let all = conditions(&view(&log, &spec, Standing::UnderWay(Stage::Building)), &[], at("17:02:41"));
    let kinds: Vec<&str> = all.iter().map(|c| c.type_.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "Ready",
            "Reconciling",
            "Built",
            "EvaluationComplete",
            "EvaluationPassed",
            "Deployed",
            "TrafficVerified",
            "CanaryHealthy"
        ]
    );
    for condition in all {
        assert!(!condition.reason.is_empty() && !condition.message.is_empty(), "{condition:?}");
    }
}
