//! A release that fails in its canary, pass by pass: what people see in the middle and at the end, word for word.

use std::sync::LazyLock;

use serde_json::json;

use super::{
    canary,
    notified::{Delivery, Notified},
    release::{self, ReleaseView, Stage, Standing, Waiting},
    timeline::Event,
};
use crate::{
    api::{
        At, PromptReleaseSpec, PromptReleaseStatus,
        endpoint::DeploymentSeen,
        log::{Attempt, Decision, Ending, Intent, Log, Raised, ReleaseRef, Stable},
        status::{CanaryStatus, CriterionSeen},
    },
    policy::{
        self,
        canary::{Evidence, Report},
    },
};

static MID_CANARY: LazyLock<PromptReleaseStatus> = LazyLock::new(|| read(include_str!("golden/mid-canary.yaml")));
static AFTER_ROLLBACK: LazyLock<PromptReleaseStatus> =
    LazyLock::new(|| read(include_str!("golden/after-rollback.yaml")));

fn read(yaml: &str) -> PromptReleaseStatus {
    serde_saphyr::from_str(yaml).expect("a status")
}

/// Of 2026-11-20.
fn at(time: &str) -> At {
    format!("2026-11-20T{time}Z").parse::<jiff::Timestamp>().expect(time).into()
}

fn spec() -> PromptReleaseSpec {
    serde_json::from_value(json!({
        "endpointRef": {"name": "support-assistant-prod"},
        "version": "1428",
        "artifact": {},
        "deployment": {"instanceType": "Standard_DS3_v2"},
        "metrics": [
            {"name": "groundedness", "type": "Integer", "scale": {"min": 0.0, "max": 3.0}},
            {"name": "citation_correctness"},
            {"name": "refusal_rate", "type": "Boolean", "output": "refusal_correct"},
        ],
    }))
    .expect("a spec")
}

/// A release on its way, with what is recorded of it.
struct Story {
    spec: PromptReleaseSpec,
    log: Log,
    deployments: Vec<DeploymentSeen>,
    status: PromptReleaseStatus,
    events: Vec<String>,
}

impl Story {
    fn new() -> Self {
        let spec = spec();
        let attempt = Attempt {
            n: 1,
            kind: "Canary".into(),
            release: ReleaseRef { name: "support-assistant".into(), uid: "6a9d8db9".into() },
            version: "1428".into(),
            hash: "5f3a9c1e".into(),
            return_to: Some("d-1427".into()),
            started_at: at("17:02:41"),
            plan: policy::plan::plan(&spec, jiff::SignedDuration::ZERO),
            ..Attempt::default()
        };
        let stable = Stable { deployment: "d-1427".into(), version: Some("1427".into()), ..Stable::default() };
        let log = Log { stable: Some(stable), attempt: Some(attempt), ..Log::default() };
        let status = PromptReleaseStatus { traffic: Some("d-1427=100".into()), ..PromptReleaseStatus::default() };
        Self { spec, log, deployments: Vec::new(), status, events: Vec::new() }
    }

    fn attempt(&mut self) -> &mut Attempt {
        self.log.attempt.as_mut().expect("an attempt")
    }

    fn pass(&mut self, time: &str, standing: Standing, told: &[Event]) {
        self.look(time, standing, told, None, None);
    }

