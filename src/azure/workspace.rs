//! The workspace and what hangs on it: region, discovery address, Application Insights, default datastore.

use reqwest::Method;
use serde::Deserialize;
use url::Url;

use super::{Azure, Error, Ingestion, Result, Seen, arm::INSIGHTS_VERSION, endpoints::or_default};

/// What is needed of a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workspace {
    /// Every resource in the workspace has to name it.
    pub location: String,
    /// E.g. `https://eastus.api.azureml.ms/discovery`; see [`Azure::flows`].
    pub discovery_url: Option<Url>,
}

/// An Application Insights component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Names it in queries.
    pub app_id: String,
    /// Where it takes telemetry, if it says so.
    pub ingestion: Option<Ingestion>,
}

/// A blob container of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datastore {
    pub name: String,
    pub account: String,
    pub container: String,
    /// E.g. `core.windows.net`.
    pub endpoint_suffix: String,
}

#[derive(Deserialize)]
struct Resource<P> {
    #[serde(default)]
    name: String,
    #[serde(default)]
    location: String,
    properties: P,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WorkspaceProperties {
    discovery_url: Option<String>,
}

#[derive(Deserialize)]
struct ComponentProperties {
    #[serde(rename = "AppId")]
    app_id: String,
    #[serde(default, rename = "ConnectionString", deserialize_with = "or_default")]
    connection_string: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DatastoreProperties {
    #[serde(default)]
    datastore_type: String,
    account_name: Option<String>,
    container_name: Option<String>,
    endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Datastores {
    value: Vec<Resource<DatastoreProperties>>,
}

impl Azure {
    pub async fn get_workspace(&self) -> Result<Seen<Workspace>> {
        let reply = self.send(self.arm(Method::GET, &[])?).await?;
        let read: Seen<Resource<WorkspaceProperties>> = reply.seen()?;
        let address = read.value.properties.discovery_url.as_deref().filter(|text| !text.is_empty());
        let discovery_url = address.map(Url::parse).transpose();
        let discovery_url = discovery_url.map_err(|_| reply.malformed("its discoveryUrl is no address"))?;
        Ok(read.map(|resource| Workspace { location: resource.location, discovery_url }))
    }

    /// A component by name; without a resource group, that of the workspace.
    pub async fn get_component(&self, resource_group: Option<&str>, name: &str) -> Result<Seen<Component>> {
        let id = &self.inner.workspace;
        let group = resource_group.unwrap_or(&id.resource_group);
        let provider = ["providers", "Microsoft.Insights", "components", name];
        let path: Vec<&str> =
            ["subscriptions", &id.subscription, "resourceGroups", group].into_iter().chain(provider).collect();
        let request = self.arm_at(Method::GET, &path, format!("components/{name}"), INSIGHTS_VERSION)?;
        let read: Seen<Resource<ComponentProperties>> = self.send(request).await?.seen()?;
        Ok(read.map(|Resource { properties: ComponentProperties { app_id, connection_string }, .. }| Component {
            app_id,
            ingestion: Ingestion::parse(&connection_string),
        }))
    }

    /// The datastore that the workspace uses when none is named.
    pub async fn default_datastore(&self) -> Result<Seen<Datastore>> {
        let mut request = self.arm(Method::GET, &["datastores"])?;
        request.url.query_pairs_mut().append_pair("isDefault", "true");
        let reply = self.send(request).await?;
        let read: Seen<Datastores> = reply.seen()?;
        let date = read.date;
        let first = read.value.value.into_iter().next();
        let Some(store) = first else { return Err(reply.malformed("the workspace has no default datastore")) };
        let value = datastore(store).map_err(|reason| reply.malformed(&reason))?;
        Ok(Seen { value, date })
    }
}

fn datastore(store: Resource<DatastoreProperties>) -> Result<Datastore, String> {
    let Resource { name, properties, .. } = store;
    match (properties.account_name, properties.container_name, properties.endpoint) {
        (Some(account), Some(container), Some(endpoint_suffix)) if properties.datastore_type == "AzureBlob" => {
            Ok(Datastore { name, account, container, endpoint_suffix })
        }
        _ => Err(format!(
            "the default datastore {name} is of type {}; make a datastore of type AzureBlob the workspace's default",
            properties.datastore_type
        )),
    }
}

impl Workspace {
    /// # Errors
    /// If the workspace has none, e.g. while it is being created.
    pub fn discovery(&self) -> Result<&Url> {
        self.discovery_url.as_ref().ok_or_else(|| Error::Malformed {
            call: "GET workspace".into(),
            reason: "it has no discoveryUrl; wait until its provisioning has succeeded".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::azure::loopback::{self, Loopback, in_workspace};

    async fn workspace(properties: Value) -> Result<Workspace> {
        let body = json!({"id": in_workspace(""), "name": "ws", "location": "eastus", "etag": null, "kind": "Default",
            "sku": {"name": "Basic", "tier": "Basic"}, "properties": properties});
        let server = Loopback::answering([loopback::json(200, &body)]).await;
        let workspace = server.azure().get_workspace().await;
        assert_eq!(server.only().path(), loopback::workspace().arm_id());
        workspace.map(|seen| seen.value)
    }

    #[tokio::test]
    async fn a_workspace_is_read_as_azure_writes_it() {
        let component = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/components/ai";
        let found = workspace(
            json!({"discoveryUrl": "https://eastus.api.azureml.ms/discovery", "applicationInsights": component,
            "hbiWorkspace": false, "workspaceId": "1b"}),
        );
        let found = found.await.expect("a workspace");
        assert_eq!(found.location, "eastus");
        assert_eq!(found.discovery().expect("an address").as_str(), "https://eastus.api.azureml.ms/discovery");
    }

    #[tokio::test]
    async fn what_a_workspace_lacks_is_said_where_it_is_needed() {
        for properties in
            [json!({}), json!({"discoveryUrl": "", "applicationInsights": ""}), json!({"discoveryUrl": null})]
        {
            let found = workspace(properties).await.expect("a workspace");
            let error = found.discovery().expect_err("none").to_string();
            assert!(error.contains("it has no discoveryUrl; wait until"), "{error}");
        }
        assert!(workspace(json!({"discoveryUrl": "discovery"})).await.is_err());
    }

    #[tokio::test]
    async fn a_component_is_found_by_name() {
        let body =
            json!({"name": "ai", "location": "eastus", "properties": {"AppId": "1b-2c", "ConnectionString": "…"}});
        let server = Loopback::answering((0..2).map(|_| loopback::json(200, &body))).await;
        let azure = server.azure();
        assert_eq!(azure.get_component(None, "ai").await.expect("one").value.app_id, "1b-2c");
        azure.get_component(Some("other"), "ai").await.expect("one");
        let targets: Vec<String> = server.seen().into_iter().map(|got| got.target).collect();
        let target = |group| {
            format!(
                "/subscriptions/sub/resourceGroups/{group}/providers/Microsoft.Insights/components/ai?api-version=2020-02-02"
            )
        };
        assert_eq!(targets, [target("rg"), target("other")]);
    }

    #[tokio::test]
    async fn the_default_datastore_is_a_blob_container_or_refused_in_words() {
        let store = |kind: &str, account: Option<&str>| {
            json!({"value": [{"id": "…", "name": "workspaceblobstore", "properties": {
                "description": null, "isDefault": true, "credentials": {"credentialsType": "AccountKey"},
                "datastoreType": kind, "accountName": account, "containerName": "c", "endpoint": "core.windows.net",
                "protocol": "https"}, "systemData": {}}]})
        };
        let answers = [store("AzureBlob", Some("acct")), store("AzureFile", Some("acct")), json!({"value": []})];
        let server = Loopback::answering(answers.iter().map(|body| loopback::json(200, body))).await;
        let azure = server.azure();
        let found = azure.default_datastore().await.expect("a datastore").value;
        let (name, account, container) = ("workspaceblobstore".into(), "acct".into(), "c".into());
        assert_eq!(found, Datastore { name, account, container, endpoint_suffix: "core.windows.net".into() });
        let file = azure.default_datastore().await.expect_err("no blobs").to_string();
        assert!(file.contains("is of type AzureFile; make a datastore of type AzureBlob"), "{file}");
        let none = azure.default_datastore().await.expect_err("none").to_string();
        assert!(none.contains("no default datastore"), "{none}");
        assert_eq!(
            server.seen()[0].target,
            format!("{}?api-version=2024-10-01&isDefault=true", in_workspace("datastores"))
        );
    }
}
