use std::{collections::BTreeMap, fs, path::PathBuf};

use serde_json::Value;

use super::*;
use crate::samples;

fn sample() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy/samples/support-assistant")
}

fn demo() -> Scenario {
    Scenario::parse(&fs::read_to_string(sample().join("demo/scenario.yaml")).unwrap()).unwrap()
}

fn refused(text: &str) -> String {
    Scenario::parse(text).unwrap_err().to_string()
}

/// The content of a version of the sample.
fn of_version<'a>(scenario: &'a Scenario, version: &str) -> Chosen<'a> {
    let own = samples::own_files(&sample(), version).unwrap();
    let files = own.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    scenario.content(&Subject { files, deployment: None })
}

#[test]
fn the_example_of_the_documentation_is_valid() {
    let source = include_str!("../scenario.rs");
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    let example: Vec<&str> = lines.skip_while(|l| *l != " ```yaml").skip(1).take_while(|l| *l != " ```").collect();
    let scenario = Scenario::parse(&example.join("\n")).unwrap();
    assert_eq!(scenario.contents[0].name, "concise");
    assert_eq!(
        scenario.runs.judge,
        Ending::Fail(Failure { code: "AutomaticRuntimeFailed".into(), message: automatic_runtime_text() })
    );
}

#[test]
fn errors_name_what_is_wrong_and_what_is_allowed() {
    for (text, says) in [
        ("contens: []", "contens"),
        ("contents: [{name: a, when: {}}]", "entry \"a\" has an empty `when`; give it file, contains"),
        ("default: {classes: {'*': {scores: {groundedness: good}}}}", "scores are a number, true or false"),
        ("default: {classes: {'*': {scores: {groundedness: []}}}}", "{draw: [a list]}; got []"),
        ("default: {classes: {'*': {scores: {groundedness: {drawn: [1]}}}}}", "{draw: [a list]}; got"),
        ("default: {classes: {'*': {serverErrors: 2}}}", "a share must be a number from 0 to 1, not 2"),
        ("traffic: [{endpoint: qa, requestsPerSecond: -1, classes: {a: 1}}]", "0 to 10000 are allowed"),
        ("traffic: [{endpoint: qa, requestsPerSecond: 1, classes: {a: 0}}]", "no class with a weight above 0"),
        ("sampler: {oneIn: 0}", "5 one in five"),
        ("runs: {base: explode}", "explode"),
    ] {
        let error = refused(text);
        assert!(error.contains(says), "{error}\n does not say\n{says}");
    }
    assert_eq!(Scenario::parse("{}").unwrap().sampler.one_in, 5, "an empty file is the default");
}

#[test]
fn content_is_known_by_file_text_digest_or_deployment_and_the_first_entry_wins() {
    let scenario = Scenario::parse(
        "contents:
         - {name: by file, when: {file: draft.jinja2, contains: concise}}
         - {name: by text, when: {contains: brief}}
         - {name: by digest, when: {digest: none}}
         - {name: by name, when: {deployment: d-1}}",
    );
    let mut scenario = scenario.unwrap();
    let files = |text: &'static str| vec![("flow.dag.yaml", &b"nodes: []"[..]), ("draft.jinja2", text.as_bytes())];
    let known =
        |scenario: &Scenario, files, deployment| scenario.content(&Subject { files, deployment }).name.to_owned();
    assert_eq!(known(&scenario, files("be concise and brief"), None), "by file");
    assert_eq!(known(&scenario, files("be brief"), None), "by text");
    assert_eq!(known(&scenario, vec![("other.jinja2", b"concise")], None), "default");
    assert_eq!(known(&scenario, Vec::new(), Some("d-1")), "by name");
    assert_eq!(known(&scenario, Vec::new(), None), "default");
    let mut reversed = files("long");
    reversed.reverse();
    let (one, other) =
        (Subject { files: files("long"), deployment: None }, Subject { files: reversed, deployment: None });
    assert_eq!(one.digest(), other.digest(), "the order of files does not matter");
    scenario.contents[2].when.digest = Some(one.digest());
    assert_eq!(known(&scenario, files("long"), None), "by digest");
    assert_eq!(known(&scenario, files("long!"), None), "default");
}

#[test]
fn what_a_class_says_outweighs_what_every_class_says() {
    let scenario = Scenario::parse(
        "default: {classes: {
           '*': {scores: {a: 1, b: 1}, live: {a: 2}, serverErrors: 0.5},
           edge: {scores: {a: 3}, offline: {b: 4}}}}",
    );
    let scenario = scenario.unwrap();
    let content = scenario.content(&Subject::default());
    let score =
        |class: &str, phase, metric| content.class(class).scores_of(phase, metric).map(|s| s.score(0, b"").number());
    assert_eq!(score("other", Phase::Offline, "a"), Some(1.0));
    assert_eq!(score("other", Phase::Live, "a"), Some(2.0));
    assert_eq!(score("edge", Phase::Live, "a"), Some(3.0));
    assert_eq!(score("edge", Phase::Offline, "b"), Some(4.0));
    assert_eq!(score("edge", Phase::Live, "b"), Some(1.0));
    assert_eq!(score("edge", Phase::Live, "c"), None);
    assert_eq!(content.class("edge").metrics(Phase::Live), ["a", "b"]);
    assert!(content.class("edge").server_errors.is_some());
}

