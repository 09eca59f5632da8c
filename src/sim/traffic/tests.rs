use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::sim::{
    blob::Place,
    insights::Event,
    scenario::Scenario,
    testing::{arm, in_workspace, sim},
};

/// d-1428 has 10 percent of qa-prod, in windows of a minute; d-1429 has none.
const CANARY: &str = "endpoints: [{name: qa-prod, deployments: [{name: d-1427}, {name: d-1428}, {name: d-1429}], \
                      traffic: {d-1427: 90, d-1428: 10}, \
                      tags: {promptrelease.split: stable=d-1427;canary=d-1428;window=60s}}]";

/// 50 requests a second, two of three of class factual.
const USERS: &str = "traffic: [{endpoint: qa-prod, requestsPerSecond: 50, classes: {factual: 2, multi_hop: 1}}]\n";

/// Later than the clock, by which the world's deployments have been provisioned.
fn at(seconds: f64) -> Timestamp {
    let start: Timestamp = "2040-11-20T17:11:00Z".parse().unwrap();
    start + SignedDuration::from_secs_f64(seconds)
}

/// Plays qa-prod up to each of `ticks`, in seconds; the first sets the clock.
fn played(world: &str, scenario: &str, ticks: &[f64]) -> Arc<Sim> {
    let sim = sim(world);
    *lock(&sim.scenario) = Scenario::parse(scenario).unwrap();
    for tick in ticks {
        play(&sim, &mut lock(&sim.traffic), at(*tick));
    }
    sim
}

fn events(sim: &Sim, name: &str) -> Vec<Event> {
    let insights = lock(&sim.insights);
    insights.visible(Timestamp::MAX).filter(|event| event.name == name).cloned().collect()
}

fn of<'a>(events: &'a [Event], deployment: &str) -> Vec<&'a Event> {
    events.iter().filter(|event| event.dimensions["deployment"] == deployment).collect()
}

/// `seen` and so on, in the order of `fields`.
fn counts<const N: usize>(window: &Event, fields: [&str; N]) -> [u64; N] {
    fields.map(|field| window.measurements[field].as_u64().unwrap_or_else(|| panic!("{field} of {window:?}")))
}

#[test]
fn equal_windows_hold_equal_numbers_of_requests_samples_and_scores() {
    let scores = "default: {classes: {multi_hop: {live: {groundedness: [3, 1]}}, '*': {scores: {groundedness: 3}}}}";
    let sim = played(CANARY, &format!("{USERS}{scores}"), &[0.0, 180.0]);
    let windows = events(&sim, "promptrelease.window");
    let fields = ["seen", "sampled", "judged", "errors", "requests_2xx", "requests_5xx"];
    for window in of(&windows, "d-1427") {
        assert_eq!(counts(window, fields), [2700, 540, 540, 0, 2700, 0]);
    }
    let samples = events(&sim, "promptrelease.sample");
    let canary = of(&windows, "d-1428");
    assert_eq!(canary.len(), 3);
    for (k, window) in canary.into_iter().enumerate() {
        assert_eq!(counts(window, fields), [300, 60, 60, 0, 300, 0]);
        let (start, end) = (at(60.0 * k as f64), at(60.0 * (k + 1) as f64));
        assert_eq!((&window.dimensions["start"], &window.dimensions["end"]), (&json!(start), &json!(end)));
        let mut sums: BTreeMap<&str, (u64, f64)> = BTreeMap::new();
        for sample in of(&samples, "d-1428").into_iter().filter(|s| start <= s.timestamp && s.timestamp < end) {
            let sum = sums.entry(sample.dimensions["class"].as_str().unwrap()).or_default();
            *sum = (sum.0 + 1, sum.1 + sample.measurements["groundedness"].as_f64().unwrap());
        }
        assert_eq!(sums, [("factual", (40, 120.0)), ("multi_hop", (20, 40.0))].into());
    }
}

