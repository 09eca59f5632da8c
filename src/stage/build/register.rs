//! What was uploaded, registered under names that a deployment can use.

use super::{BuildError, Plan, archive, content, sizes};
use crate::{
    api::{release::PromptFlow, status},
    azure::{self, AssetKind, Azure, Datastore, EnvironmentBody, ModelBody, Route},
    policy::naming,
};

/// Tag of a model that says what is in it, as 64 hex digits: the address of the content that was evaluated.
pub const TAG_CONTENT: &str = "promptrelease.content";

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

pub(super) async fn model(
    azure: &Azure,
    plan: &Plan<'_>,
    flow: &PromptFlow,
    build: &status::Build,
) -> Result<String, BuildError> {
    let folder = build.folder.clone().unwrap_or_default();
    let (name, version) = (naming::model(plan.release), naming::model_version(&plan.spec.version, plan.hash));
    let content = content::address_in(&folder).unwrap_or_default();
    let body = ModelBody {
        uri: model_uri(azure, flow, &folder).await?,
        // Lifts Azure's limit on a request's time from 180 s to 300 s.
        properties: [("azureml.promptflow.source_flow_id".to_owned(), plan.release.to_owned())].into(),
        tags: [("promptrelease.hash", plan.hash), (TAG_CONTENT, content)]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    };
    azure.put_asset(AssetKind::Model, &name, &version, &body.to_json()).await?;
    Ok(format!("{name}:{version}"))
}

pub(super) async fn environment(azure: &Azure, plan: &Plan<'_>, flow: &PromptFlow) -> Result<String, BuildError> {
    let name = naming::environment(plan.release);
    let unpinned = || BuildError::Unpinned(flow.environment_image.clone());
    let version = naming::environment_version(&flow.environment_image).ok_or_else(unpinned)?;
    let layers = azure.image_layers(&flow.environment_image).await.unwrap_or_default();
    sizes::check_image(&flow.environment_image, &layers).map_err(BuildError::Image)?;
    let health = Route { path: "/health".into(), port: 8080 };
    let body = EnvironmentBody {
        image: flow.environment_image.clone(),
        liveness: health.clone(),
        readiness: health,
        scoring: Route { path: "/score".into(), port: 8080 },
        tags: [("promptrelease.hash".to_owned(), plan.hash.to_owned())].into(),
    };
    azure.put_asset(AssetKind::Environment, &name, version, &body.to_json()).await?;
    Ok(format!("{name}:{version}"))
}