    fn look(&mut self, time: &str, standing: Standing, told: &[Event], why: Option<&str>, key: Option<&str>) {
        let now = at(time);
        let by = ["oncall".to_owned()];
        let before = self.status.clone();
        let view = ReleaseView {
            namespace: "assistant",
            name: "support-assistant",
            generation: Some(7),
            spec: Some(&self.spec),
            log: &self.log,
            standing,
            build: before.build.as_ref(),
            evaluation: before.evaluation.as_ref(),
            canary: before.canary.as_ref(),
            deployments: &self.deployments,
            traffic: before.traffic.as_deref(),
            waiting: why.map(|why| Waiting { why, retry: None }),
            alarm: None,
            misread: None,
            notified: key.map(|key| Notified { key, delivery: Delivery::Accepted(&by) }),
        };
        self.status.conditions = release::conditions(&view, &before.conditions, now);
        self.status.stage = Some(release::stage(&view));
        let told: Vec<(At, Event)> = told.iter().map(|event| (now, event.clone())).collect();
        let new = release::tell(&mut self.status.timeline, &view, &told, now);
        self.events.extend(new.iter().map(|event| {
            let event = event.announce("1428", 1);
            let kind = if event.warning { "Warning" } else { "Normal" };
            format!("{kind} {} {}", event.reason, event.note)
        }));
        // A pass that is repeated changes nothing and tells nothing.
        let mut timeline = self.status.timeline.clone();
        assert_eq!(release::tell(&mut timeline, &view, &told, at("23:00:00")), []);
        assert_eq!(timeline, self.status.timeline);
        assert_eq!(release::conditions(&view, &self.status.conditions, now), self.status.conditions);
    }

    /// Up to the second of twenty windows.
    fn until_mid_canary(&mut self) {
        let facts = MID_CANARY.clone();
        let under_way = Standing::UnderWay;
        self.pass("17:02:41", under_way(Stage::Building), &[]);
        self.status.build = facts.build;
        self.pass("17:04:12", under_way(Stage::Evaluating), &[]);
        self.status.evaluation = facts.evaluation;
        self.pass("17:08:50", under_way(Stage::Deploying), &[]);
        self.attempt().deployment = Some("d-1428".into());
        self.deployments = vec![deployment(None)];
        let deployed = Event::Deployed { deployment: "d-1428".into(), instances: 2 };
        self.pass("17:10:44", under_way(Stage::Deploying), &[deployed]);
        self.attempt().raised =
            vec![Raised { step: 1, weight: 10, seq: 41, noted_at: None, verified_at: Some(at("17:10:52")) }];
        self.status.traffic = Some("d-1427=90 d-1428=10".into());
        let canary = facts.canary.expect("a canary");
        let begun =
            CanaryStatus { criteria: Vec::new(), windows: 0, counted: 0, closed_through: None, ..canary.clone() };
        self.status.canary = Some(begun);
        self.pass("17:10:52", under_way(Stage::Canary), &[]);
        let first = CanaryStatus { windows: 1, counted: 1, closed_through: Some(at("17:12:00")), ..canary.clone() };
        self.status.canary = Some(first);
        let told = self.window(1, "2.750", 4);
        self.pass("17:12:22", under_way(Stage::Canary), &[told]);
        self.status.canary = Some(canary);
        let told = self.window(2, "2.714", 7);
        self.pass("17:13:22", under_way(Stage::Canary), &[told]);
    }

    /// From the third window on.
    fn until_rolled_back(&mut self) {
        self.status.canary = AFTER_ROLLBACK.canary.clone();
        let plan = self.attempt().plan.clone();
        let breach = Evidence::Criterion {
            class: "multi_hop".into(),
            metric: "groundedness".into(),
            value: "2.636".into(),
            minimum: "2.850".into(),
            samples: 11,
            in_a_row: 3,
            also: 0,
        };
        self.attempt().decision = Some(Decision {
            kind: "Withdraw".into(),
            cause: "CanaryFailed".into(),
            evidence: canary::evidence(&breach, &plan),
            at: at("17:14:22"),
            actor: None,
        });
        let (why, target) = (Some("Withdraw".into()), "d-1427=100".into());
        self.log.intent = Some(Intent { seq: 42, kind: "SetTraffic".into(), why, target, ..Intent::default() });
        let told = self.window(3, "2.636", 11);
        let rolling_back = Standing::UnderWay(Stage::RollingBack);
        self.look("17:14:22", rolling_back.clone(), &[told], Some("endpoint is Updating, by our Withdraw"), None);
        assert_eq!(
            self.ready(),
            "multi_hop: groundedness=2.636 below threshold 2.850 (n=11), third failed window in a row; endpoint is \
             Updating, by our Withdraw"
        );
        let key = "assistant/support-assistant/5f3a9c1e.1/CanaryFailed";
        let told = Event::Delivered { by: vec!["oncall".into()], reason: "CanaryFailed".into(), page: true };
        self.look("17:14:24", rolling_back, &[told], None, Some(key));
        self.log.intent = None;
        self.status.traffic = Some("d-1427=100".into());
        self.deployments = vec![deployment(Some("2026-11-21T17:14:25Z"))];
        self.attempt().ending = Some(Ending {
            outcome: "RolledBack".into(),
            reason: "CanaryFailed".into(),
            blame: Some("Release".into()),
            at: at("17:14:25"),
        });
        self.pass("17:14:25", Standing::Ended, &[]);
    }