#[test]
fn a_window_event_comes_when_its_window_ends_and_its_samples_are_there() {
    let sim = played(&CANARY.replace("60s", "1500ms"), USERS, &[0.7, 1.6, 3.0, 4.49]);
    let windows = events(&sim, "promptrelease.window");
    let ends: Vec<Timestamp> = of(&windows, "d-1428").iter().map(|window| window.timestamp).collect();
    assert_eq!(ends, [at(1.5), at(3.0)], "on multiples of the period; the third has not ended");
    let samples = events(&sim, "promptrelease.sample");
    let second = of(&windows, "d-1428")[1];
    let within = |s: &&&Event| at(1.5) <= s.timestamp && s.timestamp < at(3.0);
    let canary = of(&samples, "d-1428");
    let judged: Vec<_> = canary.iter().filter(within).collect();
    assert_eq!(judged.len() as u64, counts(second, ["judged"])[0]);
    assert!(judged.iter().all(|sample| sample.ingested <= second.ingested));
}

#[test]
fn delays_add_up_and_move_no_event_time() {
    let world = format!("{CANARY}\ntimes: {{ingestionDelay: 120s}}");
    let sim = played(&world, &format!("{USERS}sampler: {{delay: 5s}}"), &[0.0, 64.0, 66.0]);
    let window = &events(&sim, "promptrelease.window")[0];
    assert_eq!((window.timestamp, window.ingested), (at(60.0), at(185.0)));
    let sample = &events(&sim, "promptrelease.sample")[0];
    assert_eq!(sample.ingested.duration_since(sample.timestamp), SignedDuration::from_secs(125));
}

#[test]
fn a_quiet_window_is_told_of_and_without_a_period_none_is() {
    let sim = played(CANARY, "{}", &[0.0, 60.0]);
    let windows = events(&sim, "promptrelease.window");
    assert_eq!(of(&windows, "d-1429").len(), 0, "neither role nor traffic");
    assert_eq!(counts(of(&windows, "d-1428")[0], ["seen", "sampled"]), [0, 0]);
    let sim = played(&CANARY.replace(";canary=d-1428;window=60s", ""), USERS, &[0.0, 60.0]);
    assert_eq!(events(&sim, "promptrelease.window").len(), 0);
    assert_eq!(events(&sim, "promptrelease.sample").len(), 600, "the sampler works on");
}

#[test]
fn errors_of_the_canary_are_counted_and_not_judged() {
    let scenario = format!(
        "{USERS}contents: [{{name: broken, when: {{deployment: d-1428}}, classes: {{'*': {{serverErrors: 0.2}}}}}}]"
    );
    let sim = played(CANARY, &scenario, &[0.0, 60.0]);
    let windows = events(&sim, "promptrelease.window");
    let fields = ["seen", "sampled", "requests_2xx", "requests_5xx"];
    assert_eq!(counts(of(&windows, "d-1428")[0], fields), [300, 48, 240, 60]);
    assert_eq!(counts(of(&windows, "d-1427")[0], fields), [2700, 540, 2700, 0]);
}

#[test]
fn a_judge_that_fails_and_samples_that_get_lost_differ_in_the_window_event() {
    let judge = format!("{USERS}default: {{classes: {{'*': {{judgeErrors: 0.5}}}}}}");
    let lost = format!("{USERS}sampler: {{lostSamples: 0.5}}");
    for (scenario, expected, rows) in [(judge, [60, 30, 30], 30), (lost, [60, 60, 0], 30)] {
        let sim = played(CANARY, &scenario, &[0.0, 60.0]);
        let windows = events(&sim, "promptrelease.window");
        assert_eq!(counts(of(&windows, "d-1428")[0], ["sampled", "judged", "errors"]), expected);
        assert_eq!(of(&events(&sim, "promptrelease.sample"), "d-1428").len(), rows);
    }
}

