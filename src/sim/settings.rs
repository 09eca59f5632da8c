//! The facts of one workspace and its surroundings.

use super::clock::Dial;

/// The facts of this world, and how slow it is.
#[derive(Clone, Debug)]
pub struct Settings {
    pub subscription: String,
    pub resource_group: String,
    pub workspace: String,
    /// GUID of the workspace.
    pub workspace_id: String,
    /// Azure region, as in host names: `eastus2`.
    pub location: String,
    pub tenant: String,
    pub storage_account: String,
    /// Container behind the datastore `workspaceblobstore`.
    pub container: String,
    /// Name of the Microsoft.Insights component.
    pub insights_name: String,
    /// `{appId}` of the query API.
    pub insights_app_id: String,
    pub instrumentation_key: String,
    /// Shortest time from acceptance of an endpoint write until it takes effect.
    pub operation_time: Dial,
    /// The same for a deployment.
    pub deployment_time: Dial,
    /// From receipt of an Application Insights envelope until a query sees it.
    pub ingestion_delay: Dial,
}
