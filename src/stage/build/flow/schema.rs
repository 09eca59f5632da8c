//! What Prompt flow's own schema says of a flow's file outside of the nodes: kinds of values, and words it knows.

use serde_json::{Map, Value};

use super::FlowError;

/// Types of a flow's inputs and outputs (Prompt flow's `ValueType`).
const TYPES: [&str; 11] = [
    "int",
    "double",
    "bool",
    "string",
    "secret",
    "prompt_template",
    "list",
    "object",
    "file_path",
    "image",
    "assistant_definition",
];
const FLOW_TYPES: [&str; 3] = ["standard", "evaluation", "chat"];
const LANGUAGES: [&str; 2] = ["python", "csharp"];
/// Keys that must have a value, if they are there at all.
const VALUED: [&str; 12] = [
    "inputs",
    "outputs",
    "nodes",
    "node_variants",
    "environment",
    "environment_variables",
    "type",
    "language",
    "description",
    "display_name",
    "tags",
    "additional_includes",
];
/// Words that Prompt flow takes for a yes or a no.
const TRUTH: [&str; 10] = ["true", "false", "t", "f", "yes", "no", "y", "n", "on", "off"];

fn wrong<T>(key: impl Into<String>, says: impl Into<String>) -> Result<T, FlowError> {
    Err(FlowError::Key { key: key.into(), says: says.into() })
}

/// # Errors
/// The first key that is not as Prompt flow wants it.
pub(super) fn check(file: &Map<String, Value>) -> Result<(), FlowError> {
    if let Some(key) = VALUED.iter().find(|key| file.get(**key).is_some_and(Value::is_null)) {
        return wrong(format!("`{key}`"), "has no value; give it one or remove the key");
    }
    for key in ["environment", "environment_variables", "tags", "inputs", "outputs", "node_variants"] {
        if file.get(key).is_some_and(|value| !value.is_object()) {
            return wrong(format!("`{key}`"), "must be a map");
        }
    }
    for key in ["description", "display_name"] {
        if file.get(key).is_some_and(|value| !value.is_string()) {
            return wrong(format!("`{key}`"), "must be text");
        }
    }
    one_of(file, "type", &FLOW_TYPES)?;
    one_of(file, "language", &LANGUAGES)?;
    let tags = file.get("tags").and_then(Value::as_object);
    if let Some((tag, _)) = tags.into_iter().flatten().find(|(_, value)| !value.is_string()) {
        return wrong(format!("`tags`, `{tag}`:"), "must be text; put it in quotes");
    }
    includes(file.get("additional_includes"))?;
    for (kind, key) in [("input", "inputs"), ("output", "outputs")] {
        for (name, port) in file.get(key).and_then(Value::as_object).into_iter().flatten() {
            if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                return wrong(
                    format!("{kind} `{name}`"),
                    "has a name that no template or function can use; begin it with a letter",
                );
            }
            check_port(&format!("{kind} `{name}`"), port)?;
        }
    }
    Ok(())
}

fn one_of(file: &Map<String, Value>, key: &str, words: &[&str]) -> Result<(), FlowError> {
    let Some(value) = file.get(key) else { return Ok(()) };
    if value.as_str().is_some_and(|word| words.contains(&word)) {
        return Ok(());
    }
    let got = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    wrong(format!("`{key}`"), format!("is `{got}`; there are {}", words.join(", ")))
}

fn includes(value: Option<&Value>) -> Result<(), FlowError> {
    match value {
        None => Ok(()),
        Some(Value::Array(files)) if files.is_empty() => Ok(()),
        Some(Value::Array(files)) => {
            let names = files.iter().map(|file| file.as_str().map_or_else(|| file.to_string(), str::to_owned));
            Err(FlowError::Includes(names.collect::<Vec<_>>().join(", ")))
        }
        Some(_) => wrong("`additional_includes`", "must be a list"),
    }
}

/// An input or output of the flow.
fn check_port(what: &str, port: &Value) -> Result<(), FlowError> {
    let Some(port) = port.as_object() else { return wrong(what, "must be a map, as in {type: string}") };
    match port.get("type") {
        None | Some(Value::Null) => return wrong(what, "has no `type`"),
        Some(Value::String(word)) if TYPES.iter().any(|known| known.eq_ignore_ascii_case(word)) => {}
        Some(Value::String(word)) => {
            return wrong(what, format!("is of type `{word}`; there are {}", TYPES.join(", ")));
        }
        Some(_) => return wrong(what, "has a `type` that is no word"),
    }
    for mark in ["is_chat_input", "is_chat_history", "is_chat_output"] {
        if port.get(mark).is_some_and(|value| !is_truth(value)) {
            return wrong(what, format!("has a `{mark}` that is neither true nor false"));
        }
    }
    Ok(())
}

fn is_truth(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::Number(number) => matches!(number.as_f64(), Some(0.0 | 1.0)),
        Value::String(word) => TRUTH.iter().any(|known| known.eq_ignore_ascii_case(word)) || word == "0" || word == "1",
        _ => false,
    }
}