#[tokio::test]
async fn live_scores_go_by_the_files_that_a_deployments_model_was_registered_from() {
    let world = CANARY.replace("{name: d-1428}", "{name: d-1428, model: MODEL}");
    let sim = sim(&world.replace("MODEL", &in_workspace(&sim("{}"), "/models/assistant/versions/1428")));
    let uri = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/datastores/workspaceblobstore/paths/flows/1428";
    let body = json!({"properties": {"modelUri": uri, "modelType": "custom_model"}});
    assert_eq!(arm(&sim, "PUT", "/models/assistant/versions/1428", body).await.status, 201);
    *lock(&sim.scenario) = Scenario::parse(&format!(
        "{USERS}contents: [{{name: concise, when: {{file: draft.jinja2, contains: Be concise}}, \
         classes: {{'*': {{live: {{groundedness: 1}}}}}}}}]"
    ))
    .unwrap();
    let file = Place::in_datastore(&sim.settings, "flows/1428/nodes/draft.jinja2");
    let play_on = |seconds: f64| play(&sim, &mut lock(&sim.traffic), at(seconds));
    play_on(0.0);
    play_on(10.0);
    lock(&sim.blobs).put(&file, "Be concise.", at(10.0));
    play_on(20.0);
    let samples = events(&sim, "promptrelease.sample");
    let scores = |deployment: &str, from: f64| -> Vec<f64> {
        let late = of(&samples, deployment).into_iter().filter(|s| s.timestamp >= at(from));
        let mut scores: Vec<f64> = late.map(|s| s.measurements["groundedness"].as_f64().unwrap()).collect();
        scores.dedup();
        scores
    };
    assert_eq!(
        (scores("d-1427", 0.0), scores("d-1428", 0.0), scores("d-1428", 10.0)),
        (vec![3.0], vec![3.0, 1.0], vec![1.0])
    );
}

#[test]
fn a_dead_sampler_tells_nothing() {
    let sim = played(CANARY, &format!("{USERS}sampler: {{windowEvents: false, lostSamples: 1}}"), &[0.0, 120.0]);
    assert_eq!(lock(&sim.insights).describe(at(120.0))["customEvents"], json!({}));
    *lock(&sim.scenario) = Scenario::parse(USERS).unwrap();
    play(&sim, &mut lock(&sim.traffic), at(180.0));
    let windows = events(&sim, "promptrelease.window");
    assert_eq!(
        windows.iter().map(|w| w.timestamp).collect::<Vec<_>>(),
        [at(180.0), at(180.0)],
        "nothing is made up for"
    );
}

#[test]
fn requests_that_nobody_answers_are_counted_apart() {
    let state = |traffic: &str| {
        let world = CANARY.replace("{d-1427: 90, d-1428: 10}", traffic);
        let sim = played(&world, USERS, &[0.0, 2.0]);
        let state = lock(&sim.traffic).describe();
        state["qa-prod"].clone()
    };
    assert_eq!(state("{}")["unrouted"], 100);
    let served = state("{d-1429: 100}");
    assert_eq!((&served["unrouted"], &served["deployments"]["d-1429"]["requests"]), (&json!(0), &json!(100)));
}

#[test]
fn a_clock_that_jumps_far_leaves_a_gap() {
    let sim = played(CANARY, "{}", &[0.0, 3.0 * 3600.0]);
    let windows = events(&sim, "promptrelease.window");
    let canary = of(&windows, "d-1428");
    assert_eq!((canary.len(), canary[0].timestamp), (60, at(2.0 * 3600.0 + 60.0)));
}

#[tokio::test]
async fn users_ask_while_the_simulator_runs() {
    let sim = played(CANARY, USERS, &[]);
    let task = tokio::spawn(run(sim.clone()));
    sim.clock.advance(Duration::from_secs(60));
    let patience = tokio::time::Instant::now() + Duration::from_secs(20);
    while lock(&sim.traffic).describe()["qa-prod"]["deployments"]["d-1427"].is_null() {
        assert!(tokio::time::Instant::now() < patience, "nobody asked");
        tokio::task::yield_now().await;
    }
    task.abort();
}

/// Events without what numbers them.
fn comparable(sim: &Sim) -> Vec<(Timestamp, String, String)> {
    let names = ["promptrelease.sample", "promptrelease.window"];
    let all = names.iter().flat_map(|name| events(sim, name));
    all.map(|e| (e.ingested, e.dimensions.to_string(), e.measurements.to_string())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_length_of_ticks_does_not_matter(cuts in prop::collection::vec(0.0_f64..20.0, 0..12)) {
        let world = CANARY.replace("60s", "2s");
        let whole = comparable(&played(&world, USERS, &[0.3, 20.0]));
        let mut ticks: Vec<f64> = cuts.into_iter().filter(|cut| *cut > 0.3).collect();
        ticks.sort_by(f64::total_cmp);
        let ticks: Vec<f64> = [0.3].into_iter().chain(ticks).chain([20.0]).collect();
        prop_assert_eq!(comparable(&played(&world, USERS, &ticks)), whole);
    }
}
