//! Scores of live answers through one port. Application Insights is the first source.

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::At,
    azure::{self, Azure, Row, Seen, Table},
    policy::telemetry::{Manifest, Sample, Telemetry},
};

/// Where scores and manifests come from.
pub trait ScoreSource: Send + Sync {
    /// All rows of `endpoint` whose event time is not before `from`, as far as there can be any `now`, and the source's own
    /// time.
    fn since<'a>(
        &'a self,
        endpoint: &'a str,
        from: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, azure::Result<Seen<Telemetry>>>;
}

/// Custom events of an Application Insights component.
pub struct ApplicationInsights {
    pub azure: Azure,
    pub app_id: String,
}

/// Rows may carry a time a little ahead of ours.
const AHEAD: jiff::SignedDuration = jiff::SignedDuration::from_mins(5);

impl ScoreSource for ApplicationInsights {
    fn since<'a>(
        &'a self,
        endpoint: &'a str,
        from: Timestamp,
        now: Timestamp,
    ) -> BoxFuture<'a, azure::Result<Seen<Telemetry>>> {
        Box::pin(async move {
            let to = now.saturating_add(AHEAD).unwrap_or(Timestamp::MAX);
            let seen = self.azure.query(&self.app_id, &kql(endpoint, from), from, to).await?;
            let malformed = |reason| azure::Error::Malformed { call: "query of Application Insights".into(), reason };
            Ok(Seen { value: read(&seen.value).map_err(malformed)?, date: seen.date })
        })
    }
}

/// One query an endpoint and pass: it filters and projects rows; all arithmetic is ours.
pub fn kql(endpoint: &str, from: Timestamp) -> String {
    let endpoint = endpoint.replace(['"', '\\'], "");
    format!(
        r#"customEvents
| where name in ("promptrelease.sample", "promptrelease.window")
| where timestamp >= datetime({from})
| where tostring(customDimensions.endpoint) == "{endpoint}"
| project timestamp, name, itemId, ingested = ingestion_time(), customDimensions, customMeasurements
| order by timestamp asc"#
    )
}

/// Rows as samples and manifests. A row that lacks something is an error: it would be missing in a count.
pub fn read(table: &Table) -> Result<Telemetry, String> {
    let mut telemetry = Telemetry::default();
    for row in table.iter() {
        match row.text("name")? {
            Some("promptrelease.sample") => telemetry.samples.push(sample(&row)?),
            Some("promptrelease.window") => telemetry.manifests.push(manifest(&row)?),
            _ => {}
        }
    }
    Ok(telemetry)
}

fn sample(row: &Row<'_>) -> Result<Sample, String> {
    let dimensions = row.json("customDimensions")?.unwrap_or_default();
    let measurements = row.json("customMeasurements")?.unwrap_or_default();
    let scores = measurements.as_object().into_iter().flatten();
    let scores = scores.map(|(metric, value)| number(value).map(|n| (metric.clone(), n)));
    Ok(Sample {
        request_id: text(&dimensions, "requestId")?,
        deployment: text(&dimensions, "deployment")?,
        class: text(&dimensions, "class")?,
        at: time(row, "timestamp")?,
        scores: scores.collect::<Option<_>>().ok_or("a sample's measurement is no number")?,
        ingested: time(row, "ingested")?,
        item_id: row.text("itemId")?.unwrap_or_default().to_owned(),
    })
}

fn manifest(row: &Row<'_>) -> Result<Manifest, String> {
    let dimensions = row.json("customDimensions")?.unwrap_or_default();
    let measurements = row.json("customMeasurements")?.unwrap_or_default();
    let moment = |key: &str| -> Result<At, String> {
        let text = text(&dimensions, key)?;
        text.parse::<Timestamp>().map(At::from).map_err(|_| format!("a window's {key} `{text}` is no time"))
    };
    let count = |key: &str| measurements.get(key).and_then(number).map(whole);
    let need = |key: &str| count(key).ok_or_else(|| format!("a window event has no measurement {key}"));
    let by_class = ["requests_1xx", "requests_2xx", "requests_3xx", "requests_4xx", "requests_5xx"];
    Ok(Manifest {
        deployment: text(&dimensions, "deployment")?,
        start: moment("start")?,
        end: moment("end")?,
        seen: need("seen")?,
        sampled: need("sampled")?,
        judged: need("judged")?,
        errors: need("errors")?,
        requests: by_class.iter().filter_map(|key| count(key)).sum(),
        server_errors: count("requests_5xx").unwrap_or_default(),
        ingested: time(row, "ingested")?,
        item_id: row.text("itemId")?.unwrap_or_default().to_owned(),
    })
}

fn text(dimensions: &Value, key: &str) -> Result<String, String> {
    let value = dimensions.get(key).and_then(Value::as_str);
    value.map(str::to_owned).ok_or_else(|| format!("an event has no dimension {key}"))
}

fn time(row: &Row<'_>, column: &str) -> Result<At, String> {
    row.time(column)?.map(At::from).ok_or_else(|| format!("an event has no {column}"))
}

/// Numbers come as JSON numbers and as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[expect(clippy::cast_possible_truncation, reason = "a count of requests in one window")]
fn whole(number: f64) -> i64 {
    number.round() as i64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn table(name: &str, dimensions: &Value, measurements: &Value) -> Table {
        let columns = ["timestamp", "name", "itemId", "ingested", "customDimensions", "customMeasurements"];
        let columns: Vec<Value> = columns.iter().map(|name| json!({"name": name, "type": "dynamic"})).collect();
        let at = "2026-11-20T17:11:30Z";
        // `dynamic` columns come as JSON text in some replies and as JSON in others.
        let row = json!([at, name, "i1", at, dimensions.to_string(), measurements]);
        serde_json::from_value(json!({"columns": columns, "rows": [row]})).expect("table")
    }

    #[test]
    fn a_sample() {
        let dimensions = json!({"requestId": "r1", "deployment": "d-1428", "class": "multi_hop", "endpoint": "qa"});
        let telemetry =
            read(&table("promptrelease.sample", &dimensions, &json!({"groundedness": "2"}))).expect("reads");
        let sample = &telemetry.samples[0];
        assert_eq!((sample.class.as_str(), sample.scores["groundedness"]), ("multi_hop", 2.0));
    }

    #[test]
    fn a_window_with_requests_by_status_class() {
        let dimensions =
            json!({"deployment": "d-1428", "start": "2026-11-20T17:11:00Z", "end": "2026-11-20T17:12:00Z"});
        let counts = json!({"seen": 10, "sampled": 4, "judged": 3, "errors": 1, "requests_2xx": 8, "requests_5xx": 2});
        let manifest = read(&table("promptrelease.window", &dimensions, &counts)).expect("reads").manifests.remove(0);
        assert_eq!((manifest.requests, manifest.server_errors, manifest.judged), (10, 2, 3));
    }

    #[test]
    fn what_lacks_something_is_no_row() {
        let error = read(&table("promptrelease.sample", &json!({"requestId": "r1"}), &json!({}))).expect_err("lacks");
        assert_eq!(error, "an event has no dimension deployment");
        let dimensions = json!({"deployment": "d", "start": "soon", "end": "later"});
        let error = read(&table("promptrelease.window", &dimensions, &json!({}))).expect_err("no time");
        assert_eq!(error, "a window's start `soon` is no time");
    }
}
