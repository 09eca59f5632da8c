//! Azure AI Content Safety, `POST /contentsafety/text:analyze`: severities 0, 2, 4 and 6 by a few plain words.

use serde::Deserialize;
use serde_json::{Value, json};

use super::refusal;
use crate::sim::http::Response;

const CATEGORIES: [&str; 4] = ["Hate", "SelfHarm", "Sexual", "Violence"];
/// Longest text that the service takes, in characters.
const LONGEST: usize = 10_000;
/// Words with a severity of `Violence`; all else is harmless here.
const VIOLENT: [(&str, u8); 6] = [("punch", 2), ("fight", 2), ("stab", 4), ("shoot", 4), ("kill", 6), ("murder", 6)];

#[derive(Deserialize)]
pub(super) struct Request {
    pub text: String,
    #[serde(default)]
    categories: Vec<String>,
}

impl Request {
    /// # Errors
    /// The reply to a request that is wrong.
    pub(super) fn read(body: &[u8]) -> Result<Self, Response> {
        let request: Self = serde_json::from_slice(body).map_err(|e| refusal::invalid_text(&e.to_string()))?;
        if request.text.is_empty() || request.text.chars().count() > LONGEST {
            return Err(refusal::invalid_text(&format!("text must have 1 to {LONGEST} characters")));
        }
        if let Some(unknown) = request.categories.iter().find(|name| !CATEGORIES.contains(&name.as_str())) {
            let known = CATEGORIES.join(", ");
            return Err(refusal::invalid_text(&format!("there is no category {unknown:?}; there are: {known}")));
        }
        Ok(request)
    }

    /// The reply's body. Without categories all four are looked at.
    pub(super) fn analyse(&self) -> Value {
        let wanted = |name: &str| self.categories.is_empty() || self.categories.iter().any(|wanted| wanted == name);
        let severity = |name: &str| if name == "Violence" { violence(&self.text) } else { 0 };
        let looked_at = CATEGORIES.into_iter().filter(|name| wanted(name));
        let found = looked_at.map(|name| json!({"category": name, "severity": severity(name)}));
        json!({"blocklistsMatch": [], "categoriesAnalysis": found.collect::<Vec<_>>()})
    }
}

fn violence(text: &str) -> u8 {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_alphanumeric());
    let of = |word: &str| VIOLENT.iter().find(|(known, _)| word.starts_with(known)).map(|(_, severity)| *severity);
    words.filter_map(of).max().unwrap_or_default()
}