#[test]
fn lists_are_taken_in_turn_and_draws_depend_on_what_is_judged() {
    let scores = |yaml: &str| serde_saphyr::from_str::<Scores>(yaml).unwrap();
    let turn = scores("[3, 1.5, true]");
    assert_eq!((0..4).map(|n| turn.score(n, b"x").number()).collect::<Vec<_>>(), [3.0, 1.5, 1.0, 3.0]);
    let drawn = scores("{draw: [0, 1, 2, 3]}");
    assert_eq!(drawn.score(0, b"same"), drawn.score(7, b"same"));
    let different: std::collections::BTreeSet<u64> =
        (0..50).map(|n| drawn.score(0, format!("answer {n}").as_bytes()).number() as u64).collect();
    assert_eq!(different.len(), 4);
}

#[test]
fn a_share_hits_exactly_and_evenly() {
    let share = Share::try_from(0.3).unwrap();
    let hits: Vec<u64> = (0..20).filter(|n| share.hits(*n)).collect();
    assert_eq!(hits, [3, 6, 9, 13, 16, 19]);
    assert!((0..1000).all(|n| !Share::default().hits(n) && Share::try_from(1.0).unwrap().hits(n)));
}

/// A criterion of a manifest: the judge's output, and the minimum of its mean.
struct Criterion {
    class: String,
    output: String,
    minimum: f64,
    live: bool,
}

fn manifest(version: &str) -> Value {
    let text = fs::read_to_string(sample().join(format!("manifests/demo/release-{version}.yaml"))).unwrap();
    serde_saphyr::from_str(&text).unwrap()
}

fn criteria(manifest: &Value) -> Vec<Criterion> {
    let spec = &manifest["spec"];
    let metrics = spec["metrics"].as_array().unwrap();
    let read = |criterion: &Value| {
        let metric = metrics.iter().find(|m| m["name"] == criterion["metric"]).unwrap();
        let name = metric.get("output").unwrap_or(&metric["name"]);
        Criterion {
            class: criterion["class"].as_str().unwrap().into(),
            output: name.as_str().unwrap().into(),
            minimum: criterion["minimum"].as_f64().unwrap(),
            live: criterion.get("live").is_none_or(|live| live != "Ignore"),
        }
    };
    spec["criteria"].as_array().unwrap().iter().map(read).collect()
}

fn mean(scores: &Scores, from: u64, count: u64) -> f64 {
    (from..from + count).map(|n| scores.score(n, b"").number()).sum::<f64>() / count as f64
}

#[test]
fn all_versions_of_the_demo_pass_their_gate() {
    let scenario = demo();
    for version in ["1427", "1428", "1429"] {
        let content = of_version(&scenario, version);
        assert!(content.name.contains(version), "{version} is known as {}", content.name);
        let manifest = manifest(version);
        let classes = manifest["spec"]["evaluation"]["dataset"]["classes"].as_array().unwrap();
        let rows: BTreeMap<&str, u64> =
            classes.iter().map(|c| (c["name"].as_str().unwrap(), c["rows"].as_u64().unwrap())).collect();
        for Criterion { class, output, minimum, .. } in criteria(&manifest) {
            let behaviour = content.class(&class);
            let got = mean(behaviour.scores_of(Phase::Offline, &output).unwrap(), 0, rows[class.as_str()]);
            assert!(got >= minimum, "{version} {class} {output}: {got} is below {minimum}");
        }
    }
}

#[test]
fn only_1428_fails_live_and_it_fails_in_every_window_by_multi_hop() {
    let scenario = demo();
    for version in ["1427", "1428", "1429"] {
        let content = of_version(&scenario, version);
        for Criterion { class, output, minimum, .. } in criteria(&manifest(version)).iter().filter(|c| c.live) {
            let behaviour = content.class(class);
            let scores = behaviour.scores_of(Phase::Live, output).unwrap();
            let fails = version == "1428" && class == "multi_hop";
            for (from, count) in (0..12).flat_map(|from| (2..12).map(move |count| (from, count))) {
                let got = mean(scores, from, count);
                assert_eq!(got < *minimum, fails, "{version} {class} {output}: {got} against {minimum}");
            }
        }
    }
}

#[test]
fn every_window_of_the_demo_has_more_samples_of_each_criterion_than_it_needs() {
    let scenario = demo();
    let manifest = manifest("1428");
    let canary = &manifest["spec"]["canary"];
    let window: SignedDuration = canary["analysis"]["window"].as_str().unwrap().parse().unwrap();
    let weight = canary["steps"][0]["weight"].as_f64().unwrap() / 100.0;
    let needed = canary["analysis"]["minSamples"].as_f64().unwrap();
    let traffic = scenario.traffic("support-assistant-prod").unwrap();
    let all: u32 = traffic.classes.values().sum();
    let judged = traffic.requests_per_second * weight * window.as_secs_f64() / f64::from(scenario.sampler.one_in);
    for criterion in criteria(&manifest).iter().filter(|criterion| criterion.live) {
        let share = f64::from(traffic.classes[&criterion.class]) / f64::from(all);
        assert!(judged * share >= needed + 1.0, "{}: {} samples a window", criterion.class, judged * share);
    }
}
