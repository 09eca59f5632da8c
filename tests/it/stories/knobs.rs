//! What is not known of Azure is a knob of the simulator. The operator must not depend on it: the main story is told with
//! each knob the other way.
//!
//! Every run takes a few of them, others every day; `make knobs` (`KNOBS=all`, or names) takes all.

use std::env;

use jiff::Timestamp;
use promptrelease::sim;
use serde_json::{Value, json};

use super::team::Team;
use crate::ground::{Setup, file};

/// One unknown.
struct Knob {
    name: &'static str,
    /// Where it is: `knobs` or `times` of the world file, `runs` of the scenario, or `insights`.
    place: &'static str,
    /// Its value the other way, JSON.
    other: &'static str,
}

const fn knob(name: &'static str, place: &'static str, other: &'static str) -> Knob {
    Knob { name, place, other }
}

const ALL: [Knob; 24] = [
    knob("minLooks", "knobs", "0"),
    knob("busyStatus", "knobs", "400"),
    knob("retryAfter", "knobs", "0"),
    knob("showAccepted", "knobs", "true"),
    knob("stateLagLooks", "knobs", "2"),
    knob("readLagMs", "knobs", "700"),
    knob("failedAppliesTags", "knobs", "true"),
    knob("absentTraffic", "knobs", r#""keep""#),
    knob("requireIdentity", "knobs", "false"),
    knob("refuseIdentityValues", "knobs", "false"),
    knob("deploymentBlocksEndpoint", "knobs", "true"),
    knob("putInFailed", "knobs", "false"),
    knob("trafficNeedsSucceeded", "knobs", "false"),
    knob("deleteWithTraffic", "knobs", "true"),
    knob("patchReplacesTags", "knobs", "true"),
    knob("fillDefaults", "knobs", "false"),
    knob("operationLifetime", "knobs", "0"),
    knob("enforceRateLimit", "knobs", "true"),
    knob("ingestionDelay", "times", r#""3s""#),
    knob("numbersAsText", "insights", "true"),
    knob("dynamicAsJson", "insights", "true"),
    knob("emptyIsNoContent", "insights", "true"),
    knob("repeatedSubmit", "runs", r#""same""#),
    knob("lateLines", "runs", "1"),
];

/// Of one run of the tests.
const FEW: usize = 2;

fn chosen() -> Vec<&'static Knob> {
    let asked = env::var("KNOBS").unwrap_or_default();
    if asked == "all" {
        return ALL.iter().collect();
    }
    if !asked.is_empty() {
        let names: Vec<&str> = asked.split(',').map(str::trim).collect();
        let known = |name: &&str| ALL.iter().any(|knob| knob.name == *name);
        assert!(names.iter().all(known), "KNOBS is `all` or some of {:?}", ALL.map(|knob| knob.name));
        return ALL.iter().filter(|knob| names.contains(&knob.name)).collect();
    }
    // Others every day, all of them within a fortnight.
    let day = usize::try_from(Timestamp::now().as_second() / 86_400).expect("after 1970");
    (0..FEW).map(|n| &ALL[(day * FEW + n) % ALL.len()]).collect()
}

impl Knob {
    fn patch(&self) -> Value {
        json!({self.name: serde_json::from_str::<Value>(self.other).expect("JSON")})
    }

    /// What the world has more than the sample's.
    fn world(&self) -> Value {
        if ["knobs", "times"].contains(&self.place) { json!({self.place: self.patch()}) } else { json!({}) }
    }

    /// Turns what is not of the world.
    fn turn(&self, team: &Team) {
        let sim = team.story.azure().sim();
        match self.place {
            "insights" => sim::lock(&sim.insights).knobs = serde_json::from_value(self.patch()).expect("knobs"),
            "runs" => {
                let scenario = std::fs::read_to_string(file("deploy/samples/support-assistant/demo/scenario.yaml"));
                let mut scenario: Value = serde_saphyr::from_str(&scenario.expect("the demo's")).expect("YAML");
                scenario["runs"] = self.patch();
                *sim::lock(&sim.scenario) = serde_json::from_value(scenario).expect("a scenario");
            }
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_known_of_azure_makes_no_difference_to_the_story() {
    for knob in chosen() {
        eprintln!("{} the other way: {}", knob.name, knob.other);
        let team =
            Team::begin_in(&format!("knob-{}", knob.name.to_ascii_lowercase()), &knob.world(), Setup::default()).await;
        knob.turn(&team);
        team.release("1427").await;
        assert_eq!(team.ends("1427").await, ("Promoted".into(), "Promoted".into()), "{}", knob.name);
        team.release("1428").await;
        assert_eq!(team.ends("1428").await, ("RolledBack".into(), "CanaryFailed".into()), "{}", knob.name);
        assert_eq!(team.live(), json!({"d-1427": 100}), "{}", knob.name);
    }
}

/// Whoever wonders finds it on the page.
#[test]
fn every_knob_is_on_the_page_with_its_default() {
    let page = std::fs::read_to_string(file("docs/fidelity.md")).expect("docs/fidelity.md");
    let defaults = [json!(sim::arm::Knobs::default()), json!(sim::insights::Knobs::default())];
    for Knob { name, .. } in &ALL {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |")));
        let row = row.unwrap_or_else(|| panic!("{name} is not on the page"));
        let default = defaults.iter().find_map(|knobs| knobs.get(name));
        let shown = default.map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        assert!(shown.is_none_or(|shown| row.contains(&format!("| {shown} |"))), "{row} has another default");
    }
}

/// A knob that nobody turns tests nothing.
#[test]
fn every_knob_of_the_simulator_is_turned() {
    let names = |knobs: Value| knobs.as_object().expect("an object").keys().cloned().collect::<Vec<String>>();
    let of_arm = names(json!(sim::arm::Knobs::default()));
    let of_insights = names(json!(sim::insights::Knobs::default()));
    for name in of_arm.iter().chain(&of_insights) {
        assert!(ALL.iter().any(|knob| knob.name == name), "{name} is turned by no story");
    }
}
