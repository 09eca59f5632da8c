//! The body of a page or notice.

use serde::{Deserialize, Serialize};

use crate::api::{
    log::{Attempt, Owed},
    status::{CanaryStatus, EvaluationStatus},
};

/// JSON that receivers get. Fields are only ever added.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    /// The same for every delivery of this page; also in the header webhook-id.
    pub key: String,
    /// The same for all pages about one attempt: what belongs together at the receiver.
    pub incident: String,
    /// page: wake somebody up; notice: tell them in the morning.
    pub severity: String,
    /// One word, as in the condition Ready.
    pub reason: String,
    /// One sentence: what happened, and why.
    pub summary: String,
    /// What was found, as the log has it.
    pub evidence: String,
    pub namespace: String,
    /// Names of the objects.
    pub release: String,
    pub endpoint: String,
    pub version: String,
    pub attempt: i64,
    /// The criterion that decided, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<Criterion>,
    /// Release, Environment or Person; absent for a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blame: Option<String>,
    /// Absent while the attempt is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Split as last verified: before a withdrawal is read back, the one that is being withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<String>,
    /// When it was decided to tell, RFC 3339.
    pub at: String,
    pub timeline: Vec<String>,
    /// What to type to see more.
    pub command: String,
}

/// Decimals are text: never recomputed from a float.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Default)]
#[serde(rename_all = "camelCase")]
pub struct Criterion {
    pub class: String,
    pub metric: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    pub threshold: String,
    pub n: i64,
}

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub namespace: &'a str,
    /// Name of the PromptEndpoint.
    pub endpoint: &'a str,
    /// That the page is about; None for one about the endpoint alone.
    pub attempt: Option<&'a Attempt>,
    pub evaluation: Option<&'a EvaluationStatus>,
    pub canary: Option<&'a CanaryStatus>,
    pub traffic: Option<&'a str>,
    pub timeline: &'a [String],
    /// Of an alarm: what fails. Else the decision's evidence is told.
    pub what: Option<&'a str>,
}

/// The page that an entry of the outbox owes.
pub fn page(owed: &Owed, about: &About<'_>) -> Page {
    let _ = about;
    Page { key: owed.key.clone(), ..Page::default() }
}

/// As it is sent and signed.
pub fn body(page: &Page) -> Vec<u8> {
    serde_json::to_vec(page).unwrap_or_default()
}