    fn window(&mut self, number: i64, value: &str, samples: i64) -> Event {
        let seen = CriterionSeen {
            class: "multi_hop".into(),
            metric: "groundedness".into(),
            minimum: "2.850".into(),
            value: Some(value.into()),
            samples,
            failures_in_a_row: number,
            verdict: "Fail".into(),
            ..CriterionSeen::default()
        };
        let report = Report {
            number,
            start: at("17:11:00"),
            end: at("17:12:00"),
            criteria: vec![seen],
            error: None,
            verified: true,
            counted: true,
            canary: None,
            stable: None,
        };
        canary::window(&report, &self.attempt().plan).expect("a line")
    }

    fn ready(&self) -> &str {
        &self.status.conditions[0].message
    }
}

fn deployment(keep_until: Option<&str>) -> DeploymentSeen {
    DeploymentSeen {
        name: "d-1428".into(),
        state: Some("Succeeded".into()),
        weight: 0,
        instances: Some(2),
        version: Some("1428".into()),
        hash: None,
        ours: true,
        served: true,
        keep_until: keep_until.map(|t| t.parse::<jiff::Timestamp>().expect(t).into()),
    }
}

fn lines(status: &PromptReleaseStatus) -> Vec<String> {
    let condition = |c: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition| {
        let since = At::from(c.last_transition_time.0).to_seconds();
        let generation = c.observed_generation.unwrap_or_default();
        format!("{} {} {generation} {since} {}: {}", c.type_, c.status, c.reason, c.message)
    };
    status.conditions.iter().map(condition).collect()
}

fn assert_shows(story: &Story, wanted: &PromptReleaseStatus) {
    assert_eq!(story.status.stage, wanted.stage);
    assert_eq!(lines(&story.status), lines(wanted));
    assert_eq!(story.status.timeline, wanted.timeline);
}

#[test]
fn in_the_middle_of_a_canary() {
    let mut story = Story::new();
    story.until_mid_canary();
    assert_shows(&story, &MID_CANARY);
}

#[test]
fn after_the_rollback() {
    let mut story = Story::new();
    story.until_mid_canary();
    story.until_rolled_back();
    assert_shows(&story, &AFTER_ROLLBACK);
}

#[test]
fn events_say_the_same() {
    let mut story = Story::new();
    story.until_mid_canary();
    story.until_rolled_back();
    assert_eq!(
        story.events,
        [
            "Normal RevisionAccepted revision 1428 (5f3a9c1e); stable is 1427 on d-1427",
            "Normal Built model support-assistant:1428-5f3a9c1e, 1.8 MiB",
            "Normal EvaluationPassed 95 of 95 rows, 9 of 9 criteria; tightest multi_hop: groundedness=2.882, threshold 2.850 (n=17), 0.550 points left to lose",
            "Normal Deployed d-1428: 2 instances, no traffic",
            "Normal TrafficVerified d-1427=90 d-1428=10; the canary clock starts",
            "Warning WindowFailed window 1: multi_hop: groundedness=2.750 below threshold 2.850 (n=4)",
            "Warning WindowFailed window 2: multi_hop: groundedness=2.714 below threshold 2.850 (n=7)",
            "Warning CanaryFailed window 3: multi_hop: groundedness=2.636 below threshold 2.850 (n=11); rolling back",
            "Normal Notified oncall accepted the page",
            "Warning RolledBack traffic verified: d-1427=100",
        ]
    );
}
