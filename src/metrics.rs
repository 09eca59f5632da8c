//! What Prometheus sees. No label has values without bound: an endpoint's own series goes when the endpoint goes.
//!
//! Count an outcome only after the status write that records it; a pass may be repeated, a record is not.

use std::{sync::Arc, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::api::{Cause, Outcome, Severity};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Seconds. A pass is some reads and at most one write, each of seconds at the longest.
const PASS_BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds, up to the longest time-out of a call to Azure.
const REQUEST_BUCKETS: [f64; 9] = [0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 8.0, 15.0, 30.0];

/// A request to Azure that has an answer, or none.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    service: &'static str,
    method: String,
    /// The HTTP status, or `none`.
    status: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    service: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CategoryLabels {
    category: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndingLabels {
    outcome: &'static str,
    blame: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    severity: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    namespace: String,
    name: String,
}

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// Every series of the operator. Clones count into the same ones.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    passes: Histogram,
    failed_passes: Family<CategoryLabels, Counter>,
    requests: Family<RequestLabels, Counter>,
    request_times: Histograms<ServiceLabels>,
    endings: Family<EndingLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    exposed: Family<EndpointLabels, Gauge>,
    stalled: Family<EndpointLabels, Gauge>,
    leader: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All counters at zero, those included that have labels: an alert on a first failure needs the zero before it.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            passes: Histogram::new(PASS_BUCKETS),
            failed_passes: Family::default(),
            requests: Family::default(),
            request_times: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            endings: Family::default(),
            deliveries: Family::default(),
            exposed: Family::default(),
            stalled: Family::default(),
            leader: Gauge::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        for cause in Cause::ALL {
            for exposed in [false, true] {
                drop(metrics.endings.get_or_create(&ending(cause.outcome(exposed), *cause)));
            }
        }
        for severity in [Severity::Page, Severity::Notice] {
            for result in [DELIVERED, FAILED] {
                drop(metrics.deliveries.get_or_create(&delivery(severity, result)));
            }
        }
        metrics
    }

    fn register(&self) -> Registry {
        let mut to = Registry::with_prefix("promptrelease");
        let seconds = Unit::Seconds;
        to.register_with_unit(
            "reconcile_duration",
            "Time of one pass over an endpoint",
            seconds.clone(),
            self.passes.clone(),
        );
        to.register("reconcile_errors", "Passes that the API server cut short", self.failed_passes.clone());
        to.register("azure_requests", "Requests to Azure by their answer", self.requests.clone());
        to.register_with_unit(
            "azure_request_duration",
            "Time from a request to Azure to the last byte of its answer",
            seconds,
            self.request_times.clone(),
        );
        to.register("attempt_endings", "Attempts that have ended, and whose fault it was", self.endings.clone());
        to.register("notifications", "Pages and notices that receivers took, or did not", self.deliveries.clone());
        to.register("endpoint_exposed", "1 while a canary of this endpoint has traffic", self.exposed.clone());
        to.register("endpoint_stalled", "1 while this endpoint needs a person", self.stalled.clone());
        to.register("leader", "1 while this process holds the lease", self.leader.clone());
        to
    }

    /// A pass over an endpoint took so long, whatever came of it.
    pub fn reconciled(&self, took: Duration) {
        self.passes.observe(took.as_secs_f64());
    }

    /// A pass failed; `category` is one of a few words.
    pub fn reconcile_failed(&self, category: &'static str) {
        self.failed_passes.get_or_create(&CategoryLabels { category }).inc();
    }

    /// A request to `service` (`Arm`, `Flow`, …). `status` is `None` when there was no answer.
    pub fn azure_request(&self, service: &'static str, method: &str, status: Option<u16>, took: Duration) {
        let status = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        self.requests.get_or_create(&RequestLabels { service, method: method.to_owned(), status }).inc();
        self.request_times.get_or_create(&ServiceLabels { service }).observe(took.as_secs_f64());
    }

    /// The ending of an attempt was recorded.
    pub fn ended(&self, outcome: Outcome, cause: Cause) {
        self.endings.get_or_create(&ending(outcome, cause)).inc();
    }

    /// A receiver accepted a page or a notice.
    pub fn delivered(&self, severity: Severity) {
        self.deliveries.get_or_create(&delivery(severity, DELIVERED)).inc();
    }

    /// A receiver refused a page or a notice, or could not be reached; it will be tried again.
    pub fn delivery_failed(&self, severity: Severity) {
        self.deliveries.get_or_create(&delivery(severity, FAILED)).inc();
    }

    /// Whether a canary of the endpoint has traffic.
    pub fn exposed(&self, namespace: &str, name: &str, exposed: bool) {
        self.exposed.get_or_create(&endpoint(namespace, name)).set(exposed.into());
    }

    /// Whether the endpoint needs a person.
    pub fn stalled(&self, namespace: &str, name: &str, stalled: bool) {
        self.stalled.get_or_create(&endpoint(namespace, name)).set(stalled.into());
    }

    /// The endpoint object is gone, and its series with it.
    pub fn endpoint_gone(&self, namespace: &str, name: &str) {
        self.exposed.remove(&endpoint(namespace, name));
        self.stalled.remove(&endpoint(namespace, name));
    }

    /// Whether this process holds the lease.
    pub fn leading(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing into a String cannot fail.
        let _written = text::encode(&mut out, &self.registry);
        out
    }
}

