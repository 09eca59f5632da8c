//! The workspace that an endpoint's manifest names, in the words of Azure's side.

use crate::{
    api::endpoint::{AzureEndpoint, Cloud},
    azure::{CloudName, WorkspaceId},
};

/// Cloud and names of the workspace.
pub fn workspace(of: &AzureEndpoint) -> (CloudName, WorkspaceId) {
    let id = WorkspaceId {
        subscription: of.subscription_id.clone(),
        resource_group: of.resource_group.clone(),
        workspace: of.workspace.clone(),
    };
    (cloud(of.cloud), id)
}

/// The same cloud.
pub fn cloud(of: Cloud) -> CloudName {
    match of {
        Cloud::AzurePublic => CloudName::AzurePublic,
        Cloud::AzureChina => CloudName::AzureChina,
        Cloud::AzureUSGovernment => CloudName::AzureUSGovernment,
    }
}
