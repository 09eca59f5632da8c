//! What was uploaded, registered under names that a deployment can use.

use super::{
    BuildError,
    paths::{address_in, model_uri},
    sizes,
};
use crate::{
    api::{PromptReleaseSpec, release::PromptFlow, status},
    azure::{AssetKind, Azure, EnvironmentBody, ModelBody, Route},
    policy::naming,
};

/// Tag of a model that says what is in it, as 64 hex digits: the address of the content that was evaluated.
pub const TAG_CONTENT: &str = "promptrelease.content";

/// What registering needs to know.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    pub spec: &'a PromptReleaseSpec,
    /// Of the PromptRelease: the model's name.
    pub release: &'a str,
    /// Of artifact and deployment.
    pub hash: &'a str,
}

pub(super) async fn model(
    azure: &Azure,
    plan: &Plan<'_>,
    flow: &PromptFlow,
    build: &status::Build,
) -> Result<String, BuildError> {
    let folder = build.folder.clone().unwrap_or_default();
    let (name, version) = (naming::model(plan.release), naming::model_version(&plan.spec.version, plan.hash));
    let content = address_in(&folder).unwrap_or_default();
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
