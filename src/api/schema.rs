//! The CRDs as they are applied: kube's derive, tidied.

use kube::CustomResourceExt;
use serde_json::Value;

use super::{PromptEndpoint, PromptRelease};

/// Both CRDs, in the order of their file names.
pub fn crds() -> Vec<(&'static str, Value)> {
    vec![
        ("promptendpoints", tidied(serde_json::to_value(PromptEndpoint::crd()))),
        ("promptreleases", tidied(serde_json::to_value(PromptRelease::crd()))),
    ]
}

fn tidied(crd: serde_json::Result<Value>) -> Value {
    let mut crd = crd.unwrap_or_default();
    if let Some(versions) = crd.pointer_mut("/spec/versions").and_then(Value::as_array_mut) {
        for schema in versions.iter_mut().filter_map(|v| v.pointer_mut("/schema/openAPIV3Schema")) {
            tidy(schema);
            schema.pointer_mut("/properties/status").into_iter().for_each(lenient);
        }
    }
    crd
}

/// An absent field is absent, not null (a stored null counts as present in CEL and in the revision's hash); formats
/// that Kubernetes does not know go; whole bounds print as whole numbers.
fn tidy(node: &mut Value) {
    match node {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.remove("nullable");
                if let Some(words) = fields.get_mut("enum").and_then(Value::as_array_mut) {
                    words.retain(|word| !word.is_null());
                }
            }
            if fields.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("uint")) {
                fields.remove("format");
            }
            for bound in ["minimum", "maximum"] {
                if let Some(whole) = fields.get(bound).and_then(Value::as_f64).filter(|b| b.fract() == 0.0) {
                    #[expect(clippy::cast_possible_truncation, reason = "bounds in our schemas are small")]
                    fields.insert(bound.into(), Value::from(whole as i64));
                }
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

/// No status is refused for want of a field: the write that announces a withdrawal must also pass when operator and CRD
/// are of different versions. What must be there is the reader's business. Conditions keep Kubernetes' own rules.
fn lenient(status: &mut Value) {
    match status {
        Value::Object(fields) => {
            if fields.get("required").is_some_and(Value::is_array) {
                fields.remove("required");
            }
            fields.iter_mut().filter(|(name, _)| *name != "conditions").for_each(|(_, node)| lenient(node));
        }
        Value::Array(items) => items.iter_mut().for_each(lenient),
        _ => {}
    }
}
