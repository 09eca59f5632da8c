//! How a release gets its traffic: the canary, and what happens at 100 %.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::Duration;

/// Traffic for a part of the users, judged in windows.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[x_kube(validation = Rule::new("!self.analysis.window.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || self.steps.all(s, !s.duration.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(s.duration).getSeconds() >= duration(self.analysis.window).getSeconds() * self.analysis.consecutiveFailures)")
    .message("every step must last at least `analysis.window` times `analysis.consecutiveFailures`, or the canary could never fail")
    .field_path(".steps"))]
#[x_kube(validation = Rule::new("[self.holdTimeout, self.analysis.window, self.analysis.lateness].exists(d, !d.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$')) || self.steps.all(s, !s.duration.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || duration(self.holdTimeout) >= duration(s.duration) + duration(self.analysis.window) + duration(self.analysis.lateness))")
    .message("must be at least a step's `duration` plus `analysis.window` plus `analysis.lateness`, or the canary could end before its last window can be judged; the default is 4h")
    .field_path(".holdTimeout"))]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// One step: 10 % for 20 minutes where absent.
    #[serde(default = "default_steps")]
    #[schemars(length(min = 1, max = 1), extend("x-kubernetes-list-type" = "atomic"))]
    pub steps: Vec<Step>,
    /// How live answers are judged.
    #[serde(default)]
    pub analysis: Analysis,
    /// Longest time that a canary may have traffic without a verdict; then it is withdrawn as CanaryUnmeasurable. At least a
    /// step's `duration`, one window and `lateness` together.
    #[serde(default = "default_hold_timeout")]
    pub hold_timeout: Duration,
}

fn default_steps() -> Vec<Step> {
    vec![Step { weight: 10, duration: Duration::from_secs(1200) }]
}

fn default_hold_timeout() -> Duration {
    Duration::from_secs(4 * 3600)
}

impl Default for Canary {
    fn default() -> Self {
        Self { steps: default_steps(), analysis: Analysis::default(), hold_timeout: default_hold_timeout() }
    }
}

/// A share of the traffic for a time.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Step {
    /// Percent of the traffic, 1 to 99.
    #[schemars(range(min = 1, max = 99))]
    pub weight: i64,
    /// Its length divided by the window is the number of windows that must be counted. Whole seconds.
    #[x_kube(validation = Rule::new("!self.contains('ms')").message("must be in whole seconds, as in 90s, 20m or 1h30m"))]
    pub duration: Duration,
}

/// Windows and what they decide.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Analysis {
    /// Length of a window, 1s to 1h in whole seconds. Windows lie on UTC multiples of it.
    #[serde(default = "default_window")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,5}(h|m|s|ms)){1,4}$') || (duration(self) >= duration('1s') && duration(self) <= duration('1h'))")
        .message("must be between 1s and 1h"))]
    #[x_kube(validation = Rule::new("!self.contains('ms')").message("must be in whole seconds, as in 90s, 20m or 1h30m"))]
    pub window: Duration,
    /// How long after its end a window may still become complete; later it counts as an error.
    #[serde(default = "default_lateness")]
    pub lateness: Duration,
    /// Fewer judged answers of a class in a window are no data: neither a pass nor a failure.
    #[serde(default = "default_min_samples")]
    #[schemars(range(min = 1, max = 10_000))]
    pub min_samples: i64,
    /// Failed windows of one criterion in a row that roll back.
    #[serde(default = "default_consecutive_failures")]
    #[schemars(range(min = 1, max = 20))]
    pub consecutive_failures: i64,
    /// Windows in a row that could not be measured before the canary is withdrawn as CanaryUnmeasurable.
    #[serde(default = "default_consecutive_errors")]
    #[schemars(range(min = 1, max = 20))]
    pub consecutive_errors: i64,
    /// What happens when the step is over and a criterion has too few samples.
    #[serde(default)]
    pub on_inconclusive: OnInconclusive,
}

fn default_window() -> Duration {
    Duration::from_secs(60)
}

fn default_lateness() -> Duration {
    Duration::from_secs(600)
}

fn default_min_samples() -> i64 {
    4
}

fn default_consecutive_failures() -> i64 {
    3
}

fn default_consecutive_errors() -> i64 {
    5
}

impl Default for Analysis {
    fn default() -> Self {
        Self {
            window: default_window(),
            lateness: default_lateness(),
            min_samples: default_min_samples(),
            consecutive_failures: default_consecutive_failures(),
            consecutive_errors: default_consecutive_errors(),
            on_inconclusive: OnInconclusive::Hold,
        }
    }
}

#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    #[default]
    Hold,
    RollBack,
    Promote,
}

/// At 100 %.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Promotion {
    /// How long the deployment that served before is kept with its instances.
    #[serde(default = "default_keep_previous_for")]
    pub keep_previous_for: Duration,
}

fn default_keep_previous_for() -> Duration {
    Duration::from_secs(24 * 3600)
}

impl Default for Promotion {
    fn default() -> Self {
        Self { keep_previous_for: default_keep_previous_for() }
    }
}
