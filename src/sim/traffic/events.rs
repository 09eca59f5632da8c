//! What the sampler tells Application Insights: a custom event for each judged answer, and one for each window of a
//! deployment.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::windows::{Counts, Window};

/// `promptrelease.sample`.
pub struct Sample<'a> {
    pub endpoint: &'a str,
    pub deployment: &'a str,
    pub version: &'a str,
    pub class: &'a str,
    pub request_id: &'a str,
    pub at: Timestamp,
    /// Digests of the judge's flow and of its rubric.
    pub judge: &'a str,
    pub rubric: &'a str,
    /// By metric.
    pub scores: Map<String, Value>,
}

/// Digests that stand for the judge's flow and rubric where neither runs.
pub const JUDGE: &str = "sha256:51a1c0de00000000000000000000000000000000000000000000000000000001";
pub const RUBRIC: &str = "sha256:51a1c0de00000000000000000000000000000000000000000000000000000002";

impl Sample<'_> {
    pub fn envelope(self, ikey: &str) -> Value {
        let dimensions = json!({
            "release": self.version, "endpoint": self.endpoint, "deployment": self.deployment, "class": self.class,
            "requestId": self.request_id, "judge": self.judge, "rubric": self.rubric,
        });
        envelope(ikey, "promptrelease.sample", self.at, dimensions, Value::Object(self.scores))
    }
}

/// `promptrelease.window`: what was seen of a deployment in a window.
pub fn window(ikey: &str, endpoint: &str, window: Window, deployment: &str, counts: &Counts) -> Value {
    let dimensions = json!({
        "endpoint": endpoint, "deployment": deployment, "start": window.start(), "end": window.end(),
    });
    let mut measurements = json!({
        "seen": counts.seen, "sampled": counts.sampled, "judged": counts.judged, "errors": counts.errors,
    });
    for (class, count) in counts.by_status.iter().enumerate() {
        measurements[format!("requests_{}xx", class + 1)] = json!(count);
    }
    envelope(ikey, "promptrelease.window", window.end(), dimensions, measurements)
}

fn envelope(ikey: &str, name: &str, at: Timestamp, dimensions: Value, measurements: Value) -> Value {
    json!({
        "ver": 1, "name": "Microsoft.ApplicationInsights.Event", "time": at, "sampleRate": 100.0, "iKey": ikey,
        "tags": {"ai.cloud.role": "promptrelease-sampler", "ai.internal.sdkVersion": "sim:1"},
        "data": {"baseType": "EventData", "baseData":
            {"ver": 2, "name": name, "properties": dimensions, "measurements": measurements}},
    })
}
