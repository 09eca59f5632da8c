//! Whether a resource is what was asked for: Azure adds defaults, changes case and respells durations.

use serde_json::Value;

use super::iso8601;

/// Nothing that `wanted` sets differs in `got`, except tags and the number of instances.
pub fn same_body(wanted: &Value, got: &Value) -> bool {
    differences(wanted, got).is_empty()
}

/// The paths at which `got` differs from what `wanted` sets, e.g. `properties.instanceType`.
///
/// Not compared: what `wanted` leaves out or sets to null, tags, `sku.capacity`, and names and ids in their case.
/// Durations are compared by value, numbers as numbers. Environment variables are compared exactly, since their values
/// are the container's business.
pub fn differences(wanted: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", wanted, got, &mut found);
    found
}

const SKIPPED: [&str; 2] = ["tags", "sku.capacity"];
const EXACT: &str = "properties.environmentVariables.";

fn compare(path: &str, wanted: &Value, got: &Value, found: &mut Vec<String>) {
    if wanted.is_null() || SKIPPED.contains(&path) {
        return;
    }
    if let Value::Object(fields) = wanted {
        for (key, wanted) in fields {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            compare(&path, wanted, got.get(key).unwrap_or(&Value::Null), found);
        }
        return;
    }
    let same = match (wanted, got) {
        (Value::String(a), Value::String(b)) if path.starts_with(EXACT) => a == b,
        (Value::String(a), Value::String(b)) if path == "location" => region(a) == region(b),
        (Value::String(a), Value::String(b)) => same_text(a, b),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_item(path, a, b)),
        (a, b) => a == b,
    };
    if !same {
        found.push(path.to_owned());
    }
}

fn same_item(path: &str, wanted: &Value, got: &Value) -> bool {
    let mut found = Vec::new();
    compare(&format!("{path}[]"), wanted, got, &mut found);
    found.is_empty()
}

fn same_text(a: &str, b: &str) -> bool {
    let plain = |text: &str| text.strip_prefix("azureml:").unwrap_or(text).to_lowercase();
    match (iso8601::parse(a), iso8601::parse(b)) {
        (Some(a), Some(b)) => a == b,
        _ => plain(a) == plain(b),
    }
}

/// `East US 2` and `eastus2` are one region.
fn region(name: &str) -> String {
    name.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn wanted() -> Value {
        json!({
            "location": "eastus2", "tags": {"a": "b"}, "kind": "Managed", "sku": {"name": "Default", "capacity": 2},
            "properties": {
                "model": "/subscriptions/S/workspaces/W/models/qa/versions/1", "instanceType": "Standard_DS3_v2",
                "environmentVariables": {"MODE": "Fast"}, "appInsightsEnabled": true, "description": null,
                "requestSettings": {"requestTimeout": "PT90S", "maxConcurrentRequestsPerInstance": 4},
                "dataCollector": {
                    "requestLogging": {"captureHeaders": ["x-ms-client-request-id"]},
                    "collections": {"request": {"dataCollectionMode": "Enabled", "samplingRate": 1.0}},
                },
            },
        })
    }

    /// As Azure may write the same deployment.
    fn got() -> Value {
        json!({
            "id": "/x", "location": "East US 2", "tags": {}, "kind": "managed", "sku": {"name": "Default", "capacity": 5},
            "properties": {
                "model": "azureml:/subscriptions/s/workspaces/w/models/qa/versions/1", "instanceType": "STANDARD_DS3_V2",
                "environmentVariables": {"MODE": "Fast", "AML_APP_INSIGHTS_KEY": "k"}, "appInsightsEnabled": true,
                "description": "added", "provisioningState": "Succeeded",
                "requestSettings": {"requestTimeout": "PT1M30S", "maxConcurrentRequestsPerInstance": 4.0, "maxQueueWait": "PT0.5S"},
                "dataCollector": {
                    "rollingRate": "Hour", "requestLogging": {"captureHeaders": ["X-MS-Client-Request-Id"]},
                    "collections": {"request": {"dataCollectionMode": "enabled", "samplingRate": 1, "dataId": "/d"}},
                },
            },
        })
    }

    #[test]
    fn what_azure_adds_and_respells_is_no_difference() {
        assert_eq!(differences(&wanted(), &got()), [""; 0]);
        assert!(same_body(&wanted(), &got()));
    }

    #[test]
    fn what_differs_is_named_by_its_path() {
        for (path, value) in [
            ("/location", json!("westus")),
            ("/sku/name", json!("Other")),
            ("/properties/model", json!("/subscriptions/S/workspaces/W/models/qa/versions/2")),
            ("/properties/environmentVariables/MODE", json!("fast")),
            ("/properties/appInsightsEnabled", json!(false)),
            ("/properties/appInsightsEnabled", json!(null)),
            ("/properties/requestSettings", json!(null)),
            ("/properties/requestSettings/requestTimeout", json!("PT1M")),
            ("/properties/requestSettings/maxConcurrentRequestsPerInstance", json!("4")),
            ("/properties/dataCollector/requestLogging/captureHeaders", json!([])),
            ("/properties/dataCollector/requestLogging/captureHeaders", json!(["other"])),
            ("/properties/dataCollector/collections/request", json!("Enabled")),
        ] {
            let mut got = got();
            *got.pointer_mut(path).expect("there") = value.clone();
            let found = differences(&wanted(), &got);
            let named = path.trim_start_matches('/').replace('/', ".");
            assert!(
                !found.is_empty() && found.iter().all(|found| found.starts_with(&named)),
                "{path} {value}: {found:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn a_body_is_the_same_as_itself(name in "[a-zA-Z:]{0,8}", number in any::<i32>(), text in ".{0,8}") {
            let mut body = wanted();
            body["properties"][name] = json!({"n": number, "t": text, "list": [number, text]});
            prop_assert_eq!(differences(&body, &body), [""; 0]);
        }
    }
}