const DELIVERED: &str = "delivered";
const FAILED: &str = "failed";

fn ending(outcome: Outcome, cause: Cause) -> EndingLabels {
    let blame = cause.blame().map_or("Nobody", |blame| blame.as_str());
    EndingLabels { outcome: outcome.as_str(), blame, reason: cause.as_str() }
}

fn delivery(severity: Severity, result: &'static str) -> DeliveryLabels {
    DeliveryLabels { severity: severity.as_str(), result }
}

fn endpoint(namespace: &str, name: &str) -> EndpointLabels {
    EndpointLabels { namespace: namespace.to_owned(), name: name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of the series that begins with `series`.
    fn value(metrics: &Metrics, series: &str) -> Option<String> {
        let text = metrics.encode();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
        Some(line.to_owned())
    }

    #[test]
    fn a_clone_counts_into_the_same_series() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        clone.reconciled(Duration::from_millis(30));
        clone.reconcile_failed("conflict");
        clone.azure_request("Arm", "PUT", Some(409), Duration::from_secs(1));
        clone.azure_request("Arm", "PUT", None, Duration::from_secs(8));
        let get = |series: &str| value(&metrics, series);
        assert_eq!(get("promptrelease_reconcile_duration_seconds_count").as_deref(), Some("1"));
        assert_eq!(get("promptrelease_reconcile_duration_seconds_bucket{le=\"0.05\"}").as_deref(), Some("1"));
        assert_eq!(get("promptrelease_reconcile_errors_total{category=\"conflict\"}").as_deref(), Some("1"));
        let requests = |status: &str| {
            get(&format!("promptrelease_azure_requests_total{{service=\"Arm\",method=\"PUT\",status=\"{status}\"}}"))
        };
        assert_eq!((requests("409").as_deref(), requests("none").as_deref()), (Some("1"), Some("1")));
        assert_eq!(get("promptrelease_azure_request_duration_seconds_sum{service=\"Arm\"}").as_deref(), Some("9.0"));
    }

    #[test]
    fn endings_and_deliveries_are_there_before_the_first_one() {
        let metrics = Metrics::new();
        let rolled_back =
            "promptrelease_attempt_endings_total{outcome=\"RolledBack\",blame=\"Release\",reason=\"CanaryFailed\"}";
        assert_eq!(value(&metrics, rolled_back).as_deref(), Some("0"));
        metrics.ended(Outcome::RolledBack, Cause::CanaryFailed);
        assert_eq!(value(&metrics, rolled_back).as_deref(), Some("1"));
        let failed = "promptrelease_notifications_total{severity=\"page\",result=\"failed\"}";
        assert_eq!(value(&metrics, failed).as_deref(), Some("0"));
        metrics.delivery_failed(Severity::Page);
        assert_eq!(value(&metrics, failed).as_deref(), Some("1"));
    }

    #[test]
    fn an_endpoint_that_is_gone_leaves_no_series() {
        let metrics = Metrics::new();
        let series = "promptrelease_endpoint_exposed{namespace=\"assistant\",name=\"qa\"}";
        metrics.exposed("assistant", "qa", true);
        assert_eq!(value(&metrics, series).as_deref(), Some("1"));
        metrics.endpoint_gone("assistant", "qa");
        assert_eq!(value(&metrics, series), None);
    }

    #[test]
    fn every_name_has_the_prefix_a_help_text_and_base_units() {
        let metrics = Metrics::new();
        metrics.leading(true);
        // A family without a series is not written at all.
        metrics.reconcile_failed("api");
        metrics.azure_request("Blob", "GET", Some(200), Duration::ZERO);
        metrics.exposed("assistant", "qa", false);
        metrics.stalled("assistant", "qa", false);
        let text = metrics.encode();
        assert!(text.ends_with("# EOF\n"), "{text}");
        let helps: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# HELP ")).collect();
        assert_eq!(helps.len(), 9, "{helps:#?}");
        for help in helps {
            let (name, sentence) = help.split_once(' ').expect("a name and a sentence");
            assert!(name.starts_with("promptrelease_") && sentence.ends_with('.'), "{help}");
            assert!(!name.contains("duration") || name.ends_with("_seconds"), "{help}");
        }
    }
}
