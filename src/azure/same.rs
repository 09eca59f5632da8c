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
