//! What a version of the API knows of endpoints and deployments.
//!
//! [`Knobs::hide_newer_fields`](super::Knobs::hide_newer_fields) makes it count: a request then neither shows nor takes
//! fields that came after its version, so a PUT of what was read drops them.

use serde_json::{Map, Value};

use super::route::Route;

/// The version whose fields are listed here. Whatever else there is came later.
const LISTED: &str = "2024-10-01";
const OF_ENDPOINTS: [&str; 11] = [
    "authMode",
    "compute",
    "description",
    "keys",
    "mirrorTraffic",
    "properties",
    "provisioningState",
    "publicNetworkAccess",
    "scoringUri",
    "swaggerUri",
    "traffic",
];
const OF_DEPLOYMENTS: [&str; 18] = [
    "appInsightsEnabled",
    "codeConfiguration",
    "dataCollector",
    "description",
    "egressPublicNetworkAccess",
    "endpointComputeType",
    "environmentId",
    "environmentVariables",
    "instanceType",
    "livenessProbe",
    "model",
    "modelMountPath",
    "properties",
    "provisioningState",
    "readinessProbe",
    "requestSettings",
    "scaleSettings",
    "startupProbe",
];
/// Those of the fields that are younger than the oldest versions, and when they came.
const SINCE: [(&str, &str); 1] = [("startupProbe", "2024-10-01")];

/// Takes from a body, or from each of a list, what this version does not know.
pub fn hide(route: &Route, body: &mut Value, version: &str) {
    let known: &[&str] = match route {
        Route::Endpoints | Route::Endpoint(_) => &OF_ENDPOINTS,
        Route::Deployments(_) | Route::Deployment(..) => &OF_DEPLOYMENTS,
        _ => return,
    };
    match body.get_mut("value").and_then(Value::as_array_mut) {
        Some(list) => list.iter_mut().for_each(|one| retain(one, known, version)),
        None => retain(body, known, version),
    }
}

fn retain(body: &mut Value, known: &[&str], version: &str) {
    if version > LISTED {
        return;
    }
    let later = |name: &str| SINCE.iter().any(|(field, since)| *field == name && version < *since);
    if let Some(properties) = body.get_mut("properties").and_then(Value::as_object_mut) {
        let fields: &mut Map<String, Value> = properties;
        fields.retain(|name, _| known.contains(&name.as_str()) && !later(name));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_version_shows_what_it_knows_alone_and_in_a_list() {
        let deployment = json!({"name": "d-1", "properties": {"model": "m", "startupProbe": {}, "newInNextYear": 1}});
        let seen = |version: &str| {
            let (mut one, mut list) = (deployment.clone(), json!({"value": [deployment]}));
            hide(&Route::Deployment("qa".into(), "d-1".into()), &mut one, version);
            hide(&Route::Deployments("qa".into()), &mut list, version);
            assert_eq!(list["value"][0], one);
            one["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(seen("2022-02-01-preview"), ["model"]);
        assert_eq!(seen("2024-10-01"), ["model", "startupProbe"]);
        assert_eq!(seen("2027-01-01"), ["model", "newInNextYear", "startupProbe"]);
    }
}
