//! How a deployment comes back from Azure: with the documented defaults filled in, and durations in their shortest
//! spelling. A client that compares what it sent with what it reads must know both.

use jiff::SignedDuration;
use serde_json::{Map, Value, json};

/// The value of an ISO 8601 duration such as `PT1M30S`.
pub fn duration(text: &str) -> Option<SignedDuration> {
    text.parse().ok().filter(|_| text.starts_with('P'))
}

/// Fills in and respells `properties` of a deployment.
pub fn fill(properties: &mut Map<String, Value>) {
    let probe = json!({"failureThreshold": 30, "successThreshold": 1, "timeout": "PT2S", "period": "PT10S",
        "initialDelay": "PT10S"});
    let requests = json!({"maxConcurrentRequestsPerInstance": 1, "requestTimeout": "PT5S", "maxQueueWait": "PT0.5S"});
    let defaults = [
        ("requestSettings", requests),
        ("livenessProbe", probe.clone()),
        ("readinessProbe", probe),
        ("scaleSettings", json!({"scaleType": "Default"})),
        ("instanceType", json!("Standard_F4s_v2")),
        ("egressPublicNetworkAccess", json!("Enabled")),
        ("appInsightsEnabled", json!(false)),
        ("environmentVariables", json!({})),
        ("properties", json!({})),
    ];
    for (name, default) in defaults {
        complete(properties.entry(name).or_insert(Value::Null), default);
    }
    for settings in ["requestSettings", "livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(settings) = properties.get_mut(settings).and_then(Value::as_object_mut) {
            settings.values_mut().for_each(respell);
        }
    }
}

fn complete(value: &mut Value, default: Value) {
    match (value, default) {
        (Value::Object(given), Value::Object(defaults)) => {
            for (name, default) in defaults {
                complete(given.entry(name).or_insert(Value::Null), default);
            }
        }
        (absent @ Value::Null, default) => *absent = default,
        _ => {}
    }
}

fn respell(value: &mut Value) {
    if let Some(span) = value.as_str().and_then(duration) {
        *value = json!(span.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_stays_and_is_spelt_shortest() {
        let mut given = json!({"requestSettings": {"requestTimeout": "PT60S"}, "startupProbe": {"period": "PT90S"},
            "environmentVariables": {"WAIT": "PT60S"}});
        let properties = given.as_object_mut().unwrap();
        fill(properties);
        assert_eq!(
            properties["requestSettings"],
            json!({"requestTimeout": "PT1M", "maxConcurrentRequestsPerInstance": 1, "maxQueueWait": "PT0.5S"})
        );
        assert_eq!(properties["livenessProbe"]["failureThreshold"], 30);
        assert_eq!(properties["startupProbe"], json!({"period": "PT1M30S"}));
        assert_eq!(properties["environmentVariables"], json!({"WAIT": "PT60S"}));
        assert_eq!((duration("60s"), duration("PT1M")), (None, Some(SignedDuration::from_secs(60))));
    }
}
