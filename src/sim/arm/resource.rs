//! What endpoints, deployments and assets have in common: how they are provisioned, who changed them, and what a body must
//! say of each of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{call::Call, errors, ids::is_name, operations::End};
use crate::sim::{clock, http::Response};

/// `provisioningState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Creating,
    Updating,
    Scaling,
    Deleting,
    Succeeded,
    Failed,
    Canceled,
}

impl State {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Scaling => "Scaling",
            Self::Deleting => "Deleting",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }

    /// No operation is under way.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled)
    }

    /// Where an operation leaves its resource.
    pub fn after(end: End) -> Self {
        match end {
            End::Succeeded | End::Gone => Self::Succeeded,
            End::Failed => Self::Failed,
            End::Canceled => Self::Canceled,
        }
    }
}

/// `systemData`: who made a resource and who changed it last.
pub struct SystemData {
    pub created: Timestamp,
    created_by: String,
    modified: Timestamp,
    modified_by: String,
}

impl SystemData {
    pub fn new(now: Timestamp, by: &str) -> Self {
        Self { created: now, created_by: by.to_owned(), modified: now, modified_by: by.to_owned() }
    }

    pub fn touch(&mut self, now: Timestamp, by: &str) {
        self.modified = now;
        self.modified_by = by.to_owned();
    }

    /// As resources show it.
    pub fn render(&self) -> Value {
        json!({
            "createdAt": clock::iso(self.created), "createdBy": self.created_by, "createdByType": "Application",
            "lastModifiedAt": clock::iso(self.modified), "lastModifiedBy": self.modified_by,
            "lastModifiedByType": "Application",
        })
    }
}

/// Refuses a name that no endpoint or deployment may have; `what` says which of them it is.
pub fn check_name(call: &Call<'_>, what: &str, name: &str) -> Result<(), Response> {
    if is_name(name) {
        return Ok(());
    }
    let text = format!(
        "The {what} name {name:?} must be 3 to 32 characters long, begin with a letter, end with a letter or digit and \
         hold only letters, digits and hyphens."
    );
    Err(errors::front_end(call, 400, "BadArgument", &text, &[]))
}

/// A tracked resource needs a location, and a workspace's resources are where it is.
pub fn check_location(call: &Call<'_>) -> Result<(), Response> {
    let plain = |location: &str| location.replace(' ', "").to_ascii_lowercase();
    match call.body.get("location").and_then(Value::as_str) {
        None => Err(errors::arm(400, "LocationRequired", "The location property is required for this definition.")),
        Some(location) if plain(location) != plain(&call.settings.location) => {
            let text = format!("location must be {:?} as the workspace's, not {location:?}.", call.settings.location);
            Err(errors::front_end(call, 400, "BadArgument", &text, &[]))
        }
        Some(_) => Ok(()),
    }
}

/// The tags of a body; None if it has none.
pub fn tags(body: &Value) -> Option<BTreeMap<String, String>> {
    let tags = body.get("tags")?.as_object()?;
    Some(tags.iter().map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned())).collect())
}
