//! Reads the error bodies of Azure's services into one shape, and that into one sentence.

use std::fmt;

use serde_json::Value;

/// A service's own account of what went wrong.
///
/// One shape for ARM (`error.details[]`), the Azure ML front end (details whose message is again JSON), the Prompt flow
/// service (`error.innerError` chain) and Application Insights (`error.innererror`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// From the outermost code to the innermost, e.g. `UserError`, `ValidationError`, `ApplyInputMappingError`.
    pub codes: Vec<String>,
    /// The outermost message.
    pub message: String,
    /// What the nested details say, in words, without repetitions of `message`.
    pub details: Vec<String>,
}

/// No service nests deeper; a hostile or looping body ends here.
const DEPTH: usize = 16;
/// Longest message kept of each; stack traces and HTML pages are of no use in a condition.
const LONGEST: usize = 2048;
/// Most details kept.
const MOST: usize = 8;

impl Fault {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { codes: vec![code.into()], message: message.into(), details: Vec::new() }
    }

    /// Reads the body of a reply. `None` if it is not a service's own, which has a code: `{"error":{"code":…}}`. Gateways
    /// answer things like `{"message":"…"}`.
    pub fn from_slice(body: &[u8]) -> Option<Self> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let error = body.get("error")?;
        text(error, "code").and_then(|_| Self::from_value(error))
    }

    /// Reads an error object where it is known to be one, with or without `error` around it, with a code or a message.
    pub fn from_value(body: &Value) -> Option<Self> {
        let error = match body.get("error") {
            Some(inner @ Value::Object(_)) => inner,
            _ => body,
        };
        let code = text(error, "code");
        let message = text(error, "message");
        if code.is_none() && message.is_none() {
            return None;
        }
        let mut fault = Self { codes: Vec::new(), message: message.unwrap_or_default(), details: Vec::new() };
        fault.codes.extend(code);
        inner_codes(error, &mut fault.codes);
        collect_details(error, &mut fault.details, 0);
        let own = fault.message.clone();
        fault.details.retain(|detail| *detail != own);
        Some(fault)
    }

    /// The outermost code, e.g. `BadRequest`; empty if the service gave none.
    pub fn code(&self) -> &str {
        self.codes.first().map_or("", String::as_str)
    }

    /// The innermost code, which is the telling one, e.g. `ApplyInputMappingError`.
    pub fn innermost(&self) -> &str {
        self.codes.last().map_or("", String::as_str)
    }

    /// Any of the codes is this one, without regard to case.
    pub fn has_code(&self, code: &str) -> bool {
        self.codes.iter().any(|c| c.eq_ignore_ascii_case(code))
    }

    /// What to tell people: the details if there are any, since the message above them is "The request is invalid."
    pub fn sentence(&self) -> String {
        if self.details.is_empty() { self.message.clone() } else { self.details.join("; ") }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = self.sentence();
        match (self.innermost(), sentence.as_str()) {
            ("", sentence) => f.write_str(sentence),
            (code, "") => f.write_str(code),
            (code, sentence) => write!(f, "{code}: {sentence}"),
        }
    }
}

/// `innerError` (Azure ML) or `innererror` (OData, Application Insights), as deep as it goes.
fn inner_codes(error: &Value, codes: &mut Vec<String>) {
    let mut at = error;
    for _ in 0..DEPTH {
        let Some(inner) = at.get("innerError").or_else(|| at.get("innererror")).filter(|v| v.is_object()) else {
            return;
        };
        codes.extend(text(inner, "code"));
        at = inner;
    }
}

fn collect_details(error: &Value, into: &mut Vec<String>, depth: usize) {
    if depth == DEPTH {
        return;
    }
    if let Some(message) = error.get("innererror").and_then(|inner| text(inner, "message")) {
        push(into, message);
    }
    for detail in error.get("details").and_then(Value::as_array).into_iter().flatten() {
        let (before, message) = (into.len(), text(detail, "message"));
        for sentence in message.as_deref().map(plain).unwrap_or_default() {
            push(into, sentence);
        }
        collect_details(detail, into, depth + 1);
        if let (None, true, Some(code)) = (message, into.len() == before, text(detail, "code")) {
            push(into, code);
        }
    }
}

/// The Azure ML front end passes a backend's validation problem on as JSON in a message:
/// `{"errors":{"<field>":["<sentence>",…]},"title":"One or more validation errors occurred."}`.
fn plain(message: &str) -> Vec<String> {
    let Ok(Value::Object(problem)) = serde_json::from_str::<Value>(message) else { return vec![message.to_owned()] };
    let mut sentences = Vec::new();
    for (field, list) in problem.get("errors").and_then(Value::as_object).into_iter().flatten() {
        for sentence in list.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let sentence = shorten(sentence);
            sentences.push(if field.is_empty() { sentence } else { format!("{field}: {sentence}") });
        }
    }
    if sentences.is_empty() {
        let problem = Value::Object(problem);
        let nested = problem.get("error").unwrap_or(&problem);
        let said = ["detail", "message", "title"].iter().find_map(|key| text(nested, key));
        sentences.push(said.unwrap_or_else(|| message.to_owned()));
    }
    sentences
}

