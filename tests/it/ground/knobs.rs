//! What is not known of Azure, as knobs of the simulator.
//!
//! `KNOB=busyStatus` in the environment turns one of them the other way in every world that this process begins, whatever
//! the test: so any story can be told in an Azure that is not as the sample's.

use std::{env, sync::LazyLock};

use promptrelease::sim::{self, scenario::Scenario};
use reqwest::Method;
use serde_json::{Value, json};

use super::Simulator;

/// Names the knob that is turned.
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
    knob("readLagMs", Place::Arm, "700"),
    knob("unsteadyReadsMs", Place::Arm, "700"),
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

static ASKED: LazyLock<Option<&'static Knob>> = LazyLock::new(|| {
    let name = env::var(TURNED).ok().filter(|name| !name.is_empty())?;
    let known = ALL.iter().find(|knob| knob.name == name);
    Some(known.unwrap_or_else(|| panic!("{TURNED} is one of {:?}, not {name:?}", ALL.map(|knob| knob.name))))
});

/// The knob that the environment asks for.
pub fn turned() -> Option<&'static Knob> {
    *ASKED
}

/// Turns it in a simulator that has just started.
pub async fn turn(simulator: &Simulator) {
    let Some(knob) = turned() else { return };
    let change = json!({knob.name: knob.value()});
    let path = match knob.place {
        Place::Arm => "/world/knobs",
        Place::Times => "/world/times",
        Place::Insights => "/world/insights",
        Place::Runs => {
            let runs = serde_json::from_value(change).expect("a field of runs");
            sim::lock(&simulator.sim().scenario).runs = runs;
            return;
        }
    };
    simulator.control(Method::POST, path, &change).await;
}

/// The scenario, with what the knob says of its runs where it says nothing of that itself.
pub fn scenario(mut of: Value) -> Scenario {
    if let Some(knob) = turned().filter(|knob| knob.place == Place::Runs) {
        let runs = of.as_object_mut().expect("a scenario is an object").entry("runs").or_insert(json!({}));
        runs.as_object_mut().expect("runs are an object").entry(knob.name).or_insert(knob.value());
    }
    Scenario::parse(&of.to_string()).expect("a scenario")
}

impl Knob {
    fn value(&self) -> Value {
        serde_json::from_str(self.other).expect("JSON")
    }
}
