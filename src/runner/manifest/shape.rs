//! A value against its OpenAPI schema: the part of it that Kubernetes' structural schemas use, in words for people.

use serde_json::{Map, Value};

use super::rules;

/// Something in a manifest that is wrong. `at` is a field's path; empty: all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    pub at: String,
    /// What is wrong; what is allowed.
    pub what: String,
}

impl Wrong {
    pub(super) fn new(at: &str, what: impl Into<String>) -> Self {
        Self { at: at.to_owned(), what: what.into() }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.what),
            at => write!(f, "{at}: {}", self.what),
        }
    }
}

/// The value with the schema's defaults, as the API server stores it and as its rules see it.
pub(super) fn with_defaults(schema: &Value, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut filled = fields.clone();
            for (name, property) in properties(schema) {
                if let Some(given) = fields.get(name).or_else(|| property.get("default")) {
                    filled.insert(name.clone(), with_defaults(property, given));
                }
            }
            Value::Object(filled)
        }
        Value::Array(items) => items.iter().map(|item| with_defaults(&schema["items"], item)).collect(),
        other => other.clone(),
    }
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// Adds all that is wrong with `value`. A value of a wrong type is asked nothing else.
pub(super) fn walk(schema: &Value, value: &Value, at: &str, wrong: &mut Vec<Wrong>) {
    if let Some(what) = type_fault(schema, value).or_else(|| size_fault(schema, value)) {
        wrong.push(Wrong::new(at, what));
        return;
    }
    match value {
        Value::Object(fields) => walk_fields(schema, fields, at, wrong),
        Value::Array(items) => {
            walk_items(schema, items, at, wrong);
        }
        _ => {}
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().unwrap_or_default();
        if rules::holds(message, value) == Some(false) {
            let field = rule["fieldPath"].as_str().unwrap_or_default();
            wrong.push(Wrong::new(&format!("{at}{field}"), message));
        }
    }
}

fn walk_fields(schema: &Value, fields: &Map<String, Value>, at: &str, wrong: &mut Vec<Wrong>) {
    let known = schema["properties"].as_object();
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            let description = known.and_then(|known| known.get(required)).and_then(|p| p["description"].as_str());
            let means = description.and_then(|text| text.lines().next()).unwrap_or_default();
            wrong.push(Wrong::new(&format!("{at}.{required}"), format!("is missing: {means}")));
        }
    }
    for (name, value) in fields {
        let place = format!("{at}.{name}");
        match (known.and_then(|known| known.get(name)), &schema["additionalProperties"]) {
            (Some(property), _) => walk(property, value, &place, wrong),
            (None, inner @ Value::Object(_)) => walk(inner, value, &place, wrong),
            (None, _) => {
                let has = known.map(|known| known.keys().cloned().collect::<Vec<_>>().join(", "));
                let what = format!("is no field; {at} has {}", has.unwrap_or_default());
                wrong.push(Wrong::new(&place, what));
            }
        }
    }
}

fn walk_items(schema: &Value, items: &[Value], at: &str, wrong: &mut Vec<Wrong>) {
    let keys: Vec<&str> =
        schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let key = |item: &Value| keys.iter().map(|key| item[*key].as_str().unwrap_or_default().to_owned()).collect();
    let mut seen: Vec<Vec<String>> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let place = format!("{at}[{i}]");
        walk(&schema["items"], item, &place, wrong);
        let own: Vec<String> = key(item);
        if !keys.is_empty() && seen.contains(&own) {
            let (names, values) = (keys.join(" and "), own.join(", "));
            wrong.push(Wrong::new(
                &place,
                format!("has the {names} of an earlier one ({values}); each must be its own"),
            ));
        }
        seen.push(own);
    }
}

fn type_fault(schema: &Value, value: &Value) -> Option<String> {
    if schema["x-kubernetes-int-or-string"] == true {
        let fits = value.is_string() || value.is_i64();
        return (!fits).then(|| format!("is {}, must be a text", is(value)));
    }
    let (fits, must) = match schema["type"].as_str()? {
        "object" => (value.is_object(), "an object"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text; quote it"),
        "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
        "number" => (value.is_number(), "a number"),
        "boolean" => (value.is_boolean(), "true or false"),
        _ => return None,
    };
    (!fits).then(|| format!("is {}, must be {must}", is(value)))
}

/// What a value is, in a few words.
fn is(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::String(text) => format!("the text {text:?}"),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "an object".into(),
        other => other.to_string(),
    }
}

fn size_fault(schema: &Value, value: &Value) -> Option<String> {
    let bound = |name: &str| schema[name].as_f64();
    let length = |n: usize, unit: &str, least: &str, most: &str| {
        #[expect(clippy::cast_precision_loss, reason = "lengths of what people type")]
        let count = n as f64;
        if let Some(least) = bound(least).filter(|least| count < *least) {
            return Some(format!("has {n} {unit}, must have at least {least}"));
        }
        let most = bound(most).filter(|most| count > *most)?;
        Some(format!("has {n} {unit}, must have at most {most}"))
    };
    match value {
        Value::Number(number) => {
            let number = number.as_f64()?;
            if let Some(least) = bound("minimum").filter(|least| number < *least) {
                return Some(format!("is {number}, must be at least {least}"));
            }
            let most = bound("maximum").filter(|most| number > *most)?;
            Some(format!("is {number}, must be at most {most}"))
        }
        Value::String(text) => {
            if let Some(words) = schema["enum"].as_array().filter(|words| !words.contains(value)) {
                let mut words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                words.sort_unstable();
                return Some(format!("is {text:?}, must be one of {}", words.join(", ")));
            }
            let pattern = schema["pattern"].as_str().and_then(rules::pattern);
            if let Some((.., must)) = pattern.filter(|(_, fits, _)| !fits(text)) {
                return Some(format!("is {text:?}, must be {must}"));
            }
            length(text.chars().count(), "characters", "minLength", "maxLength")
        }
        Value::Array(items) => length(items.len(), "items", "minItems", "maxItems"),
        Value::Object(fields) => length(fields.len(), "fields", "minProperties", "maxProperties"),
        _ => None,
    }
}