fn push(into: &mut Vec<String>, sentence: String) {
    if into.len() < MOST && !into.contains(&sentence) {
        into.push(sentence);
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    let found = value.get(key)?.as_str()?.trim();
    (!found.is_empty()).then(|| shorten(found))
}

/// Cuts at a character boundary.
pub(super) fn shorten(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fault(body: &Value) -> Fault {
        Fault::from_slice(body.to_string().as_bytes()).expect("a fault")
    }

    #[test]
    fn the_front_ends_json_in_a_message_becomes_a_sentence() {
        let inner = json!({
            "errors": {"": ["Specified deployment [d-1428] failed."], "Traffic": ["The sum must be 0 or 100.", "No."]},
            "title": "One or more validation errors occurred.",
        });
        let fault = fault(&json!({"error": {
            "code": "BadRequest", "message": "The request is invalid.",
            "details": [{"code": "InferencingClientCallFailed", "message": inner.to_string()}],
            "additionalInfo": [{"type": "ComponentName", "info": {"value": "managementfrontend"}}],
        }}));
        assert_eq!(
            fault.to_string(),
            "BadRequest: Specified deployment [d-1428] failed.; Traffic: The sum must be 0 or 100.; Traffic: No."
        );
        assert_eq!(fault.code(), "BadRequest");
    }

    #[test]
    fn the_innermost_code_is_the_telling_one() {
        let fault = fault(&json!({
            "error": {
                "code": "UserError", "severity": null, "target": null, "details": [], "referenceCode": "Core",
                "message": "The input for batch run is incorrect.", "messageParameters": {"invalid_relations": "${data.key}"},
                "innerError": {"code": "ValidationError", "innerError": {"code": "ApplyInputMappingError", "innerError": null}},
            },
            "correlation": {"operation": "1b", "request": "2c"}, "componentName": "promptflow-runtime", "statusCode": 400,
        }));
        assert_eq!(fault.codes, ["UserError", "ValidationError", "ApplyInputMappingError"]);
        assert_eq!(fault.innermost(), "ApplyInputMappingError");
        assert!(fault.has_code("validationerror"));
        assert_eq!(fault.to_string(), "ApplyInputMappingError: The input for batch run is incorrect.");
    }

    #[test]
    fn application_insights_says_it_in_innererror() {
        let fault = fault(&json!({"error": {
            "message": "The request had some invalid properties", "code": "BadArgumentError", "correlationId": "1b",
            "innererror": {"code": "SyntaxError", "message": "A recognition error occurred in the query."},
        }}));
        assert_eq!(fault.to_string(), "SyntaxError: A recognition error occurred in the query.");
    }

    #[test]
    fn an_error_object_is_read_with_or_without_a_wrapping() {
        let bare = json!({"code": "ResourceNotReady", "message": "User container has crashed."});
        assert_eq!(Fault::from_value(&bare), Fault::from_value(&json!({"error": bare})));
        assert_eq!(Fault::from_value(&json!({"message": "only words"})).expect("words").to_string(), "only words");
        assert_eq!(Fault::from_value(&json!({"code": "OnlyCode"})).expect("a code").to_string(), "OnlyCode");
        for nothing in
            [json!({}), json!(null), json!({"error": {}}), json!({"code": "", "message": " "}), json!(["code"])]
        {
            assert_eq!(Fault::from_value(&nothing), None, "{nothing}");
        }
    }

    #[test]
    fn what_is_said_twice_is_told_once_and_no_more_than_a_page() {
        let detail = |text: String| json!({"code": "X", "message": text});
        let same: Vec<Value> = (0..100).map(|_| detail("again".into())).collect();
        assert_eq!(
            fault(&json!({"error": {"code": "C", "message": "again", "details": same}})).to_string(),
            "C: again"
        );
        let many: Vec<Value> = (0..1000).map(|n| detail(format!("{n} {}", "é".repeat(3 * LONGEST)))).collect();
        let fault = fault(&json!({"error": {"code": "C", "message": "m", "details": many}}));
        assert_eq!(fault.details.len(), MOST);
        assert!(fault.details.iter().all(|text| text.chars().count() == LONGEST + 1 && text.ends_with('…')));
    }

    /// JSON of any shape with the keys that are looked for.
    fn shapes() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i64>().prop_map(Value::from), ".{0,8}".prop_map(Value::from)];
        const KEYS: [&str; 8] = ["error", "code", "message", "details", "innerError", "innererror", "errors", "title"];
        leaf.prop_recursive(6, 64, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((prop::sample::select(&KEYS[..]), inner), 0..4).prop_map(|fields| {
                    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Fault::from_slice(&bytes);
        }

        #[test]
        fn any_shape_is_read_and_what_is_read_says_something(body in shapes()) {
            if let Some(fault) = Fault::from_value(&body) {
                prop_assert!(!fault.to_string().is_empty());
            }
            if let Some(fault) = Fault::from_slice(body.to_string().as_bytes()) {
                prop_assert!(!fault.code().is_empty());
            }
        }
    }
}
