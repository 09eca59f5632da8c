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
        let before = into.len();
        if let Some(message) = text(detail, "message") {
            plain(&message).into_iter().for_each(|sentence| push(into, sentence));
        }
        collect_details(detail, into, depth + 1);
        if let (true, Some(code)) = (into.len() == before, text(detail, "code")) {
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
