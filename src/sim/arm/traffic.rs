//! Which split a write may ask for.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    call::Call,
    errors,
    knobs::{AbsentTraffic, Knobs},
    resource::{State, tags},
    store::{Endpoint, Split},
};
use crate::sim::http::Response;

/// The split that a PUT asks for, if Azure would take it: percentages are whole, live ones add up to 0 or 100, at most
/// 50 are mirrored and to one deployment that has no live traffic, and every name is a deployment that can serve.
pub fn requested(call: &Call<'_>, endpoint: &Endpoint, knobs: &Knobs) -> Result<Split, Response> {
    let field = |name: &str| call.body.get("properties").and_then(|p| p.get(name)).filter(|v| !v.is_null());
    let keep = knobs.absent_traffic == AbsentTraffic::Keep;
    let serving = endpoint.serving(call.now);
    let traffic = match field("traffic") {
        Some(value) => weights(call, "Traffic", value)?,
        None if keep => serving.traffic.clone(),
        None => BTreeMap::new(),
    };
    let mirror = match field("mirrorTraffic") {
        Some(value) => weights(call, "MirrorTraffic", value)?,
        None if keep => serving.mirror.clone(),
        None => BTreeMap::new(),
    };
    let sum: u32 = traffic.values().map(|w| u32::from(*w)).sum();
    if sum != 0 && sum != 100 {
        let text = format!("The sum of traffic percentages must be 0 or 100, but it is {sum}.");
        return Err(errors::invalid(call, "Properties.Traffic", text));
    }
    check_mirror(call, &traffic, &mirror)?;
    for name in traffic.iter().chain(&mirror).filter(|(_, weight)| **weight > 0).map(|(name, _)| name) {
        check_target(call, endpoint, knobs, name)?;
    }
    Ok(Split { traffic, mirror, tags: tags(&call.body).unwrap_or_default() })
}

fn weights(call: &Call<'_>, field: &str, value: &Value) -> Result<BTreeMap<String, u8>, Response> {
    let refuse = |text: String| errors::invalid(call, &format!("Properties.{field}"), text);
    let map = value.as_object().ok_or_else(|| refuse("It must map deployment names to percentages.".into()))?;
    let mut weights = BTreeMap::new();
    for (name, weight) in map {
        let percent = weight.as_u64().and_then(|w| u8::try_from(w).ok()).filter(|w| *w <= 100);
        let percent = percent.ok_or_else(|| {
            refuse(format!("The percentage of {name} must be a whole number from 0 to 100, not {weight}."))
        })?;
        weights.insert(name.clone(), percent);
    }
    Ok(weights)
}

fn check_mirror(
    call: &Call<'_>,
    traffic: &BTreeMap<String, u8>,
    mirror: &BTreeMap<String, u8>,
) -> Result<(), Response> {
    let mirrored: Vec<(&String, &u8)> = mirror.iter().filter(|(_, weight)| **weight > 0).collect();
    let text = match mirrored.as_slice() {
        [] => return Ok(()),
        [(name, _)] if traffic.iter().any(|(n, w)| *w > 0 && n.eq_ignore_ascii_case(name)) => {
            format!("Deployment {name} cannot have live and mirrored traffic at once.")
        }
        [(_, weight)] if **weight > 50 => format!("At most 50 percent can be mirrored, not {weight}."),
        [_] => return Ok(()),
        _ => "Traffic can be mirrored to one deployment only.".into(),
    };
    Err(errors::invalid(call, "Properties.MirrorTraffic", text))
}

fn check_target(call: &Call<'_>, endpoint: &Endpoint, knobs: &Knobs, name: &str) -> Result<(), Response> {
    let text = match endpoint.deployments.get(&name.to_ascii_lowercase()) {
        Some(d) if d.state == State::Succeeded => return Ok(()),
        Some(d) if !knobs.traffic_needs_succeeded && d.born && d.state != State::Deleting => return Ok(()),
        Some(d) => {
            format!("Deployment {name} cannot get traffic because it is in {} provisioning state.", d.state.as_str())
        }
        None => format!("Deployment {name} does not exist in endpoint {}.", endpoint.name),
    };
    Err(errors::invalid(call, "Properties.Traffic", text))
}
