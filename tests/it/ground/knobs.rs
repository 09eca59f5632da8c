//! What is not known of Azure, as knobs of the simulator.
//!
//! `KNOB=busyStatus` in the environment turns one of them the other way in every world that this process begins, whatever
//! the test: so any story can be told in an Azure that is not as the sample's. `KNOB=busyStatus,lateLines` turns two.

use std::{env, sync::LazyLock};

use promptrelease::sim::{self, scenario::Scenario};
use reqwest::Method;
use serde_json::{Map, Value};

use super::Simulator;

/// Names the knobs that are turned, with commas.
pub const TURNED: &str = "KNOB";

/// One unknown.
#[derive(Debug)]
pub struct Knob {
    pub name: &'static str,
    place: Place,
    /// Its value the other way, JSON.
    pub other: &'static str,
}

/// Where a knob is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `knobs` of a world file.
    Arm,
    /// `times` of a world file.
    Times,
    /// Those of Application Insights.
    Insights,
    /// `runs` of a scenario.
    Runs,
}

const fn knob(name: &'static str, place: Place, other: &'static str) -> Knob {
    Knob { name, place, other }
}

/// All of them. `docs/fidelity.md` says what each is about.
pub const ALL: [Knob; 27] = [
    knob("minLooks", Place::Arm, "0"),
    knob("busyStatus", Place::Arm, "400"),
    knob("retryAfter", Place::Arm, "0"),
    knob("showAccepted", Place::Arm, "true"),
    knob("stateLagLooks", Place::Arm, "2"),
    knob("readLagMs", Place::Arm, "400"),
    knob("unsteadyReadsMs", Place::Arm, "400"),
    knob("failedAppliesTags", Place::Arm, "true"),
    knob("newDeployment", Place::Arm, r#""first""#),
    knob("absentTraffic", Place::Arm, r#""keep""#),
    knob("requireIdentity", Place::Arm, "false"),
    knob("refuseIdentityValues", Place::Arm, "false"),
    knob("deploymentBlocksEndpoint", Place::Arm, "true"),
    knob("putInFailed", Place::Arm, "false"),
    knob("trafficNeedsSucceeded", Place::Arm, "false"),
    knob("deleteWithTraffic", Place::Arm, "true"),
    knob("patchReplacesTags", Place::Arm, "true"),
    knob("fillDefaults", Place::Arm, "false"),
    knob("operationLifetime", Place::Arm, "0"),
    knob("enforceRateLimit", Place::Arm, "true"),
    knob("hideNewerFields", Place::Arm, "true"),
    knob("ingestionDelay", Place::Times, r#""3s""#),
    knob("numbersAsText", Place::Insights, "true"),
    knob("dynamicAsJson", Place::Insights, "true"),
    knob("emptyIsNoContent", Place::Insights, "true"),
    knob("repeatedSubmit", Place::Runs, r#""same""#),
    knob("lateLines", Place::Runs, "1"),
];

static TURNED_NOW: LazyLock<Vec<&'static Knob>> = LazyLock::new(|| chosen(&env::var(TURNED).unwrap_or_default()));

/// The knobs that a text names, with commas; `all` names all.
pub fn chosen(names: &str) -> Vec<&'static Knob> {
    let names: Vec<&str> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let known = |name: &&str| *name == "all" || ALL.iter().any(|knob| knob.name == *name);
    let unknown = names.iter().find(|name| !known(name));
    assert!(unknown.is_none(), "there is no knob {unknown:?}; there are {:?}", ALL.map(|knob| knob.name));
    ALL.iter().filter(|knob| names.contains(&"all") || names.contains(&knob.name)).collect()
}

/// The knobs that are turned in this process.
pub fn turned() -> &'static [&'static Knob] {
    &TURNED_NOW
}

/// Turns them in a simulator that has just started.
pub async fn turn(simulator: &Simulator) {
    for (place, path) in
        [(Place::Arm, "/world/knobs"), (Place::Times, "/world/times"), (Place::Insights, "/world/insights")]
    {
        if let Some(change) = change(place) {
            simulator.control(Method::POST, path, &change).await;
        }
    }
    if let Some(runs) = change(Place::Runs) {
        sim::lock(&simulator.sim().scenario).runs = serde_json::from_value(runs).expect("fields of runs");
    }
}

/// The scenario, with what the knobs say of its runs where it says nothing of that itself.
pub fn scenario(mut of: Value) -> Scenario {
    if let Some(Value::Object(mut runs)) = change(Place::Runs) {
        runs.extend(of["runs"].as_object().cloned().unwrap_or_default());
        of["runs"] = runs.into();
    }
    Scenario::parse(&of.to_string()).expect("a scenario")
}

/// What is turned in this place, if anything is.
fn change(place: Place) -> Option<Value> {
    let here = turned().iter().filter(|knob| knob.place == place);
    let here: Map<String, Value> = here.map(|knob| (knob.name.to_owned(), knob.value())).collect();
    (!here.is_empty()).then(|| here.into())
}

impl Knob {
    fn value(&self) -> Value {
        serde_json::from_str(self.other).expect("JSON")
    }
}
