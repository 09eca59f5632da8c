//! The workspace and what belongs to it from the start: Application Insights, datastores, connections.

use serde_json::{Value, json};

use super::{
    call::Call,
    errors,
    ids::{component_id, in_group, storage_id, workspace_id},
    route,
};
use crate::sim::{clock, http::Response, settings::Settings, world::ConnectionFacts};

/// Name of the datastore that every workspace has.
const DATASTORE: &str = "workspaceblobstore";

/// A shared access signature for the container, good for an hour.
pub fn sas(call: &Call<'_>) -> String {
    let until = clock::after(call.now, std::time::Duration::from_secs(3600)).strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ");
    format!("sv=2023-11-03&sr=c&sp=racwl&se={until}&sig=c2ltdWxhdGVk")
}

pub fn read(call: &Call<'_>) -> Response {
    let s = call.settings;
    let (location, group) = (&s.location, |rest: &str| in_group(s, rest));
    Response::json(
        200,
        &json!({
            "id": workspace_id(s),
            "name": s.workspace,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "location": location,
            "tags": {},
            "etag": null,
            "kind": "Default",
            "sku": {"name": "Basic", "tier": "Basic"},
            "identity": {"type": "SystemAssigned", "tenantId": s.tenant,
                "principalId": "8d2e6f10-7a3b-4c5d-9e8f-0a1b2c3d4e5f"},
            "systemData": {"createdAt": "2026-01-05T08:00:00Z", "createdBy": "platform@example.com",
                "createdByType": "User", "lastModifiedAt": "2026-01-05T08:00:00Z",
                "lastModifiedBy": "platform@example.com", "lastModifiedByType": "User"},
            "properties": {
                "friendlyName": s.workspace,
                "description": "",
                "storageAccount": storage_id(s),
                "keyVault": group("Microsoft.KeyVault/vaults/kv-assistant-prod"),
                "applicationInsights": component_id(s),
                "containerRegistry": group("Microsoft.ContainerRegistry/registries/acrassistantprod"),
                "hbiWorkspace": false,
                "primaryUserAssignedIdentity": null,
                "discoveryUrl": format!("https://{location}.api.azureml.ms/discovery"),
                "mlFlowTrackingUri": format!("azureml://{location}.api.azureml.ms/mlflow/v1.0{}", workspace_id(s)),
                "workspaceId": s.workspace_id,
                "tenantId": s.tenant,
                "publicNetworkAccess": "Enabled",
                "v1LegacyMode": false,
                "systemDatastoresAuthMode": "identity",
                "provisioningState": "Succeeded",
            },
        }),
    )
}

pub fn component(call: &Call<'_>, name: &str) -> Result<Response, Response> {
    let s = call.settings;
    if !name.eq_ignore_ascii_case(&s.insights_name) {
        return Err(route::absent(s, "Microsoft.Insights/components", name));
    }
    let (key, app, location) = (&s.instrumentation_key, &s.insights_app_id, &s.location);
    let connection = format!(
        "InstrumentationKey={key};IngestionEndpoint=https://{location}-3.in.applicationinsights.azure.com/;\
         LiveEndpoint=https://{location}.livediagnostics.monitor.azure.com/;ApplicationId={app}"
    );
    Ok(Response::json(
        200,
        &json!({
            "id": component_id(s),
            "name": s.insights_name,
            "type": "microsoft.insights/components",
            "location": location,
            "kind": "web",
            "tags": {},
            "etag": "\"0600f1c8-0000-0200-0000-65e1a2b30000\"",
            "properties": {
                "Ver": "v2",
                "ApplicationId": s.insights_name,
                "AppId": app,
                "Application_Type": "web",
                "InstrumentationKey": key,
                "ConnectionString": connection,
                "Name": s.insights_name,
                "TenantId": s.subscription,
                "provisioningState": "Succeeded",
                "RetentionInDays": 90,
                "IngestionMode": "LogAnalytics",
                "WorkspaceResourceId": in_group(s, "Microsoft.OperationalInsights/workspaces/log-assistant-prod"),
                "publicNetworkAccessForIngestion": "Enabled",
                "publicNetworkAccessForQuery": "Enabled",
                "DisableLocalAuth": true,
            },
        }),
    ))
}

