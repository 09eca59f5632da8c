//! Where content lies in the workspace's datastore.

use super::archive;
use crate::{
    api::release::PromptFlow,
    azure::{self, Azure, Datastore},
};

/// Digits of an address.
const DIGITS: usize = 64;

/// Where the content of this address lies in the workspace's datastore.
pub(super) fn root(address: &str) -> String {
    format!("LocalUpload/{address}")
}

/// The address in a path that [`root`] made.
pub fn address_in(folder: &str) -> Option<&str> {
    let address = folder.strip_prefix("LocalUpload/")?;
    (address.len() == DIGITS && address.bytes().all(|b| b.is_ascii_hexdigit())).then_some(address)
}

/// The datastore's path in the spelling that assets and runs use.
fn datastore_uri(azure: &Azure, store: &Datastore, path: &str) -> String {
    let id = azure.workspace_id();
    format!(
        "azureml://subscriptions/{}/resourcegroups/{}/workspaces/{}/datastores/{}/paths/{path}",
        id.subscription, id.resource_group, id.workspace, store.name
    )
}

/// Where the flow of a build lies, for the model.
///
/// # Errors
/// If the datastore cannot be read.
pub(super) async fn model_uri(azure: &Azure, flow: &PromptFlow, folder: &str) -> azure::Result<String> {
    let store = azure.default_datastore().await?.value;
    let path = match archive::normal(flow.path.as_deref().unwrap_or_default()) {
        root if root.is_empty() => folder.to_owned(),
        path => format!("{folder}/{path}"),
    };
    Ok(datastore_uri(azure, &store, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_the_path_that_it_made() {
        let address = "4be1c04f".repeat(8);
        assert_eq!(address_in(&root(&address)), Some(address.as_str()));
        for other in ["LocalUpload/ab", "elsewhere", "LocalUpload/", &format!("LocalUpload/{}", "x".repeat(64))] {
            assert_eq!(address_in(other), None, "{other}");
        }
    }
}
