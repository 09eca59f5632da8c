//! Events to Application Insights: the ingestion API.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{Azure, Error, Result, Service, arm::join, wire::Outgoing};

/// Where a component takes telemetry, from its connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingestion {
    /// A GUID. It names the component and is no secret.
    pub instrumentation_key: String,
    /// E.g. `https://eastus-8.in.applicationinsights.azure.com/`.
    pub endpoint: Url,
}

impl Ingestion {
    /// Reads `InstrumentationKey=…;IngestionEndpoint=…;…`; keys in any case. None if it lacks either.
    pub fn parse(connection_string: &str) -> Option<Self> {
        let pairs = connection_string.split(';').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<(&str, &str)> = pairs.map(|(key, value)| (key.trim(), value.trim())).collect();
        let value =
            |wanted: &str| pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value);
        let endpoint = Url::parse(value("IngestionEndpoint")?).ok()?;
        Some(Self { instrumentation_key: value("InstrumentationKey")?.to_owned(), endpoint })
    }
}

/// One row of `customEvents`.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomEvent {
    pub name: String,
    pub at: Timestamp,
    /// `customDimensions`. The service takes 8,192 characters a value.
    pub dimensions: BTreeMap<String, String>,
    /// `customMeasurements`.
    pub measurements: BTreeMap<String, f64>,
}

impl CustomEvent {
    fn envelope(&self, instrumentation_key: &str) -> Value {
        json!({
            "ver": 1, "name": "Microsoft.ApplicationInsights.Event", "time": self.at.to_string(), "sampleRate": 100.0,
            "iKey": instrumentation_key, "tags": {"ai.cloud.role": "promptrelease-operator"},
            "data": {"baseType": "EventData", "baseData": {
                "ver": 2, "name": self.name, "properties": self.dimensions, "measurements": self.measurements,
            }},
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Taken {
    items_received: u64,
    items_accepted: u64,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Azure {
    /// Sends events, once. The identity needs the role Monitoring Metrics Publisher on the component.
    ///
    /// # Errors
    /// [`Error::Partial`] if the service did not take all of them.
    pub async fn track(&self, to: &Ingestion, events: &[CustomEvent]) -> Result<()> {
        let what = "events of Application Insights".to_owned();
        let url = join(to.endpoint.as_str().trim_end_matches('/'), &["v2.1", "track"]).ok_or_else(|| {
            Error::NotSent { call: what.clone(), reason: "the ingestion endpoint is no address".into() }
        })?;
        let envelopes: Vec<Value> = events.iter().map(|event| event.envelope(&to.instrumentation_key)).collect();
        let within = self.inner.timeouts.query;
        let request = Outgoing::new(Service::Ingestion, Method::POST, url, what, within).json(&envelopes.into());
        let reply = self.send(request).await?;
        let taken: Taken = reply.seen()?.value;
        if taken.items_accepted == taken.items_received {
            return Ok(());
        }
        let first = taken.errors.first().and_then(|error| error["message"].as_str()).unwrap_or("no reason given");
        let message = format!("{} of {} events were taken: {first}", taken.items_accepted, taken.items_received);
        Err(Error::Partial { call: reply.call, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::azure::loopback::{self, Answer, Loopback, bearer};

    fn ingestion(endpoint: &str) -> Ingestion {
        let text =
            format!("instrumentationkey=11-22;IngestionEndpoint={endpoint};LiveEndpoint=https://x/;ApplicationId=1b");
        Ingestion::parse(&text).expect("both are there")
    }

    fn event() -> CustomEvent {
        CustomEvent {
            name: "promptrelease.evaluation".into(),
            at: "2026-11-23T05:16:32Z".parse().expect("a time"),
            dimensions: [("class".to_owned(), "factual".to_owned())].into(),
            measurements: [("rows".to_owned(), 34.0)].into(),
        }
    }

    async fn track(answer: Answer) -> (Result<()>, Loopback) {
        let server = Loopback::answering([answer]).await;
        let to = ingestion("https://eastus-8.in.applicationinsights.azure.com/");
        let result = server.azure().track(&to, &[event()]).await;
        (result, server)
    }

    #[tokio::test]
    async fn an_event_goes_to_the_components_own_address_with_a_token_for_it() {
        let (result, server) =
            track(loopback::json(200, &json!({"itemsReceived": 1, "itemsAccepted": 1, "errors": []}))).await;
        assert_eq!(result, Ok(()));
        let got = server.only();
        assert_eq!(got.line(), "POST https://eastus-8.in.applicationinsights.azure.com/v2.1/track");
        assert_eq!(got.header("authorization"), Some(&*bearer("https://monitor.azure.com/.default")));
        let envelope = &got.json()[0];
        assert_eq!((&envelope["iKey"], &envelope["time"]), (&json!("11-22"), &json!("2026-11-23T05:16:32Z")));
        let wanted = json!({"ver": 2, "name": "promptrelease.evaluation", "properties": {"class": "factual"}, "measurements": {"rows": 34.0}});
        assert_eq!((&envelope["data"]["baseType"], &envelope["data"]["baseData"]), (&json!("EventData"), &wanted));
    }

    #[tokio::test]
    async fn what_was_not_taken_is_an_error() {
        let partial = json!({"itemsReceived": 2, "itemsAccepted": 1, "errors": [{"index": 0, "statusCode": 429, "message": "quota"}]});
        let (result, _) = track(loopback::json(206, &partial)).await;
        assert!(result.expect_err("not all").to_string().contains("1 of 2 events were taken: quota"));
        let (result, _) = track(loopback::json(439, &json!({}))).await;
        assert!(result.is_err());
    }

    #[tokio::test]
    async fn no_token_goes_to_an_address_that_is_not_azures() {
        let server = Loopback::answering([]).await;
        for endpoint in [
            "https://evil.example.com/",
            "https://in.applicationinsights.azure.com.evil.example.com",
            "http://eastus-8.in.applicationinsights.azure.com",
        ] {
            let error = server.azure().track(&ingestion(endpoint), &[event()]).await.expect_err(endpoint);
            assert!(matches!(error, Error::ForeignHost { .. }), "{error:?}");
        }
        assert!(server.seen().is_empty());
    }

    #[test]
    fn a_connection_string_without_an_endpoint_is_none() {
        for text in
            ["", "InstrumentationKey=1", "IngestionEndpoint=https://x/", "InstrumentationKey=1;IngestionEndpoint=x"]
        {
            assert_eq!(Ingestion::parse(text), None, "{text}");
        }
    }
}
