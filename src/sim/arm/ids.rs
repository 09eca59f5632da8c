//! ARM ids, and the names that stand in them.

use crate::sim::settings::Settings;

/// ARM id of a resource beside the workspace, in its resource group.
pub fn in_group(settings: &Settings, rest: &str) -> String {
    format!("/subscriptions/{}/resourceGroups/{}/providers/{rest}", settings.subscription, settings.resource_group)
}

/// ARM id of the workspace.
pub fn workspace_id(settings: &Settings) -> String {
    in_group(settings, &format!("Microsoft.MachineLearningServices/workspaces/{}", settings.workspace))
}

/// ARM id of an online endpoint.
pub fn endpoint_id(settings: &Settings, name: &str) -> String {
    format!("{}/onlineEndpoints/{name}", workspace_id(settings))
}

/// ARM id of the storage account.
pub fn storage_id(settings: &Settings) -> String {
    in_group(settings, &format!("Microsoft.Storage/storageAccounts/{}", settings.storage_account))
}

/// ARM id of the Application Insights component.
pub fn component_id(settings: &Settings) -> String {
    in_group(settings, &format!("Microsoft.Insights/components/{}", settings.insights_name))
}

/// Names of endpoints and deployments: 3 to 32 letters, digits and hyphens; a letter first, no hyphen last.
pub fn is_name(name: &str) -> bool {
    (3..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
