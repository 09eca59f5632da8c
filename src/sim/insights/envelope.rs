//! Envelopes of telemetry, as Azure Monitor's exporters send them.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One row of `customEvents`.
#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    /// When it happened, as its sender says.
    pub timestamp: Timestamp,
    /// From when on queries see it.
    pub ingested: Timestamp,
    pub item_id: String,
    /// Events that this one stands for, by its sender's sampling.
    pub item_count: i64,
    /// Texts by name; null if there are none.
    pub dimensions: Arc<Value>,
    /// Numbers by name; null if there are none.
    pub measurements: Arc<Value>,
    /// `ai.*`.
    pub tags: Arc<Map<String, Value>>,
    pub ikey: String,
}

/// An envelope that was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its place in the request.
    pub index: usize,
    /// HTTP's.
    pub status: u16,
    pub message: String,
}

/// An envelope's base type, and the event if it is one. `item` numbers it.
///
/// # Errors
/// Why the service rejects it.
pub fn read(envelope: &Value, ikey: &str, ingested: Timestamp, item: u64) -> Result<(String, Option<Event>), String> {
    let text = |of: &Value, field: &str| of.get(field).and_then(Value::as_str).map(str::to_owned);
    let need = |found: Option<String>, field: &str| found.ok_or_else(|| format!("Field '{field}' is required"));
    need(text(envelope, "name"), "name")?;
    let time = need(text(envelope, "time"), "time")?;
    let timestamp = super::kql::time(&time).ok_or("Field 'time' is not a valid time")?;
    let key = need(text(envelope, "iKey"), "iKey")?;
    if !key.eq_ignore_ascii_case(ikey) {
        return Err("Invalid instrumentation key".into());
    }
    let data = envelope.get("data").ok_or("Field 'data' is required")?;
    let kind = need(text(data, "baseType"), "data.baseType")?;
    let base = data.get("baseData").filter(|base| base.is_object()).ok_or("Field 'data.baseData' is required")?;
    if kind != "EventData" {
        return Ok((kind, None));
    }
    let name = need(text(base, "name"), "data.baseData.name")?;
    let event = Event {
        name,
        timestamp,
        ingested,
        item_id: Uuid::from_u128((0x5a4d_e1f0_u128 << 96) | u128::from(item)).to_string(),
        item_count: item_count(envelope),
        dimensions: Arc::new(members(base, "properties", |value| Some(dimension(value)))?),
        measurements: Arc::new(members(base, "measurements", |value| value.is_number().then(|| value.clone()))?),
        tags: Arc::new(envelope.get("tags").and_then(Value::as_object).cloned().unwrap_or_default()),
        ikey: key,
    };
    Ok((kind, Some(event)))
}

/// `sampleRate` is the percentage that was sent.
#[expect(clippy::cast_possible_truncation, reason = "a small number: rates below 0.01 count as 0.01")]
fn item_count(envelope: &Value) -> i64 {
    let rate = envelope.get("sampleRate").and_then(Value::as_f64).unwrap_or(100.0);
    (100.0 / rate.clamp(0.01, 100.0)).round() as i64
}

fn members(base: &Value, field: &str, convert: impl Fn(&Value) -> Option<Value>) -> Result<Value, String> {
    let members = match base.get(field) {
        None | Some(Value::Null) => return Ok(Value::Null),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(format!("Field 'data.baseData.{field}' is not an object")),
    };
    let wrong = |name: &String| format!("Field 'data.baseData.{field}.{name}' has a value of the wrong type");
    let converted = members.iter().map(|(name, value)| Ok((name.clone(), convert(value).ok_or_else(|| wrong(name))?)));
    converted.collect::<Result<Map<_, _>, String>>().map(Value::Object)
}

/// Custom dimensions are texts, whatever was sent.
fn dimension(value: &Value) -> Value {
    if value.is_string() { value.clone() } else { Value::String(value.to_string()) }
}
