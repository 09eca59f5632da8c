//! What people write on a run: its name on the page, words, tags, and whether it is shown.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::submission::Submission;

/// They begin as the submission says.
#[derive(Clone, Debug)]
pub(super) struct Annotations {
    pub hidden: bool,
    pub display_name: String,
    pub description: Option<String>,
    pub tags: BTreeMap<String, String>,
}

/// Body of `modify`; what is absent stays.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change {
    hidden: Option<bool>,
    display_name: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

impl Annotations {
    pub fn of(submission: &Submission) -> Self {
        Self {
            hidden: false,
            display_name: submission.run_display_name.clone().unwrap_or_else(|| submission.run_id.clone()),
            description: submission.description.clone(),
            tags: submission.tags.clone().unwrap_or_default(),
        }
    }

    pub fn change(&mut self, change: Change) {
        self.hidden = change.hidden.unwrap_or(self.hidden);
        self.description = change.description.or(self.description.take());
        self.tags.extend(change.tags);
        if let Some(name) = change.display_name {
            self.display_name = name;
        }
    }
}