fn datastore_doc(s: &Settings) -> Value {
    json!({
        "id": format!("{}/datastores/{DATASTORE}", workspace_id(s)),
        "name": DATASTORE,
        "type": "Microsoft.MachineLearningServices/workspaces/datastores",
        "systemData": {"createdAt": "2026-01-05T08:00:30Z", "createdBy": "Azure Machine Learning",
            "createdByType": "Application", "lastModifiedAt": "2026-01-05T08:00:30Z",
            "lastModifiedBy": "Azure Machine Learning", "lastModifiedByType": "Application"},
        "properties": {
            "description": null,
            "tags": null,
            "properties": null,
            "isDefault": true,
            "credentials": {"credentialsType": "AccountKey"},
            "intellectualProperty": null,
            "subscriptionId": s.subscription,
            "resourceGroup": s.resource_group,
            "datastoreType": "AzureBlob",
            "accountName": s.storage_account,
            "containerName": s.container,
            "endpoint": "core.windows.net",
            "protocol": "https",
            "serviceDataAccessAuthIdentity": "WorkspaceSystemAssignedIdentity",
        },
    })
}

pub fn datastores(call: &Call<'_>) -> Response {
    let only_others = call.req.param("isDefault").is_some_and(|v| v.eq_ignore_ascii_case("false"));
    let all = if only_others { Vec::new() } else { vec![datastore_doc(call.settings)] };
    Response::json(200, &json!({"value": all}))
}

pub fn datastore(call: &Call<'_>, name: &str) -> Result<Response, Response> {
    known_datastore(call, name)?;
    Ok(Response::json(200, &datastore_doc(call.settings)))
}

pub fn datastore_secrets(call: &Call<'_>, name: &str) -> Result<Response, Response> {
    known_datastore(call, name)?;
    Ok(Response::json(200, &json!({"secretsType": "Sas", "sasToken": sas(call)})))
}

fn known_datastore(call: &Call<'_>, name: &str) -> Result<(), Response> {
    if name.eq_ignore_ascii_case(DATASTORE) {
        return Ok(());
    }
    let text = format!("Could not find datastore: {name}.");
    Err(errors::front_end(call, 404, "UserError", &text, &[]))
}

/// What Prompt flow reads of a connection: its own name for the type, and the version of the service's API.
fn connection_metadata(facts: &ConnectionFacts) -> Value {
    let (flow_type, more) = match facts.category.as_str() {
        "CustomKeys" => ("Custom", json!({})),
        "CognitiveService" => ("AzureContentSafety", json!({"Kind": "Content Safety", "ApiVersion": "2023-10-01"})),
        category => (category, json!({"ApiType": "azure", "ApiVersion": "2024-10-21"})),
    };
    let mut all = json!({"azureml.flow.connection_type": flow_type, "azureml.flow.module": "promptflow.connections"});
    for (name, value) in more.as_object().into_iter().flatten() {
        all[name] = value.clone();
    }
    all
}

fn connection_doc(s: &Settings, facts: &ConnectionFacts, secret: bool) -> Value {
    let (auth, credentials) = match facts.category.as_str() {
        "CustomKeys" => ("CustomKeys", json!({"keys": {}})),
        _ => ("ApiKey", json!({"key": facts.key()})),
    };
    json!({
        "tags": null,
        "location": null,
        "id": format!("{}/connections/{}", workspace_id(s), facts.name),
        "name": facts.name,
        "type": "Microsoft.MachineLearningServices/workspaces/connections",
        "systemData": {"createdAt": "2026-01-05T08:01:00Z", "createdBy": "platform@example.com",
            "createdByType": "User", "lastModifiedAt": "2026-01-05T08:01:00Z",
            "lastModifiedBy": "platform@example.com", "lastModifiedByType": "User"},
        "properties": {
            "authType": auth,
            "credentials": secret.then_some(credentials),
            "group": "AzureAI",
            "category": facts.category,
            "expiryTime": null,
            "target": facts.target,
            "createdByWorkspaceArmId": workspace_id(s),
            "useWorkspaceManagedIdentity": false,
            "isSharedToAll": false,
            "sharedUserList": [],
            "metadata": connection_metadata(facts),
        },
    })
}

pub fn connections(call: &Call<'_>, all: &[ConnectionFacts]) -> Response {
    let shown: Vec<Value> = all.iter().map(|c| connection_doc(call.settings, c, false)).collect();
    Response::json(200, &json!({"value": shown}))
}

pub fn connection(call: &Call<'_>, all: &[ConnectionFacts], name: &str, secret: bool) -> Result<Response, Response> {
    let found = all.iter().find(|c| c.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let text = format!("Connection {name} can't be found in this workspace");
        errors::front_end(call, 404, "UserError", &text, &[])
    })?;
    Ok(Response::json(200, &connection_doc(call.settings, found, secret)))
}
